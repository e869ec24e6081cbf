/* SPDX-License-Identifier: MIT */
/*
 * The keydir: a table in memory from a key's hash to the location of its newest record.
 *
 *   K1  A key that is present throughout a probe is found by it, or keydir_probe_changed() says to repeat.
 *   K2  A reader takes no lock and never waits for the mutator (P7); it repeats only when its bucket changed.
 *   K3  Each change of an entry is one atomic 8-byte store.
 *   K4  An entry is 0 (empty), or a tag (hash bits 16..39) above a location of 40 bits that is not 0.
 *   K5  At most 16 bytes a key, tables and overflow included, from 1 M keys on; nothing is ever copied to
 *       grow (P8).
 *   K6  A block of an image is loaded when it is first used, by whoever uses it, and stays.
 *   K7  A walk returns every entry present throughout at least once, whatever the table's size becomes
 *       meanwhile.
 *   K8  A call that fails leaves the keydir as it was.
 *   K9  Overflow areas are used only while the bucket's line is full; all of them but the first are full.
 *
 * Shape: linear hashing (Litwin 1980). The bucket of a hash is its low bits; a bucket is a cache line of 7
 * entries and a word (version, overflow link). Growing splits one bucket at a time, by tag bits alone. 1,024
 * buckets are a block: the unit of memory, of the directory, and of the image in a checkpoint.
 *
 * Limits: 2^16 to 2^32 buckets, 2^32 overflow areas, locations below 2^40. The tag has 24 bits; each doubling
 * beyond 2^16 buckets uses one of them for the bucket, which leaves 12 at 10^9 keys and 8 at 2^32 buckets
 * (2.2 * 10^10 keys): a false match costs a comparison in the log, nothing else. Beyond, chains grow longer.
 *
 * Threads: "reader" functions may be called by any thread at any time; "mutator" functions by the holder of
 * the store's write lock; "loader" functions within keydir_loader.load, which its implementer serialises.
 */
#ifndef STAVE_INDEX_KEYDIR_H
#define STAVE_INDEX_KEYDIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/keydir_pool.h"
#include "stave.h"

#define KEYDIR_LOCATION_MAX ((UINT64_C(1) << 40) - 1)
#define KEYDIR_BUCKET_COUNT_MIN (UINT64_C(1) << 16)
#define KEYDIR_BUCKET_COUNT_MAX (UINT64_C(1) << 32)

enum {
    KEYDIR_BLOCK_BUCKETS = 1024,
    KEYDIR_BUCKET_ENTRIES = 7,
    KEYDIR_LOAD_TWICE_SMALL = 12, /* entries a bucket, times two, of a small table: its newest arena counts */
    KEYDIR_LOAD_TWICE = 10,       /* of a large one: shorter chains are faster */
    KEYDIR_SMALL_MAX = 4 << 20,   /* entries of a small table */
    KEYDIR_SPLITS_MAX = 2,        /* an insert does at most */
    KEYDIR_SPLIT_PAUSE = 1024,    /* inserts between two attempts at a split that cannot be done */
    KEYDIR_WALK_CAPACITY = 256,   /* of `locations`, that a walk never exceeds in practice */
    KEYDIR_EXPORT_SIZE = 128 << 10, /* of a buffer that an exported block never exceeds in practice */
};

/*
 * Brings a block of the image in: ends in keydir_import_block() or keydir_import_end(), or fails. Readers and
 * the mutator call it, at once for one block too: its implementer serialises it, and answers STAVE_OK for a
 * block that has been loaded while it waited. It must not wait for the store's write lock, which its caller
 * may hold.
 */
struct keydir_loader {
    void *context;
    enum stave_status (*load)(void *context, uint32_t block);
};

struct keydir {
    struct keydir_directory blocks; /* block -> its buckets; 0: not loaded; lowest bit: being filled */
    struct keydir_loader loader;
    uint64_t image_bucket_count;     /* of the image that it began with; 0: none */
    _Atomic uint64_t unloaded_count; /* blocks of the image not yet loaded */
    _Atomic uint64_t bucket_count;   /* written by the mutator */
    uint8_t gap[64];                 /* what readers use lies on other lines than what each put writes */
    _Atomic uint64_t entry_count;    /* written by the mutator */
    uint32_t split_pause;            /* mutator: inserts to go before a split put off is tried again */
    bool is_frozen;                  /* mutator */
    struct keydir_pool pool;
};

