/* SPDX-License-Identifier: MIT */
/*
 * What the formats of dump and load have in common: one record, and the results of a parser.
 *
 * The parsers (jsonl.h, tsv.h, resp_set.h) are pure functions of bytes, and allocate nothing.
 * What escapes stand for is written to `scratch`, which the caller makes as large as the input: no escape is
 * shorter than that.
 */
#ifndef STAVE_TOOLS_RECORD_H
#define STAVE_TOOLS_RECORD_H

#include <stave.h>

struct record {
    struct stave_bytes key;
    struct stave_bytes value;
    uint64_t expires_at_ms; /* 0: never, or see below */
    uint64_t expires_in_ms; /* from now on, if not 0 */
};

enum parse_result {
    PARSE_DONE = 0,
    PARSE_MORE = 1,    /* the input ends within a record */
    PARSE_NOTHING = 2, /* blank: no record, no mistake */
    PARSE_REFUSED = -1,
};

/* Why a parser refused, and where in its input. */
struct refusal {
    const char *reason;
    size_t offset;
};

#endif
