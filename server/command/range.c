/* SPDX-License-Identifier: MIT */
/* Parts of strings: lengths, ranges, appending. What is read of a large value is the part asked for. */
#include <string.h>

#include "server/command/string.h"

bool string_range(int64_t start, int64_t end, uint64_t size, uint64_t *ret_first, uint64_t *ret_last)
{
    if (size == 0) return false;
    const int64_t count = (int64_t)size;
    if (start < 0) start = start < -count ? 0 : start + count;
    if (end < 0) end = end < -count ? 0 : end + count;
    if (end >= count) end = count - 1;
    if (start > end) return false;
    *ret_first = (uint64_t)start;
    *ret_last = (uint64_t)end;
    return true;
}

enum stave_status string_read_range(struct call *call, const struct item *whole, uint64_t first,
                                    uint64_t last, struct item *ret_item)
{
    return transaction_get_range(call->transaction, call->database, call->arguments[1], whole, first,
                                 (size_t)(last - first + 1), ret_item);
}

enum stave_status string_copy(struct call *call, const struct item *item, uint64_t size, uint8_t **ret_bytes)
{
    const size_t kept = item->found ? item->value.size : 0;
    uint8_t *bytes = transaction_alloc(call->transaction, size);
    if (bytes == NULL) return STAVE_NO_MEMORY;
    if (kept > 0) memcpy(bytes, item->value.data, kept);
    memset(bytes + kept, 0, size - kept);
    *ret_bytes = bytes;
    return STAVE_OK;
}

/* Both parts are below 2^63. False: too much, and the answer has been given. */
static bool size_allowed(struct call *call, uint64_t size, uint64_t more)
{
    if (size + more <= call_string_size_max(call)) return true;
    call_error(call, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

static enum stave_status put_bytes(struct call *call, const uint8_t *bytes, uint64_t size,
                                   const struct item *old)
{
    const enum stave_status status = transaction_put(call->transaction, call->database, call->arguments[1],
                                                     stave_bytes(bytes, (size_t)size), old->expires_at_ms);
    if (status == STAVE_OK) reply_integer(call->reply, (int64_t)size);
    return status;
}

enum stave_status string_append(struct call *call)
{
    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;
    const struct stave_bytes more = call->arguments[2];
    if (!old.found) return put_bytes(call, more.data, more.size, &(struct item){0});
    if (!size_allowed(call, old.value_size, more.size)) return STAVE_OK;

    const size_t size = old.value_size + more.size;
    uint8_t *bytes;
    status = string_copy(call, &old, size, &bytes);
    if (status != STAVE_OK) return status;
    if (more.size > 0) memcpy(bytes + old.value_size, more.data, more.size);
    return put_bytes(call, bytes, size, &old);
}

enum stave_status string_strlen(struct call *call)
{
    struct item item;
    const enum stave_status status = string_info(call, 1, &item);
    if (status == STAVE_OK) reply_integer(call->reply, item.found ? (int64_t)item.value_size : 0);
    return status;
}

/* An empty part changes nothing, and makes no key. */
static enum stave_status reply_size(struct call *call)
{
    return string_strlen(call);
}

enum stave_status string_setrange(struct call *call)
{
    int64_t offset;
    if (!call_integer(call, 2, &offset)) return STAVE_OK;
    if (offset < 0) return call_error(call, "ERR offset is out of range");
    const struct stave_bytes part = call->arguments[3];
    if (part.size == 0) return reply_size(call);
    if (!size_allowed(call, (uint64_t)offset, part.size)) return STAVE_OK;

    struct item old;
    enum stave_status status = string_read(call, 1, &old);
    if (status != STAVE_OK) return status;
    uint64_t size = (uint64_t)offset + part.size;
    if (old.found && size < old.value_size) size = old.value_size;
    uint8_t *bytes;
    status = string_copy(call, &old, size, &bytes);
    if (status != STAVE_OK) return status;
    memcpy(bytes + offset, part.data, part.size);
    return put_bytes(call, bytes, size, &(struct item){.expires_at_ms = old.found ? old.expires_at_ms : 0});
}

/* Where start or end count from the end, the size has to be asked first. */
static enum stave_status read_part(struct call *call, int64_t start, int64_t end, struct item *ret_item)
{
    const bool is_absolute = start >= 0 && end >= start;
    struct item whole = {.value_size = INT64_MAX};
    enum stave_status status = is_absolute ? STAVE_OK : string_info(call, 1, &whole);
    if (status != STAVE_OK) return status;

    uint64_t first, last;
    if (!string_range(start, end, whole.value_size, &first, &last)) return STAVE_OK;
    return string_read_range(call, is_absolute ? NULL : &whole, first, last, ret_item);
}

enum stave_status string_getrange(struct call *call)
{
    int64_t start, end;
    if (!call_integer(call, 2, &start) || !call_integer(call, 3, &end)) return STAVE_OK;
    struct item part = {0};
    enum stave_status status = STAVE_OK;
    if (string_range_is_reversed(start, end))
        status = string_info(call, 1, &part); /* it counts as read */
    else
        status = read_part(call, start, end, &part);
    if (status != STAVE_OK) return status;

    part.found = true; /* what is absent is an empty string */
    part.value_size = part.value.size;
    reply_item(call->reply, &part);
    return STAVE_OK;
}
