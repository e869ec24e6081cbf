/* SPDX-License-Identifier: MIT */
/*
 * RESERVE: blocks that are kept so that a full disk can be compacted and deleted out of. (P9)
 *
 *   D1  RESERVE is at least as large as each segment that compaction may have to copy, and RESERVE_EXTRA. A
 *       tail grows for puts, a large value is written, and a spare gets more than a delete needs, only while
 *       that holds: room that comes back goes to RESERVE first.
 *   D2  Compaction takes the blocks of RESERVE for an output when the disk has no others. The copies are no
 *       larger than what they are made from, so that what the victims give back makes RESERVE again.
 *   D3  Deletes may always take free blocks: a tombstone is no larger than the record that it makes dead.
 *   D4  RESERVE_EXTRA of it is for what cannot wait: a tail at open, a manifest, a spare for deletes.
 */
#ifndef STAVE_STORE_RESERVE_H
#define STAVE_STORE_RESERVE_H

#include "store/store.h"

#define RESERVE_EXTRA (UINT64_C(64) << 10)

/*
 * Any lock may be held but error_lock. Makes RESERVE large enough for what is sealed and for a segment of
 * `size` bytes. Result STAVE_OK; STAVE_FULL: D1 does not hold. Other failures are noted, and STAVE_OK.
 */
enum stave_status reserve_cover(struct store *store, uint64_t size);

/* No lock held. Looks how large it has to be by now, then the same. */
enum stave_status reserve_keep(struct store *store);

/* RESERVE becomes the file `name`, which is not there. STAVE_NOT_FOUND: there is none. */
enum stave_status reserve_take(struct store *store, const char *name);
/* The file `name` becomes RESERVE again. */
void reserve_return(struct store *store, const char *name);

/* Gives `size` bytes of RESERVE back to the disk. False: it has none. */
bool reserve_give(struct store *store, uint64_t size);

#endif
