/* SPDX-License-Identifier: MIT */
/*
 * The keydir's blocks as bytes: export for a checkpoint, import of an image block by block.
 *
 * A block of the image that is not loaded has not been split: a split loads the block it takes from and the
 * block it gives to. So a block's bytes, whenever they are loaded, belong to the table of image_bucket_count
 * buckets. The word of a block in the directory says its state: 0 not loaded, a pointer with
 * KEYDIR_IS_FILLING set while it is filled by hand, else the pointer to its buckets; a reader that sees the
 * last sees all that was put in before.
 */
#include <string.h>

#include "base/bytes.h"
#include "index/keydir_bucket.h"

enum {
    IMAGE_COUNT_LONG = 255, /* count byte: the count stands in 4 bytes before the entries */
    IMAGE_LONG_SIZE = 4,
    IMAGE_ENTRY_SIZE = 8,
    EXPORT_PREFETCH_AHEAD = 12, /* buckets */
};

uint32_t keydir_block_count(const struct keydir *keydir)
{
    const uint64_t bucket_count = keydir_bucket_count(keydir);
    return (uint32_t)((bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS);
}

uint32_t keydir_block_of(const struct keydir *keydir, uint64_t hash)
{
    return (uint32_t)(keydir_bucket_index(hash, keydir_bucket_count(keydir)) / KEYDIR_BLOCK_BUCKETS);
}

bool keydir_block_is_loaded(const struct keydir *keydir, uint32_t block)
{
    return keydir_word_is_loaded(keydir_block_word(keydir, block));
}

enum stave_status keydir_load_block(struct keydir *keydir, uint32_t block)
{
    if (keydir_block_is_loaded(keydir, block)) return STAVE_OK;
    const enum stave_status status = keydir->loader.load(keydir->loader.context, block);
    if (status < 0) return status;
    assert(keydir_block_is_loaded(keydir, block)); /* what the loader promises */
    return STAVE_OK;
}

/* ---- export ---- */

struct exporter {
    const struct keydir *keydir;
    uint8_t *buffer;
    size_t capacity;
    size_t size;
    uint64_t tag_mask; /* of the bucket at hand: the tag bits that tell its entries */
    uint64_t tag;
};

static void export_entry(struct exporter *exporter, uint64_t entry)
{
    if (entry == 0 || (entry >> KEYDIR_ENTRY_SHIFT & exporter->tag_mask) != exporter->tag) return;
    if (exporter->size <= exporter->capacity && exporter->capacity - exporter->size >= IMAGE_ENTRY_SIZE)
        store_le64(exporter->buffer + exporter->size, entry);
    exporter->size += IMAGE_ENTRY_SIZE;
}

/* With room for all of them each is written, and kept by counting it: no branch to mispredict. */
static void export_entries(struct exporter *exporter, const _Atomic uint64_t *entries, uint32_t count)
{
    const size_t size_max = (size_t)count * IMAGE_ENTRY_SIZE;
    if (exporter->size > exporter->capacity || exporter->capacity - exporter->size < size_max) {
        for (uint32_t i = 0; i < count; i++) export_entry(exporter, keydir_load(&entries[i]));
        return;
    }
    uint8_t *at = exporter->buffer + exporter->size;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t entry = keydir_load(&entries[i]);
        const bool is_ours = (entry >> KEYDIR_ENTRY_SHIFT & exporter->tag_mask) == exporter->tag;
        store_le64(at, entry);
        at += (size_t)((entry != 0) & is_ours) * IMAGE_ENTRY_SIZE;
    }
    exporter->size = (size_t)(at - exporter->buffer);
}

/* Moves a bucket's entries up to make room for a count of 4 bytes. */
static void export_long_count(struct exporter *exporter, size_t begin, size_t count)
{
    const size_t entries_size = exporter->size - begin;
    exporter->size += IMAGE_LONG_SIZE;
    if (exporter->size > exporter->capacity) return;
    memmove(exporter->buffer + begin + IMAGE_LONG_SIZE, exporter->buffer + begin, entries_size);
    store_le32(exporter->buffer + begin, (uint32_t)count);
}

