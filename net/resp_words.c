/* SPDX-License-Identifier: MIT */
/*
 * Cuts a line into words: one function for each way of being in a word.
 */
#include "net/resp_words.h"

#include <stdbool.h>

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
static uint8_t read_in_double_quotes(struct resp_words *words)
{
    const uint8_t *const at = (const uint8_t *)words->text.data + words->position;
    const size_t left = words->text.size - words->position;
    if (left >= 4 && at[0] == '\\' && at[1] == 'x' && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        words->position += 4;
        return (uint8_t)(16 * hex_digit(at[2]) + hex_digit(at[3]));
    }
    if (left >= 2 && at[0] == '\\') {
        words->position += 2;
        return escaped(at[1]);
    }
    words->position++;
    return at[0];
}

static uint8_t read_in_single_quotes(struct resp_words *words)
{
    const uint8_t *const at = (const uint8_t *)words->text.data + words->position;
    const size_t left = words->text.size - words->position;
    const bool is_quote = left >= 2 && at[0] == '\\' && at[1] == '\'';
    words->position += is_quote ? 2 : 1;
    return is_quote ? '\'' : at[0];
}

/* Up to the closing quote, behind which the word ends. False: it does not end so. */
static bool read_quoted(struct resp_words *words, uint8_t quote)
{
    const uint8_t *const text = words->text.data;
    while (words->position < words->text.size) {
        if (text[words->position] == quote) {
            words->position++;
            return words->position == words->text.size || is_space(text[words->position]);
        }
        words->out[words->out_size++] =
            quote == '"' ? read_in_double_quotes(words) : read_in_single_quotes(words);
    }
    return false;
}

enum resp_word resp_words_next(struct resp_words *words, struct resp_slice *ret_word)
{
    const uint8_t *const text = words->text.data;
    while (words->position < words->text.size && is_space(text[words->position])) words->position++;
    if (words->position == words->text.size) return RESP_WORD_NONE;

    const size_t start = words->out_size;
    while (words->position < words->text.size) {
        const uint8_t byte = text[words->position];
        if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t') break;
        words->position++;
        if (byte == '"' || byte == '\'') {
            if (!read_quoted(words, byte)) return RESP_WORD_UNBALANCED;
            break;
        }
        words->out[words->out_size++] = byte;
    }
    *ret_word = (struct resp_slice){start, words->out_size - start};
    return RESP_WORD;
}
