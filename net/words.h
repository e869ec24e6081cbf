/* SPDX-License-Identifier: MIT */
/*
 * A line cut into words, with Redis' quoting: of inline requests, configuration files and prompts.
 *
 * White space separates words. In "double quotes" \xHH, \n, \r, \t, \b and \a are escapes, and a backslash
 * before anything else is dropped; in 'single quotes' \' alone is one. A closing quote ends the word.
 */
#ifndef STAVE_NET_WORDS_H
#define STAVE_NET_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "net/resp.h"
#include "stave.h"

enum words_result {
    WORDS_ONE,        /* a word has been read */
    WORDS_END,        /* there are no more */
    WORDS_UNBALANCED, /* a quote is not closed, or something follows it at once */
    WORDS_NO_MEMORY
};

/* The words of a text, one behind the other in memory of the caller. */
struct words_reader {
    struct stave_bytes text;
    size_t position; /* in text */
    uint8_t *out;    /* has room for as many bytes as the text; may be the text itself */
    size_t out_size;
};

/* The next word; *ret_word is its place in `out`. No memory is needed. */
enum words_result words_read(struct words_reader *reader, struct resp_slice *ret_word);

/* Appends the next word of `line` from `*position` on to `word`, without its quotes. */
enum words_result words_next(struct stave_bytes line, size_t *position, struct buffer *word);

/* Appends `bytes` in double quotes, so that words_next() gives them back and a terminal can show them. */
enum stave_status words_quote(struct buffer *out, struct stave_bytes bytes);

/* Is it this word, in any case? */
static inline bool words_is(struct stave_bytes word, const char *text)
{
    return word.size == strlen(text) && strncasecmp(word.data, text, word.size) == 0;
}

/* How much of a word an error text shows: the precision of its "%.*s". */
static inline int words_shown(struct stave_bytes word)
{
    return word.size < 128 ? (int)word.size : 128;
}

#endif
