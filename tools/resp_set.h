/* SPDX-License-Identifier: MIT */
/*
 * The SET commands of the Redis protocol, as `redis-cli --pipe` takes them.
 *
 *   SET key value [EX seconds | PX milliseconds | EXAT seconds | PXAT milliseconds]
 *
 * as an array of bulk strings, or inline: a line of words, quoted as in Redis ("\x00", 'it\'s').
 */
#ifndef STAVE_TOOLS_RESP_SET_H
#define STAVE_TOOLS_RESP_SET_H

#include "tools/record.h"

#include <stdio.h>

enum { RESP_SET_LINE_SIZE_MAX = 65536 }; /* of an inline command */

/* Writes SET as an array; an expiry as PXAT. */
void resp_set_write(FILE *out, const struct record *record);

/*
 * Parses the command that `input` begins with. PARSE_DONE and PARSE_NOTHING (an empty line) set `*ret_used`;
 * PARSE_MORE asks for more bytes behind these; PARSE_REFUSED. The record points into `input`, or into
 * `scratch` of RESP_SET_LINE_SIZE_MAX bytes.
 */
enum parse_result resp_set_parse(struct stave_bytes input, uint8_t *scratch, struct record *ret_record,
                                 size_t *ret_used, struct refusal *ret_refusal);

#endif
