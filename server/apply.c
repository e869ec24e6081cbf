/* SPDX-License-Identifier: MIT */
/* Each effect of a setting. The first that fails ends it; the caller goes back to what was before. */
#include "server/apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/log.h"
#include "server/server.h"

#define DESCRIPTOR_COUNT_MIN ((rlim_t)32)        /* with so few there is no room for a client, as in Redis */
#define RESERVED_DESCRIPTOR_COUNT ((rlim_t)4096) /* the store's files, and the process' own */

/* As many descriptors as clients and the store need, if they can be had; the result is how many there are. */
static rlim_t raise_descriptor_limit(int64_t client_count)
{
    struct rlimit limit;
    const rlim_t wanted = (rlim_t)client_count + RESERVED_DESCRIPTOR_COUNT;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return wanted;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
    raised = (struct rlimit){limit.rlim_max, limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

/* How many clients may be served with so many descriptors. */
static int64_t clients_of_descriptors(rlim_t granted)
{
    const rlim_t reserved = granted > 2 * RESERVED_DESCRIPTOR_COUNT ? RESERVED_DESCRIPTOR_COUNT : granted / 2;
    return (int64_t)(granted - reserved);
}

static enum stave_sync sync_mode(const struct config *config)
{
    switch ((enum config_appendfsync)config->appendfsync) {
    case APPENDFSYNC_ALWAYS: return STAVE_SYNC_NONE; /* the loops ask for each sync, and wait for it */
    case APPENDFSYNC_NO: return STAVE_SYNC_NONE;
    case APPENDFSYNC_EVERYSEC: return STAVE_SYNC_INTERVAL;
    }
    return STAVE_SYNC_INTERVAL;
}

struct stave_options apply_store_options(const struct config *config)
{
    return (struct stave_options){.size = sizeof(struct stave_options),
                                  .sync = sync_mode(config),
                                  .sync_interval_ms = 1000,
                                  .reads = config->read_copied ? STAVE_READS_COPIED : STAVE_READS_MAPPED,
                                  .segment_size = (uint64_t)config->segment_size,
                                  .segment_age_ms = (uint64_t)config->segment_age * 1000,
                                  .disk_ratio_percent = (uint32_t)config->disk_ratio,
                                  .dead_ratio_percent = (uint32_t)config->dead_ratio,
                                  .compaction_io_per_s = (uint64_t)config->compaction_io,
                                  .checkpoint_size = (uint64_t)config->checkpoint_size};
}

bool apply_client_limit(struct config *config)
{
    const rlim_t granted = raise_descriptor_limit(config->maxclients);
    const rlim_t wanted = (rlim_t)config->maxclients + RESERVED_DESCRIPTOR_COUNT;
    if (granted >= wanted) return true;
    if (granted <= DESCRIPTOR_COUNT_MIN) {
        log_write(
            LOG_WARNING,
            "Your current 'ulimit -n' of %llu is not enough for the server to start. Please increase your "
            "open file limit to at least %llu. Exiting.",
            (unsigned long long)granted, (unsigned long long)wanted);
        return false;
    }
    const int64_t before = config->maxclients;
    config->maxclients = clients_of_descriptors(granted);
    log_write(LOG_WARNING,
              "maxclients has been reduced from %lld to %lld: the system grants %llu open files.",
              (long long)before, (long long)config->maxclients, (unsigned long long)granted);
    return true;
}

/* More clients than there are descriptors for would take those of the store's files. */
static bool apply_clients(const struct config *config, char ret_error[CONFIG_ERROR_SIZE])
{
    const rlim_t granted = raise_descriptor_limit(config->maxclients);
    if (clients_of_descriptors(granted) >= config->maxclients) return true;
    (void)snprintf(
        ret_error, CONFIG_ERROR_SIZE,
        "The operating system is not able to handle the specified number of clients, try with %lld",
        (long long)clients_of_descriptors(granted));
    return false;
}

static bool apply_store(struct server *server, uint32_t effects, char ret_error[CONFIG_ERROR_SIZE])
{
    enum stave_status status = STAVE_OK;
    const struct stave_options options = apply_store_options(&server->config);
    if ((effects & CONFIG_EFFECT_SYNC) != 0) status = stave_set_sync(server->store, options.sync, 1000);
    if (status == STAVE_OK && (effects & CONFIG_EFFECT_STORE) != 0)
        status = stave_set_options(server->store, &options);
    if (status == STAVE_OK) return true;
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", stave_status_text(status));
    return false;
}

bool apply_config(struct server *server, uint32_t effects, char ret_error[CONFIG_ERROR_SIZE])
{
    if ((effects & CONFIG_EFFECT_DIR) != 0 && chdir(server->config.dir) != 0) {
        (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", strerror(errno));
        return false;
    }
    if ((effects & CONFIG_EFFECT_CLIENTS) != 0 && !apply_clients(&server->config, ret_error)) return false;
    if ((effects & CONFIG_EFFECT_LISTEN) != 0 && !server->hooks.relisten(server, ret_error)) return false;
    if ((effects & CONFIG_EFFECT_LOG) != 0) log_set_level((enum log_level)server->config.loglevel);
    return apply_store(server, effects, ret_error);
}
