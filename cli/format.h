/* SPDX-License-Identifier: MIT */
/*
 * Replies as text: quoted with their types for a terminal, raw for programs, or JSON. Attributes are left
 * out.
 */
#ifndef STAVE_CLI_FORMAT_H
#define STAVE_CLI_FORMAT_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/options.h"
#include "net/resp_value.h"
#include "stave.h"

struct format {
    enum output output; /* not OUTPUT_AUTOMATIC */
    bool has_colour;
    const char *delimiter;
    const char *command_delimiter;
};

/* What the options say, or what suits the stream. */
struct format format_choose(const struct options *options, FILE *out);

/* A reply, with its line end. */
void format_reply(const struct format *format, FILE *out, const struct resp_reader *reader,
                  const struct resp_value *reply);

/* A reply that is text for people, such as INFO's: a terminal gets it as it is, too. */
void format_text_reply(const struct format *format, FILE *out, const struct resp_reader *reader,
                       const struct resp_value *reply);

/* A string alone: a key of --scan. */
void format_string(const struct format *format, FILE *out, struct stave_bytes bytes);

#endif
