/* SPDX-License-Identifier: MIT */
/*
 * Replies, each written with one reservation, so that a failure leaves nothing half written.
 */
#include "net/resp.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/resp_number.h"

enum {
    LINE_END_SIZE = 2,
    HEADER_SIZE_MAX = 1 + RESP_INTEGER_SIZE_MAX + LINE_END_SIZE,
    DOUBLE_SIZE_MAX = 32,
    VERBATIM_PREFIX_SIZE = 4, /* "txt:" */
};

/* The put_ functions write where room has been reserved. */
static void put_bytes(struct buffer *out, const void *bytes, size_t size)
{
    if (size > 0) memcpy(out->data + out->size, bytes, size);
    out->size += size;
}

static void put_line_end(struct buffer *out)
{
    put_bytes(out, "\r\n", LINE_END_SIZE);
}

static void put_header(struct buffer *out, char mark, uint64_t count)
{
    char *const at = (char *)out->data + out->size;
    at[0] = mark;
    out->size += 1 + resp_unsigned_write(count, at + 1);
    put_line_end(out);
}

static enum stave_status write_header(struct buffer *out, char mark, uint64_t count)
{
    const enum stave_status status = buffer_reserve(out, HEADER_SIZE_MAX);
    if (status == STAVE_OK) put_header(out, mark, count);
    return status;
}

static enum stave_status write_text(struct buffer *out, const char *text)
{
    return buffer_append(out, text, strlen(text));
}

/* A line of text: what would end it early becomes a space. */
static enum stave_status write_line(struct buffer *out, char mark, struct stave_bytes text)
{
    const enum stave_status status = buffer_reserve(out, 1 + text.size + LINE_END_SIZE);
    if (status != STAVE_OK) return status;
    put_bytes(out, &mark, 1);
    for (size_t i = 0; i < text.size; i++) {
        const uint8_t byte = ((const uint8_t *)text.data)[i];
        out->data[out->size++] = byte == '\r' || byte == '\n' ? ' ' : byte;
    }
    put_line_end(out);
    return STAVE_OK;
}

enum stave_status resp_write_simple(struct buffer *out, const char *text)
{
    return write_line(out, '+', stave_text(text));
}

enum stave_status resp_write_error(struct buffer *out, const char *text)
{
    return write_line(out, '-', stave_text(text));
}

enum stave_status resp_write_integer(struct buffer *out, int64_t value)
{
    const enum stave_status status = buffer_reserve(out, HEADER_SIZE_MAX);
    if (status != STAVE_OK) return status;
    char *const at = (char *)out->data + out->size;
    at[0] = ':';
    out->size += 1 + resp_integer_write(value, at + 1);
    put_line_end(out);
    return STAVE_OK;
}

enum stave_status resp_write_bulk(struct buffer *out, struct stave_bytes bytes)
{
    if (bytes.size > BUFFER_SIZE_MAX) return STAVE_LIMIT;
    const enum stave_status status = buffer_reserve(out, HEADER_SIZE_MAX + bytes.size + LINE_END_SIZE);
    if (status != STAVE_OK) return status;
    put_header(out, '$', bytes.size);
    put_bytes(out, bytes.data, bytes.size);
    put_line_end(out);
    return STAVE_OK;
}

enum stave_status resp_write_bulk_size(struct buffer *out, size_t size)
{
    return write_header(out, '$', size);
}

enum stave_status resp_write_null(struct buffer *out, int protocol)
{
    return write_text(out, protocol >= 3 ? "_\r\n" : "$-1\r\n");
}

enum stave_status resp_write_null_array(struct buffer *out, int protocol)
{
    return write_text(out, protocol >= 3 ? "_\r\n" : "*-1\r\n");
}

enum stave_status resp_write_array(struct buffer *out, uint64_t count)
{
    return write_header(out, '*', count);
}

enum stave_status resp_write_map(struct buffer *out, int protocol, uint64_t pair_count)
{
    assert(pair_count <= UINT64_MAX / 2);
    return protocol >= 3 ? write_header(out, '%', pair_count) : write_header(out, '*', 2 * pair_count);
}

enum stave_status resp_write_set(struct buffer *out, int protocol, uint64_t count)
{
    return write_header(out, protocol >= 3 ? '~' : '*', count);
}

enum stave_status resp_write_push(struct buffer *out, int protocol, uint64_t count)
{
    return write_header(out, protocol >= 3 ? '>' : '*', count);
}

enum stave_status resp_write_attribute(struct buffer *out, uint64_t pair_count)
{
    return write_header(out, '|', pair_count);
}

/* Fifteen digits survive the way to a double and back, so what needs fewer is written with fewer. */
static void format_double(double value, char *ret_text, size_t size)
{
    if (isnan(value)) {
        (void)snprintf(ret_text, size, "nan");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(ret_text, size, "%.*g", digits, value);
        if (strtod(ret_text, NULL) == value) return;
    }
}

enum stave_status resp_write_double(struct buffer *out, int protocol, double value)
{
    char text[DOUBLE_SIZE_MAX];
    format_double(value, text, sizeof(text));
    return protocol >= 3 ? write_line(out, ',', stave_text(text)) : resp_write_bulk(out, stave_text(text));
}

enum stave_status resp_write_boolean(struct buffer *out, int protocol, bool value)
{
    if (protocol >= 3) return write_text(out, value ? "#t\r\n" : "#f\r\n");
    return resp_write_integer(out, value);
}

enum stave_status resp_write_big_number(struct buffer *out, int protocol, struct stave_bytes digits)
{
    return protocol >= 3 ? write_line(out, '(', digits) : resp_write_bulk(out, digits);
}

enum stave_status resp_write_verbatim(struct buffer *out, int protocol, const char format[3],
                                      struct stave_bytes text)
{
    if (protocol < 3) return resp_write_bulk(out, text);
    if (text.size > BUFFER_SIZE_MAX) return STAVE_LIMIT;
    const size_t size = VERBATIM_PREFIX_SIZE + text.size;
    const enum stave_status status = buffer_reserve(out, HEADER_SIZE_MAX + size + LINE_END_SIZE);
    if (status != STAVE_OK) return status;
    put_header(out, '=', size);
    put_bytes(out, format, VERBATIM_PREFIX_SIZE - 1);
    put_bytes(out, ":", 1);
    put_bytes(out, text.data, text.size);
    put_line_end(out);
    return STAVE_OK;
}
