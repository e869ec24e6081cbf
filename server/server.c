/* SPDX-License-Identifier: MIT */
/* The server's life: the store opened, loops started, housekeeping on the main thread, and a clean end. */
#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/memory.h"
#include "server/clock.h"
#include "server/command/groups.h"
#include "server/command_table.h"
#include "server/idle.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/posts.h"
#include "server/run.h"
#include "server/upkeep.h"
#include "server/watch.h"

#define DESCRIPTOR_COUNT_MIN ((rlim_t)32)        /* with so few there is no room for a client, as in Redis */
#define RESERVED_DESCRIPTOR_COUNT ((rlim_t)4096) /* the store's files, and the process' own */

struct server_private {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t cron;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    struct listeners *listeners;
    struct listening listening; /* as the configuration is; those accepted from may be older for a moment */
    bool has_pid_file;
    struct posts posts;
    _Atomic int exit_code;
    bool is_closing;
};

/* ------------------------------------------------------------------ from other threads */

bool server_background(struct server *server, void (*work)(void *context), void (*done)(void *context),
                       void *context)
{
    return posts_add_work(&server->own->posts, work, done, context);
}

void server_stop(struct server *server, int exit_code)
{
    atomic_store(&server->own->exit_code, exit_code);
    atomic_store(&server->stopping, true);
    (void)uv_async_send(&server->own->wake);
}

/* ------------------------------------------------------------------ counters */

void server_stats(const struct server *server, struct loop_stats *ret_stats)
{
    stats_clear(ret_stats);
    for (size_t i = 0; i < server->loop_count; i++) stats_add(ret_stats, &server->loops[i]->dispatcher.stats);
}

void server_reset_stats(struct server *server)
{
    for (size_t i = 0; i < server->loop_count; i++) stats_clear(&server->loops[i]->dispatcher.stats);
    struct stave_stats store = {.size = sizeof store};
    if (stave_stats(server->store, &store) == STAVE_OK) server->expired_before = store.expired_count;
    atomic_store(&server->rejected_connections, 0);
    atomic_store(&server->expiry.spent_us, 0);
    server->stats_reset_ms = clock_now_ms();
}

/* ------------------------------------------------------------------ changes of the configuration */

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

static struct stave_options store_options(const struct config *config)
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

/* Sockets opened by a loop's thread, on their way to the main thread. */
struct relisten {
    struct server *server;
    struct listening listening;
};

static void relisten(void *context)
{
    struct relisten *change = context;
    struct server_private *own = change->server->own;
    listeners_close(own->listeners);
    own->listeners = own->is_closing ? NULL : listeners_open(change->server, &own->uv, &change->listening);
    if (own->listeners == NULL) listener_unlisten(&change->listening);
    memory_free(change);
}

static bool apply_listen(struct server *server, char ret_error[CONFIG_ERROR_SIZE])
{
    struct relisten *change = memory_alloc_zero(1, sizeof *change);
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "no memory");
    if (change == NULL) return false;
    change->server = server;
    if (!listener_listen(&server->config, &server->own->listening, &change->listening, ret_error)) {
        memory_free(change);
        return false;
    }
    const struct listening listening = change->listening;
    if (posts_add(&server->own->posts, relisten, change)) {
        server->own->listening = listening;
        return true;
    }
    listener_unlisten(&change->listening);
    memory_free(change);
    return false;
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
    const struct stave_options options = store_options(&server->config);
    if ((effects & CONFIG_EFFECT_SYNC) != 0) status = stave_set_sync(server->store, options.sync, 1000);
    if (status == STAVE_OK && (effects & CONFIG_EFFECT_STORE) != 0)
        status = stave_set_options(server->store, &options);
    if (status == STAVE_OK) return true;
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", stave_status_text(status));
    return false;
}

bool server_apply(struct server *server, uint32_t effects, char ret_error[CONFIG_ERROR_SIZE])
{
    if ((effects & CONFIG_EFFECT_DIR) != 0 && chdir(server->config.dir) != 0) {
        (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "%s", strerror(errno));
        return false;
    }
    if ((effects & CONFIG_EFFECT_CLIENTS) != 0 && !apply_clients(&server->config, ret_error)) return false;
    if ((effects & CONFIG_EFFECT_LISTEN) != 0 && !apply_listen(server, ret_error)) return false;
    if ((effects & CONFIG_EFFECT_LOG) != 0) log_set_level((enum log_level)server->config.loglevel);
    return apply_store(server, effects, ret_error);
}

