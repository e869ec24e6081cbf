/* SPDX-License-Identifier: MIT */
/*
 * The segments of an open store: made, opened, entered into the slot table, listed in the manifest, removed.
 */
#ifndef STAVE_STORE_SEGMENTS_H
#define STAVE_STORE_SEGMENTS_H

#include "store/reserve.h"
#include "store/store.h"

/*
 * Makes the file of a new segment: header written, `allocate` bytes allocated (at least the header's page),
 * directory synced, mapped if it is to be. It has its slots, but is neither in the slot table nor in the
 * manifest. `capacity` is the most it can ever hold (decides the slots). `use`: which blocks of RESERVE it
 * may take when the disk is full. Takes write_lock inside. Result STAVE_OK, STAVE_FULL, STAVE_LIMIT
 * (segments, address space), STAVE_IO, STAVE_NO_MEMORY.
 */
enum stave_status segment_create(struct store *store, uint32_t kind, uint64_t capacity, uint64_t allocate,
                                 uint64_t horizon, enum reserve_use use, struct segment **ret_segment,
                                 struct error *error);

/*
 * Opens and maps a sealed segment (or, `length` given by recovery, the valid part of an open one) that a
 * manifest lists. Header checked (S1).
 */
enum stave_status segment_open(struct store *store, const struct manifest_segment *listed, uint64_t length,
                               struct segment **ret_segment, struct error *error);

/* write_lock: enters it into segments[] and the slot table: readers can find it from here on. */
enum stave_status segment_publish(struct store *store, struct segment *segment);

/* write_lock: takes it out of both; its slots go into quarantine. The caller then frees it after an epoch. */
void segment_withdraw(struct store *store, struct segment *segment);

/* No lock held. Waits for readers of withdrawn segments, and frees those without references; a segment
   in use stays in store->retired until a later
   call. `remove_files`: unlinks them too (a failure to unlink is kept as last error and tried again at
   the next open, T4). */
void segments_retire(struct store *store, struct segment **segments, size_t count, bool remove_files);
/* Frees retired segments whose references have gone since. */
void segments_reap(struct store *store);

/* A mapped tail, by its maker, then the preparer: whether its next pages are to be large ones. */
void segment_advise(const struct store *store, struct segment *segment);

/* No lock held: removes the file of a segment that was never published, and frees it. NULL is accepted. */
void segment_discard(struct store *store, struct segment *segment);

/* Unmaps, closes and frees; touches no file. */
void segment_free(struct store *store, struct segment *segment);

/* For keydir_sweep_block and its like, with the store as context: the location's segment is gone. */
bool location_leads_nowhere(void *context, uint64_t location);

/* write_lock. NULL if there is none. */
struct segment *segment_by_id(const struct store *store, uint32_t id);

/* Whether its file has a second name, as in a snapshot. That may be removed at any moment (D5). */
bool segment_is_linked(const struct store *store, uint32_t id);

/* No lock held: trims an open segment to its end for good, syncs it, and marks it sealed. */
enum stave_status segment_seal(struct store *store, struct segment *segment, struct error *error);

/*
 * Replaces the manifest by what is listed in memory now (segments with `listed`, spaces at the start of the
 * first open LOG segment). Takes manifest_lock, and write_lock for the copy. On failure the old manifest
 * stands.
 */
enum stave_status manifest_install(struct store *store, struct error *error);
/* write_lock, or alone: what manifest_install writes. */
enum stave_status manifest_of(const struct store *store, struct manifest *ret_manifest);

/* After STAVE_FULL: notes that a snapshot is why compaction could not help. False if none is. */
bool store_explain_full(struct store *store);

#endif
