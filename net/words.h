/* SPDX-License-Identifier: MIT */
/*
 * A line cut into words, with Redis' quoting: of inline requests, configuration files and prompts.
 *
 *   "..." knows \n \r \t \a \b \\ \" and \xHH; '...' knows \' alone; a quote ends its word.
 */
#ifndef STAVE_NET_WORDS_H
#define STAVE_NET_WORDS_H

#include "base/buffer.h"
#include "stave.h"

enum words_result {
    WORDS_ONE,        /* a word has been appended */
    WORDS_END,        /* there are no more */
    WORDS_UNBALANCED, /* a quote is not closed, or something follows it at once */
    WORDS_NO_MEMORY
};

/* Appends the next word of `line` from `*position` on to `word`, without its quotes. */
enum words_result words_next(struct stave_bytes line, size_t *position, struct buffer *word);

/* Appends `bytes` in double quotes, so that words_next() gives them back and a terminal can show them. */
enum stave_status words_quote(struct buffer *out, struct stave_bytes bytes);

/* How much of a word an error text shows: the precision of its "%.*s". */
static inline int words_shown(struct stave_bytes word)
{
    return word.size < 128 ? (int)word.size : 128;
}

#endif
