/* SPDX-License-Identifier: MIT */
/*
 * The arguments of a command, from the text in the command table to what COMMAND DOCS answers.
 *
 *   SX1  `key value [NX | XX] [EX seconds]`: capitals are tokens, other words are names, [] is optional, ()
 *        groups, | separates what excludes each other, ... repeats what stands before it, a token belongs to
 *        the name or group that follows it.
 */
#ifndef STAVE_SERVER_COMMAND_SYNTAX_H
#define STAVE_SERVER_COMMAND_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>

#define SYNTAX_NODE_COUNT_MAX 128
#define SYNTAX_DEPTH_MAX 8

enum syntax_kind { SYNTAX_WORD, SYNTAX_TOKEN, SYNTAX_BLOCK, SYNTAX_ONE_OF };

/* Children and siblings are numbers of nodes; 0, which is the root, stands for none. */
struct syntax_node {
    enum syntax_kind kind;
    const char *name; /* into the text; of a block or choice the first word of it */
    size_t name_size;
    const char *token; /* NULL: none */
    size_t token_size;
    bool is_optional;
    bool is_multiple;
    size_t first_child;
    size_t next;
};

struct syntax {
    struct syntax_node nodes[SYNTAX_NODE_COUNT_MAX]; /* 0: a block of all arguments */
    size_t count;
};

/* False: the text is not of this form (a fault of the table, which a test looks for). */
bool syntax_parse(const char *text, struct syntax *ret_syntax);

size_t syntax_child_count(const struct syntax *syntax, size_t node);

#endif
