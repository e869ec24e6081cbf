/* SPDX-License-Identifier: MIT */
/*
 * The Redis serialization protocol, versions 2 and 3: requests parsed, replies written.
 * Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
 *
 *   R1  The parser is a function of bytes: it takes a request, asks for more, or refuses; it never looks at a
 *       byte twice for the same purpose, however small the pieces are in which the bytes arrive.
 *   R2  Nothing is allocated from an announced length: memory grows with the bytes that have come.
 *   R3  Arguments are offsets into the caller's input, which may move between calls but not lose its start.
 */
#ifndef STAVE_NET_RESP_H
#define STAVE_NET_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "stave.h"

/* ------------------------------------------------------------------ requests */

struct resp_limits {
    size_t argument_count_max; /* Redis: 2^31-1; before AUTH 10 */
    size_t bulk_size_max;      /* Redis: proto-max-bulk-len; before AUTH 16,384 */
    size_t inline_size_max;    /* of a line: an inline request, or an announcement; Redis: 65,536 */
    bool is_unauthenticated;   /* what passes these limits is refused with the texts for before AUTH */
};

/* What is refused as invalid whatever the client may. */
#define RESP_ARGUMENT_COUNT_MAX ((uint64_t)INT32_MAX)
#define RESP_BULK_SIZE_DEFAULT_MAX ((uint64_t)512 << 20)

struct resp_slice {
    size_t offset;
    size_t size;
};

enum resp_status {
    RESP_OK,       /* a request, of no arguments for an empty line or "*0" */
    RESP_MORE,     /* call again with more bytes behind these */
    RESP_REFUSED,  /* `error` says why, in Redis' words; the connection is to be closed */
    RESP_NO_MEMORY /* the connection is to be closed */
};

/* All zeroes is a parser at the start of a request. */
struct resp_parser {
    struct resp_slice *arguments; /* of the request parsed; into the input */
    size_t argument_count;
    size_t used;     /* bytes of input that the request took, after RESP_OK */
    char error[128]; /* after RESP_REFUSED: "Protocol error: ...", as Redis sends it after "-ERR " */
    bool is_inline;

    /* The parser's own. */
    size_t argument_capacity;
    uint64_t argument_total; /* announced by "*" */
    bool has_argument_total;
    size_t line;        /* where the line that is being read begins */
    size_t position;    /* bytes of input seen */
    uint64_t bulk_size; /* announced by "$", while has_bulk_size */
    bool has_bulk_size;
    bool is_started;
    struct buffer unquoted; /* of an inline request: its arguments, quotes resolved, one behind the other */
};

/*
 * Parses one request from `input`, whose first `parser->position` bytes it has seen in earlier calls. After
 * RESP_OK the caller drops `used` bytes and resets the parser; after RESP_REFUSED it is of no more use.
 */
enum resp_status resp_parse(struct resp_parser *parser, const uint8_t *input, size_t size,
                            const struct resp_limits *limits);

/* Argument `index` of the request just parsed from `input`; an inline one lies in the parser. */
static inline struct stave_bytes resp_argument(const struct resp_parser *parser, const uint8_t *input,
                                               size_t index)
{
    const struct resp_slice slice = parser->arguments[index];
    const uint8_t *const bytes = parser->is_inline ? parser->unquoted.data : input;
    return (struct stave_bytes){bytes + slice.offset, slice.size};
}

/*
 * How many bytes of input, from its start, the unfinished request needs at least before the parser gets on:
 * for sizing the next read. It may be an announced length (R2).
 */
size_t resp_wanted(const struct resp_parser *parser);

/* Bytes that the parser holds, beside itself. */
static inline size_t resp_parser_memory(const struct resp_parser *parser)
{
    return parser->argument_capacity * sizeof(struct resp_slice) + parser->unquoted.capacity;
}

/* Ready for the next request; what is large is freed. */
void resp_parser_reset(struct resp_parser *parser);
void resp_parser_free(struct resp_parser *parser);

/* ------------------------------------------------------------------ replies */

/*
 * Each appends to a buffer and returns STAVE_OK, or STAVE_NO_MEMORY or STAVE_LIMIT with the buffer unchanged.
 * `protocol` is 2 or 3; what version 2 does not know is written as Redis does it there (a map as a flat
 * array, a null as "$-1", a double and a big number as bulk strings, a boolean as an integer, verbatim text
 * as bulk).
 */
enum stave_status resp_write_simple(struct buffer *out, const char *text); /* line ends become spaces */
enum stave_status resp_write_error(struct buffer *out, const char *text);  /* line ends become spaces */
enum stave_status resp_write_integer(struct buffer *out, int64_t value);
enum stave_status resp_write_bulk(struct buffer *out, struct stave_bytes bytes);
enum stave_status resp_write_bulk_size(struct buffer *out,
                                       size_t size); /* the bytes and "\r\n" follow elsewhere */
enum stave_status resp_write_null(struct buffer *out, int protocol);
enum stave_status resp_write_null_array(struct buffer *out, int protocol); /* "*-1", "_" */
enum stave_status resp_write_array(struct buffer *out, uint64_t count);
enum stave_status resp_write_map(struct buffer *out, int protocol, uint64_t pair_count);
enum stave_status resp_write_set(struct buffer *out, int protocol, uint64_t count);
enum stave_status resp_write_push(struct buffer *out, int protocol, uint64_t count);
enum stave_status resp_write_attribute(struct buffer *out, uint64_t pair_count); /* version 3 alone */
enum stave_status resp_write_double(struct buffer *out, int protocol,
                                    double value); /* shortest that reads back */
enum stave_status resp_write_boolean(struct buffer *out, int protocol, bool value);
enum stave_status resp_write_big_number(struct buffer *out, int protocol, struct stave_bytes digits);
enum stave_status resp_write_verbatim(struct buffer *out, int protocol, const char format[3],
                                      struct stave_bytes text);

#endif
