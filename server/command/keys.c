/* SPDX-License-Identifier: MIT */
/*
 * DEL, UNLINK, EXISTS, TOUCH, TYPE, RANDOMKEY.
 */
#include "server/command/generic.h"

/* How many of the arguments from 1 on are keys that are there; one named twice counts twice. */
static enum stave_status count_present(struct call *call, bool use)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argument_count; i++) {
        const struct stave_bytes key = call->arguments[i];
        struct item item;
        const enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
        if (status != STAVE_OK) return status;
        if (!item.found) continue;
        count++;
        if (use) transaction_use(call->transaction, call->database, key);
    }
    reply_integer(call->reply, count);
    return STAVE_OK;
}

enum stave_status generic_exists(struct call *call)
{
    return count_present(call, false);
}

enum stave_status generic_touch(struct call *call)
{
    return count_present(call, true);
}

enum stave_status generic_del(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argument_count; i++) {
        const struct stave_bytes key = call->arguments[i];
        struct item item;
        enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
        if (status != STAVE_OK) return status;
        if (!item.found) continue;
        status = transaction_delete(call->transaction, call->database, key);
        if (status != STAVE_OK) return status;
        count++;
    }
    reply_integer(call->reply, count);
    return STAVE_OK;
}

enum stave_status generic_type(struct call *call)
{
    struct item item;
    const enum stave_status status =
        transaction_info(call->transaction, call->database, call->arguments[1], &item);
    if (status != STAVE_OK) return status;
    reply_simple(call->reply, item.found ? "string" : "none");
    return STAVE_OK;
}

enum stave_status generic_randomkey(struct call *call)
{
    struct stave_value key;
    const enum stave_status status = transaction_random_key(call->transaction, call->database, &key);
    if (status == STAVE_NOT_FOUND) {
        reply_null(call->reply);
        return STAVE_OK;
    }
    if (status != STAVE_OK) return status;
    reply_bulk(call->reply, stave_bytes(key.data, key.size));
    stave_free(key.data);
    return STAVE_OK;
}
