/* SPDX-License-Identifier: MIT */
/*
 * The open store: what its modules share. stave.h is the way in from outside.
 *
 *   T1  One log, one order: records get their sequence and their place in the tail under write_lock. (P3)
 *   T2  Only the holder of write_lock changes an entry of the index, each by one atomic store. (P7)
 *   T3  A reader that is inside an epoch may use every segment it found in the slot table.
 *   T4  A segment leaves the slot table before its file is removed, and its mapping ends after an epoch has
 *       passed and its last reference is gone.
 *   T5  At most one segment is being sealed; it and the tail are the only ones whose bytes still change.
 *   T6  A segment is listed in the durable manifest before a record in it counts (LARGE ones: a LINK adopts
 *       them).
 *   T7  After `failed` is set nothing is written any more. (P13)
 *
 * Locks, in the order in which they are taken: upkeep_lock, manifest_lock, sync_lock, write_lock. Readers
 * take none.
 */
#ifndef STAVE_STORE_STORE_H
#define STAVE_STORE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "index/keydir.h"
#include "log/manifest.h"
#include "log/record.h"
#include "log/segment.h"
#include "os/dir.h"
#include "os/event.h"
#include "os/file.h"
#include "os/map.h"
#include "os/thread.h"
#include "stave.h"
#include "store/epoch.h"

#define LOCATION_UNIT 16u                               /* bytes */
#define SLOT_UNITS (MANIFEST_SLOT_SIZE / LOCATION_UNIT) /* locations of one slot */
#define SLOT_SHIFT 18                                   /* log2 of SLOT_UNITS */
#define SEQUENCE_BITS 32                                /* of the counter; above it the incarnation */

struct segment {
    /* fixed once the segment is in the slot table */
    uint32_t id;
    uint32_t kind; /* enum segment_kind */
    uint32_t incarnation;
    uint32_t first_slot;
    uint32_t slot_count;
    uint64_t identity;
    uint64_t horizon;
    uint64_t created_ms;
    struct map map;    /* shared; with STAVE_READS_COPIED only while the segment is open */
    uint64_t capacity; /* of a tail: where it rolls */

    _Atomic uint64_t end;            /* readers look below it; grows only in the tail */
    _Atomic uint32_t references;     /* views, cursors and feeds that use it (T4) */
    _Atomic uint32_t verified_count; /* LARGE: of the views, those for which its value was verified */

    /* write_lock */
    uint64_t live_size; /* bytes of records that the index points to */
    uint64_t live_count;
    uint64_t image_live_size; /* the same as of the checkpoint being taken */
    uint64_t image_live_count;
    uint64_t last_sequence;
    uint64_t record_count;
    uint64_t tombstone_size;
    uint64_t expiring_size;
    uint64_t expires_first_ms;
    uint64_t expires_last_ms;
    _Atomic uint64_t spaces_mask; /* cursors look at it without the lock */
    uint64_t marked_end;          /* end of the last MARK, */
    uint64_t marked_sequence;     /* and up to where it vouches: not for what came while it was synced */
    bool sealed;
    bool listed;     /* belongs into the manifest */
    bool was_listed; /* a manifest on disk may name it: its file goes only when none does (T6) */
    bool damaged;    /* compaction could not read all of it */
    bool corrupt;    /* and that is no matter of this moment: the manifest says so */
    bool is_long;    /* its file was longer at open than its records */
    bool victim;     /* being compacted */
    bool copied;     /* all that is needed of it is in outputs that are listed (C6) */
    bool remove;     /* retired: its file goes too */

    /* of an open segment */
    struct file file;
    _Atomic uint64_t allocated; /* bytes that the file has (fallocate) */
    _Atomic uint64_t granted;   /* bytes whose pages may be stored to without a fault that fails */
    _Atomic bool preparing;     /* the preparer is at work on it: not to be sealed or discarded now */
    bool written;               /* appended to by pwrite, not through the map */
    bool for_deletes;           /* LOG: made when RESERVE was not whole, of its blocks (D3) */
    bool for_opening;           /* that, and at open: of the part for tails too */
    bool large_pages;           /* its maker, then the preparer: the map was advised to take pages of 2 MiB */
    struct manifest_space
        *start_spaces; /* LOG: the spaces at its start, SPACE_COUNT of them; freed once sealed */
};

struct stave {
    struct store *store;
    uint32_t number;
};

/* Of the calls made on some processors; apart, so that threads do not wait for each other's line. */
struct call_counters {
    _Alignas(64) _Atomic uint64_t puts, gets, deletes;
};

