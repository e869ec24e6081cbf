/* SPDX-License-Identifier: MIT */
/* Writes a reply in one walk; strings byte by byte, so that what comes out is UTF-8. */
#include "cli/format_json.h"

#include <stdlib.h>
#include <string.h>

#include "cli/format_walk.h"
#include "cli/message.h"
#include "cli/quoted.h"

/* ------------------------------------------------------------------ strings */

/* Bytes of the UTF-8 character at `at`; 0 if there is none. */
static size_t utf8_size(const uint8_t *at, size_t left)
{
    const size_t size = at[0] < 0x80   ? 1
                        : at[0] < 0xc2 ? 0
                        : at[0] < 0xe0 ? 2
                        : at[0] < 0xf0 ? 3
                        : at[0] < 0xf5 ? 4
                                       : 0;
    if (size > left) return 0;
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0; /* written with more bytes than needed */
    if (at[0] == 0xed && at[1] > 0x9f) return 0; /* half of a pair of UTF-16 */
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xf4 && at[1] > 0x8f) return 0;
    return size;
}

static char short_escape(uint8_t byte)
{
    switch (byte) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    default: return 0;
    }
}

static void write_character(FILE *out, const uint8_t *at, size_t size)
{
    const char escape = size == 1 ? short_escape(at[0]) : 0;
    if (size == 0)
        fputs("\\ufffd", out);
    else if (escape != 0)
        fprintf(out, "\\%c", escape);
    else if (at[0] < ' ' || at[0] == 0x7f)
        fprintf(out, "\\u%04x", at[0]);
    else
        (void)fwrite(at, 1, size, out);
}

/* The characters of a string, without the quotes around them. */
static void write_characters(FILE *out, struct stave_bytes bytes)
{
    const uint8_t *const data = bytes.data;
    for (size_t i = 0; i < bytes.size;) {
        const size_t size = utf8_size(data + i, bytes.size - i);
        write_character(out, data + i, size);
        i += size == 0 ? 1 : size;
    }
}

/* The string as quoted_write() writes it, as characters of a JSON string. */
static void write_quoted_characters(FILE *out, struct stave_bytes bytes)
{
    char *text = NULL;
    size_t size = 0;
    FILE *const memory = message_need(open_memstream(&text, &size));
    quoted_write(memory, bytes);
    if (fclose(memory) == 0 && size >= 2) write_characters(out, (struct stave_bytes){text + 1, size - 2});
    free(text);
}

void format_json_string(FILE *out, bool is_quoted, struct stave_bytes bytes)
{
    putc_unlocked('"', out);
    if (is_quoted)
        write_quoted_characters(out, bytes);
    else
        write_characters(out, bytes);
    putc_unlocked('"', out);
}

/* ------------------------------------------------------------------ numbers */

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* As JSON's grammar has it: no plus, no leading zeroes, digits around the point. */
static bool is_json_number(const char *text)
{
    if (*text == '-') text++;
    const size_t digits = digits_at(text);
    if (digits == 0 || (digits > 1 && *text == '0')) return false;
    text += digits;
    if (*text == '.') {
        if (digits_at(++text) == 0) return false;
        text += digits_at(text);
    }
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '+' || text[1] == '-' ? 2 : 1;
        if (digits_at(text) == 0) return false;
        text += digits_at(text);
    }
    return *text == '\0';
}

static void write_number(FILE *out, struct stave_bytes bytes)
{
    char text[512];
    const bool fits = bytes.size < sizeof(text);
    if (fits) memcpy(text, bytes.data, bytes.size);
    text[fits ? bytes.size : 0] = '\0';
    if (fits && is_json_number(text))
        fputs(text, out);
    else
        format_json_string(out, false, bytes);
}

/* ------------------------------------------------------------------ replies */

static void write_leaf(FILE *out, bool is_quoted, const struct resp_reader *reader,
                       const struct resp_value *value)
{
    switch (value->type) {
    case RESP_ERROR:
        fputs("{\"error\":", out);
        format_json_string(out, is_quoted, resp_text(reader, value));
        fputs("}", out);
        break;
    case RESP_SIMPLE:
    case RESP_VERBATIM:
    case RESP_BULK: format_json_string(out, is_quoted, resp_text(reader, value)); break;
    case RESP_DOUBLE:
    case RESP_BIG_NUMBER: write_number(out, resp_text(reader, value)); break;
    case RESP_INTEGER: fprintf(out, "%lld", (long long)value->integer); break;
    case RESP_BOOLEAN: fputs(value->integer != 0 ? "true" : "false", out); break;
    case RESP_NULL: fputs("null", out); break;
    case RESP_MAP: fputs("{}", out); break;
    case RESP_ARRAY:
    case RESP_SET:
    case RESP_PUSH: fputs("[]", out); break;
    case RESP_ATTRIBUTE: break;
    }
}

/* Keys are strings in JSON; an aggregate as a key is but named. */
static void write_key(FILE *out, bool is_quoted, const struct resp_reader *reader,
                      const struct resp_value *value)
{
    switch (value->type) {
    case RESP_INTEGER: fprintf(out, "\"%lld\"", (long long)value->integer); break;
    case RESP_BOOLEAN: fputs(value->integer != 0 ? "\"true\"" : "\"false\"", out); break;
    case RESP_NULL: fputs("\"null\"", out); break;
    case RESP_MAP:
    case RESP_ARRAY:
    case RESP_SET:
    case RESP_PUSH:
    case RESP_ATTRIBUTE: fputs("\"(aggregate)\"", out); break;
    case RESP_ERROR:
    case RESP_SIMPLE:
    case RESP_VERBATIM:
    case RESP_BULK:
    case RESP_DOUBLE:
    case RESP_BIG_NUMBER: format_json_string(out, is_quoted, resp_text(reader, value)); break;
    }
}

static void close_ended(FILE *out, struct format_walk *walk)
{
    const struct format_level *level;
    while ((level = format_walk_leave(walk)) != NULL) putc_unlocked(format_has_pairs(level) ? '}' : ']', out);
}

/* Writes what separates it from the element before. Is the next value a key? */
static bool begin_element(FILE *out, struct format_level *level)
{
    const uint64_t position = level->position++;
    const bool is_map_value = format_has_pairs(level) && position % 2 == 1;
    if (position > 0) putc_unlocked(is_map_value ? ':' : ',', out);
    return format_has_pairs(level) && !is_map_value;
}

void format_json_reply(FILE *out, bool is_quoted, const struct resp_reader *reader,
                       const struct resp_value *reply)
{
    struct format_walk walk;
    format_walk_begin(&walk, reader, reply);
    for (;;) {
        close_ended(out, &walk);
        const struct resp_value *const value = format_walk_next(&walk);
        if (value == NULL) break;
        struct format_level *const level = format_walk_around(&walk);
        if (level != NULL && begin_element(out, level)) {
            write_key(out, is_quoted, reader, value);
            format_walk_pass(&walk, value);
        } else if (format_is_nested(value)) {
            (void)format_walk_enter(&walk, value);
            putc_unlocked(value->type == RESP_MAP ? '{' : '[', out);
        } else {
            write_leaf(out, is_quoted, reader, value);
        }
    }
    putc_unlocked('\n', out);
}