static void export_bucket(struct exporter *exporter, const struct keydir_bucket *bucket, uint64_t index)
{
    const size_t begin = exporter->size;
    export_entries(exporter, bucket->entries, KEYDIR_BUCKET_ENTRIES);
    for (uint32_t link = (uint32_t)keydir_load(&bucket->word); link != 0;) {
        const struct keydir_area *const area = keydir_area_at(&exporter->keydir->pool, link);
        export_entries(exporter, area->entries, KEYDIR_AREA_ENTRIES);
        link = (uint32_t)keydir_load(&area->link);
    }
    const size_t count = (exporter->size - begin) / IMAGE_ENTRY_SIZE;
    const size_t byte = count < IMAGE_COUNT_LONG ? count : IMAGE_COUNT_LONG;
    if (count >= IMAGE_COUNT_LONG) export_long_count(exporter, begin, count);
    const size_t count_at = index % KEYDIR_BLOCK_BUCKETS;
    if (count_at < exporter->capacity) exporter->buffer[count_at] = (uint8_t)byte;
}

static void prefetch_chain(const struct keydir *keydir, const struct keydir_bucket *bucket)
{
    const uint32_t link = (uint32_t)keydir_load(&bucket->word);
    if (link != 0) __builtin_prefetch(keydir_area_at(&keydir->pool, link));
}

size_t keydir_export_block(struct keydir *keydir, uint32_t block, uint8_t *buffer, size_t capacity)
{
    assert(keydir_block_is_loaded(keydir, block));
    const uint64_t first = (uint64_t)block * KEYDIR_BLOCK_BUCKETS;
    struct keydir_bucket *const buckets = keydir_bucket_at(keydir, first);
    const uint64_t bucket_count = keydir_bucket_count(keydir);
    struct exporter exporter = {keydir, buffer, capacity, KEYDIR_BLOCK_BUCKETS, 0, 0};
    for (uint32_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++) {
        if (i + EXPORT_PREFETCH_AHEAD < KEYDIR_BLOCK_BUCKETS)
            prefetch_chain(keydir, &buckets[i + EXPORT_PREFETCH_AHEAD]);
        exporter.tag_mask = keydir_depth_mask(first + i, bucket_count) >> KEYDIR_TAG_SHIFT;
        exporter.tag = (first + i) >> KEYDIR_TAG_SHIFT;
        export_bucket(&exporter, &buckets[i], first + i);
    }
    return exporter.size;
}

uint64_t keydir_exported_count(const uint8_t *bytes, size_t size)
{
    size_t entries_size = size - KEYDIR_BLOCK_BUCKETS;
    for (size_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++)
        if (bytes[i] == IMAGE_COUNT_LONG) entries_size -= IMAGE_LONG_SIZE;
    return entries_size / IMAGE_ENTRY_SIZE;
}

/* ---- import ---- */

/* A reader of an exported block: consumes, or refuses. */
struct importer {
    const uint8_t *bytes;
    size_t size;
    size_t at;
};

/* The count of the next bucket. False: malformed. */
static bool import_count(struct importer *importer, uint32_t index, uint64_t *ret_count)
{
    uint64_t count = importer->bytes[index];
    if (count == IMAGE_COUNT_LONG) {
        if (importer->size - importer->at < IMAGE_LONG_SIZE) return false;
        count = load_le32(importer->bytes + importer->at);
        if (count < IMAGE_COUNT_LONG) return false;
        importer->at += IMAGE_LONG_SIZE;
    }
    if ((importer->size - importer->at) / IMAGE_ENTRY_SIZE < count) return false;
    *ret_count = count;
    return true;
}

static uint64_t import_entry(struct importer *importer)
{
    const uint64_t entry = load_le64(importer->bytes + importer->at);
    importer->at += IMAGE_ENTRY_SIZE;
    return entry;
}

