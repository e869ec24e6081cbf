/* SPDX-License-Identifier: MIT */
/* CONFIG. */
#include "server/config.h"
#include "server/apply.h"
#include "server/clock.h"

#include <string.h>

#include "server/command/help.h"
#include "server/command/server.h"
#include "server/expiry.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/server.h"
#include "server/slowlog.h"

/* ------------------------------------------------------------------ GET */

/* Names given before, so that a name that fits two patterns comes once. */
struct answer {
    struct buffer pairs; /* name, zero, value, zero */
    uint64_t count;
    enum stave_status status;
};

static bool is_there(const struct answer *answer, const char *name)
{
    const char *at = (const char *)answer->pairs.data;
    for (uint64_t i = 0; i < answer->count; i++) {
        if (strcmp(at, name) == 0) return true;
        at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return false;
}

static void take_pair(void *context, const char *name, const char *value)
{
    struct answer *answer = context;
    if (answer->status != STAVE_OK || is_there(answer, name)) return;
    answer->status = buffer_append(&answer->pairs, name, strlen(name) + 1);
    if (answer->status == STAVE_OK) answer->status = buffer_append(&answer->pairs, value, strlen(value) + 1);
    if (answer->status == STAVE_OK) answer->count++;
}

enum stave_status config_command_get(struct call *call)
{
    struct answer answer = {.status = STAVE_OK};
    enum stave_status status = STAVE_OK;
    for (size_t i = 2; i < call->argument_count && status == STAVE_OK; i++)
        status = config_get(&call->server->config, call->arguments[i], take_pair, &answer);
    if (status == STAVE_OK) status = answer.status;
    if (status == STAVE_OK) {
        reply_map(call->reply, answer.count);
        const char *at = (const char *)answer.pairs.data;
        for (uint64_t i = 0; i < 2 * answer.count; i++, at += strlen(at) + 1) reply_text(call->reply, at);
    }
    buffer_free(&answer.pairs);
    return status;
}

/* ------------------------------------------------------------------ SET */

static bool may_set_protected(const struct call *call)
{
    return client_has_access(call->client, call->server->config.enable_protected_configs);
}

/* Puts into force what has been set; what fails is taken back, with its effects. */
static bool apply(struct server *server, struct config *before, uint32_t effects,
                  char error[CONFIG_ERROR_SIZE])
{
    char unused[CONFIG_ERROR_SIZE];
    if (effects == 0 || apply_config(server, effects, error)) {
        config_free(before);
        return true;
    }
    config_free(&server->config);
    server->config = *before;
    if (!apply_config(server, effects, unused))
        log_write(LOG_WARNING, "Cannot go back to the old configuration: %s", unused);
    return false;
}

enum stave_status config_command_set(struct call *call)
{
    struct server *server = call->server;
    char error[CONFIG_ERROR_SIZE] = "";
    uint32_t effects = 0;
    if (call->argument_count % 2 != 0) return call_syntax_error(call);
    struct config before;
    enum stave_status status = config_copy(&server->config, &before);
    if (status != STAVE_OK) return status;
    status = config_set(&server->config, call->arguments + 2, (call->argument_count - 2) / 2,
                        may_set_protected(call), &effects, error);
    if (status != STAVE_OK) {
        config_free(&before);
        return status == STAVE_INVALID ? call_error(call, "ERR %s", error) : status;
    }
    if (!apply(server, &before, effects, error)) return call_error(call, "ERR CONFIG SET failed - %s", error);
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ RESETSTAT and the others */

static void reset_stats(struct server *server)
{
    loop_clear_stats(server);
    struct stave_stats store = {.size = sizeof store};
    if (stave_stats(server->store, &store) == STAVE_OK) server->expired_before = store.expired_count;
    atomic_store(&server->rejected_connections, 0);
    atomic_store(&server->expiry->spent_us, 0);
    server->stats_reset_ms = clock_now_ms();
}

enum stave_status config_command_resetstat(struct call *call)
{
    reset_stats(call->server);
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status config_command_rewrite(struct call *call)
{
    char error[CONFIG_ERROR_SIZE];
    if (config_rewrite(&call->server->config, error) != STAVE_OK) {
        log_write(LOG_WARNING, "CONFIG REWRITE failed: %s", error);
        return call_error(call, "ERR %s", error);
    }
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status config_command_help(struct call *call)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    The directives whose names fit, with their values.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Change directives, all of them or none.",
        "RESETSTAT",
        "    Set the counters that INFO shows to zero.",
        "REWRITE",
        "    Write the present values into the configuration file.",
        NULL,
    };
    return help_reply(call, lines);
}
