/* SPDX-License-Identifier: MIT */
/*
 * Durability: group commit, marks, sealing in the background.
 */
#ifndef STAVE_STORE_SYNC_H
#define STAVE_STORE_SYNC_H

#include "store/store.h"

/*
 * No lock held. Returns when everything up to `sequence` is durable; callers share syncs. STAVE_OK or
 * STAVE_FAILED.
 */
enum stave_status sync_to(struct store *store, uint64_t sequence);
/* The same because the caller of the library asks for it: likely again, so syncs are made cheap. */
enum stave_status sync_asked(struct store *store, uint64_t sequence);
/* The same in the background; returns at once. */
void sync_ask(struct store *store, uint64_t sequence);

static inline bool syncs_always(const struct store *store)
{
    return atomic_load_explicit(&store->sync_mode, memory_order_relaxed) == STAVE_SYNC_ALWAYS;
}

/* Whether flags and sync mode ask that a write waits until it is durable. */
static inline bool sync_is_awaited(const struct store *store, uint32_t write_flags)
{
    if (write_flags & STAVE_NOT_DURABLE) return false;
    return write_flags & STAVE_DURABLE || syncs_always(store);
}

/* Body of the syncer: interval syncs, asked syncs, marks when idle, sealing and spares. */
void syncer_run(void *store);
/* Makes the spare and seals what is to be sealed; called by the syncer, and by close. */
enum stave_status syncer_turn_segments(struct store *store);

#endif
