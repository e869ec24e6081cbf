/* SPDX-License-Identifier: MIT */
/*
 * A growable array of bytes: doubles when it is full, up to its maximum.
 */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/memory.h"

enum { BUFFER_CAPACITY_FIRST = 64 };

static size_t buffer_limit(const struct buffer *buffer)
{
    return buffer->size_max != 0 ? buffer->size_max : BUFFER_SIZE_MAX;
}

static size_t grown_capacity(const struct buffer *buffer, size_t needed)
{
    const size_t limit = buffer_limit(buffer);
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : BUFFER_CAPACITY_FIRST;
    while (capacity < needed && capacity <= limit / 2) capacity *= 2;
    if (capacity < needed || capacity > limit) return limit;
    return capacity;
}

enum stave_status buffer_reserve(struct buffer *buffer, size_t more)
{
    assert(buffer->size <= buffer->capacity); /* B1 */
    if (more <= buffer->capacity - buffer->size) return STAVE_OK;
    if (more > buffer_limit(buffer) - buffer->size) return STAVE_LIMIT;

    const size_t capacity = grown_capacity(buffer, buffer->size + more);
    uint8_t *const data = memory_realloc(buffer->data, capacity);
    if (data == NULL) return STAVE_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return STAVE_OK;
}

enum stave_status buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    const enum stave_status status = buffer_reserve(buffer, size);
    if (status < 0) return status;
    if (size > 0) memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return STAVE_OK;
}

enum stave_status buffer_append_zero(struct buffer *buffer, size_t size)
{
    const enum stave_status status = buffer_reserve(buffer, size);
    if (status < 0) return status;
    if (size > 0) memset(buffer->data + buffer->size, 0, size);
    buffer->size += size;
    return STAVE_OK;
}

enum stave_status buffer_append_le32(struct buffer *buffer, uint32_t value)
{
    uint8_t bytes[sizeof(value)];
    store_le32(bytes, value);
    return buffer_append(buffer, bytes, sizeof(bytes));
}

enum stave_status buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0) return STAVE_INVALID;

    const enum stave_status status = buffer_reserve(buffer, (size_t)length + 1);
    if (status < 0) return status;
    va_start(arguments, format);
    (void)vsnprintf((char *)buffer->data + buffer->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->size += (size_t)length;
    return STAVE_OK;
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    assert(count <= buffer->size);
    if (count == 0) return;
    memmove(buffer->data, buffer->data + count, buffer->size - count);
    buffer->size -= count;
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

void buffer_free(struct buffer *buffer)
{
    memory_free(buffer->data);
    *buffer = buffer_limited(buffer->size_max);
}
