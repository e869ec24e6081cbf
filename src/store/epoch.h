/* SPDX-License-Identifier: MIT */
/*
 * Epochs that last one call: a reader enters and leaves; a reclaimer waits until all who were inside have
 * left.
 *
 * Two sets of counters, of which new readers use one; the reclaimer turns them over and waits for the other
 * to drain, twice, so that a reader that read the old number just before the turn is waited for too (the
 * scheme of sleepable read-copy update, McKenney 2006). The counters are spread by processor; a reader may
 * leave on another one, so only sums count. No registration of threads, no global state. (P7, P12)
 */
#ifndef STAVE_STORE_EPOCH_H
#define STAVE_STORE_EPOCH_H

#include <stdatomic.h>
#include <stdint.h>

enum { EPOCH_SHARDS = 32 };

struct epoch_shard {
    _Alignas(64) _Atomic uint64_t entered[2];
    _Atomic uint64_t left[2];
};

struct epoch {
    _Atomic uint32_t number; /* its lowest bit names the set in use */
    struct epoch_shard shards[EPOCH_SHARDS];
};

/* Returns what epoch_leave wants back. */
uint32_t epoch_enter(struct epoch *epoch);
void epoch_leave(struct epoch *epoch, uint32_t token);

/*
 * Returns after every reader that was inside when it was called has left. One caller at a time; it may sleep.
 */
void epoch_wait(struct epoch *epoch);

#endif
