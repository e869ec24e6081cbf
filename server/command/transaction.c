/* SPDX-License-Identifier: MIT */
/* Transactions: commands queued and run as one, unless what was watched has changed. */
#include "server/command/transaction.h"

#include <string.h>

#include "base/memory.h"
#include "net/resp_number.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/prefetch.h"
#include "server/server.h"
#include "server/watch.h"

enum stave_status transaction_multi(struct call *call)
{
    if ((call->client->flags & CLIENT_MULTI) != 0) {
        return call_error(call, "ERR MULTI calls can not be nested");
    }
    call->client->flags |= CLIENT_MULTI;
    reply_ok(call->reply);
    return STAVE_OK;
}

/* Has a watched key changed, or expired since, or could one not be watched? */
static bool is_dirty(const struct call *call)
{
    const struct client *client = call->client;
    if ((client->flags & CLIENT_WATCH_FAILED) != 0) return true;
    for (size_t i = 0; i < client->watched_capacity; i++) {
        const struct watched *watched = &client->watched[i];
        if (watched->key == NULL) continue;
        if (watch_is_dirty(watched)) return true;
        if (watched->expires_at_ms != 0 && watched->expires_at_ms <= call->now_ms) return true;
    }
    return false;
}

/* Where a queued SELECT leads. */
static uint32_t database_after(const struct call *exec, const struct queued_command *queued,
                               uint32_t database)
{
    int64_t number;
    if (strcmp(queued->command->name, "select") != 0 || queued->argument_count != 2 ||
        !resp_integer(queued->arguments[1], &number) || number < 0 ||
        number >= (int64_t)exec->server->database_count) {
        return database;
    }
    return (uint32_t)number;
}

enum stave_status transaction_exec_seek(struct call *exec)
{
    const struct client *client = exec->client;
    if ((client->flags & CLIENT_MULTI) == 0 || (client->flags & CLIENT_DIRTY_EXEC) != 0 || is_dirty(exec))
        return STAVE_OK;
    uint32_t database = client->database;
    enum stave_status result = STAVE_OK;
    for (size_t i = 0; i < client->queued_count; i++) {
        const struct queued_command *queued = &client->queued[i];
        database = database_after(exec, queued, database);
        const enum stave_status status = prefetch_seek(exec->transaction, database, queued->command,
                                                       queued->arguments, queued->argument_count);
        if (result == STAVE_OK) result = status;
    }
    return result;
}

enum stave_status transaction_exec(struct call *call)
{
    struct client *client = call->client;
    if ((client->flags & CLIENT_MULTI) == 0) return call_error(call, "ERR EXEC without MULTI");
    call->ends_multi = true;
    for (size_t i = 0; i < client->queued_count; i++) client->queued[i].has_run = false; /* an earlier try */
    if ((client->flags & CLIENT_DIRTY_EXEC) != 0) {
        return call_error(call, "EXECABORT Transaction discarded because of previous errors.");
    }
    if (is_dirty(call)) {
        transaction_see_all(call->transaction); /* the write that changed it among them */
        reply_null_array(call->reply);
        return STAVE_OK;
    }
    reply_array(call->reply, client->queued_count);
    for (size_t i = 0; i < client->queued_count; i++) {
        const enum stave_status status = dispatch_queued(call, &client->queued[i]);
        if (status != STAVE_OK) return status;
        transaction_collect(call->transaction);
    }
    return STAVE_OK;
}

enum stave_status transaction_discard(struct call *call)
{
    if ((call->client->flags & CLIENT_MULTI) == 0) return call_error(call, "ERR DISCARD without MULTI");
    call->ends_multi = true;
    reply_ok(call->reply);
    return STAVE_OK;
}

/*
 * Its expiry is read after it is watched, so that no change falls between; `before` is what it was just
 * before.
 */
static enum stave_status watch_key(struct call *call, struct stave_bytes key, const struct item *before)
{
    struct watched watched;
    struct watched *kept;
    enum stave_status status = watch_add(call->server->watch, call->database, key, &watched);
    if (status == STAVE_OK) status = client_watch(call->client, watched, &kept);
    if (status != STAVE_OK || kept == NULL) return status;
    struct item item;
    status = transaction_info(call->transaction, call->database, key, &item);
    if (status == STAVE_WOULD_BLOCK) item = *before; /* and gone from memory already */
    if (status == STAVE_OK || status == STAVE_WOULD_BLOCK) kept->expires_at_ms = item.expires_at_ms;
    return STAVE_OK;
}

enum stave_status transaction_watch(struct call *call)
{
    if ((call->client->flags & CLIENT_MULTI) != 0) {
        return call_error(call, "ERR WATCH inside MULTI is not allowed");
    }
    for (size_t i = 1; i < call->argument_count; i++) {
        struct item before;
        const struct stave_bytes key = call->arguments[i];
        enum stave_status status = transaction_info(call->transaction, call->database, key, &before);
        if (status == STAVE_WOULD_BLOCK) return status;
        if (status != STAVE_OK) before = (struct item){0};
        status = watch_key(call, key, &before);
        if (status == STAVE_LIMIT || status == STAVE_NO_MEMORY) {
            call->client->flags |= CLIENT_WATCH_FAILED;
            return call_error(call, "ERR too many keys are watched");
        }
    }
    reply_ok(call->reply);
    return STAVE_OK;
}

enum stave_status transaction_unwatch(struct call *call)
{
    client_unwatch(call->client);
    reply_ok(call->reply);
    return STAVE_OK;
}
