/* SPDX-License-Identifier: MIT */
/*
 * A growable array of bytes with a stated maximum.
 *
 *   B1  size <= capacity, and capacity <= size_max.
 *   B2  `data` is NULL exactly when `capacity` is 0.
 *   B3  A call that fails leaves the buffer as it was.
 */
#ifndef STAVE_BASE_BUFFER_H
#define STAVE_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "stave.h"

struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max; /* 0: BUFFER_SIZE_MAX */
};

#define BUFFER_SIZE_MAX ((size_t)1 << 40)
#define BUFFER_NONE ((struct buffer){NULL, 0, 0, 0})

/* An empty buffer that never holds more than `size_max` bytes. */
static inline struct buffer buffer_limited(size_t size_max)
{
    return (struct buffer){NULL, 0, 0, size_max};
}

/* Room for `more` bytes after `size`. Result STAVE_OK, STAVE_LIMIT (over the maximum), STAVE_NO_MEMORY. */
enum stave_status buffer_reserve(struct buffer *buffer, size_t more);

/* Appends; results as buffer_reserve(). `data` must not point into the buffer. */
enum stave_status buffer_append(struct buffer *buffer, const void *data, size_t size);

/* Appends zeroes; results as buffer_reserve(). */
enum stave_status buffer_append_zero(struct buffer *buffer, size_t size);

enum stave_status buffer_append_le32(struct buffer *buffer, uint32_t value);

/*
 * Appends printf-formatted text, without a final zero; results as buffer_reserve(), STAVE_INVALID for a bad
 * format.
 */
enum stave_status buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops the first `count` bytes (at most `size`) and moves the rest to the front. */
void buffer_consume(struct buffer *buffer, size_t count);

/* Empties the buffer and keeps its memory. */
void buffer_clear(struct buffer *buffer);

/* Releases the memory and leaves an empty buffer with the same maximum. */
void buffer_free(struct buffer *buffer);

/* The bytes held; valid until the buffer is next changed. */
static inline struct stave_bytes buffer_bytes(const struct buffer *buffer)
{
    return (struct stave_bytes){buffer->data, buffer->size};
}

#endif
