/* SPDX-License-Identifier: MIT */
/*
 * Tab-separated values: a record is a line of key, tab, value and, where it expires, tab and the time in
 * milliseconds since 1970. Keys and values use the escapes of text.h. A carriage return before the line feed
 * belongs to the line end.
 */
#ifndef STAVE_TOOLS_TSV_H
#define STAVE_TOOLS_TSV_H

#include "tools/record.h"

#include <stdio.h>

void tsv_write(FILE *out, const struct record *record);

/*
 * Parses one line without its line feed. PARSE_DONE, PARSE_NOTHING for an empty line, or PARSE_REFUSED. The
 * record points into `scratch`, as large as the line.
 */
enum parse_result tsv_parse(struct stave_bytes line, uint8_t *scratch, struct record *ret_record,
                            struct refusal *ret_refusal);

#endif