/* ------------------------------------------------------------------ the main thread */

static void close_main(struct server *server)
{
    struct server_private *own = server->own;
    if (own->is_closing) return;
    own->is_closing = true;
    listeners_close(own->listeners);
    own->listeners = NULL;
    uv_close((uv_handle_t *)&own->cron, NULL);
    uv_close((uv_handle_t *)&own->terminate, NULL);
    uv_close((uv_handle_t *)&own->interrupt, NULL);
    uv_close((uv_handle_t *)&own->wake, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct server *server = wake->data;
    posts_run(&server->own->posts);
    if (atomic_load(&server->stopping)) close_main(server);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct server *server = signal->data;
    if (atomic_load(&server->stopping)) {
        log_write(LOG_WARNING, "You insist... exiting now.");
        _exit(1);
    }
    log_write(LOG_WARNING, "Received %s scheduling shutdown...", number == SIGINT ? "SIGINT" : "SIGTERM");
    server_stop(server, 0);
}

static uint64_t cron_period_ms(const struct config *config)
{
    return 1000 / (uint64_t)config->hz;
}

static void on_cron(uv_timer_t *timer)
{
    struct server *server = timer->data;
    gate_enter(&server->gate, server->loop_count); /* the configuration is read */
    const uint64_t period = cron_period_ms(&server->config);
    if (uv_timer_get_repeat(timer) != period) (void)uv_timer_start(timer, on_cron, period, period);
    upkeep_tick(server);
    log_follow();
    listeners_resume(server->own->listeners);
    if (server->hooks.cron != NULL) server->hooks.cron(server);
    gate_leave(&server->gate, server->loop_count);
    expiry_tick(server, period);
}

static bool open_main(struct server *server)
{
    struct server_private *own = server->own;
    if (uv_loop_init(&own->uv) != 0) return false;
    (void)uv_async_init(&own->uv, &own->wake, on_wake);
    (void)uv_timer_init(&own->uv, &own->cron);
    (void)uv_signal_init(&own->uv, &own->terminate);
    (void)uv_signal_init(&own->uv, &own->interrupt);
    own->wake.data = server;
    own->cron.data = server;
    own->terminate.data = server;
    own->interrupt.data = server;
    const uint64_t period = cron_period_ms(&server->config);
    (void)uv_timer_start(&own->cron, on_cron, period, period);
    (void)uv_signal_start(&own->terminate, on_signal, SIGTERM);
    (void)uv_signal_start(&own->interrupt, on_signal, SIGINT);

    own->listeners = listeners_open(server, &own->uv, &own->listening);
    return own->listeners != NULL;
}

/* ------------------------------------------------------------------ start */

static void fill_random(uint8_t *ret_bytes, size_t size)
{
    memset(ret_bytes, 0, size);
    if (getrandom(ret_bytes, size, 0) == (ssize_t)size) return;
    (void)snprintf((char *)ret_bytes, size, "%d%d", (int)getpid(), (int)time(NULL));
}

static void make_run_id(char ret_id[41])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[20];
    fill_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        ret_id[2 * i] = digits[random[i] >> 4];
        ret_id[2 * i + 1] = digits[random[i] & 15];
    }
    ret_id[40] = 0;
}

/* Fewer clients, if there are not descriptors for all; false: not even for the server itself. */
static bool fit_clients(struct config *config)
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

static bool open_store(struct server *server)
{
    const struct stave_options options = store_options(&server->config);
    struct stave_error error = {.status = STAVE_OK};
    if (stave_open(server->config.store, &options, &server->store, &error) != STAVE_OK) {
        log_write(LOG_WARNING, "Fatal error opening the store: %s", error.message);
        return false;
    }
    if (realpath(server->config.store, server->store_path) == NULL) server->store_path[0] = 0;
    server->database_count = (uint32_t)server->config.databases;
    server->databases = memory_alloc_zero(server->database_count, sizeof(struct stave *));
    if (server->databases == NULL) return false;
    for (uint32_t i = 0; i < server->database_count; i++) {
        server->databases[i] = stave_space(server->store, i);
        if (server->databases[i] == NULL) return false;
    }
    return true;
}

