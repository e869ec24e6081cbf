/* SPDX-License-Identifier: MIT */
/*
 * Replies as JSON, always valid: an error is an object with the one member "error", bytes that are no UTF-8
 * become U+FFFD unless strings are quoted, and what no JSON number can say is a string.
 */
#ifndef STAVE_CLI_FORMAT_JSON_H
#define STAVE_CLI_FORMAT_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "net/resp_value.h"
#include "stave.h"

/* A reply, with its line end. `is_quoted`: strings hold the escapes of quoted.h, and so every byte. */
void format_json_reply(FILE *out, bool is_quoted, const struct resp_reader *reader,
                       const struct resp_value *reply);

/* A string alone, without a line end. */
void format_json_string(FILE *out, bool is_quoted, struct stave_bytes bytes);

#endif
