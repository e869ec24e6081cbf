/* SPDX-License-Identifier: MIT */
/*
 * Records on disk: a thread of the pool reads them, so that only the client that asked waits.
 *
 *   Y1  A connection has at most one job; the pool has as many threads as libuv gives it. The views that the
 *       job took are held until the command has been run again, so that what was read is still there, and a
 *       large value is verified by the pool alone (stave_view).
 *   Y2  A walk over keys (KEYS, SCAN, DIGEST) is read ahead for some milliseconds from where it stopped; a
 *       random key is chosen by the pool, since another try would meet another place on disk.
 *   Y3  What is sent from the store's mapping may have left memory since it was read, and is brought a write
 *       at a time. Meanwhile nothing is sent, and the output is kept, also of a connection that was closed.
 */
#ifndef STAVE_SERVER_COLD_H
#define STAVE_SERVER_COLD_H

#include <stdbool.h>
#include <sys/uio.h>

struct loop;

/*
 * On the loop: brings what its transaction wants, then calls `done` there, inside the gate. False: nothing is
 * wanted, or no memory.
 */
bool cold_start(struct loop *loop, void (*done)(void *context), void *context);

/* Whether all of these pieces are in memory. */
bool cold_is_resident(const struct iovec *pieces, int count);
/*
 * On the loop: brings pieces of an output, OUTPUT_PIECE_COUNT_MAX at most, which stay where they are until
 * `done` is called there, inside the gate. False: no memory.
 */
bool cold_bring(struct loop *loop, const struct iovec *pieces, int count, void (*done)(void *context),
                void *context);

#endif