/* What stave_stats counts; each on its own, read without a lock. */
struct counters {
    struct call_counters calls[EPOCH_SHARDS]; /* by processor */
    _Atomic uint64_t syncs, sync_time_us;
    _Atomic uint64_t compactions, compaction_read, compaction_written, compaction_time_us;
    _Atomic uint64_t checkpoints, checkpoint_written;
    _Atomic uint64_t expired;
};

/* What a turn of compaction has done. */
enum pressure_turn {
    PRESSURE_IDLE,
    PRESSURE_WORKED, /* for nothing yet: tombstones can go when all that is older has been copied */
    PRESSURE_GAINED, /* disk came back */
};

struct store {
    struct dir dir;
    struct dir_lock lock;
    struct stave_options options; /* write_lock after open; defaults filled in */
    _Atomic int sync_mode;        /* enum stave_sync: options.sync for those who hold no lock */
    _Atomic uint64_t large_size;  /* values above it get a segment of their own */
    uint64_t store_id;
    uint64_t hash_seed;
    uint8_t *fork_mark; /* a page that is zero in a child (wipe on fork) */
    bool maps_safely;   /* the file system allows a mapped tail */

    struct mutex write_lock;
    struct keydir keydir;                                  /* readers free, changes under write_lock (T2) */
    struct segment *_Atomic *slots;                        /* MANIFEST_SLOT_MAX pointers, touched lazily */
    _Atomic uint32_t generation_of[STAVE_SPACE_COUNT_MAX]; /* write_lock to change */
    uint64_t count_of[STAVE_SPACE_COUNT_MAX];              /* write_lock */
    uint64_t expiry_held_ms; /* write_lock; what had not expired then is not removed; 0: none is held */
    uint64_t generation_since[STAVE_SPACE_COUNT_MAX]; /* write_lock; sequence before its first; 0: unknown */
    uint64_t spaces_version;                          /* write_lock; grows with each drop and swap */
    struct segment **segments;                        /* all, by id; write_lock */
    size_t segment_count;                             /* write_lock */
    size_t segment_capacity;
    struct segment *tail;           /* write_lock; NULL when read-only */
    struct segment *sealing;        /* write_lock (T5) */
    struct segment *spare;          /* write_lock; listed, empty */
    enum stave_status spare_status; /* write_lock; why there is no spare */
    uint64_t room_wanted;           /* write_lock; what the next spare has to hold */
    _Atomic uint64_t prepare_low;   /* the preparer is woken when less than this is granted ahead */
    _Atomic uint32_t durable_rolls; /* rolls for which the tail keeps small pages: durability was asked for */
    uint64_t turns_begun;           /* write_lock; of the syncer that make a spare or seal, */
    uint64_t turns_ended;           /* write_lock; and how many of them have ended */
    uint64_t counter;               /* write_lock; next low half of a sequence */
    _Atomic uint64_t sequence;      /* newest published */
    uint64_t sequence_floor;        /* set by recovery: the newest one of segments that are gone */
    _Atomic uint64_t batch_version; /* odd while a batch, or a refresh, is being applied */
    uint32_t incarnation;           /* write_lock; highest ever listed */
    uint32_t next_segment_id;       /* write_lock */
    uint32_t next_slot;             /* write_lock */
    uint32_t next_generation;       /* write_lock */
    uint32_t swept_generation;      /* write_lock */
    uint64_t feed_floor;            /* write_lock */
    uint64_t listed_floor;          /* write_lock; the manifest's: ahead while compaction removes victims */
    uint32_t *slot_quarantine;      /* write_lock; checkpoint_number when freed, plus 1; 0: free */
    uint32_t checkpoint_number;     /* write_lock; of those begun */
    uint32_t checkpoint_installed;  /* write_lock; number of the last one installed */
    uint32_t checkpoint_position;   /* write_lock; blocks below it are in the image being taken */
    bool checkpoint_running;        /* write_lock */
    uint64_t log_since_checkpoint;  /* write_lock; bytes */
    uint64_t compaction_horizon;    /* write_lock; lowest horizon of a compaction under way; 0: none */
    _Atomic uint64_t reserve_size;  /* of RESERVE, as far as is known; grows under reserve_lock */
    _Atomic uint64_t reserve_goal;  /* end of the largest segment that is sealed, LARGE ones aside */
    _Atomic uint64_t reserve_segments; /* how many there were then */
    _Atomic bool disk_is_full;         /* blocks were refused, and not granted since */
    _Atomic uint32_t linked_id; /* a segment that could not be compacted for its second name (D5); 0: none */
    uint64_t output_size;       /* write_lock; of files that compaction is writing, or removing */
    uint64_t relief_begun;      /* write_lock; turns of compaction begun, */
    uint64_t relief_ended;      /* write_lock; and ended, */
    enum pressure_turn relief_turn; /* write_lock; what came of the last one */
    bool closing;                   /* write_lock */
    bool starts_from_reserve;       /* alone at open: the first tail may use its part of RESERVE */
    struct condition roll_done;     /* write_lock; spare made, sealing done, space given back */

