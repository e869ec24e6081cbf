/* SPDX-License-Identifier: MIT */
/* Words of a line, with quotes resolved. */
#include "net/words.h"

#include <stdbool.h>
#include <string.h>

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || byte == 0;
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

static uint8_t unescaped(uint8_t byte)
{
    switch (byte) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return byte;
    }
}

/* One byte within double quotes, from `at`; the result is how many bytes of the line it took. */
static size_t take_escaped(const uint8_t *at, size_t left, uint8_t *ret_byte)
{
    if (at[0] != '\\' || left < 2) {
        *ret_byte = at[0];
        return 1;
    }
    if (at[1] == 'x' && left >= 4 && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        *ret_byte = (uint8_t)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
        return 4;
    }
    *ret_byte = unescaped(at[1]);
    return 2;
}

static enum words_result take_quoted(const uint8_t *text, size_t size, size_t *position, struct buffer *word)
{
    const uint8_t quote = text[*position];
    size_t at = *position + 1;
    while (at < size && text[at] != quote) {
        uint8_t byte = text[at];
        if (quote == '"') {
            at += take_escaped(text + at, size - at, &byte);
        } else if (byte == '\\' && at + 1 < size && text[at + 1] == '\'') {
            byte = '\'';
            at += 2;
        } else {
            at++;
        }
        if (buffer_append(word, &byte, 1) != STAVE_OK) return WORDS_NO_MEMORY;
    }
    if (at >= size) return WORDS_UNBALANCED;
    if (at + 1 < size && !is_space(text[at + 1])) return WORDS_UNBALANCED;
    *position = at + 1;
    return WORDS_ONE;
}

enum words_result words_next(struct stave_bytes line, size_t *position, struct buffer *word)
{
    const uint8_t *text = line.data;
    size_t at = *position;
    while (at < line.size && is_space(text[at])) at++;
    if (at >= line.size) {
        *position = at;
        return WORDS_END;
    }
    while (at < line.size && !is_space(text[at])) {
        if (text[at] == '"' || text[at] == '\'') {
            *position = at;
            return take_quoted(text, line.size, position, word);
        }
        if (buffer_append(word, text + at, 1) != STAVE_OK) return WORDS_NO_MEMORY;
        at++;
    }
    *position = at;
    return WORDS_ONE;
}

static enum stave_status quote_byte(struct buffer *out, uint8_t byte)
{
    switch (byte) {
    case '"': return buffer_append(out, "\\\"", 2);
    case '\\': return buffer_append(out, "\\\\", 2);
    case '\n': return buffer_append(out, "\\n", 2);
    case '\r': return buffer_append(out, "\\r", 2);
    case '\t': return buffer_append(out, "\\t", 2);
    case '\a': return buffer_append(out, "\\a", 2);
    case '\b': return buffer_append(out, "\\b", 2);
    default: break;
    }
    if (byte >= 0x20 && byte < 0x7f) return buffer_append(out, &byte, 1);
    return buffer_append_format(out, "\\x%02x", byte);
}

enum stave_status words_quote(struct buffer *out, struct stave_bytes bytes)
{
    const size_t size_before = out->size;
    const uint8_t *data = bytes.data;
    enum stave_status status = buffer_append(out, "\"", 1);
    for (size_t i = 0; i < bytes.size && status == STAVE_OK; i++) status = quote_byte(out, data[i]);
    if (status == STAVE_OK) status = buffer_append(out, "\"", 1);
    if (status != STAVE_OK) out->size = size_before;
    return status;
}
