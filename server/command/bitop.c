/* SPDX-License-Identifier: MIT */
/* BITOP: one string from several, bit by bit; the shorter ones count as filled up with zeroes. */
#include <string.h>

#include "server/command/bitmap.h"

enum bitop { BITOP_NONE, BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_NOT };

static enum bitop parse_operation(const struct call *call)
{
    if (call_is(call, 1, "and")) return BITOP_AND;
    if (call_is(call, 1, "or")) return BITOP_OR;
    if (call_is(call, 1, "xor")) return BITOP_XOR;
    if (call_is(call, 1, "not")) return BITOP_NOT;
    return BITOP_NONE;
}

/* result op= source; `size` is the result's, the source's is not larger. */
static void combine(enum bitop operation, uint8_t *result, size_t size, struct stave_bytes source)
{
    const uint8_t *bytes = source.data;
    switch (operation) {
    case BITOP_AND:
        for (size_t i = 0; i < source.size; i++) result[i] &= bytes[i];
        memset(result + source.size, 0, size - source.size);
        return;
    case BITOP_OR:
        for (size_t i = 0; i < source.size; i++) result[i] |= bytes[i];
        return;
    case BITOP_XOR:
        for (size_t i = 0; i < source.size; i++) result[i] ^= bytes[i];
        return;
    case BITOP_NOT:
        for (size_t i = 0; i < source.size; i++) result[i] = (uint8_t)~bytes[i];
        return;
    case BITOP_NONE: return;
    }
}

static size_t longest(const struct item *items, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (items[i].found && items[i].value.size > size) size = items[i].value.size;
    }
    return size;
}

/* An empty result is no key. */
static enum stave_status put_empty(struct call *call)
{
    struct item old;
    const struct stave_bytes key = call->arguments[2];
    enum stave_status status = transaction_info(call->transaction, call->database, key, &old);
    if (status == STAVE_OK && old.found) status = transaction_delete(call->transaction, call->database, key);
    if (status == STAVE_OK) reply_integer(call->reply, 0);
    return status;
}

static enum stave_status put_result(struct call *call, enum bitop operation, const struct item *items,
                                    size_t count, size_t size)
{
    uint8_t *result = transaction_alloc(call->transaction, size);
    if (result == NULL) return STAVE_NO_MEMORY;
    memset(result, 0, size);
    if (items[0].found && items[0].value.size > 0) memcpy(result, items[0].value.data, items[0].value.size);
    for (size_t i = operation == BITOP_NOT ? 0 : 1; i < count; i++) {
        const struct stave_bytes source = items[i].found ? items[i].value : stave_bytes("", 0);
        combine(operation, result, size, source);
    }
    const enum stave_status status =
        transaction_put(call->transaction, call->database, call->arguments[2], stave_bytes(result, size), 0);
    if (status == STAVE_OK) reply_integer(call->reply, (int64_t)size);
    return status;
}

enum stave_status bitmap_bitop(struct call *call)
{
    const enum bitop operation = parse_operation(call);
    if (operation == BITOP_NONE) return call_syntax_error(call);
    const size_t count = call->argument_count - 3;
    if (operation == BITOP_NOT && count != 1)
        return call_error(call, "ERR BITOP NOT must be called with a single source key.");

    struct item *items = transaction_alloc(call->transaction, count * sizeof *items);
    if (items == NULL) return STAVE_NO_MEMORY;
    transaction_count_reads(call->transaction, true);
    const enum stave_status status =
        transaction_get_many(call->transaction, call->database, call->arguments + 3, count, items);
    transaction_count_reads(call->transaction, false);
    if (status != STAVE_OK) return status;

    const size_t size = longest(items, count);
    return size == 0 ? put_empty(call) : put_result(call, operation, items, count, size);
}
