/* SPDX-License-Identifier: MIT */
/* Commands given as text: one line each, quotes as in the protocol's inline requests. */
#ifndef STAVE_CLI_LINE_H
#define STAVE_CLI_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/session.h"
#include "stave.h"

struct words {
    struct stave_bytes *list;
    size_t count;
    uint8_t *bytes; /* of all words */
};

/* False: the quotes do not match. Free the words in any case. */
bool words_split(struct stave_bytes line, struct words *ret_words);
void words_free(struct words *words);

/* Runs words, `5 INCR a` five times. */
enum connection_status line_run_words(struct session *session, const struct words *words);

/* Runs the lines of standard input, until one fails or quits. */
enum cli_exit line_run_input(struct session *session);

#endif
