/* SPDX-License-Identifier: MIT */
/*
 * A line cut into words, quotes resolved, as inline requests, configuration files and redis-cli have them.
 *
 * White space separates words. In "double quotes" \xHH, \n, \r, \t, \b and \a are escapes, and a backslash
 * before anything else is dropped; in 'single quotes' \' alone is one. A closing quote ends the word.
 */
#ifndef STAVE_NET_RESP_WORDS_H
#define STAVE_NET_RESP_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "net/resp.h"
#include "stave.h"

struct resp_words {
    struct stave_bytes text;
    size_t position; /* in text */
    uint8_t *out;    /* the words, one behind the other; has room for as many bytes as the text */
    size_t out_size;
};

enum resp_word { RESP_WORD, RESP_WORD_NONE, RESP_WORD_UNBALANCED };

/* The next word, found in `out`. */
enum resp_word resp_words_next(struct resp_words *words, struct resp_slice *ret_word);

#endif
