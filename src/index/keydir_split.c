/* SPDX-License-Identifier: MIT */
/*
 * The keydir's growth: splitting buckets one at a time, and sweeping them.
 *
 * With n buckets, 2^L the largest power of two not above n, bucket n - 2^L is the next to split: the entries
 * whose hash bit L is set move to the new bucket n. L is at least 16, so that bit is a bit of the tag, and no
 * key is read. A split that cannot be done (no memory, a block of the image that cannot be loaded) is put
 * off: chains are a little longer until it can. It never takes the areas promised to inserts (M5).
 */
#include "index/keydir_bucket.h"

/* The bit of an entry that decides a split. */
static uint64_t split_bit(uint64_t bucket_count)
{
    const uint32_t level = 63 - (uint32_t)__builtin_clzll(bucket_count);
    return UINT64_C(1) << (level - KEYDIR_TAG_SHIFT + KEYDIR_ENTRY_SHIFT);
}

static bool entry_moves(void *context, uint64_t entry)
{
    const uint64_t *const bit = context;
    return (entry & *bit) != 0;
}

static uint64_t count_moving(const struct keydir_pool *pool, struct keydir_bucket *from, uint64_t bit)
{
    uint64_t count = 0;
    struct keydir_places places;
    keydir_places_begin(from, &places);
    for (_Atomic uint64_t *at = keydir_places_next(pool, &places); at != NULL;
         at = keydir_places_next(pool, &places))
        count += (keydir_load(at) & bit) != 0;
    return count;
}

static void copy_moving(struct keydir_pool *pool, struct keydir_bucket *from, struct keydir_bucket *to,
                        uint64_t bit)
{
    struct keydir_places places;
    keydir_places_begin(from, &places);
    for (_Atomic uint64_t *at = keydir_places_next(pool, &places); at != NULL;
         at = keydir_places_next(pool, &places)) {
        const uint64_t entry = keydir_load(at);
        if ((entry & bit) == 0 || keydir_bucket_add(pool, to, entry)) continue;
        keydir_bucket_add_area(pool, to, entry, keydir_pool_take(pool));
    }
}

/* Makes the block of the new bucket usable: one that the image began is loaded, one behind it is added. */
static enum stave_status prepare_block(struct keydir *keydir, uint64_t bucket)
{
    const uint64_t block = bucket / KEYDIR_BLOCK_BUCKETS;
    if (bucket % KEYDIR_BLOCK_BUCKETS != 0) return keydir_load_block(keydir, (uint32_t)block);
    const enum stave_status status = keydir_directory_reserve(&keydir->blocks, &keydir->pool, block);
    if (status < 0) return status;
    if (keydir_block_word(keydir, block) != 0) return STAVE_OK; /* added by an attempt that was put off */
    return keydir_add_block(keydir, block);
}

/* The order of the three steps is argued in keydir_bucket.h. */
static enum stave_status split_one(struct keydir *keydir, uint64_t bucket_count)
{
    const uint64_t bit = split_bit(bucket_count);
    const uint64_t source = bucket_count & ~(UINT64_C(1) << (63 - __builtin_clzll(bucket_count)));
    enum stave_status status = keydir_load_block(keydir, (uint32_t)(source / KEYDIR_BLOCK_BUCKETS));
    if (status < 0) return status;
    status = prepare_block(keydir, bucket_count);
    if (status < 0) return status;

    struct keydir_pool *const pool = &keydir->pool;
    struct keydir_bucket *const from = keydir_bucket_at(keydir, source);
    struct keydir_bucket *const to = keydir_bucket_at(keydir, bucket_count);
    if (!keydir_pool_can_take(pool, keydir_bucket_areas(count_moving(pool, from, bit))))
        return STAVE_NO_MEMORY;

    copy_moving(pool, from, to, bit);
    keydir_store(&keydir->bucket_count, bucket_count + 1);
    uint64_t context = bit;
    (void)keydir_bucket_drop(pool, from, entry_moves, &context);
    return STAVE_OK;
}

static bool is_split_due(const struct keydir *keydir, uint64_t bucket_count)
{
    const uint64_t entry_count = keydir_entry_count(keydir);
    const uint64_t load_twice = entry_count > KEYDIR_SMALL_MAX ? KEYDIR_LOAD_TWICE : KEYDIR_LOAD_TWICE_SMALL;
    return bucket_count < KEYDIR_BUCKET_COUNT_MAX && !keydir->is_frozen &&
           entry_count * 2 > bucket_count * load_twice;
}

bool keydir_split_due(struct keydir *keydir, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t bucket_count = keydir_bucket_count(keydir);
        if (!is_split_due(keydir, bucket_count)) return false;
        if (split_one(keydir, bucket_count) >= 0) continue;
        keydir->split_pause = KEYDIR_SPLIT_PAUSE;
        return false;
    }
    return is_split_due(keydir, keydir_bucket_count(keydir));
}

void keydir_catch_up(struct keydir *keydir)
{
    if (keydir->split_pause > 0) {
        keydir->split_pause--;
        return;
    }
    (void)keydir_split_due(keydir, KEYDIR_SPLITS_MAX);
}

void keydir_freeze(struct keydir *keydir)
{
    assert(!keydir->is_frozen);
    keydir->is_frozen = true;
}

void keydir_thaw(struct keydir *keydir)
{
    assert(keydir->is_frozen);
    keydir->is_frozen = false;
}

/* ---- sweeping ---- */

struct sweep {
    keydir_is_stale is_stale;
    void *context;
};

static bool sweep_entry(void *context, uint64_t entry)
{
    const struct sweep *const sweep = context;
    return sweep->is_stale(sweep->context, entry & KEYDIR_LOCATION_MAX);
}

bool keydir_block_has_stale(struct keydir *keydir, uint32_t block, keydir_is_stale is_stale, void *context)
{
    const uint64_t first = (uint64_t)block * KEYDIR_BLOCK_BUCKETS;
    const uint64_t end = keydir_bucket_count(keydir);
    for (uint64_t index = first; index < first + KEYDIR_BLOCK_BUCKETS && index < end; index++) {
        struct keydir_probe probe;
        do {
            keydir_probe_bucket(keydir, keydir_bucket_at(keydir, index), index, index, &probe);
            uint64_t entry;
            while ((entry = keydir_probe_entry(&probe)) != 0)
                if (is_stale(context, entry & KEYDIR_LOCATION_MAX)) return true;
        } while (keydir_probe_changed(&probe)); /* K1 */
    }
    return false;
}

void keydir_sweep_block(struct keydir *keydir, uint32_t block, keydir_is_stale is_stale, void *context,
                        uint64_t *ret_dropped)
{
    assert(keydir_block_is_loaded(keydir, block));
    struct keydir_bucket *const buckets = keydir_bucket_at(keydir, (uint64_t)block * KEYDIR_BLOCK_BUCKETS);
    struct sweep sweep = {is_stale, context};
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++)
        dropped += keydir_bucket_drop(&keydir->pool, &buckets[i], sweep_entry, &sweep);

    const uint64_t count = keydir_entry_count(keydir);
    atomic_store_explicit(&keydir->entry_count, count > dropped ? count - dropped : 0, memory_order_relaxed);
    *ret_dropped = dropped;
}
