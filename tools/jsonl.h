/* SPDX-License-Identifier: MIT */
/*
 * JSON Lines: one record a line, a flat object of these members, each at most once and in any order:
 *
 *     "key" or "key_base64", "value" or "value_base64": strings; "expires_at_ms": a whole number, optional.
 */
#ifndef STAVE_TOOLS_JSONL_H
#define STAVE_TOOLS_JSONL_H

#include "tools/record.h"

#include <stdio.h>

void jsonl_write(FILE *out, const struct record *record);

/*
 * Parses one line without its line end. PARSE_DONE, PARSE_NOTHING for a blank line, or PARSE_REFUSED. Strict:
 * JSON as in RFC 8259, UTF-8, no other members. The record points into `scratch`, as large as the line.
 */
enum parse_result jsonl_parse(struct stave_bytes line, uint8_t *scratch, struct record *ret_record,
                              struct refusal *ret_refusal);

#endif
