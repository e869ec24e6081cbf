/* SPDX-License-Identifier: MIT */
/* TIME ROLE MONITOR SAVE BGSAVE LASTSAVE BGREWRITEAOF SHUTDOWN. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/time.h>

#include "server/client.h"
#include "server/command/server.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/server.h"
#include "server/snapshot.h"

static void reply_number_text(struct reply *reply, uint64_t number)
{
    reply_format(reply, "%" PRIu64, number);
}

enum stave_status process_time(struct call *call)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    reply_array(call->reply, 2);
    reply_number_text(call->reply, (uint64_t)now.tv_sec);
    reply_number_text(call->reply, (uint64_t)now.tv_usec);
    return STAVE_OK;
}

enum stave_status process_role(struct call *call)
{
    reply_array(call->reply, 3);
    reply_text(call->reply, "master");
    reply_integer(call->reply, 0);
    reply_array(call->reply, 0);
    return STAVE_OK;
}

enum stave_status process_monitor(struct call *call)
{
    if (call->in_exec) return call_error(call, "ERR MONITOR isn't allowed for DENY BLOCKING client");
    if (!(call->client->flags & CLIENT_MONITOR)) atomic_fetch_add(&call->server->monitor_count, 1);
    call->client->flags |= CLIENT_MONITOR;
    reply_ok(call->reply);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ snapshots */

enum stave_status process_save(struct call *call)
{
    struct stave_error error = {.status = STAVE_OK};
    const enum stave_status status = snapshot_save(call->server, &error);
    if (status != STAVE_OK) return call_error(call, "ERR %s", error.message);
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status process_bgsave(struct call *call)
{
    if (call->argument_count > 2 || (call->argument_count == 2 && !call_is(call, 1, "schedule")))
        return call_syntax_error(call);
    if (call->in_exec ? !snapshot_save_schedule() : !snapshot_save_start(call->server))
        return call_error(call, "ERR Background save already in progress");
    reply_simple(call->reply, call->in_exec ? "Background saving scheduled" : "Background saving started");
    return STAVE_OK;
}

enum stave_status process_lastsave(struct call *call)
{
    struct snapshot_state state;
    snapshot_state(&state);
    reply_integer(call->reply, (int64_t)state.last_save_s);
    return STAVE_OK;
}

enum stave_status process_bgrewriteaof(struct call *call)
{
    if (call->in_exec ? !snapshot_compact_schedule() : !snapshot_compact_start(call->server))
        return call_error(call, "ERR Background append only file rewriting already in progress");
    reply_simple(call->reply, call->in_exec ? "Background append only file rewriting scheduled"
                                            : "Background append only file rewriting started");
    return STAVE_OK;
}

/* ------------------------------------------------------------------ SHUTDOWN */

struct shutdown {
    bool save;
    bool no_save;
    bool now;
    bool force;
    bool abort;
};

static bool parse_shutdown(const struct call *call, struct shutdown *shutdown)
{
    for (size_t i = 1; i < call->argument_count; i++) {
        if (call_is(call, i, "nosave"))
            shutdown->no_save = true;
        else if (call_is(call, i, "save"))
            shutdown->save = true;
        else if (call_is(call, i, "now"))
            shutdown->now = true;
        else if (call_is(call, i, "force"))
            shutdown->force = true;
        else if (call_is(call, i, "abort"))
            shutdown->abort = true;
        else
            return false;
    }
    const bool others = shutdown->save || shutdown->no_save || shutdown->now || shutdown->force;
    return !(shutdown->save && shutdown->no_save) && !(shutdown->abort && others);
}

/* The store is closed cleanly whatever the options; SAVE makes a snapshot before. */
enum stave_status process_shutdown(struct call *call)
{
    struct shutdown shutdown = {false, false, false, false, false};
    struct stave_error error = {.status = STAVE_OK};
    if (!parse_shutdown(call, &shutdown)) return call_syntax_error(call);
    if (shutdown.abort) return call_error(call, "ERR No shutdown in progress.");
    if (shutdown.save && snapshot_save(call->server, &error) != STAVE_OK && !shutdown.force) {
        log_write(LOG_WARNING, "SHUTDOWN is not done, since its snapshot failed: %s", error.message);
        return call_error(call, "ERR Errors trying to SHUTDOWN. Check logs.");
    }
    server_stop(call->server);
    connection_kill(call->client, false);
    return STAVE_OK;
}
