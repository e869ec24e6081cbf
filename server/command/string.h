/* SPDX-License-Identifier: MIT */
/*
 * The commands of the string group, and what they share with the bits.
 * Source: https://redis.io/docs/latest/commands/?group=string
 */
#ifndef STAVE_SERVER_COMMAND_STRING_H
#define STAVE_SERVER_COMMAND_STRING_H

#include "server/call.h"

/* string.c */
enum stave_status string_set(struct call *call);
enum stave_status string_get(struct call *call);
enum stave_status string_getset(struct call *call);
enum stave_status string_getdel(struct call *call);
enum stave_status string_getex(struct call *call);
enum stave_status string_setex(struct call *call);
enum stave_status string_psetex(struct call *call);
enum stave_status string_setnx(struct call *call);
enum stave_status string_mset(struct call *call);
enum stave_status string_msetnx(struct call *call);
enum stave_status string_mget(struct call *call);

/* range.c */
enum stave_status string_append(struct call *call);
enum stave_status string_strlen(struct call *call);
enum stave_status string_setrange(struct call *call);
enum stave_status string_getrange(struct call *call);

/* counter.c */
enum stave_status string_incr(struct call *call);
enum stave_status string_decr(struct call *call);
enum stave_status string_incrby(struct call *call);
enum stave_status string_decrby(struct call *call);
enum stave_status string_incrbyfloat(struct call *call);

/* lcs.c */
enum stave_status string_lcs(struct call *call);

/* The value of the key at argument `index`. */
static inline enum stave_status string_read(struct call *call, size_t index, struct item *ret_item)
{
    return transaction_get(call->transaction, call->database, call->arguments[index], ret_item);
}

/* Its size and expiry alone. */
static inline enum stave_status string_info(struct call *call, size_t index, struct item *ret_item)
{
    return transaction_info(call->transaction, call->database, call->arguments[index], ret_item);
}

/*
 * As string_read(), of key 1, but only bytes first..last of it, as far as they are there. `whole` is what
 * string_info() has said of it, or NULL.
 */
enum stave_status string_read_range(struct call *call, const struct item *whole, uint64_t first,
                                    uint64_t last, struct item *ret_item);

/*
 * Bytes first..last of `size` as a command's start and end name them: negative ones count from the end, and
 * what lies before the beginning is the beginning. False: none.
 */
bool string_range(int64_t start, int64_t end, uint64_t size, uint64_t *ret_first, uint64_t *ret_last);

/* Of two from the end, the first is nearer: nothing for GETRANGE and BITCOUNT, whatever the size. */
static inline bool string_range_is_reversed(int64_t start, int64_t end)
{
    return start < 0 && end < 0 && start > end;
}

/*
 * A copy of the value (empty if it was not found) with zeroes up to `size` bytes, which is not less, to be
 * changed and staged. STAVE_NO_MEMORY.
 */
enum stave_status string_copy(struct call *call, const struct item *item, uint64_t size, uint8_t **ret_bytes);

#endif
