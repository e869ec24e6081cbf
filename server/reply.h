/* SPDX-License-Identifier: MIT */
/*
 * The reply of a call, in the client's protocol version.
 *
 *   A1  Values of LARGE size are not copied: the reply keeps the view of the store until they have been sent.
 *   A2  The functions cannot fail for the caller: when memory ends, the reply is marked broken and the
 *       dispatcher closes the connection.
 */
#ifndef STAVE_SERVER_REPLY_H
#define STAVE_SERVER_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "server/stats.h"
#include "server/transaction.h"
#include "stave.h"

#define REPLY_LARGE_SIZE ((size_t)16384) /* values from this size on are not copied (A1) */

struct reply;

int reply_protocol(const struct reply *reply); /* 2 or 3 */

void reply_ok(struct reply *reply);
void reply_simple(struct reply *reply, const char *text);
void reply_integer(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct stave_bytes bytes); /* copied */
void reply_text(struct reply *reply, const char *text);         /* a bulk string */
void reply_format(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The value of an item just got, as a bulk string, or null if it was not found. Large ones are not copied. */
void reply_item(struct reply *reply, const struct item *item);
void reply_null(struct reply *reply);
void reply_null_array(struct reply *reply);
void reply_array(struct reply *reply, uint64_t count);
void reply_map(struct reply *reply, uint64_t pair_count);
void reply_set(struct reply *reply, uint64_t count);
void reply_push(struct reply *reply, uint64_t count);
void reply_double(struct reply *reply, double value);
void reply_boolean(struct reply *reply, bool value);
/* Version 3 alone: what follows, pairs, belongs to the reply behind it. */
void reply_attribute(struct reply *reply, uint64_t pair_count);
void reply_big_number(struct reply *reply, const char *digits);
void reply_verbatim(struct reply *reply, const char format[3], struct stave_bytes text);
/* An error, with its code: "ERR ..."; usually through call_error(). */
void reply_error(struct reply *reply, const char *text);

/*
 * ------------------------------------------------------------------ the dispatcher's and the connection's
 *
 * Replies of several commands are gathered in one: bytes, and views that stand between them. What one command
 * wrote can be taken back to a mark.
 */
struct reply_view {
    size_t offset; /* bytes of the buffer that go before it */
    struct stave *store;
    struct stave_view view;
};

struct reply {
    struct buffer bytes;
    struct reply_view *views;
    size_t view_count;
    size_t view_capacity;
    struct transaction *transaction; /* that values come from */
    int protocol;
    bool is_broken;                /* A2 */
    struct answered_errors errors; /* since the mark was taken */
};

struct reply_mark {
    size_t size;
    size_t view_count;
};

struct reply_mark reply_mark(struct reply *reply);
void reply_take_back(struct reply *reply, struct reply_mark mark);
/* Empties it: the views have been handed on (or are released by reply_take_back() before). */
void reply_clear(struct reply *reply);
void reply_free(struct reply *reply);

#endif
