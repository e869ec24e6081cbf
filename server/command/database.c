/* SPDX-License-Identifier: MIT */
/*
 * Whole databases: DBSIZE, FLUSHDB, FLUSHALL, SWAPDB.
 */
#include "net/resp_number.h"
#include "server/command/generic.h"
#include "server/server.h"

enum stave_status database_dbsize(struct call *call)
{
    uint64_t count;
    const enum stave_status status = transaction_count(call->transaction, call->database, &count);
    if (status != STAVE_OK) return status;
    reply_integer(call->reply, (int64_t)count);
    return STAVE_OK;
}

/* ASYNC and SYNC are the same: emptying takes constant time, and disk is given back in the background. */
static bool is_flush(const struct call *call)
{
    return call->argument_count == 1 ||
           (call->argument_count == 2 && (call_is(call, 1, "ASYNC") || call_is(call, 1, "SYNC")));
}

static enum stave_status flush(struct call *call, uint32_t database)
{
    uint64_t count;
    const enum stave_status status = transaction_count(call->transaction, database, &count);
    if (status != STAVE_OK || count == 0) return status;
    return transaction_flush(call->transaction, database);
}

enum stave_status database_flushdb(struct call *call)
{
    if (!is_flush(call)) return call_syntax_error(call);
    const enum stave_status status = flush(call, call->database);
    if (status == STAVE_OK) reply_ok(call->reply);
    return status;
}

enum stave_status database_flushall(struct call *call)
{
    if (!is_flush(call)) return call_syntax_error(call);
    for (uint32_t i = 0; i < call->server->database_count; i++) {
        const enum stave_status status = flush(call, i);
        if (status != STAVE_OK) return status;
    }
    reply_ok(call->reply);
    return STAVE_OK;
}

/* False: it has been answered. */
static bool swap_argument(struct call *call, size_t index, const char *error, int64_t *ret_number)
{
    int64_t number;
    if (resp_integer(call->arguments[index], &number) && number >= INT32_MIN && number <= INT32_MAX) {
        *ret_number = number;
        return true;
    }
    (void)call_error(call, "%s", error);
    return false;
}

enum stave_status database_swapdb(struct call *call)
{
    int64_t first;
    int64_t second;
    if (!swap_argument(call, 1, "ERR invalid first DB index", &first)) return STAVE_OK;
    if (!swap_argument(call, 2, "ERR invalid second DB index", &second)) return STAVE_OK;
    const int64_t count = call->server->database_count;
    if (first < 0 || first >= count || second < 0 || second >= count)
        return call_error(call, "ERR DB index is out of range");
    if (first != second) {
        const enum stave_status status =
            transaction_swap(call->transaction, (uint32_t)first, (uint32_t)second);
        if (status != STAVE_OK) return status;
    }
    reply_ok(call->reply);
    return STAVE_OK;
}
