/* SPDX-License-Identifier: MIT */
/* Words of a line, with quotes resolved. */
#include "net/words.h"

#include "net/resp_words.h"

enum words_result words_next(struct stave_bytes line, size_t *position, struct buffer *word)
{
    if (buffer_reserve(word, line.size - *position) != STAVE_OK) return WORDS_NO_MEMORY;
    struct resp_words words = {
        .text = line, .position = *position, .out = word->data, .out_size = word->size};
    struct resp_slice slice;
    const enum resp_word result = resp_words_next(&words, &slice);
    if (result == RESP_WORD_UNBALANCED) return WORDS_UNBALANCED;
    *position = words.position;
    if (result == RESP_WORD_NONE) return WORDS_END;
    word->size = words.out_size;
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
