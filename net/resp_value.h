/* SPDX-License-Identifier: MIT */
/*
 * Replies of the Redis protocol, versions 2 and 3, read as they arrive: the client's side.
 *
 *   V1  Memory grows with the bytes that have come, never from an announced length, up to `memory_max`.
 *   V2  Nothing recurses: a reply is an array of values in the order of their arrival, at most
 *       RESP_DEPTH_MAX deep.
 *   V3  Every byte is looked at once, however small the pieces are.
 *
 * The elements of an aggregate follow it: the first at its index + 1, each next one at its sibling's `next`,
 * up to the aggregate's own `next`. An attribute stands before the value that it describes and is not
 * counted.
 */
#ifndef STAVE_NET_RESP_VALUE_H
#define STAVE_NET_RESP_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "net/resp.h"
#include "stave.h"

#define RESP_DEPTH_MAX 128
#define RESP_LINE_SIZE_MAX ((size_t)1 << 20)

enum resp_type {
    RESP_SIMPLE,
    RESP_ERROR, /* on a line, or as a bulk */
    RESP_INTEGER,
    RESP_BULK,
    RESP_NULL, /* "_", "$-1" and "*-1" */
    RESP_DOUBLE,
    RESP_BOOLEAN,
    RESP_BIG_NUMBER,
    RESP_VERBATIM, /* its three letters of format are read over */
    RESP_ARRAY,
    RESP_MAP,
    RESP_SET,
    RESP_PUSH,
    RESP_ATTRIBUTE,
};

struct resp_value {
    enum resp_type type;
    uint16_t depth;
    bool is_streamed; /* of unknown length when it began */
    uint32_t parent;  /* index */
    uint32_t next;    /* index behind this value and all that is in it */
    union {
        struct resp_slice text; /* all but the following; a double as it came; verbatim without its format */
        int64_t integer;        /* integer; boolean: 0 or 1 */
        struct {
            uint64_t count; /* aggregates: elements, of maps and attributes keys and values each */
            uint64_t left;  /* still to come */
        } elements;
    };
};

/* All zeroes is a reader at the start of a reply. */
struct resp_reader {
    size_t memory_max; /* 0: no limit; else a larger reply is refused */

    struct resp_value *values; /* [0] is the reply, or an attribute before it */
    size_t value_count;
    char error[128]; /* after RESP_REFUSED */

    /* The reader's own. */
    size_t value_capacity;
    struct buffer text; /* of all values; at its end a line that is not complete */
    size_t text_start;  /* of the bulk or line being read */
    size_t line_size;   /* of the line being read, so far */
    uint64_t bulk_left; /* bytes of the bulk still to come, its line end included */
    uint32_t open;      /* aggregate being filled + 1; 0: none */
    uint8_t bulk_mark;  /* '$', '=', '!', or ';' for a part of a streamed string; 0: a line is being read */
    bool in_stream;     /* a streamed string has begun */
    bool after_attribute;
};

/*
 * Takes bytes of a reply; *ret_used (whatever the result) tells how many. RESP_OK: the reply is complete, the
 * bytes behind it were not looked at; reset the reader before the next. RESP_MORE: all bytes were taken.
 */
enum resp_status resp_read(struct resp_reader *reader, const uint8_t *input, size_t size, size_t *ret_used);

/* The reply itself, behind its attributes. */
const struct resp_value *resp_reply(const struct resp_reader *reader);

/* Valid until the reader is reset. */
struct stave_bytes resp_text(const struct resp_reader *reader, const struct resp_value *value);

static inline bool resp_is_aggregate(enum resp_type type)
{
    return type >= RESP_ARRAY;
}

/* Ready for the next reply; what is large is freed. */
void resp_reader_reset(struct resp_reader *reader);
void resp_reader_free(struct resp_reader *reader);

#endif
