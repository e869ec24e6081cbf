/* SPDX-License-Identifier: MIT */
/*
 * Compaction: which segments are rewritten, what of them is copied, and how they are removed.
 *
 *   C1  A victim is sealed, undamaged, and none of the open ones; a LARGE one only once the log that links it
 *       is sealed.
 *   C2  Nothing is removed before the log is durable up to the last sequence that a decision "this one is
 *       dead" relied on, and before the copies are durable and listed. (P2, P4)
 *   C3  A tombstone is dropped only if no older record of its key can be left in any file but the victims, or
 *       if the index holds a newer record of the key. (P4)
 *   C4  A victim that could not be read to its end is not removed; nor are those that it was compacted with,
 *       whose tombstones were judged as if it went too. (P6)
 *   C5  Between any two steps a crash leaves copies beside originals: the same sequence, and the higher
 *       segment id wins. (P3)
 *   C6  The manifest that lists the last output of a run says of the victims that they have been copied, so
 *       that after a crash they go as a whole, tombstones included, and give back what the copies took: all
 *       of them or none, because tombstones were judged as if all went. (P9)
 */
#ifndef STAVE_STORE_COMPACTION_H
#define STAVE_STORE_COMPACTION_H

#include "store/reserve.h"
#include "store/store.h"

enum {
    COMPACTION_VICTIM_MAX = 256,
    COMPACTION_MOVE_MIN = 1 << 16, /* records that one output may always have, */
    COMPACTION_MOVE_MAX = 1 << 20, /* and never more: it takes 1 to 6 bytes of memory for each */
    COMPACTION_SLICE = 32, /* entries changed while write_lock is held once: less long than a writer spins */
};

/* ------------------------------------------------------------------ compaction_pick.c */

enum pick_mode {
    PICK_DUE,  /* what the options ask for */
    PICK_FULL, /* the disk is full: what gives most back for the least copying */
    PICK_ALL,  /* every segment, oldest first */
};

struct pick {
    struct segment *victims[COMPACTION_VICTIM_MAX];
    size_t count;
    uint64_t size;  /* of the victims */
    uint64_t taken; /* by their files, in whole pages */
    bool is_dead;   /* nothing in them is needed: they are removed without being read */
};

/* write_lock. Victims among the segments with an id below `id_end`; count 0: nothing is to be done. */
void compaction_pick(struct store *store, enum pick_mode mode, uint32_t id_end, struct pick *ret_pick);

/* write_lock. Bytes of all segments that compaction_pick may ever take, with an id below `id_end`. */
uint64_t compaction_total(const struct store *store, uint32_t id_end);

/*
 * Records that one output may have: an eighth of the store's keys, within the limits above, since it takes
 * memory for each (P8).
 */
uint64_t compaction_move_max(const struct store *store);

/*
 * write_lock. No record is older than this, of those that a tombstone could have to hide, in any segment that
 * is not marked as a victim; `except` (optional) is left out as well.
 */
uint64_t segments_oldest(const struct store *store, const struct segment *except);

/*
 * For each bit of a segment's spaces_mask, the sequence since when a space that has keys may have written
 * records of such a generation; UINT64_MAX: none has.
 */
struct living {
    uint64_t since[64];
};

/* write_lock */
void living_take(const struct store *store, struct living *ret_living);
/* write_lock. False: every key in it belongs to a space that was dropped since, or is dead. */
bool living_may_be_in(const struct living *living, const struct segment *segment);

/* ------------------------------------------------------------------ compaction.c */

/* The generations that some space maps to, at one moment. One that is missing never comes back. */
struct generations {
    uint32_t sorted[STAVE_SPACE_COUNT_MAX];
    size_t count;
};

/* write_lock: two spaces swapped meanwhile would be missed. */
void generations_take(const struct store *store, struct generations *ret_generations);
bool generations_have(const struct generations *generations, uint32_t generation);

/*
 * No lock: whether the index points to `location`. It is false for good once it is false. Loads the index's
 * block.
 */
enum stave_status location_is_live(struct store *store, uint64_t hash, uint64_t location, bool *ret_live);

/* A record of a dropped space, to be taken out of the index. */
struct removal {
    uint64_t hash;
    uint64_t location;
    uint64_t size;
};

/* Takes write_lock: drops the entries that are still there. The index's blocks have been loaded. */
void entries_remove(struct store *store, const struct removal *removals, size_t count);

/*
 * Sleeps as compaction_io_per_s asks for after `size` bytes more; STAVE_CANCELLED when the store is closing.
 */
struct pace {
    uint64_t began_ns;
    uint64_t size;
    bool in_background;
};

void pace_begin(struct pace *pace, bool in_background);
enum stave_status pace_wait(struct store *store, struct pace *pace, uint64_t size);

/* Alone at open, on a full disk. True: some room has come back. */
bool compaction_relieve(struct store *store);

/* ------------------------------------------------------------------ compaction_output.c */

/* The segment that copies go to. Not visible to anybody before output_publish(). */
struct output {
    struct segment *segment;  /* NULL: none begun */
    enum reserve_use reserve; /* which blocks of it are for it */
    uint64_t horizon;         /* of all outputs of one run */
    uint64_t expected;        /* bytes that are still to come, at most */
    uint64_t end;
    uint64_t written; /* of all outputs of the run */
    uint8_t *buffer;
    size_t buffered;
    uint8_t *moves; /* where each PUT came from, as differences: the output itself tells the rest */
    size_t moves_size;
    size_t move_count;
    size_t move_max;
    uint64_t moved_from; /* the last one */
};

#define OUTPUT_NONE ((struct output){.segment = NULL})

/* Room for one record of that size, in this segment or the next. */
enum stave_status output_reserve(struct store *store, struct output *output, uint64_t size,
                                 struct error *error);

/* A copy of `record`, whose room was reserved: begin, the key's and the value's bytes, end. */
enum stave_status output_begin_record(struct output *output, const struct record *record, uint64_t from,
                                      struct error *error);
enum stave_status output_bytes(struct output *output, const uint8_t *bytes, size_t size, struct error *error);
enum stave_status output_end_record(struct output *output, const struct record *record, struct error *error);

/* Makes the copies durable and listed, and points the index to them. Accepts an output without a segment. */
enum stave_status output_publish(struct store *store, struct output *output, struct error *error);

/* Removes what was not published. Accepts an empty output, and leaves one. */
void output_free(struct store *store, struct output *output);

/*
 * The worker's turn: a bounded piece of work if any is due. True if there is more. It looks at
 * store->stopping.
 */
bool compaction_turn(struct store *store);

#endif
