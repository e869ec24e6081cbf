/* SPDX-License-Identifier: MIT */
/*
 * A slice of a client's requests: parsed from what has arrived, looked at together, and then run one by one.
 *
 *   RQ1  Arguments point into the input, those of an inline request into the parser; so an inline request is
 *        the last of its slice, and a slice is done with before the next is parsed.
 *   RQ2  A slice is bounded, in requests and in arguments; a single request may have more arguments than
 *        that, as far as the limits of the protocol allow.
 *   RQ3  Before the password is given a slice is one request: the limits of the next depend on it.
 */
#ifndef STAVE_SERVER_REQUESTS_H
#define STAVE_SERVER_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "net/resp.h"
#include "stave.h"

#define REQUESTS_COUNT_MAX ((size_t)64)
#define REQUESTS_ARGUMENT_COUNT_MAX ((size_t)1024)

struct parsed_request {
    size_t first_argument;
    size_t argument_count;
    size_t end; /* of its bytes in the input */
};

/* All zeroes is an empty one. */
struct requests {
    struct resp_parser parser; /* of the last request, which may be unfinished */
    struct parsed_request items[REQUESTS_COUNT_MAX];
    size_t count;
    struct stave_bytes *arguments; /* of all items */
    size_t argument_count;
    size_t argument_capacity;
};

/*
 * Parses a slice from `input`, `at` on. RESP_OK: it is full; RESP_MORE: it ends with the input, whose rest
 * the parser has seen; else as resp_parse().
 */
enum resp_status requests_parse(struct requests *requests, const uint8_t *input, size_t size, size_t at,
                                const struct resp_limits *limits);

/* Keys that the slice will ask for, at most `capacity`; the result is how many. */
size_t requests_keys(const struct requests *requests, struct stave_bytes *ret_keys, size_t capacity);

void requests_free(struct requests *requests);

#endif