    _Atomic int failed; /* enum stave_status; set once (T7) */

    struct mutex sync_lock; /* one leader syncs; followers wait on sync_done */
    struct condition sync_done;
    bool sync_running;    /* sync_lock */
    uint64_t sync_wanted; /* sync_lock; highest sequence asked for in the background */
    _Atomic uint64_t durable_sequence;
    struct event durable_event;      /* sync_lock to make it */
    struct segment **unsynced_large; /* write_lock; LARGE segments published since the last sync */
    size_t unsynced_large_count;
    size_t unsynced_large_capacity;

    uint32_t sweep_goal;        /* upkeep_lock; next_generation when the sweep under way began; 0: none is */
    uint32_t sweep_next_id;     /* upkeep_lock; segments below it are done */
    uint32_t sweep_end_id;      /* upkeep_lock; segments from it on were made after the sweep had begun, */
    uint32_t sweep_incarnation; /* upkeep_lock; and LOG ones above it had no record then */
    uint64_t sweep_mask;        /* upkeep_lock; bits in spaces_mask of what it looks for */
    bool sweep_knows;           /* upkeep_lock; sweep_generations is known */
    bool has_strays;            /* upkeep_lock; segments have gone unread: entries lead nowhere */
    uint32_t
        sweep_generations[STAVE_SPACE_COUNT_MAX]; /* upkeep_lock; those in use when the newest sweep began */

    struct segment **retired; /* upkeep_lock; withdrawn, still referenced */
    size_t retired_count;
    size_t retired_capacity;

    struct mutex manifest_lock; /* one replacement of the manifest at a time */
    struct mutex upkeep_lock;   /* one compaction, checkpoint or snapshot at a time */
    struct epoch epoch;

    struct mutex thread_lock; /* wakes the background threads; leaf */
    struct condition preparer_wake, syncer_wake, worker_wake;
    _Atomic bool preparer_asked, syncer_asked, worker_asked; /* set under thread_lock */
    _Atomic bool stopping;                                   /* set under thread_lock */
    bool worker_is_gone;                                     /* thread_lock; then the others may go */
    struct thread preparer, syncer, worker;
    bool threads_running;

    struct mutex reserve_lock; /* one change of RESERVE at a time; after all but error_lock */

    struct mutex error_lock; /* leaf */
    struct error last_error; /* error_lock */
    struct counters counters;
    uint64_t open_time_us;
    uint64_t open_replayed;
    bool open_from_checkpoint;
    bool ignores_checkpoint; /* alone at open: it was found damaged */
    bool image_is_damaged;   /* a block of it was, while replaying: to be opened again without it */
    bool recovering;         /* alone: damaged index blocks are not repaired one by one */
    struct mutex load_lock;  /* index blocks of a checkpoint are loaded one at a time */
    struct checkpoint_source
        *checkpoint_source; /* checkpointing.c: the file blocks are loaded from; NULL if none */
    bool
        /* upkeep_lock; read-only: a refresh failed in the middle, the next one reads all again */
        refresh_incomplete;

    struct stave handles[STAVE_SPACE_COUNT_MAX];
};

/* ------------------------------------------------------------------ locations */

/* In one order with epoch_enter(): who came too late to be waited for finds a withdrawn segment gone (T4). */
static inline struct segment *segment_at(const struct store *store, uint64_t location)
{
    return atomic_load_explicit(&store->slots[location >> SLOT_SHIFT], memory_order_seq_cst);
}

static inline uint64_t location_offset(const struct segment *segment, uint64_t location)
{
    return (location - ((uint64_t)segment->first_slot << SLOT_SHIFT)) * LOCATION_UNIT;
}

static inline uint64_t location_in(const struct segment *segment, uint64_t offset)
{
    return ((uint64_t)segment->first_slot << SLOT_SHIFT) + offset / LOCATION_UNIT;
}

/* The newest sequence ever handed out: its record may be gone since, and the index too. */
static inline uint64_t store_newest(const struct store *store)
{
    const uint64_t sequence = atomic_load(&store->sequence);
    return sequence > store->sequence_floor ? sequence : store->sequence_floor;
}

static inline uint32_t sequence_incarnation(uint64_t sequence)
{
    return (uint32_t)(sequence >> SEQUENCE_BITS);
}

#endif
