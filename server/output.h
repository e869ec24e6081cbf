/* SPDX-License-Identifier: MIT */
/*
 * What a client is still to be sent: a chain of bytes and views, with marks up to which it may be sent.
 *
 *   U1  Positions count bytes since the connection began: sent <= released <= appended.
 *   U2  What lies before a mark waits until the mark's sequence is durable. Marks stand in order, of places
 *       and of sequences; what is not later, or one too many, is taken in by the newest.
 *   U3  Nothing withheld has been sent, not even in part: it can still become an error.
 */
#ifndef STAVE_SERVER_OUTPUT_H
#define STAVE_SERVER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/transport.h"
#include "server/reply.h"
#include "stave.h"

#define OUTPUT_MARK_COUNT_MAX ((size_t)8)
#define OUTPUT_PIECE_COUNT_MAX 64 /* of one write */

struct output_piece;

struct output_mark {
    uint64_t end; /* position behind what waits */
    uint64_t sequence;
    uint64_t reply_count;
};

struct output {
    struct output_piece *first;
    struct output_piece *last;
    uint64_t sent;
    uint64_t released;
    uint64_t appended;
    size_t memory; /* of the pieces that are bytes */
    size_t view_count;
    struct output_mark marks[OUTPUT_MARK_COUNT_MAX];
    size_t mark_count;
};

/*
 * Takes over what the reply holds, and empties it. Not withheld (`sequence` 0) and with nothing before it, as
 * much as possible is sent at once (`transport` NULL: nothing is). STAVE_OK, STAVE_NO_MEMORY, or STAVE_IO:
 * the connection is broken.
 */
enum stave_status output_append(struct output *output, struct reply *reply, struct transport *transport,
                                uint64_t sequence, uint64_t reply_count, uint64_t *ret_sent);

/*
 * Bytes that are no reply: sent in their place among the replies, and withheld as they are (`sequence`).
 * STAVE_OK or STAVE_NO_MEMORY.
 */
enum stave_status output_append_bytes(struct output *output, struct stave_bytes bytes, uint64_t sequence);

/* What output_send() takes at once, OUTPUT_PIECE_COUNT_MAX pieces at most; the result is how many. */
int output_next(const struct output *output, struct iovec *ret_pieces);

/* Sends what may be sent. STAVE_OK, or STAVE_IO. */
enum stave_status output_send(struct output *output, struct transport *transport, uint64_t *ret_sent);

/* Releases what waited for sequences up to `durable`; true if that was anything. */
bool output_release(struct output *output, uint64_t durable);

/* Drops everything withheld; the result is how many replies those were, those behind a withheld one too. */
uint64_t output_drop_withheld(struct output *output);

static inline uint64_t output_unsent(const struct output *output)
{
    return output->appended - output->sent;
}

/* Is anything to be sent that may be? */
static inline bool output_is_sendable(const struct output *output)
{
    return output->sent < output->released;
}

void output_close(struct output *output);

#endif
