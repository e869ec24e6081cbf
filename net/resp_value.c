/* SPDX-License-Identifier: MIT */
/*
 * Replies read as they arrive: lines and bulk strings are gathered in `text`, and each finished one becomes a
 * value. Finishing a value may finish the aggregates around it, found through their parents.
 */
#include "net/resp_value.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "net/resp_number.h"

enum {
    LINE_END_SIZE = 2,
    VERBATIM_PREFIX_SIZE = 4, /* "txt:" */
    VALUE_CAPACITY_FIRST = 8,
    VALUE_CAPACITY_KEPT = 1024,
    TEXT_CAPACITY_KEPT = 65536,
};

#define STREAMED UINT64_MAX

static enum resp_status refuse(struct resp_reader *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static enum resp_status refuse(struct resp_reader *reader, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    (void)vsnprintf(reader->error, sizeof(reader->error), format, values);
    va_end(values);
    return RESP_REFUSED;
}

/* ------------------------------------------------------------------ memory */

/* Would this many bytes more be too much? */
static bool is_over_limit(const struct resp_reader *reader, size_t more)
{
    if (reader->memory_max == 0) return false;
    const size_t held = reader->text.size + reader->value_count * sizeof(*reader->values);
    return held > reader->memory_max || more > reader->memory_max - held;
}

static enum resp_status append_text(struct resp_reader *reader, const uint8_t *input, size_t size)
{
    if (is_over_limit(reader, size))
        return refuse(reader, "a reply of more than %zu bytes", reader->memory_max);
    return buffer_append(&reader->text, input, size) == STAVE_OK ? RESP_MORE : RESP_NO_MEMORY;
}

static enum resp_status reserve_value(struct resp_reader *reader)
{
    if (is_over_limit(reader, sizeof(*reader->values)) || reader->value_count >= UINT32_MAX - 1)
        return refuse(reader, "a reply of more than %zu bytes", reader->memory_max);
    if (reader->value_count < reader->value_capacity) return RESP_MORE;
    const size_t capacity = reader->value_capacity > 0 ? 2 * reader->value_capacity : VALUE_CAPACITY_FIRST;
    struct resp_value *const values = memory_realloc(reader->values, capacity * sizeof(*values));
    if (values == NULL) return RESP_NO_MEMORY;
    reader->values = values;
    reader->value_capacity = capacity;
    return RESP_MORE;
}

/* ------------------------------------------------------------------ the tree of values */

/* Ends the value, and the aggregates whose last element it is. RESP_OK: that was the whole reply. */
static enum resp_status finish_value(struct resp_reader *reader, uint32_t index)
{
    reader->after_attribute = false;
    for (;;) {
        struct resp_value *const value = &reader->values[index];
        value->next = (uint32_t)reader->value_count;
        const bool is_outermost = value->depth == 0;
        reader->open = is_outermost ? 0 : value->parent + 1;
        if (value->type == RESP_ATTRIBUTE) {
            reader->after_attribute = true;
            return RESP_MORE;
        }
        if (is_outermost) return RESP_OK;
        struct resp_value *const parent = &reader->values[value->parent];
        if (parent->is_streamed) {
            parent->elements.count++;
            return RESP_MORE;
        }
        if (--parent->elements.left > 0) return RESP_MORE;
        index = value->parent;
    }
}

/* Adds a value behind the last; an aggregate stays open until its elements have come. */
static enum resp_status add_value(struct resp_reader *reader, struct resp_value value)
{
    const enum resp_status status = reserve_value(reader);
    if (status != RESP_MORE) return status;
    if (reader->open > 0) {
        value.parent = reader->open - 1;
        value.depth = (uint16_t)(reader->values[value.parent].depth + 1);
    }
    const uint32_t index = (uint32_t)reader->value_count++;
    reader->values[index] = value;
    reader->after_attribute = false;
    if (!resp_is_aggregate(value.type) || (value.elements.count == 0 && !value.is_streamed))
        return finish_value(reader, index);
    if (value.depth + 1 >= RESP_DEPTH_MAX) /* V2 */
        return refuse(reader, "a reply of more than %d levels", RESP_DEPTH_MAX);
    reader->open = index + 1;
    return RESP_MORE;
}

static enum resp_status add_text(struct resp_reader *reader, enum resp_type type, size_t start)
{
    return add_value(reader, (struct resp_value){.type = type, .text = {start, reader->text.size - start}});
}

static enum resp_status add_integer(struct resp_reader *reader, enum resp_type type, int64_t integer)
{
    return add_value(reader, (struct resp_value){.type = type, .integer = integer});
}

/* "." ends an aggregate that announced no length. */
static enum resp_status end_streamed(struct resp_reader *reader)
{
    if (reader->open == 0 || reader->after_attribute) return refuse(reader, "an end of nothing");
    const struct resp_value *const open = &reader->values[reader->open - 1];
    if (!open->is_streamed) return refuse(reader, "an end of nothing");
    const bool has_pairs = open->type == RESP_MAP || open->type == RESP_ATTRIBUTE;
    if (has_pairs && open->elements.count % 2 != 0) return refuse(reader, "a key without a value");
    return finish_value(reader, reader->open - 1);
}

/* ------------------------------------------------------------------ lines */

/* A length: *ret_length is STREAMED for "?", and *ret_is_null is set for "-1". */
static bool read_length(struct stave_bytes digits, uint64_t *ret_length, bool *ret_is_null)
{
    int64_t length = 0;
    *ret_is_null = false;
    if (digits.size == 1 && *(const uint8_t *)digits.data == '?') {
        *ret_length = STREAMED;
        return true;
    }
    if (!resp_integer(digits, &length) || length < -1 || length > INT64_MAX / 4) return false;
    *ret_is_null = length == -1;
    *ret_length = length < 0 ? 0 : (uint64_t)length;
    return true;
}

static enum resp_status start_aggregate(struct resp_reader *reader, enum resp_type type,
                                        struct stave_bytes digits)
{
    uint64_t length = 0;
    bool is_null = false;
    if (!read_length(digits, &length, &is_null)) return refuse(reader, "a length that is no number");
    if (is_null && type != RESP_ARRAY) return refuse(reader, "a length below zero");
    if (is_null) return add_integer(reader, RESP_NULL, 0);
    const bool is_streamed = length == STREAMED;
    const bool has_pairs = type == RESP_MAP || type == RESP_ATTRIBUTE;
    const uint64_t count = is_streamed ? 0 : has_pairs ? 2 * length : length;
    return add_value(reader, (struct resp_value){.type = type,
                                                 .is_streamed = is_streamed,
                                                 .elements = {.count = count, .left = count}});
}

/* The header of a bulk: its bytes are to come, unless it is null. */
static enum resp_status start_bulk(struct resp_reader *reader, uint8_t mark, struct stave_bytes digits)
{
    uint64_t length = 0;
    bool is_null = false;
    if (!read_length(digits, &length, &is_null) || (mark == ';' && is_null))
        return refuse(reader, "a length that is no number");
    if (is_null)
        return mark == '$' ? add_integer(reader, RESP_NULL, 0) : refuse(reader, "a length below zero");
    if (length == STREAMED && mark != '$') return refuse(reader, "a length that is no number");
    if (mark == '=' && length < VERBATIM_PREFIX_SIZE) return refuse(reader, "text without its format");
    if (length == STREAMED) {
        reader->in_stream = true;
        return RESP_MORE;
    }
    reader->bulk_mark = mark;
    reader->bulk_left = length + LINE_END_SIZE;
    return RESP_MORE;
}

/* The last part of a streamed string is empty and has no bytes, nor a line end of its own. */
static enum resp_status continue_stream(struct resp_reader *reader, uint8_t mark, struct stave_bytes digits)
{
    if (mark != ';') return refuse(reader, "a part of a string was expected");
    if (digits.size != 1 || *(const uint8_t *)digits.data != '0') return start_bulk(reader, mark, digits);
    reader->in_stream = false;
    return add_text(reader, RESP_BULK, reader->text_start);
}

static enum resp_status read_integer(struct resp_reader *reader, struct stave_bytes digits)
{
    int64_t integer = 0;
    const bool has_plus = digits.size > 1 && *(const uint8_t *)digits.data == '+';
    const struct stave_bytes bare = {(const uint8_t *)digits.data + has_plus, digits.size - has_plus};
    if (!resp_integer(bare, &integer)) return refuse(reader, "an integer that is none");
    return add_integer(reader, RESP_INTEGER, integer);
}

static enum resp_status read_boolean(struct resp_reader *reader, struct stave_bytes word)
{
    const uint8_t letter = word.size == 1 ? *(const uint8_t *)word.data : 0;
    if (letter != 't' && letter != 'f') return refuse(reader, "a boolean that is none");
    return add_integer(reader, RESP_BOOLEAN, letter == 't');
}

static enum resp_status read_mark(struct resp_reader *reader, uint8_t mark, struct stave_bytes rest)
{
    switch (mark) {
    case ':': return read_integer(reader, rest);
    case '#': return read_boolean(reader, rest);
    case '_': return add_integer(reader, RESP_NULL, 0);
    case '*': return start_aggregate(reader, RESP_ARRAY, rest);
    case '%': return start_aggregate(reader, RESP_MAP, rest);
    case '~': return start_aggregate(reader, RESP_SET, rest);
    case '>': return start_aggregate(reader, RESP_PUSH, rest);
    case '|': return start_aggregate(reader, RESP_ATTRIBUTE, rest);
    case '$':
    case '!':
    case '=': return start_bulk(reader, mark, rest);
    case '.': return end_streamed(reader);
    default: return refuse(reader, "a reply that begins with the byte 0x%02x", mark);
    }
}

static bool keeps_line(uint8_t mark)
{
    return mark == '+' || mark == '-' || mark == ',' || mark == '(';
}

static enum resp_status add_line(struct resp_reader *reader, uint8_t mark)
{
    const enum resp_type type = mark == '+'   ? RESP_SIMPLE
                                : mark == '-' ? RESP_ERROR
                                : mark == ',' ? RESP_DOUBLE
                                              : RESP_BIG_NUMBER;
    return add_text(reader, type, reader->text_start + 1);
}

/* A whole line stands at the end of `text`, with its line end: it stays there only if it is a value. */
static enum resp_status read_whole_line(struct resp_reader *reader, size_t start)
{
    const uint8_t *const line = reader->text.data + start;
    const size_t size = reader->text.size - start;
    if (size < 1 + LINE_END_SIZE || line[size - LINE_END_SIZE] != '\r')
        return refuse(reader, "a line without its mark or its end");
    const uint8_t mark = line[0];
    const struct stave_bytes rest = {line + 1, size - 1 - LINE_END_SIZE};
    reader->text.size -= LINE_END_SIZE;
    if (!reader->in_stream && keeps_line(mark)) return add_line(reader, mark);
    reader->text.size = start; /* its bytes are still there while `rest` is read: nothing is appended */
    if (reader->in_stream) return continue_stream(reader, mark, rest);
    reader->text_start = start;
    return read_mark(reader, mark, rest);
}

/* ------------------------------------------------------------------ bytes */

static enum resp_status take_line(struct resp_reader *reader, const uint8_t *input, size_t size, size_t *at)
{
    const uint8_t *const found = memchr(input + *at, '\n', size - *at);
    const size_t taken = found != NULL ? (size_t)(found - input) + 1 - *at : size - *at;
    if (reader->line_size + taken > RESP_LINE_SIZE_MAX)
        return refuse(reader, "a line of more than %zu bytes", RESP_LINE_SIZE_MAX);
    const enum resp_status status = append_text(reader, input + *at, taken);
    if (status != RESP_MORE) return status;
    *at += taken;
    reader->line_size += taken;
    if (found == NULL) return RESP_MORE;

    const size_t start = reader->text.size - reader->line_size;
    reader->line_size = 0;
    if (!reader->in_stream) reader->text_start = start;
    return read_whole_line(reader, start);
}

/* All bytes of a bulk and its line end have come. */
static enum resp_status finish_bulk(struct resp_reader *reader)
{
    const uint8_t mark = reader->bulk_mark;
    reader->bulk_mark = 0;
    reader->text.size -= LINE_END_SIZE;
    if (memcmp(reader->text.data + reader->text.size, "\r\n", LINE_END_SIZE) != 0)
        return refuse(reader, "a string that is longer than announced");
    if (mark == ';') return RESP_MORE;
    if (mark == '=') return add_text(reader, RESP_VERBATIM, reader->text_start + VERBATIM_PREFIX_SIZE);
    return add_text(reader, mark == '!' ? RESP_ERROR : RESP_BULK, reader->text_start);
}

static enum resp_status take_bulk(struct resp_reader *reader, const uint8_t *input, size_t size, size_t *at)
{
    const size_t taken = reader->bulk_left < size - *at ? (size_t)reader->bulk_left : size - *at;
    const enum resp_status status = append_text(reader, input + *at, taken);
    if (status != RESP_MORE) return status;
    *at += taken;
    reader->bulk_left -= taken;
    return reader->bulk_left > 0 ? RESP_MORE : finish_bulk(reader);
}

enum resp_status resp_read(struct resp_reader *reader, const uint8_t *input, size_t size, size_t *ret_used)
{
    enum resp_status status = RESP_MORE;
    size_t at = 0;
    while (status == RESP_MORE && at < size) {
        status = reader->bulk_mark != 0 ? take_bulk(reader, input, size, &at)
                                        : take_line(reader, input, size, &at);
    }
    *ret_used = at;
    return status;
}

const struct resp_value *resp_reply(const struct resp_reader *reader)
{
    assert(reader->value_count > 0);
    size_t index = 0;
    while (reader->values[index].type == RESP_ATTRIBUTE) index = reader->values[index].next;
    return &reader->values[index];
}

struct stave_bytes resp_text(const struct resp_reader *reader, const struct resp_value *value)
{
    if (value->text.size == 0) return (struct stave_bytes){"", 0};
    return (struct stave_bytes){reader->text.data + value->text.offset, value->text.size};
}

void resp_reader_reset(struct resp_reader *reader)
{
    if (reader->value_capacity > VALUE_CAPACITY_KEPT) {
        memory_free(reader->values);
        reader->values = NULL;
        reader->value_capacity = 0;
    }
    if (reader->text.capacity > TEXT_CAPACITY_KEPT) buffer_free(&reader->text);
    buffer_clear(&reader->text);
    reader->value_count = 0;
    reader->text_start = 0;
    reader->line_size = 0;
    reader->bulk_left = 0;
    reader->open = 0;
    reader->bulk_mark = 0;
    reader->in_stream = false;
    reader->after_attribute = false;
    reader->error[0] = '\0';
}

void resp_reader_free(struct resp_reader *reader)
{
    memory_free(reader->values);
    buffer_free(&reader->text);
    *reader = (struct resp_reader){.memory_max = reader->memory_max};
}
