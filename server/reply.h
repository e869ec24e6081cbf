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

#include "server/transaction.h"
#include "stave.h"

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
void reply_verbatim(struct reply *reply, const char format[3], struct stave_bytes text);
/* An error, with its code: "ERR ..."; usually through call_error(). */
void reply_error(struct reply *reply, const char *text);

#endif
