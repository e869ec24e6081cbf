/* SPDX-License-Identifier: MIT */
/*
 * The keydir: life, look-ups, and the mutator's changes of one entry. See keydir.h, and keydir_bucket.h for
 * threads.
 */
#include "index/keydir.h"

#include <string.h>

#include "index/keydir_bucket.h"

/*
 * Hops along a chain after which a probe looks whether it has strayed: in an unchanged bucket a chain just
 * ends.
 */
enum { PROBE_HOPS_CHECK = 32 };

/* ---- life ---- */

/* Makes every block of the first `bucket_count` buckets known to the directory. */
static enum stave_status reserve_directory(struct keydir *keydir, uint64_t bucket_count)
{
    const uint64_t end = (bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS;
    enum stave_status status = STAVE_OK;
    for (uint64_t block = 0; block < end && status >= 0; block += KEYDIR_LEAF_COUNT)
        status = keydir_directory_reserve(&keydir->blocks, &keydir->pool, block);
    return status;
}

static void start_empty(struct keydir *keydir, struct keydir_memory memory)
{
    memset(keydir, 0, sizeof *keydir);
    keydir_pool_init(&keydir->pool, memory);
}

enum stave_status keydir_add_block(struct keydir *keydir, uint64_t block)
{
    const enum stave_status status = keydir_directory_reserve(&keydir->blocks, &keydir->pool, block);
    if (status < 0) return status;
    void *const piece = keydir_pool_take_piece(&keydir->pool);
    if (piece == NULL) return STAVE_NO_MEMORY;
    atomic_store_explicit(keydir_directory_at(&keydir->blocks, block), (uintptr_t)piece,
                          memory_order_release);
    return STAVE_OK;
}

enum stave_status keydir_init(struct keydir *keydir, struct keydir_memory memory)
{
    start_empty(keydir, memory);
    enum stave_status status = STAVE_OK;
    for (uint64_t block = 0; block < KEYDIR_BUCKET_COUNT_MIN / KEYDIR_BLOCK_BUCKETS && status >= 0; block++)
        status = keydir_add_block(keydir, block);
    if (status < 0) {
        keydir_free(keydir);
        return status;
    }
    atomic_store(&keydir->bucket_count, KEYDIR_BUCKET_COUNT_MIN);
    return STAVE_OK;
}

enum stave_status keydir_init_image(struct keydir *keydir, struct keydir_memory memory, uint64_t bucket_count,
                                    uint64_t entry_count, struct keydir_loader loader)
{
    start_empty(keydir, memory);
    if (bucket_count < KEYDIR_BUCKET_COUNT_MIN || bucket_count > KEYDIR_BUCKET_COUNT_MAX)
        return STAVE_CORRUPT;
    const enum stave_status status = reserve_directory(keydir, bucket_count);
    if (status < 0) {
        keydir_free(keydir);
        return status;
    }
    keydir->loader = loader;
    keydir->image_bucket_count = bucket_count;
    atomic_store(&keydir->entry_count, entry_count);
    atomic_store(&keydir->bucket_count, bucket_count);
    atomic_store(&keydir->unloaded_count, keydir_block_count(keydir));
    return STAVE_OK;
}

void keydir_free(struct keydir *keydir)
{
    keydir_pool_free(&keydir->pool);
    memset(keydir, 0, sizeof *keydir);
}

/* ---- counts ---- */

uint64_t keydir_bucket_count(const struct keydir *keydir)
{
    return keydir_load(&keydir->bucket_count);
}

uint64_t keydir_entry_count(const struct keydir *keydir)
{
    return atomic_load_explicit(&keydir->entry_count, memory_order_relaxed);
}

void keydir_stat(struct keydir *keydir, struct keydir_stats *ret_stats)
{
    struct keydir_pool_stats pool;
    keydir_pool_stat(&keydir->pool, &pool);
    *ret_stats = (struct keydir_stats){
        .entry_count = keydir_entry_count(keydir),
        .bucket_count = keydir_bucket_count(keydir),
        .area_count = pool.area_count,
        .area_used_count = pool.area_used_count,
        .memory_size = pool.memory_size,
        .unloaded_count = atomic_load_explicit(&keydir->unloaded_count, memory_order_relaxed),
    };
}

/* ---- readers ---- */

void keydir_prefetch(const struct keydir *keydir, uint64_t hash)
{
    const uint64_t index = keydir_bucket_index(hash, keydir_bucket_count(keydir));
    const struct keydir_bucket *const bucket = keydir_bucket_at(keydir, index);
    if (bucket != NULL) __builtin_prefetch(bucket);
}

void keydir_probe_bucket(const struct keydir *keydir, const struct keydir_bucket *bucket, uint64_t index,
                         uint64_t hash, struct keydir_probe *ret_probe)
{
    const uint64_t word = keydir_load(&bucket->word);
    *ret_probe = (struct keydir_probe){
        .keydir = keydir,
        .word = &bucket->word,
        .entries = bucket->entries,
        .count = KEYDIR_BUCKET_ENTRIES,
        .link = (uint32_t)word,
        .version = keydir_word_version(word),
        .hash = hash,
        .bucket = index,
    };
}

enum stave_status keydir_probe_begin(struct keydir *keydir, uint64_t hash, struct keydir_probe *ret_probe)
{
    for (;;) { /* once more after each block loaded, which happens once for each */
        const uint64_t index = keydir_bucket_index(hash, keydir_bucket_count(keydir));
        const struct keydir_bucket *const bucket = keydir_bucket_at(keydir, index);
        if (bucket != NULL) {
            keydir_probe_bucket(keydir, bucket, index, hash, ret_probe);
            return STAVE_OK;
        }
        const enum stave_status status = keydir_load_block(keydir, (uint32_t)(index / KEYDIR_BLOCK_BUCKETS));
        if (status < 0) return status;
    }
}

/* Moves a probe on to the next area. False: there is none, or the bucket changed under a long walk. */
static bool probe_hop(struct keydir_probe *probe)
{
    if (probe->link == 0) return false;
    if (++probe->hops % PROBE_HOPS_CHECK == 0 && keydir_probe_changed(probe)) return false;
    const struct keydir_area *const area = keydir_area_at(&probe->keydir->pool, probe->link);
    probe->entries = area->entries;
    probe->count = KEYDIR_AREA_ENTRIES;
    probe->link = (uint32_t)keydir_load(&area->link);
    return true;
}

uint64_t keydir_probe_entry(struct keydir_probe *probe)
{
    while (probe->count > 0 || probe_hop(probe)) {
        probe->count--;
        const uint64_t entry = keydir_load(probe->entries++);
        if (entry != 0) return entry;
    }
    return 0;
}

bool keydir_probe_next(struct keydir_probe *probe, uint64_t *ret_location)
{
    const uint64_t tag = keydir_tag(probe->hash);
    while (probe->count > 0 || probe_hop(probe)) {
        probe->count--;
        const uint64_t entry = keydir_load(probe->entries++);
        if (entry >> KEYDIR_ENTRY_SHIFT != tag || entry == 0) continue;
        *ret_location = entry & KEYDIR_LOCATION_MAX;
        return true;
    }
    return false;
}

bool keydir_probe_changed(const struct keydir_probe *probe)
{
    const uint64_t word = keydir_load(probe->word);
    const uint64_t index = keydir_bucket_index(probe->hash, keydir_bucket_count(probe->keydir));
    return keydir_word_version(word) != probe->version || index != probe->bucket;
}

/* ---- the mutator ---- */

static struct keydir_bucket *own_bucket(const struct keydir *keydir, uint64_t hash)
{
    const uint64_t index = keydir_bucket_index(hash, keydir_bucket_count(keydir));
    struct keydir_bucket *const bucket = keydir_bucket_at(keydir, index);
    assert(bucket != NULL); /* probed before */
    return bucket;
}

enum stave_status keydir_reserve(struct keydir *keydir, uint64_t count)
{
    return keydir_pool_promise(&keydir->pool, count);
}

void keydir_insert(struct keydir *keydir, uint64_t hash, uint64_t location)
{
    assert(location != 0 && location <= KEYDIR_LOCATION_MAX); /* K4 */
    const uint64_t entry = keydir_entry(hash, location);
    struct keydir_bucket *const bucket = own_bucket(keydir, hash);
    if (!keydir_bucket_add(&keydir->pool, bucket, entry))
        keydir_bucket_add_area(&keydir->pool, bucket, entry, keydir_pool_take(&keydir->pool));
    keydir_pool_use_promise(&keydir->pool);
    atomic_store_explicit(&keydir->entry_count, keydir_entry_count(keydir) + 1, memory_order_relaxed);
    keydir_catch_up(keydir);
}

bool keydir_replace(struct keydir *keydir, uint64_t hash, uint64_t location, uint64_t new_location)
{
    assert(new_location != 0 && new_location <= KEYDIR_LOCATION_MAX); /* K4 */
    _Atomic uint64_t *const place =
        keydir_bucket_find(&keydir->pool, own_bucket(keydir, hash), keydir_entry(hash, location));
    if (place == NULL || location == 0) return false;
    keydir_store(place, keydir_entry(hash, new_location)); /* K3 */
    return true;
}

bool keydir_remove(struct keydir *keydir, uint64_t hash, uint64_t location)
{
    struct keydir_bucket *const bucket = own_bucket(keydir, hash);
    _Atomic uint64_t *const place = keydir_bucket_find(&keydir->pool, bucket, keydir_entry(hash, location));
    if (place == NULL || location == 0) return false;
    const uint32_t freed = keydir_bucket_take_out(&keydir->pool, bucket, place);
    if (freed != 0) keydir_pool_return(&keydir->pool, freed);
    const uint64_t count = keydir_entry_count(keydir);
    if (count > 0) atomic_store_explicit(&keydir->entry_count, count - 1, memory_order_relaxed);
    return true;
}

bool keydir_has(const struct keydir *keydir, uint64_t hash, uint64_t location)
{
    if (location == 0) return false;
    return keydir_bucket_find(&keydir->pool, own_bucket(keydir, hash), keydir_entry(hash, location)) != NULL;
}
