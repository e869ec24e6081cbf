/* SPDX-License-Identifier: MIT */
/*
 * The expiry cycle: removes expired keys that nobody asks for, walking the databases side by side.
 *
 *   X1  A slice takes about a millisecond and runs in the main thread's place of the gate, so that no EXEC
 *       sees keys go. One a tick while nothing has expired; 50 a second once this round or the last met
 *       something that had; and up to a quarter of the time while a tenth of the keys with an expiry had.
 *   X2  A round has walked through each database once. When a whole one found nothing to remove and nothing
 *       has been written since it began, the cycle rests until the first of the expiries that it saw.
 *   X3  Where reads may meet the disk, a thread of the pool takes slices, one at a time and once a tick.
 *   X4  Nobody who watches a key is told: EXEC looks at the clock itself, and a key that had expired before
 *       it was watched has not changed. As in Redis, an expiry is no change for `save`.
 *   X5  Slices go to the databases in turn, so that none waits for a large one; those above 50 a second, to
 *       the ones in turn that have so much to remove.
 */
#ifndef STAVE_SERVER_EXPIRY_H
#define STAVE_SERVER_EXPIRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stave.h"

struct server;

/* The walk through one database. */
struct expiry_walk {
    uint64_t position;
    bool is_over;
    bool has_many; /* a tenth of the keys with an expiry had expired in its last slice */
};

/* Where the cycle is: the main thread's. */
struct expiry {
    struct expiry_walk walks[STAVE_SPACE_COUNT_MAX];
    uint32_t database;       /* whose turn it is */
    uint64_t began_sequence; /* the store's newest when the round began */
    uint64_t first_ms;       /* the first expiry seen in the round; 0: none */
    bool has_found;          /* the round has met what had expired, or knows of some */
    bool had_found;          /* the round before */
    bool is_resting;
    bool is_running;           /* a slice is on the pool */
    _Atomic uint64_t spent_us; /* on all slices; for INFO, of any thread */
};

/* Each `period_ms`, on the main thread, outside of the gate. */
void expiry_tick(struct server *server, uint64_t period_ms);

#endif
