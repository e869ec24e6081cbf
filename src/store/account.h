/* SPDX-License-Identifier: MIT */
/*
 * What is live and dead in each segment, for compaction. Under write_lock, or while nobody else knows the
 * segment.
 */
#ifndef STAVE_STORE_ACCOUNT_H
#define STAVE_STORE_ACCOUNT_H

#include "store/store.h"

/*
 * A record at `location` begins or ceases to be the newest of its key. `hash` tells which image it belongs
 * to.
 */
void account_live(struct store *store, uint64_t location, uint64_t hash, uint64_t size);
void account_dead(struct store *store, uint64_t location, uint64_t hash, uint64_t size);
/* What a segment has to remember of a record appended to it. */
void account_record(struct segment *segment, const struct record *record);

#endif
