/* SPDX-License-Identifier: MIT */
/*
 * RESERVE: blocks that are kept so that a full disk can be compacted and deleted out of. (P9)
 *
 *   D1  RESERVE is at least as large as each segment that compaction may have to copy (its goal), and holds
 *       three parts more: for manifests, for a tail at open, for deletes. A tail grows for puts, and a large
 *       value, a checkpoint or a whole spare is written, only while all of that is there. All room that comes
 *       back goes to RESERVE first.
 *   D2  Compaction for a full disk, which has one output, takes all of RESERVE for it when there are no other
 *       blocks. The copies are no larger than what they are made from, so that what the victims give back
 *       makes RESERVE again, after a crash too (C6).
 *   D3  Spares for deletes come out of the deletes' part, tails at open out of that and their own: neither
 *       ever takes what compaction needs. Deletes use free blocks only while their part is not used up. A
 *       tail made of these parts takes puts only while RESERVE is whole, and its first delete only while the
 *       next open could make another one: an empty tail gives its blocks back then, one with records does
 *       not.
 *   D4  The deletes' part holds a page for each segment. A tombstone is no larger than the record that it
 *       makes dead, so that when the part is used up some segment has a whole page to give back, or several
 *       that are nearly empty have: compaction always finds something then.
 *   D5  What has a second name, as in a snapshot, gives nothing back. Compaction for a full disk passes over
 *       it, so that deletes beside a snapshot end with their part; other compaction copies out of it only
 *       while RESERVE is whole, and would be with the copy.
 */
#ifndef STAVE_STORE_RESERVE_H
#define STAVE_STORE_RESERVE_H

#include "store/store.h"

/* What blocks of RESERVE are wanted for. */
enum reserve_use {
    RESERVE_FOR_NOTHING,
    RESERVE_FOR_OUTPUT, /* D2 */
    RESERVE_FOR_DELETES,
    RESERVE_FOR_TAIL, /* of a store that is being opened */
    RESERVE_FOR_MANIFEST,
    RESERVE_STAYS_WHOLE, /* for nothing, and it has to be large enough for the new segment too: D5 */
};

/*
 * Any lock may be held but error_lock. Makes RESERVE large enough for what is sealed and for a segment of
 * `size` bytes. Result STAVE_OK; STAVE_FULL: D1 does not hold. Other failures are noted, and STAVE_OK.
 */
enum stave_status reserve_cover(struct store *store, uint64_t size);

/* No lock held. Looks how large it has to be by now, then the same. */
enum stave_status reserve_keep(struct store *store);

/* Whether it is as large as D1 asks, as far as is known. */
bool reserve_is_whole(const struct store *store);

/* D3: on a full disk, whether deletes may still use blocks. */
bool reserve_lets_delete(const struct store *store);

/* D3: whether there would be blocks for a tail at the next open, if those of this one did not come back. */
bool reserve_has_tail(struct store *store);

/* Bytes that an output may have so that RESERVE holds it, and its goal need not grow for it. */
uint64_t reserve_room(const struct store *store);

/* RESERVE becomes the file `name`, which is not there. STAVE_NOT_FOUND: there is none. */
enum stave_status reserve_take(struct store *store, const char *name);
/* The file `name` becomes RESERVE again. */
void reserve_return(struct store *store, const char *name);

/* Gives `size` bytes of RESERVE back to the disk. False: it has none for this use. */
bool reserve_give(struct store *store, uint64_t size, enum reserve_use use);

#endif
