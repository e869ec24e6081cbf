/* SPDX-License-Identifier: MIT */
/* What the server says of its commands: the answer to COMMAND DOCS, for help, completion and hints. */
#ifndef STAVE_CLI_DOCS_H
#define STAVE_CLI_DOCS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/connection.h"

struct docs_argument {
    char *text; /* "key", "[EX seconds | PX milliseconds]" */
    bool is_optional;
};

struct docs_command {
    char *name; /* in capitals; of a subcommand "CONFIG SET" */
    char *summary;
    char *since;
    char *group;
    struct docs_argument *arguments;
    size_t argument_count;
};

struct docs {
    struct docs_command *commands; /* sorted by name */
    size_t count;
    size_t capacity;
};

/* Asks over the connection. False: the server does not say. */
bool docs_load(struct docs *docs, struct connection *connection);
void docs_free(struct docs *docs);

/* The command that the first words name, with its subcommand if there is one; NULL if there is none. */
const struct docs_command *docs_find(const struct docs *docs, const struct stave_bytes *words, size_t count,
                                     size_t *ret_words_used);

#endif