/* A look-up under way; lives on the caller's stack, needs no release. */
struct keydir_probe {
    const struct keydir *keydir;
    const _Atomic uint64_t *word;    /* of the bucket */
    const _Atomic uint64_t *entries; /* still to compare, */
    uint32_t count;                  /* so many, */
    uint32_t link;                   /* then this area */
    uint32_t version;                /* of the bucket, at the beginning */
    uint32_t hops;
    uint64_t hash;
    uint64_t bucket;
};

struct keydir_stats {
    uint64_t entry_count;
    uint64_t bucket_count;
    uint64_t area_count; /* overflow areas that have memory */
    uint64_t area_used_count;
    uint64_t memory_size;    /* bytes mapped */
    uint64_t unloaded_count; /* blocks of the image not yet loaded */
};

/* ---- life. A keydir of zeroes is an empty object: keydir_free() accepts it. ---- */

/* An empty keydir of 2^16 buckets. Result STAVE_OK or STAVE_NO_MEMORY. */
enum stave_status keydir_init(struct keydir *keydir, struct keydir_memory memory);

/*
 * A keydir that holds an image of `bucket_count` buckets and `entry_count` entries; its blocks are loaded
 * through `loader` when first used. Result STAVE_OK, STAVE_NO_MEMORY, STAVE_CORRUPT (a bucket count out of
 * range).
 */
enum stave_status keydir_init_image(struct keydir *keydir, struct keydir_memory memory, uint64_t bucket_count,
                                    uint64_t entry_count, struct keydir_loader loader);

void keydir_free(struct keydir *keydir);

/* ---- readers ---- */

/* Brings the bucket's line (and where it lies) towards the processor; loads nothing. */
void keydir_prefetch(const struct keydir *keydir, uint64_t hash);

/* Result STAVE_OK, or what loading the bucket's block failed with. */
enum stave_status keydir_probe_begin(struct keydir *keydir, uint64_t hash, struct keydir_probe *ret_probe);

/* The next location whose tag matches; a caller compares the key there. May give one location twice. */
bool keydir_probe_next(struct keydir_probe *probe, uint64_t *ret_location);

/*
 * After the last location: true means that the miss proves nothing and has to be repeated from the beginning.
 */
bool keydir_probe_changed(const struct keydir_probe *probe);

/*
 * Gives the locations of the bucket at *position and moves *position on; begin with 0 (or with any random
 * number, for a random bucket). *ret_end: that was the last bucket. See keydir_walk.c for what is promised
 * (K7). Result STAVE_OK; STAVE_LIMIT: the bucket holds more than `capacity` locations, nothing was moved;
 * else what loading failed with.
 */
enum stave_status keydir_walk(struct keydir *keydir, uint64_t *position, uint64_t *locations, size_t capacity,
                              size_t *ret_count, bool *ret_end);

/* Whether the next keydir_walk() from `position` finds its bucket loaded. */
bool keydir_walk_is_loaded(const struct keydir *keydir, uint64_t position);

/*
 * Moves *position over buckets that hold nothing, `limit` of them at most; loads nothing. Result how many;
 * *ret_end as above.
 */
uint64_t keydir_walk_empty(const struct keydir *keydir, uint64_t *position, uint64_t limit, bool *ret_end);

/*
 * The first locations in the line of the bucket that lies `ahead` buckets behind the one at `position`, for
 * prefetching: nothing is promised of them. Result how many, 0 if its block is not loaded.
 */
size_t keydir_walk_peek(const struct keydir *keydir, uint64_t position, uint32_t ahead,
                        uint64_t ret_locations[KEYDIR_BUCKET_ENTRIES]);

typedef bool (*keydir_is_stale)(void *context, uint64_t location);

/*
 * Whether `is_stale` says so of an entry of a loaded block, of those that are there throughout. Brings the
 * block into the processor's caches, so that a mutator that looks at all of it next is done soon.
 */
bool keydir_block_has_stale(struct keydir *keydir, uint32_t block, keydir_is_stale is_stale, void *context);