/* Every entry has a location and belongs to its bucket; `ret_areas` counts the areas that the block needs. */
static bool import_check(const struct keydir *keydir, uint32_t block, struct importer importer,
                         uint64_t *ret_areas)
{
    uint64_t areas = 0;
    if (importer.size < KEYDIR_BLOCK_BUCKETS) return false;
    for (uint32_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++) {
        const uint64_t bucket = (uint64_t)block * KEYDIR_BLOCK_BUCKETS + i;
        uint64_t count;
        if (!import_count(&importer, i, &count)) return false;
        if (count > 0 && bucket >= keydir->image_bucket_count) return false;
        areas += keydir_bucket_areas(count);
        const uint64_t tag_mask = keydir_depth_mask(bucket, keydir->image_bucket_count) >> KEYDIR_TAG_SHIFT;
        for (uint64_t k = 0; k < count; k++) {
            const uint64_t entry = import_entry(&importer);
            if ((entry & KEYDIR_LOCATION_MAX) == 0) return false;
            if ((entry >> KEYDIR_ENTRY_SHIFT & tag_mask) != bucket >> KEYDIR_TAG_SHIFT) return false;
        }
    }
    *ret_areas = areas;
    return importer.at == importer.size;
}

static uint32_t pop_area(const struct keydir_pool *pool, uint32_t *first)
{
    const uint32_t area = *first;
    *first = (uint32_t)keydir_load(&keydir_area_at(pool, area)->link);
    return area;
}

/* Puts checked bytes into `buckets`, which nobody else sees yet, with areas taken before. */
static void import_fill(const struct keydir_pool *pool, struct importer importer,
                        struct keydir_bucket *buckets, uint32_t areas)
{
    for (uint32_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++) {
        uint64_t count = 0;
        const bool is_sound = import_count(&importer, i, &count);
        assert(is_sound);
        for (uint64_t k = 0; k < count; k++) {
            const uint64_t entry = import_entry(&importer);
            if (keydir_bucket_add(pool, &buckets[i], entry)) continue;
            keydir_bucket_add_area(pool, &buckets[i], entry, pop_area(pool, &areas));
        }
    }
    assert(areas == 0);
}

static void publish_block(struct keydir *keydir, uint32_t block, void *buckets)
{
    atomic_store_explicit(keydir_directory_at(&keydir->blocks, block), (uintptr_t)buckets,
                          memory_order_release);
    atomic_fetch_sub_explicit(&keydir->unloaded_count, 1, memory_order_relaxed);
}