static bool start_loops(struct server *server)
{
    const size_t count = (size_t)server->config.io_threads;
    server->loops = memory_alloc_zero(count, sizeof(struct loop *));
    server->commit_versions =
        memory_alloc_aligned(_Alignof(struct commit_version), count * sizeof(struct commit_version));
    if (server->loops == NULL || server->commit_versions == NULL) return false;
    server->loop_count = count;
    gate_init(&server->gate, count + 1); /* the last place is the main thread's */
    for (size_t i = 0; i < count; i++) {
        gate_exclude(&server->gate, GATE_NO_PLACE);
        server->loops[i] = loop_start(server, i);
        gate_admit(&server->gate, GATE_NO_PLACE);
        if (server->loops[i] == NULL) return false;
    }
    return true;
}

bool server_init(struct server *server)
{
    server->own = memory_alloc_zero(1, sizeof *server->own);
    fill_random((uint8_t *)&server->hash_seed, sizeof server->hash_seed);
    server->watch = watch_table_new(server->hash_seed);
    server->idle = idle_new(clock_now_ms());
    if (server->own == NULL || server->watch == NULL || server->idle == NULL) return false;
    posts_init(&server->own->posts, &server->own->uv, &server->own->wake);
    server->active_expire = true;
    server->started_ms = clock_now_ms();
    server->stats_reset_ms = server->started_ms;
    server->started_monotonic_us = clock_monotonic_us();
    make_run_id(server->run_id);
    command_table_build(command_groups);
    return true;
}

static void write_pid_file(struct server *server)
{
    const char *path = server->config.pidfile;
    if (path == NULL || path[0] == 0) return;
    FILE *file = fopen(path, "we");
    server->own->has_pid_file = file != NULL;
    if (file == NULL) {
        log_write(LOG_WARNING, "Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    (void)fclose(file);
}

/* What stands under these names but has not been made here belongs to another server, and stays. */
static void remove_files(const struct server *server)
{
    if (listener_has_unix(&server->own->listening)) (void)unlink(server->config.unixsocket);
    if (server->own->has_pid_file) (void)unlink(server->config.pidfile);
}

/* Whatever has been opened is closed, in reverse. */
static int end(struct server *server, int exit_code)
{
    struct server_private *own = server->own;
    if (server->store != NULL && stave_sync(server->store) != STAVE_OK)
        atomic_store(&server->sync_failed, true);
    for (size_t i = 0; i < server->loop_count; i++) {
        if (server->loops[i] != NULL) loop_end(server->loops[i]);
    }
    for (size_t i = 0; i < server->loop_count; i++) loop_free(server->loops[i]);
    if (server->loop_count > 0) gate_free(&server->gate);
    memory_free(server->commit_versions);
    memory_free(server->loops);
    server->loops = NULL;
    server->loop_count = 0;
    if (server->store != NULL && stave_close(server->store) != STAVE_OK) {
        log_write(LOG_WARNING, "The store could not be closed cleanly.");
        exit_code = 1;
    }
    remove_files(server);
    memory_free(server->databases);
    watch_table_free(server->watch);
    idle_free(server->idle);
    posts_free(&own->posts);
    memory_free(own);
    server->own = NULL;
    return exit_code;
}

int server_run(struct server *server)
{
    struct server_private *own = server->own;
    char error[CONFIG_ERROR_SIZE] = "";
    if (!fit_clients(&server->config) || !open_store(server)) return end(server, 1);
    const struct listening none = {.count = 0};
    const bool is_listening = listener_listen(&server->config, &none, &own->listening, error);
    if (!is_listening || own->listening.count == 0) {
        log_write(LOG_WARNING, "%s", is_listening ? "Configured to not listen anywhere, exiting." : error);
        return end(server, 1);
    }
    write_pid_file(server);
    upkeep_begin(server);
    if (!start_loops(server) || !open_main(server)) {
        log_write(LOG_WARNING, "The threads could not be started.");
        return end(server, 1);
    }
    log_write(LOG_NOTICE, "Ready to accept connections");
    notify_manager("READY=1\nSTATUS=Ready to accept connections\n");
    (void)uv_run(&own->uv, UV_RUN_DEFAULT);

    notify_manager("STOPPING=1\n");
    log_write(LOG_WARNING, "User requested shutdown...");
    posts_end(&own->posts);
    (void)uv_run(&own->uv, UV_RUN_DEFAULT); /* what the last posts began */
    (void)uv_loop_close(&own->uv);
    const int exit_code = end(server, atomic_load(&own->exit_code));
    log_write(LOG_WARNING, "Stave is now ready to exit, bye bye...");
    return exit_code;
}
