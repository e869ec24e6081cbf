/* SPDX-License-Identifier: MIT */
/*
 * A bucket of the keydir: one cache line, and a chain of overflow areas behind it.
 *
 * Why readers need no lock (K1, K2). A reader loads the number of buckets, then its bucket's word (version
 * and link), then the entries, then, after a miss, the word and the number of buckets again; every load is an
 * acquire, every store of the mutator a release. So whoever has seen one store of the mutator sees all that
 * came before it. What the mutator does, in this order:
 *
 *   add        fill an area (if one is needed), then link it. Nothing that a reader could look for is moved.
 *   replace    one store over the old entry.
 *   take out   (from a bucket with overflow) 1. store the chain's last entry over the one to go; 2. raise the
 *              version, dropping the first area from the chain if that was its last entry; 3. clear the last
 *              entry's old place; 4. give the area back. A reader that came by (1) too early and misses the
 *              entry because of (3) has seen (3), therefore sees (2) in the word and repeats. So does one
 *              that strays through an area given back: whatever sent it astray was stored after (2).
 *   split      1. fill the new bucket, which nobody can reach; 2. publish the number of buckets; 3. take the
 *              moved entries out of the old bucket. A reader of the old bucket that misses a moved entry
 *              because of (3) sees (2) in the number of buckets: its hash has another bucket now. Entries
 *              that stay are covered by what is said of taking out, so a split needs no version of its own.
 *
 * A miss is repeated only after the mutator has changed this very bucket, so readers never wait for it (P7).
 * A hit needs none of this: an entry is the truth about its key for as long as it stands, and the caller
 * compares the key. The version has 32 bits: a reader would have to sleep through 2^32 changes of its bucket
 * to be deceived.
 */
#ifndef STAVE_INDEX_KEYDIR_BUCKET_H
#define STAVE_INDEX_KEYDIR_BUCKET_H

#include "index/keydir.h"

enum {
    KEYDIR_TAG_SHIFT = 16,   /* of the tag in a hash: bits 16..39 */
    KEYDIR_ENTRY_SHIFT = 40, /* of the tag in an entry */
};

struct keydir_bucket {
    _Atomic uint64_t word; /* version above, index of the first overflow area below */
    _Atomic uint64_t entries[KEYDIR_BUCKET_ENTRIES];
};
static_assert(sizeof(struct keydir_bucket) == 64, "a bucket is a cache line");
static_assert(sizeof(struct keydir_bucket) * KEYDIR_BLOCK_BUCKETS == KEYDIR_PIECE_SIZE, "a block is a piece");

/* The places of a bucket's entries, one after the other; for the mutator. */
struct keydir_places {
    _Atomic uint64_t *entries;
    uint32_t count;
    uint32_t link;
};

static inline uint32_t keydir_word_version(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline uint64_t keydir_word(uint32_t version, uint32_t link)
{
    return (uint64_t)version << 32 | link;
}

static inline uint64_t keydir_load(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_acquire);
}

static inline void keydir_store(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_release);
}

static inline uint64_t keydir_tag(uint64_t hash)
{
    return hash >> KEYDIR_TAG_SHIFT & 0xFFFFFF;
}

static inline uint64_t keydir_entry(uint64_t hash, uint64_t location)
{
    return keydir_tag(hash) << KEYDIR_ENTRY_SHIFT | location;
}

/* All ones, so many that every bucket number fits. `bucket_count` is at least KEYDIR_BUCKET_COUNT_MIN. */
static inline uint64_t keydir_mask(uint64_t bucket_count)
{
    return UINT64_MAX >> __builtin_clzll(bucket_count - 1);
}

/* Linear hashing: as many low bits as the newest doubling uses, one less where that has not come by yet. */
static inline uint64_t keydir_bucket_index(uint64_t hash, uint64_t bucket_count)
{
    const uint64_t mask = keydir_mask(bucket_count);
    const uint64_t index = hash & mask;
    return index < bucket_count ? index : index & mask >> 1;
}

