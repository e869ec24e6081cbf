/* SPDX-License-Identifier: MIT */
/*
 * How much disk the log takes, and writers that wait for compaction before it takes more. (P9)
 *
 * The files of segments take at most disk_ratio_percent of live bytes and two segments (the tail, and one to
 * come) when a writer begins a new segment. What compaction is writing, at most one segment, and RESERVE, at
 * most another and a page or two for each, come on top: four segments in all. CHECKPOINT and its successor
 * take 9 bytes a key each. Large values that are being written, all those of a batch, count as live.
 *
 * When that is reached, dead bytes are at least (ratio - 100) / ratio of the sealed segments, so that one of
 * them has that share or more, and compaction has something to gain. Where it has not (a feed's retention,
 * damage, manual_compaction), writers do not wait.
 */
#ifndef STAVE_STORE_PRESSURE_H
#define STAVE_STORE_PRESSURE_H

#include "store/store.h"

/*
 * What all segments, those that compaction writes or removes, and the rest of the next tail may take when a
 * segment is begun, with so many live bytes.
 */
uint64_t pressure_allowed(const struct store *store, uint64_t live_size);

/* write_lock. Whether that is nearly reached, so that compaction looks further for something to gain. */
bool pressure_is_near(const struct store *store);

/*
 * write_lock, which is let go meanwhile. Waits until `size` bytes more, which will be live, are allowed, or
 * compaction has nothing to gain. True if it has waited.
 */
bool pressure_wait(struct store *store, uint64_t size);

/*
 * No lock held, and no part of the upkeep. A delete has found the disk full: waits for the next turn of
 * compaction. True: disk came back, or may with the next turns; *fruitless counts those without, from 0.
 */
bool pressure_relief(struct store *store, unsigned *fruitless);

/* Worker: around each look for something to compact. */
void pressure_turn_begin(struct store *store);
void pressure_turn_end(struct store *store, enum pressure_turn turn);

#endif
