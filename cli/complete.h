/* SPDX-License-Identifier: MIT */
/*
 * Completion of commands and subcommands, and hints on the arguments that may follow: functions of the line.
 */
#ifndef STAVE_CLI_COMPLETE_H
#define STAVE_CLI_COMPLETE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "cli/docs.h"

enum { COMPLETE_NAMES_MAX = 512 };

struct completion {
    const char *names[COMPLETE_NAMES_MAX]; /* of commands or subcommands, in capitals */
    size_t name_sizes[COMPLETE_NAMES_MAX];
    size_t count;
    size_t typed_size;  /* of the word that is being completed */
    size_t common_size; /* that all names share */
};

/* What the last word of the line may become. */
void complete_line(const struct docs *docs, const char *line, size_t size, struct completion *ret_completion);

/* The arguments that may follow what the line has; empty if there is nothing to say. Ends with a zero. */
void complete_hint(const struct docs *docs, const char *line, size_t size, struct buffer *ret_hint);

/* A command with its arguments. Ends with a zero. */
void complete_syntax(const struct docs_command *command, struct buffer *ret_text);

#endif