static uint32_t image_block_count(const struct keydir *keydir)
{
    return (uint32_t)((keydir->image_bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS);
}

enum stave_status keydir_import_block(struct keydir *keydir, uint32_t block, const uint8_t *bytes,
                                      size_t size)
{
    assert(block < image_block_count(keydir));
    assert(keydir_block_word(keydir, block) == 0);
    const struct importer importer = {bytes, size, KEYDIR_BLOCK_BUCKETS};
    uint64_t area_count = 0;
    if (!import_check(keydir, block, importer, &area_count)) return STAVE_CORRUPT;

    uint32_t areas = 0;
    const enum stave_status status = keydir_pool_take_areas(&keydir->pool, area_count, &areas);
    if (status < 0) return status;
    void *const buckets = keydir_pool_take_piece(&keydir->pool);
    if (buckets == NULL) {
        keydir_pool_return_areas(&keydir->pool, areas);
        return STAVE_NO_MEMORY;
    }
    import_fill(&keydir->pool, importer, buckets, areas);
    publish_block(keydir, block, buckets);
    return STAVE_OK;
}

/* ---- filling by hand ---- */

static struct keydir_bucket *filling_buckets(const struct keydir *keydir, uint32_t block)
{
    const uintptr_t word = keydir_block_word(keydir, block);
    assert((word & KEYDIR_IS_FILLING) != 0);
    return (struct keydir_bucket *)(word & ~KEYDIR_IS_FILLING);
}

static struct keydir_bucket *filling_bucket(const struct keydir *keydir, uint32_t block, uint64_t hash)
{
    const uint64_t index = keydir_bucket_index(hash, keydir->image_bucket_count);
    assert(index / KEYDIR_BLOCK_BUCKETS == block);
    return filling_buckets(keydir, block) + index % KEYDIR_BLOCK_BUCKETS;
}

enum stave_status keydir_import_begin(struct keydir *keydir, uint32_t block)
{
    assert(block < image_block_count(keydir));
    assert(keydir_block_word(keydir, block) == 0);
    void *const buckets = keydir_pool_take_piece(&keydir->pool);
    if (buckets == NULL) return STAVE_NO_MEMORY;
    atomic_store_explicit(keydir_directory_at(&keydir->blocks, block), (uintptr_t)buckets | KEYDIR_IS_FILLING,
                          memory_order_release);
    return STAVE_OK;
}

enum stave_status keydir_fill(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location)
{
    assert(location != 0 && location <= KEYDIR_LOCATION_MAX); /* K4 */
    struct keydir_bucket *const bucket = filling_bucket(keydir, block, hash);
    const uint64_t entry = keydir_entry(hash, location);
    if (keydir_bucket_add(&keydir->pool, bucket, entry)) return STAVE_OK;
    uint32_t area = 0;
    const enum stave_status status = keydir_pool_take_areas(&keydir->pool, 1, &area);
    if (status < 0) return status;
    keydir_bucket_add_area(&keydir->pool, bucket, entry, area);
    return STAVE_OK;
}

bool keydir_fill_replace(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location,
                         uint64_t new_location)
{
    assert(new_location != 0 && new_location <= KEYDIR_LOCATION_MAX); /* K4 */
    _Atomic uint64_t *const place =
        keydir_bucket_find(&keydir->pool, filling_bucket(keydir, block, hash), keydir_entry(hash, location));
    if (place == NULL || location == 0) return false;
    keydir_store(place, keydir_entry(hash, new_location));
    return true;
}

/* Gives an area that became free back to all, not to the mutator's stash: the loader is another thread. */
static void fill_return(struct keydir *keydir, uint32_t area)
{
    if (area == 0) return;
    keydir_store(&keydir_area_at(&keydir->pool, area)->link, 0);
    keydir_pool_return_areas(&keydir->pool, area);
}

bool keydir_fill_remove(struct keydir *keydir, uint32_t block, uint64_t hash, uint64_t location)
{
    struct keydir_bucket *const bucket = filling_bucket(keydir, block, hash);
    _Atomic uint64_t *const place = keydir_bucket_find(&keydir->pool, bucket, keydir_entry(hash, location));
    if (place == NULL || location == 0) return false;
    fill_return(keydir, keydir_bucket_take_out(&keydir->pool, bucket, place));
    return true;
}

void keydir_fill_probe(const struct keydir *keydir, uint32_t block, uint64_t hash,
                       struct keydir_probe *ret_probe)
{
    const uint64_t index = keydir_bucket_index(hash, keydir->image_bucket_count);
    keydir_probe_bucket(keydir, filling_bucket(keydir, block, hash), index, hash, ret_probe);
}

void keydir_import_end(struct keydir *keydir, uint32_t block)
{
    publish_block(keydir, block, filling_buckets(keydir, block));
}

/* Takes all entries out of a bucket, so that its areas go back empty (M2). */
static void fill_empty(struct keydir *keydir, struct keydir_bucket *bucket)
{
    while ((uint32_t)keydir_load(&bucket->word) != 0)
        fill_return(keydir, keydir_bucket_take_out(&keydir->pool, bucket, &bucket->entries[0]));
}

void keydir_import_cancel(struct keydir *keydir, uint32_t block)
{
    struct keydir_bucket *const buckets = filling_buckets(keydir, block);
    for (uint32_t i = 0; i < KEYDIR_BLOCK_BUCKETS; i++) fill_empty(keydir, &buckets[i]);
    atomic_store_explicit(keydir_directory_at(&keydir->blocks, block), 0, memory_order_release);
    keydir_pool_return_piece(&keydir->pool, buckets);
}
