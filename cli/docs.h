/* SPDX-License-Identifier: MIT */
/* What the server says of its commands: the answer to COMMAND DOCS, for help, completion and hints. */
#ifndef STAVE_CLI_DOCS_H
#define STAVE_CLI_DOCS_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/connection.h"
#include "net/resp_value.h"

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

/* docs_syntax.c: an argument of COMMAND DOCS as text; the caller frees it with memory_free(). */
char *docs_syntax(const struct resp_reader *reader, uint32_t argument);

/* The value of a key in a map, or in an array of keys and values; 0 if there is none. */
uint32_t docs_member(const struct resp_reader *reader, uint32_t map, const char *key);

/* A copy of a text value as a string; "" for index 0. */
char *docs_text(const struct resp_reader *reader, uint32_t index);

#endif
