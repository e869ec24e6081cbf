/* SPDX-License-Identifier: MIT */
/*
 * Records read back into the index.
 *
 *   R1  Per key the highest sequence wins, in whichever order the files are read; of one record that stands
 *       in two segments, the copy in the segment with the higher id. (P4)
 *   R2  A tombstone is an entry of the index until all has been read: then what older record comes later
 *       loses too. (P4)
 *   R3  Whenever an entry changes, the live bytes of its segments change with it.
 *   R4  A record whose payload is damaged claims its key like any other; one whose header is damaged, until
 *       a newer record says that it follows another of its key, and there is no other. (P6)
 *
 * One thread applies; the caller holds the write lock, or is alone.
 */
#ifndef STAVE_STORE_REPLAY_H
#define STAVE_STORE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/scan.h"
#include "store/store.h"

/* A PUT or TOMBSTONE, as a scanner hands it on. */
struct replay_item {
    uint64_t hash;
    uint64_t location;
    uint64_t sequence;
    uint64_t size; /* of the whole record */
    uint32_t segment_id;
    uint8_t kind;
    bool follows; /* its record says that the key was there before */
};

struct replay_tombstone {
    uint64_t hash;
    uint64_t location;
};

enum { REPLAY_GENERATION_PLACES = 4096 }; /* open addressing, at most a quarter full */

/* The generations that some space had when the first open segment began. */
struct replay_generations {
    uint32_t places[REPLAY_GENERATION_PLACES]; /* generation + 1; 0: empty */
};

struct replay {
    struct store *store;
    struct replay_tombstone *tombstones;
    size_t tombstone_count;
    size_t tombstone_capacity;
    uint64_t item_count;
    const uint8_t
        *is_filling; /* not NULL: blocks of the index that are filled by hand, which all items belong to */
};

#define REPLAY_NONE ((struct replay){.store = NULL})

/* Spaces as a log read back makes them, apart from those that readers see. */
struct replay_spaces {
    uint32_t generation[STAVE_SPACE_COUNT_MAX];
    uint32_t next_generation;
    uint64_t count[STAVE_SPACE_COUNT_MAX];
};

void replay_generations_take(const struct replay_spaces *spaces, struct replay_generations *ret_generations);
bool replay_generations_have(const struct replay_generations *generations, uint32_t generation);

/* Result STAVE_OK, STAVE_NO_MEMORY, STAVE_LIMIT, STAVE_IO. */
enum stave_status replay_apply(struct replay *replay, const struct replay_item *items, size_t count,
                               struct error *error);

/* Takes the tombstones out of the index again (R2). */
void replay_end(struct replay *replay);

/* Accepts an empty one. */
void replay_free(struct replay *replay);

/* Whether the record has a place in the index (a LINK has none: the LARGE segment's own record has). */
static inline bool replay_wants(const struct record *record)
{
    return record->kind == RECORD_PUT || record->kind == RECORD_TOMBSTONE;
}

static inline struct replay_item replay_item_of(const struct segment *segment,
                                                const struct scan_record *record)
{
    return (struct replay_item){
        .hash = record->record.key_hash,
        .location = location_in(segment, record->offset),
        .sequence = record->record.sequence,
        .size = record_size(&record->record),
        .segment_id = segment->id,
        .kind = record->record.kind,
        .follows = segment->kind == SEGMENT_LOG && !(record->record.flags & RECORD_INSERT),
    };
}

#endif
