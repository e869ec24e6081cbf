/* SPDX-License-Identifier: MIT */
/* Cuts a line into words: one function for each way of being in a word. */
#include "net/words.h"

static bool is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

static uint8_t escaped(uint8_t byte)
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

/* The byte or escape at the position, in double quotes; the position moves behind it. */
static uint8_t read_in_double_quotes(struct words_reader *reader)
{
    const uint8_t *const at = (const uint8_t *)reader->text.data + reader->position;
    const size_t left = reader->text.size - reader->position;
    if (left >= 4 && at[0] == '\\' && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        reader->position += 4;
        return (uint8_t)(16 * hex_digit(at[2]) + hex_digit(at[3]));
    }
    if (left >= 2 && at[0] == '\\') {
        reader->position += 2;
        return escaped(at[1]);
    }
    reader->position++;
    return at[0];
}

static uint8_t read_in_single_quotes(struct words_reader *reader)
{
    const uint8_t *const at = (const uint8_t *)reader->text.data + reader->position;
    const size_t left = reader->text.size - reader->position;
    const bool is_quote = left >= 2 && at[0] == '\\' && at[1] == '\'';
    reader->position += is_quote ? 2 : 1;
    return is_quote ? '\'' : at[0];
}

/* Up to the closing quote, behind which the word ends. False: it does not end so. */
static bool read_quoted(struct words_reader *reader, uint8_t quote)
{
    const uint8_t *const text = reader->text.data;
    while (reader->position < reader->text.size) {
        if (text[reader->position] == quote) {
            reader->position++;
            return reader->position == reader->text.size || is_space(text[reader->position]);
        }
        reader->out[reader->out_size++] =
            quote == '"' ? read_in_double_quotes(reader) : read_in_single_quotes(reader);
    }
    return false;
}

enum words_result words_read(struct words_reader *reader, struct resp_slice *ret_word)
{
    const uint8_t *const text = reader->text.data;
    while (reader->position < reader->text.size && is_space(text[reader->position])) reader->position++;
    if (reader->position == reader->text.size) return WORDS_END;

    const size_t start = reader->out_size;
    while (reader->position < reader->text.size) {
        const uint8_t byte = text[reader->position];
        if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') break;
        reader->position++;
        if (byte == '"' || byte == '\'') {
            if (!read_quoted(reader, byte)) return WORDS_UNBALANCED;
            break;
        }
        reader->out[reader->out_size++] = byte;
    }
    *ret_word = (struct resp_slice){start, reader->out_size - start};
    return WORDS_ONE;
}

enum words_result words_next(struct stave_bytes line, size_t *position, struct buffer *word)
{
    if (buffer_reserve(word, line.size - *position) != STAVE_OK) return WORDS_NO_MEMORY;
    struct words_reader reader = {
        .text = line, .position = *position, .out = word->data, .out_size = word->size};
    struct resp_slice slice;
    const enum words_result result = words_read(&reader, &slice);
    if (result == WORDS_UNBALANCED) return result;
    *position = reader.position;
    if (result == WORDS_ONE) word->size = reader.out_size;
    return result;
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
