/* SPDX-License-Identifier: MIT */
/*
 * OBJECT: what Redis would say of the inner form of a value. Values are bytes here; the names of Redis'
 * encodings are given by the value's looks.
 */
#include "server/command/object.h"

#include "net/resp_number.h"
#include "server/command/generic.h"
#include "server/command/help.h"
#include "server/idle.h"
#include "server/server.h"

#define INTEGER_SIZE_MAX 20        /* longer texts are no integers to Redis */
#define EMBEDDED_SIZE_MAX 44       /* up to here Redis keeps a string in one piece with its head */
#define SHARED_INTEGER_COUNT 10000 /* integers from 0 on that all keys share */

enum stave_status object_read(struct call *call, struct stave_bytes key, struct object *ret_object)
{
    struct item item;
    transaction_look(call->transaction);
    enum stave_status status = transaction_info(call->transaction, call->database, key, &item);
    if (status != STAVE_OK) return status;
    struct object object = {.item = item, .encoding = "raw", .reference_count = 1};
    if (item.found && item.value_size <= EMBEDDED_SIZE_MAX) object.encoding = "embstr";
    if (item.found && item.value_size <= INTEGER_SIZE_MAX) {
        transaction_count_reads(call->transaction, false); /* once is enough */
        status = transaction_get(call->transaction, call->database, key, &item);
        if (status != STAVE_OK) return status;
        int64_t value;
        if (resp_integer(item.value, &value)) {
            object.encoding = "int";
            if (value >= 0 && value < SHARED_INTEGER_COUNT) object.reference_count = INT32_MAX;
        }
    }
    *ret_object = object;
    return STAVE_OK;
}

uint64_t object_idle_seconds(const struct call *call, struct stave_bytes key)
{
    return idle_seconds(call->server->idle, call->database, key, call->now_ms);
}

enum stave_status object_encoding(struct call *call)
{
    struct object object;
    const enum stave_status status = object_read(call, call->arguments[2], &object);
    if (status != STAVE_OK) return status;
    if (object.item.found) {
        reply_text(call->reply, object.encoding);
    } else {
        reply_null(call->reply);
    }
    return STAVE_OK;
}

enum stave_status object_refcount(struct call *call)
{
    struct object object;
    const enum stave_status status = object_read(call, call->arguments[2], &object);
    if (status != STAVE_OK) return status;
    if (object.item.found) {
        reply_integer(call->reply, object.reference_count);
    } else {
        reply_null(call->reply);
    }
    return STAVE_OK;
}

enum stave_status object_idletime(struct call *call)
{
    struct item item;
    const enum stave_status status =
        transaction_info(call->transaction, call->database, call->arguments[2], &item);
    if (status != STAVE_OK) return status;
    if (item.found) {
        reply_integer(call->reply, (int64_t)object_idle_seconds(call, call->arguments[2]));
    } else {
        reply_null(call->reply);
    }
    return STAVE_OK;
}

enum stave_status object_freq(struct call *call)
{
    struct item item;
    const enum stave_status status =
        transaction_info(call->transaction, call->database, call->arguments[2], &item);
    if (status != STAVE_OK) return status;
    if (item.found)
        return call_error(call, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. "
                                "Please note that when switching between policies at runtime LRU and LFU "
                                "data will take some time to adjust.");
    reply_null(call->reply);
    return STAVE_OK;
}

enum stave_status object_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    Name the encoding that Redis would choose for the value of <key>.",
        "FREQ <key>",
        "    Always an error for a key that exists: frequencies of access are not kept.",
        "IDLETIME <key>",
        "    Seconds since <key> was last used, as far as that is remembered; never",
        "    more than the time since the server started.",
        "REFCOUNT <key>",
        "    How many keys share the value, as Redis counts it.",
        NULL,
    };
    return help_reply(call, lines);
}