/* The bits of a hash that make out its bucket: one less where the newest doubling has not come by yet. */
static inline uint64_t keydir_depth_mask(uint64_t hash, uint64_t bucket_count)
{
    const uint64_t mask = keydir_mask(bucket_count);
    return ((hash & mask) | (mask ^ mask >> 1)) < bucket_count ? mask : mask >> 1;
}

static inline void keydir_places_begin(struct keydir_bucket *bucket, struct keydir_places *ret_places)
{
    *ret_places =
        (struct keydir_places){bucket->entries, KEYDIR_BUCKET_ENTRIES, (uint32_t)keydir_load(&bucket->word)};
}

/* The next place, or NULL. */
static inline _Atomic uint64_t *keydir_places_next(const struct keydir_pool *pool,
                                                   struct keydir_places *places)
{
    if (places->count == 0) {
        if (places->link == 0) return NULL;
        struct keydir_area *const area = keydir_area_at(pool, places->link);
        *places =
            (struct keydir_places){area->entries, KEYDIR_AREA_ENTRIES, (uint32_t)keydir_load(&area->link)};
    }
    places->count--;
    return places->entries++;
}

/* Adds an entry if that needs no area. False: it needs one. */
bool keydir_bucket_add(const struct keydir_pool *pool, struct keydir_bucket *bucket, uint64_t entry);

/* Adds an entry in a new area, which must be empty. */
void keydir_bucket_add_area(const struct keydir_pool *pool, struct keydir_bucket *bucket, uint64_t entry,
                            uint32_t area);

/* The place of `entry`, or NULL. */
_Atomic uint64_t *keydir_bucket_find(const struct keydir_pool *pool, struct keydir_bucket *bucket,
                                     uint64_t entry);

/* Takes out the entry at `place`. Result the area that became free, for the caller to give back, or 0. */
uint32_t keydir_bucket_take_out(const struct keydir_pool *pool, struct keydir_bucket *bucket,
                                _Atomic uint64_t *place);

typedef bool (*keydir_choice)(void *context, uint64_t entry);

/* Mutator: takes out every entry that `choice` accepts. Result how many. */
uint64_t keydir_bucket_drop(struct keydir_pool *pool, struct keydir_bucket *bucket, keydir_choice choice,
                            void *context);

/* Areas that a bucket of `count` entries needs. */
static inline uint64_t keydir_bucket_areas(uint64_t count)
{
    if (count <= KEYDIR_BUCKET_ENTRIES) return 0;
    return (count - KEYDIR_BUCKET_ENTRIES + KEYDIR_AREA_ENTRIES - 1) / KEYDIR_AREA_ENTRIES;
}

/* ---- the directory of blocks ---- */

#define KEYDIR_IS_FILLING ((uintptr_t)1)

static inline uintptr_t keydir_block_word(const struct keydir *keydir, uint64_t block)
{
    return atomic_load_explicit(keydir_directory_at(&keydir->blocks, block), memory_order_acquire);
}

static inline bool keydir_word_is_loaded(uintptr_t word)
{
    return word != 0 && (word & KEYDIR_IS_FILLING) == 0;
}

/* The bucket, or NULL while its block is not loaded. */
static inline struct keydir_bucket *keydir_bucket_at(const struct keydir *keydir, uint64_t bucket)
{
    const uintptr_t word = keydir_block_word(keydir, bucket / KEYDIR_BLOCK_BUCKETS);
    if (!keydir_word_is_loaded(word)) return NULL;
    return (struct keydir_bucket *)word + bucket % KEYDIR_BLOCK_BUCKETS;
}

/* The splits of an insert, and puts the next ones off when one cannot be done (keydir_split.c). */
void keydir_catch_up(struct keydir *keydir);

/* Gives a block that the table grows into its memory. */
enum stave_status keydir_add_block(struct keydir *keydir, uint64_t block);

/* Starts a probe of `bucket`, number `index`. */
void keydir_probe_bucket(const struct keydir *keydir, const struct keydir_bucket *bucket, uint64_t index,
                         uint64_t hash, struct keydir_probe *ret_probe);

/* The next entry of a probe whatever its tag; 0: there is no more. */
uint64_t keydir_probe_entry(struct keydir_probe *probe);

#endif
