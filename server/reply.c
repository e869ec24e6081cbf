/* SPDX-License-Identifier: MIT */
/* Replies gathered for a client, in its protocol version. */
#include "server/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "net/resp.h"

#define FORMAT_SIZE_MAX ((size_t)4096)
#define KEPT_SIZE_MAX ((size_t)1 << 20) /* a buffer that one reply has made larger is freed */
#define VIEW_CAPACITY_FIRST ((size_t)16)

static void check(struct reply *reply, enum stave_status status)
{
    if (status != STAVE_OK) reply->is_broken = true;
}

int reply_protocol(const struct reply *reply)
{
    return reply->protocol;
}

void reply_ok(struct reply *reply)
{
    check(reply, buffer_append(&reply->bytes, "+OK\r\n", 5));
}

void reply_simple(struct reply *reply, const char *text)
{
    check(reply, resp_write_simple(&reply->bytes, text));
}

void reply_integer(struct reply *reply, int64_t value)
{
    check(reply, resp_write_integer(&reply->bytes, value));
}

void reply_bulk(struct reply *reply, struct stave_bytes bytes)
{
    check(reply, resp_write_bulk(&reply->bytes, bytes));
}

void reply_text(struct reply *reply, const char *text)
{
    reply_bulk(reply, stave_text(text));
}

void reply_format(struct reply *reply, const char *format, ...)
{
    char text[FORMAT_SIZE_MAX];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (size < 0) {
        reply->is_broken = true;
        return;
    }
    reply_bulk(reply, stave_bytes(text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1));
}

static bool reserve_view(struct reply *reply)
{
    if (reply->view_count < reply->view_capacity) return true;
    const size_t capacity = reply->view_capacity == 0 ? VIEW_CAPACITY_FIRST : 2 * reply->view_capacity;
    struct reply_view *views = memory_realloc(reply->views, capacity * sizeof *views);
    if (views == NULL) return false;
    reply->views = views;
    reply->view_capacity = capacity;
    return true;
}

/* The value's view changes hands, from the transaction to the reply; false: it is not a view of the store. */
static bool take_view(struct reply *reply, struct stave_bytes value)
{
    if (reply->transaction == NULL || !reserve_view(reply)) return false;
    struct reply_view *taken = &reply->views[reply->view_count];
    if (!transaction_take_view(reply->transaction, value, &taken->store, &taken->view)) return false;
    taken->view.data = value.data;
    taken->view.size = value.size;
    check(reply, resp_write_bulk_size(&reply->bytes, value.size));
    taken->offset = reply->bytes.size;
    reply->view_count++;
    check(reply, buffer_append(&reply->bytes, "\r\n", 2));
    return true;
}

void reply_item(struct reply *reply, const struct item *item)
{
    if (!item->found) {
        reply_null(reply);
        return;
    }
    if (item->value.size >= REPLY_LARGE_SIZE && take_view(reply, item->value)) return;
    reply_bulk(reply, item->value);
}

void reply_null(struct reply *reply)
{
    check(reply, resp_write_null(&reply->bytes, reply->protocol));
}

void reply_null_array(struct reply *reply)
{
    check(reply, resp_write_null_array(&reply->bytes, reply->protocol));
}

void reply_array(struct reply *reply, uint64_t count)
{
    check(reply, resp_write_array(&reply->bytes, count));
}

void reply_map(struct reply *reply, uint64_t pair_count)
{
    check(reply, resp_write_map(&reply->bytes, reply->protocol, pair_count));
}

void reply_set(struct reply *reply, uint64_t count)
{
    check(reply, resp_write_set(&reply->bytes, reply->protocol, count));
}

void reply_push(struct reply *reply, uint64_t count)
{
    check(reply, resp_write_push(&reply->bytes, reply->protocol, count));
}

void reply_double(struct reply *reply, double value)
{
    check(reply, resp_write_double(&reply->bytes, reply->protocol, value));
}

void reply_boolean(struct reply *reply, bool value)
{
    check(reply, resp_write_boolean(&reply->bytes, reply->protocol, value));
}

void reply_attribute(struct reply *reply, uint64_t pair_count)
{
    check(reply, resp_write_attribute(&reply->bytes, pair_count));
}

void reply_big_number(struct reply *reply, const char *digits)
{
    check(reply, resp_write_big_number(&reply->bytes, reply->protocol, stave_text(digits)));
}

void reply_verbatim(struct reply *reply, const char format[3], struct stave_bytes text)
{
    check(reply, resp_write_verbatim(&reply->bytes, reply->protocol, format, text));
}

void reply_error(struct reply *reply, const char *text)
{
    check(reply, resp_write_error(&reply->bytes, text));
    reply->errors.count++;
    const size_t size = strcspn(text, " ");
    (void)snprintf(reply->errors.kind, sizeof reply->errors.kind, "%.*s", (int)size, text);
}

struct reply_mark reply_mark(struct reply *reply)
{
    reply->errors.count = 0;
    return (struct reply_mark){reply->bytes.size, reply->view_count};
}

void reply_take_back(struct reply *reply, struct reply_mark mark)
{
    reply->bytes.size = mark.size;
    while (reply->view_count > mark.view_count) {
        struct reply_view *view = &reply->views[--reply->view_count];
        stave_view_release(view->store, &view->view);
    }
    reply->errors.count = 0;
}

void reply_clear(struct reply *reply)
{
    reply->view_count = 0;
    buffer_clear(&reply->bytes);
    if (reply->bytes.capacity > KEPT_SIZE_MAX) buffer_free(&reply->bytes);
    reply->is_broken = false;
}

void reply_free(struct reply *reply)
{
    reply_take_back(reply, (struct reply_mark){0, 0});
    memory_free(reply->views);
    buffer_free(&reply->bytes);
    *reply = (struct reply){0};
}
