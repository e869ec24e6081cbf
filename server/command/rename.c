/* SPDX-License-Identifier: MIT */
/*
 * RENAME, RENAMENX, COPY, MOVE: a value with its expiry comes to another key or database.
 */
#include <string.h>

#include "server/command/generic.h"
#include "server/server.h"

#define SAME_OBJECT_ERROR "ERR source and destination objects are the same"

static bool is_same(struct stave_bytes a, struct stave_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static enum stave_status rename_key(struct call *call, bool only_if_absent)
{
    const struct stave_bytes source = call->arguments[1];
    const struct stave_bytes target = call->arguments[2];
    struct item item;
    enum stave_status status = transaction_get(call->transaction, call->database, source, &item);
    if (status != STAVE_OK) return status;
    if (!item.found) return call_error(call, "ERR no such key");
    const bool same = is_same(source, target);
    if (only_if_absent) {
        struct item present = {.found = same};
        if (!same) status = transaction_info(call->transaction, call->database, target, &present);
        if (status != STAVE_OK) return status;
        reply_integer(call->reply, present.found ? 0 : 1);
        if (present.found) return STAVE_OK;
    } else {
        reply_ok(call->reply);
        if (same) return STAVE_OK;
    }
    status = transaction_put(call->transaction, call->database, target, item.value, item.expires_at_ms);
    if (status != STAVE_OK) return status;
    return transaction_delete(call->transaction, call->database, source);
}

enum stave_status generic_rename(struct call *call)
{
    return rename_key(call, false);
}

enum stave_status generic_renamenx(struct call *call)
{
    return rename_key(call, true);
}

/* Stages the copy; *ret_done is false if the source is absent or the target in the way. */
static enum stave_status copy_value(struct call *call, struct stave_bytes source, uint32_t database,
                                    struct stave_bytes target, bool replace, bool *ret_done)
{
    struct item item;
    struct item present = {.found = false};
    *ret_done = false;
    transaction_count_reads(call->transaction, call->command->run == generic_copy);
    enum stave_status status = transaction_get(call->transaction, call->database, source, &item);
    transaction_count_reads(call->transaction, false);
    if (status != STAVE_OK || !item.found) return status;
    if (!replace) status = transaction_info(call->transaction, database, target, &present);
    if (status != STAVE_OK || present.found) return status;
    status = transaction_put(call->transaction, database, target, item.value, item.expires_at_ms);
    *ret_done = status == STAVE_OK;
    return status;
}

enum stave_status generic_copy(struct call *call)
{
    uint32_t database = call->database;
    bool replace = false;
    for (size_t i = 3; i < call->argument_count; i++) {
        if (call_is(call, i, "REPLACE")) {
            replace = true;
        } else if (call_is(call, i, "DB") && i + 1 < call->argument_count) {
            if (!call_database(call, ++i, &database)) return STAVE_OK;
        } else {
            return call_syntax_error(call);
        }
    }
    if (database == call->database && is_same(call->arguments[1], call->arguments[2]))
        return call_error(call, SAME_OBJECT_ERROR);
    bool done;
    const enum stave_status status =
        copy_value(call, call->arguments[1], database, call->arguments[2], replace, &done);
    if (status == STAVE_OK) reply_integer(call->reply, done);
    return status;
}

enum stave_status generic_move(struct call *call)
{
    const struct stave_bytes key = call->arguments[1];
    uint32_t database;
    if (!call_database(call, 2, &database)) return STAVE_OK;
    if (database == call->database) return call_error(call, SAME_OBJECT_ERROR);
    bool done;
    enum stave_status status = copy_value(call, key, database, key, false, &done);
    if (status == STAVE_OK && done) status = transaction_delete(call->transaction, call->database, key);
    if (status == STAVE_OK) reply_integer(call->reply, done);
    return status;
}