uint64_t keydir_bucket_count(const struct keydir *keydir);
uint64_t keydir_entry_count(const struct keydir *keydir);
void keydir_stat(struct keydir *keydir, struct keydir_stats *ret_stats);

/*
 * ---- the mutator. The block of a hash has to be loaded: a keydir_probe_begin() of it, at any time before,
 * does. ----
 */

/*
 * Makes the next `count` inserts need no memory. Result STAVE_OK, STAVE_NO_MEMORY, STAVE_LIMIT. Loads
 * nothing.
 */
enum stave_status keydir_reserve(struct keydir *keydir, uint64_t count);

/*
 * Adds an entry (reserved before), then splits KEYDIR_SPLITS_MAX buckets at most; a split that cannot is put
 * off.
 */
void keydir_insert(struct keydir *keydir, uint64_t hash, uint64_t location);

/* Points the entry at `location` to `new_location`. False: there is no such entry. */
bool keydir_replace(struct keydir *keydir, uint64_t hash, uint64_t location, uint64_t new_location);

/* Removes the entry at `location`. False: there is no such entry. */
bool keydir_remove(struct keydir *keydir, uint64_t hash, uint64_t location);

bool keydir_has(const struct keydir *keydir, uint64_t hash, uint64_t location);

/*
 * No bucket is split between the two; inserts go on, and after it the load is caught up, two splits an
 * insert.
 */
void keydir_freeze(struct keydir *keydir);
void keydir_thaw(struct keydir *keydir);

/*
 * Splits that are due, `count` at most; true: there may be more. For an idle mutator; inserts do it by
 * themselves.
 */
bool keydir_split_due(struct keydir *keydir, uint64_t count);

/* Removes the entries of a loaded block that `is_stale` says so of. */
void keydir_sweep_block(struct keydir *keydir, uint32_t block, keydir_is_stale is_stale, void *context,
                        uint64_t *ret_dropped);

/*
 * Serialises a loaded block (a block not loaded is what the old image holds): a count byte a bucket, then for
 * each bucket its entries, 8 bytes little-endian; the count 255 means that a count of 4 bytes stands before
 * them. Result  the size. Only if it is at most `capacity` was all of it written.
 */
size_t keydir_export_block(struct keydir *keydir, uint32_t block, uint8_t *buffer, size_t capacity);

/* How many entries the `size` bytes that keydir_export_block wrote have. */
uint64_t keydir_exported_count(const uint8_t *bytes, size_t size);

uint32_t keydir_block_count(const struct keydir *keydir);

/* ---- loading ---- */

uint32_t keydir_block_of(const struct keydir *keydir, uint64_t hash);
bool keydir_block_is_loaded(const struct keydir *keydir, uint32_t block);

/* The same of a hash's block: a look-up of it does not load. */
static inline bool keydir_is_loaded(const struct keydir *keydir, uint64_t hash)
{
    return keydir_block_is_loaded(keydir, keydir_block_of(keydir, hash));
}

/* Loads `block` if it is not loaded (any thread). Result STAVE_OK, or what the loader failed with. */
enum stave_status keydir_load_block(struct keydir *keydir, uint32_t block);

/*
 * Loader: takes an exported block over. Result STAVE_OK, STAVE_CORRUPT (nothing taken), STAVE_NO_MEMORY,
 * STAVE_LIMIT.
 */
enum stave_status keydir_import_block(struct keydir *keydir, uint32_t block, const uint8_t *bytes,
                                      size_t size);

/*
 * Loader: a damaged block is filled by hand instead. Between begin and end it still counts as not loaded; the
 * calls of the middle see it alone (their hash has to belong to it). Any number of blocks can be in this
 * state. keydir_import_cancel() makes the block unloaded and empty again. The entries were counted by
 * keydir_init_image() already; filling does not count them.
 */
enum stave_status keydir_import_begin(struct keydir *keydir, uint32_t block);
enum stave_status keydir_fill(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location);
bool keydir_fill_replace(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location,
                         uint64_t new_location);
bool keydir_fill_remove(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location);
void keydir_fill_probe(const struct keydir *keydir, uint32_t block, uint64_t hash,
                       struct keydir_probe *ret_probe);
void keydir_import_end(struct keydir *keydir, uint32_t block);
void keydir_import_cancel(struct keydir *keydir, uint32_t block);

#endif
