/* SPDX-License-Identifier: MIT */
/* Export and import of the keydir's blocks, and walks: K6, K7, K8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/keydir_bucket.h"
#include "support/keydir_pages.h"

enum { IMAGE_CAPACITY = 1 << 20, KEY_COUNT = 700000 };

/* An image in memory, and the keydir loaded from it. */
struct image {
    struct keydir *keydir; /* to load into */
    uint8_t **blocks;
    size_t *sizes;
    uint32_t block_count;
    uint64_t bucket_count;
    uint64_t entry_count;
    uint64_t load_count;
    uint32_t refused_block; /* UINT32_MAX: none */
};

static void image_add_block(struct image *image, struct keydir *keydir, uint32_t block)
{
    static uint8_t buffer[IMAGE_CAPACITY];
    const size_t size = keydir_export_block(keydir, block, buffer, sizeof buffer);
    assert_true(size <= sizeof buffer);
    image->blocks[block] = malloc(size);
    assert_non_null(image->blocks[block]);
    memcpy(image->blocks[block], buffer, size);
    image->sizes[block] = size;
}

static void image_begin(struct image *image, const struct keydir *keydir)
{
    memset(image, 0, sizeof *image);
    image->block_count = keydir_block_count(keydir);
    image->bucket_count = keydir_bucket_count(keydir);
    image->entry_count = keydir_entry_count(keydir);
    image->refused_block = UINT32_MAX;
    image->blocks = calloc(image->block_count, sizeof *image->blocks);
    image->sizes = calloc(image->block_count, sizeof *image->sizes);
    assert_non_null(image->blocks);
    assert_non_null(image->sizes);
}

static void image_free(struct image *image)
{
    for (uint32_t block = 0; block < image->block_count; block++) free(image->blocks[block]);
    free(image->blocks);
    free(image->sizes);
}

static void image_take(struct image *image, struct keydir *keydir)
{
    image_begin(image, keydir);
    for (uint32_t block = 0; block < image->block_count; block++) image_add_block(image, keydir, block);
}

static enum stave_status image_load(void *context, uint32_t block)
{
    struct image *const image = context;
    if (block == image->refused_block) return STAVE_IO;
    image->load_count++;
    return keydir_import_block(image->keydir, block, image->blocks[block], image->sizes[block]);
}

static void open_image(struct image *image, struct keydir *keydir, struct keydir_pages *pages)
{
    image->keydir = keydir;
    image->load_count = 0;
    assert_int_equal(keydir_init_image(keydir, keydir_pages_memory(pages), image->bucket_count,
                                       image->entry_count, (struct keydir_loader){image, image_load}),
                     STAVE_OK);
}

static void make_keydir(struct keydir *keydir, struct keydir_pages *pages, uint64_t count)
{
    assert_int_equal(keydir_init(keydir, keydir_pages_memory(pages)), STAVE_OK);
    for (uint64_t key = 0; key < count; key++) assert_int_equal(keydir_test_add(keydir, key, 0), STAVE_OK);
}

static void expect_keys(struct keydir *keydir, uint64_t begin, uint64_t end)
{
    for (uint64_t key = begin; key < end; key++)
        assert_int_equal(keydir_test_find(keydir, key), keydir_test_location(key, 0));
}

/* Export and import. */

/* K6: a block is loaded once, by its first use, and the table grows on from there. */
static void an_image_loads_block_by_block_and_grows_on(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &pages, KEY_COUNT);
    assert_true(keydir_bucket_count(&old) % KEYDIR_BLOCK_BUCKETS != 0);
    image_take(&image, &old);
    open_image(&image, &new, &pages);
    assert_int_equal(keydir_entry_count(&new), KEY_COUNT);
    const uint32_t block = keydir_block_of(&new, keydir_test_hash(5));
    assert_false(keydir_block_is_loaded(&new, block));
    expect_keys(&new, 5, 6);
    assert_true(keydir_block_is_loaded(&new, block));
    assert_int_equal(image.load_count, 1);

    for (uint64_t key = KEY_COUNT; key < 2 * KEY_COUNT; key++) {
        assert_int_equal(keydir_test_find(&new, key), 0);
        assert_int_equal(keydir_test_add(&new, key, 0), STAVE_OK);
    }
    expect_keys(&new, 0, 2 * KEY_COUNT);
    assert_int_equal(image.load_count, image.block_count);
    struct keydir_stats stats;
    keydir_stat(&new, &stats);
    assert_int_equal(stats.unloaded_count, 0);
    assert_int_equal(stats.entry_count, 2 * KEY_COUNT);
    keydir_free(&old);
    keydir_free(&new);
    assert_int_equal(pages.mapped_size, 0);
    image_free(&image);
}

/* A put changes blocks exported and blocks still to come; what was there before and after is in the image. */
static void an_image_taken_while_keys_change_holds_what_was_there_throughout(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &pages, KEY_COUNT);
    keydir_freeze(&old);
    image_begin(&image, &old);
    uint64_t next = 0;
    for (uint32_t block = 0; block < image.block_count; block++) {
        image_add_block(&image, &old, block);
        for (uint64_t i = 0; i < 2000; i++, next++) {
            assert_int_equal(keydir_test_add(&old, KEY_COUNT + next, 0), STAVE_OK);
            if (next >= KEY_COUNT / 2) continue;
            assert_true(keydir_remove(&old, keydir_test_hash(next), keydir_test_location(next, 0)));
        }
    }
    keydir_thaw(&old);
    open_image(&image, &new, &pages);
    expect_keys(&new, next < KEY_COUNT / 2 ? next : KEY_COUNT / 2, KEY_COUNT);
    keydir_free(&old);
    keydir_free(&new);
    image_free(&image);
}

static void export_tells_the_size_it_needs(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    static uint8_t whole[IMAGE_CAPACITY];
    static uint8_t part[IMAGE_CAPACITY];
    make_keydir(&keydir, &pages, KEY_COUNT);
    const size_t size = keydir_export_block(&keydir, 3, whole, sizeof whole);
    assert_true(size < KEYDIR_EXPORT_SIZE);
    for (size_t capacity = 0; capacity <= size; capacity += capacity + 9 < size && capacity > 20 ? 101 : 1) {
        memset(part, 0xEE, sizeof part);
        assert_int_equal(keydir_export_block(&keydir, 3, part, capacity), size);
        assert_int_equal(part[capacity], 0xEE);
    }
    assert_int_equal(keydir_export_block(&keydir, 3, part, size), size);
    assert_memory_equal(part, whole, size);
    keydir_free(&keydir);
}

static void buckets_of_255_and_more_entries_survive_export(void **state)
{
    (void)state;
    for (uint64_t count = 253; count <= 1000; count += count < 258 ? 1 : 371) {
        struct keydir_pages pages = {0};
        struct keydir old;
        struct keydir new;
        struct image image;
        assert_int_equal(keydir_init(&old, keydir_pages_memory(&pages)), STAVE_OK);
        assert_int_equal(keydir_reserve(&old, count), STAVE_OK);
        for (uint64_t i = 1; i <= count; i++) keydir_insert(&old, 42, i);
        image_take(&image, &old);
        open_image(&image, &new, &pages);
        struct keydir_probe probe;
        assert_int_equal(keydir_probe_begin(&new, 42, &probe), STAVE_OK);
        for (uint64_t i = 1; i <= count; i++) assert_true(keydir_has(&new, 42, i));
        keydir_free(&old);
        keydir_free(&new);
        image_free(&image);
    }
}

/*
 * Every cut and every changed byte is refused, or is a block that could have been exported. Never an
 * assertion.
 */
static void damaged_blocks_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &pages, KEY_COUNT);
    image_take(&image, &old);
    open_image(&image, &new, &pages);
    uint8_t *const bytes = image.blocks[1];
    const size_t size = image.sizes[1];
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(keydir_import_block(&new, 1, bytes, cut), STAVE_CORRUPT);
    for (size_t at = 0; at < KEYDIR_BLOCK_BUCKETS; at++) { /* the counts: the sizes no longer agree */
        bytes[at] ^= 1;
        assert_int_equal(keydir_import_block(&new, 1, bytes, size), STAVE_CORRUPT);
        bytes[at] ^= 1;
    }
    for (size_t at = KEYDIR_BLOCK_BUCKETS + 5; at + 3 <= size; at += 8) { /* tags: of another bucket */
        bytes[at] ^= 1;
        assert_int_equal(keydir_import_block(&new, 1, bytes, size), STAVE_CORRUPT);
        bytes[at] ^= 1;
    }
    memset(bytes + KEYDIR_BLOCK_BUCKETS, 0, 5); /* location 0 */
    assert_int_equal(keydir_import_block(&new, 1, bytes, size), STAVE_CORRUPT);
    assert_false(keydir_block_is_loaded(&new, 1));
    struct keydir_stats stats;
    keydir_stat(&new, &stats);
    assert_int_equal(stats.area_used_count, 0);
    assert_int_equal(stats.unloaded_count, image.block_count);
    keydir_free(&old);
    keydir_free(&new);
    image_free(&image);
}

static void an_image_of_an_impossible_size_is_refused(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    const uint64_t counts[] = {0, 1, KEYDIR_BUCKET_COUNT_MIN - 1, KEYDIR_BUCKET_COUNT_MAX + 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_int_equal(keydir_init_image(&keydir, keydir_pages_memory(&pages), counts[i], 0,
                                           (struct keydir_loader){NULL, NULL}),
                         STAVE_CORRUPT);
    assert_int_equal(pages.mapped_size, 0);
}

/* A probe reports what loading failed with; an insert elsewhere does not fail, its split is put off. */
static void a_block_that_cannot_be_loaded_fails_its_readers_only(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &pages, KEY_COUNT);
    image_take(&image, &old);
    open_image(&image, &new, &pages);
    const uint64_t bucket_count = keydir_bucket_count(&new);
    const uint64_t split_source = bucket_count - (UINT64_C(1) << (63 - __builtin_clzll(bucket_count)));
    image.refused_block = (uint32_t)(split_source / KEYDIR_BLOCK_BUCKETS);
    uint64_t refused = 0;
    for (uint64_t key = KEY_COUNT; key < KEY_COUNT + 100000; key++) {
        struct keydir_probe probe;
        const enum stave_status status = keydir_probe_begin(&new, keydir_test_hash(key), &probe);
        refused += status == STAVE_IO;
        if (status == STAVE_OK)
            assert_int_equal(keydir_test_add(&new, key, 0), STAVE_OK);
        else
            assert_int_equal(keydir_block_of(&new, keydir_test_hash(key)), image.refused_block);
    }
    assert_true(refused > 0);
    assert_int_equal(keydir_bucket_count(&new), bucket_count);
    image.refused_block = UINT32_MAX;
    for (uint64_t key = KEY_COUNT; key < KEY_COUNT + 200000; key++) {
        if (keydir_test_find(&new, key) == 0) assert_int_equal(keydir_test_add(&new, key, 0), STAVE_OK);
    }
    assert_true(keydir_bucket_count(&new) > bucket_count);
    expect_keys(&new, 0, KEY_COUNT + 200000);
    keydir_free(&old);
    keydir_free(&new);
    image_free(&image);
}

/* K8. */
static void import_without_memory_leaves_the_block_unloaded(void **state)
{
    (void)state;
    struct keydir_pages old_pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &old_pages, KEY_COUNT);
    image_take(&image, &old);
    for (uint64_t refuse_from = 1; refuse_from < 8; refuse_from++) {
        struct keydir_pages pages = {.refuse_from = refuse_from};
        image.keydir = &new;
        if (keydir_init_image(&new, keydir_pages_memory(&pages), image.bucket_count, image.entry_count,
                              (struct keydir_loader){&image, image_load}) < 0)
            continue;
        struct keydir_probe probe;
        enum stave_status status = STAVE_OK;
        uint32_t block = 0;
        while (block < image.block_count && (status = keydir_load_block(&new, block)) == STAVE_OK) block++;
        if (status < 0) assert_int_equal(status, STAVE_NO_MEMORY);
        if (status < 0) assert_false(keydir_block_is_loaded(&new, block));
        pages.refuse_from = 0;
        expect_keys(&new, 0, KEY_COUNT);
        assert_int_equal(keydir_probe_begin(&new, 1, &probe), STAVE_OK);
        keydir_free(&new);
        assert_int_equal(pages.mapped_size, 0);
    }
    keydir_free(&old);
    image_free(&image);
}

/* Filling by hand. */

/* Fills a block with its keys, once with detours. */
static enum stave_status fill_load(void *context, uint32_t block)
{
    struct image *const image = context;
    struct keydir *const keydir = image->keydir;
    if (block % 2 != 0) return image_load(context, block);
    image->load_count++;
    enum stave_status status = keydir_import_begin(keydir, block);
    for (uint64_t key = 0; key < KEY_COUNT && status >= 0; key++) {
        const uint64_t hash = keydir_test_hash(key);
        if (keydir_block_of(keydir, hash) != block) continue;
        assert_false(keydir_block_is_loaded(keydir, block));
        status = keydir_fill(keydir, block, hash, keydir_test_location(key, 9));
        if (status < 0) break;
        struct keydir_probe probe;
        keydir_fill_probe(keydir, block, hash, &probe);
        uint64_t location = 0;
        while (keydir_probe_next(&probe, &location) && location != keydir_test_location(key, 9)) continue;
        assert_int_equal(location, keydir_test_location(key, 9));
        assert_true(keydir_fill_replace(keydir, block, hash, location, keydir_test_location(key, 0)));
        assert_false(keydir_fill_remove(keydir, block, hash, location));
        if (key % 5 != 0) continue;
        assert_true(keydir_fill_remove(keydir, block, hash, keydir_test_location(key, 0)));
        status = keydir_fill(keydir, block, hash, keydir_test_location(key, 0));
    }
    if (status < 0) return status;
    if (image->refused_block == block) {
        image->refused_block = UINT32_MAX;
        keydir_import_cancel(keydir, block);
        return STAVE_IO;
    }
    keydir_import_end(keydir, block);
    return STAVE_OK;
}

static void a_damaged_block_can_be_filled_by_hand(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    make_keydir(&old, &pages, KEY_COUNT);
    image_take(&image, &old);
    image.keydir = &new;
    image.refused_block = 6;
    assert_int_equal(keydir_init_image(&new, keydir_pages_memory(&pages), image.bucket_count,
                                       image.entry_count, (struct keydir_loader){&image, fill_load}),
                     STAVE_OK);
    assert_int_equal(keydir_load_block(&new, 6), STAVE_IO);
    struct keydir_stats stats;
    keydir_stat(&new, &stats);
    assert_int_equal(stats.area_used_count, 0);
    assert_int_equal(stats.unloaded_count, image.block_count);
    expect_keys(&new, 0, KEY_COUNT);
    assert_int_equal(image.load_count, image.block_count + 1);
    keydir_free(&old);
    keydir_free(&new);
    image_free(&image);
}

/* Walks. */

struct walk {
    uint64_t position;
    bool is_over;
    uint32_t *seen; /* times, of each key below KEY_COUNT */
};

static void walk_steps(struct walk *walk, struct keydir *keydir, uint64_t steps)
{
    uint64_t locations[KEYDIR_WALK_CAPACITY];
    for (uint64_t i = 0; i < steps && !walk->is_over; i++) {
        size_t count = 0;
        assert_int_equal(
            keydir_walk(keydir, &walk->position, locations, KEYDIR_WALK_CAPACITY, &count, &walk->is_over),
            STAVE_OK);
        for (size_t k = 0; k < count; k++) {
            const uint64_t key = (locations[k] & UINT32_MAX) - 1;
            if (key < KEY_COUNT) walk->seen[key]++;
        }
    }
}

static void walk_begin(struct walk *walk)
{
    *walk = (struct walk){.seen = calloc(KEY_COUNT, sizeof *walk->seen)};
    assert_non_null(walk->seen);
}

/* Keys below KEY_COUNT were there all the time. */
static void walk_expect_all(struct walk *walk, uint32_t times_max)
{
    assert_true(walk->is_over);
    for (uint64_t key = 0; key < KEY_COUNT; key++) {
        assert_true(walk->seen[key] >= 1); /* K7 */
        assert_true(walk->seen[key] <= times_max);
    }
    free(walk->seen);
}

static void a_walk_of_a_table_at_rest_gives_each_entry_once(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    struct walk walk;
    make_keydir(&keydir, &pages, KEY_COUNT);
    walk_begin(&walk);
    walk_steps(&walk, &keydir, keydir_bucket_count(&keydir));
    walk_expect_all(&walk, 1);
    keydir_free(&keydir);
}

static void a_walk_misses_nothing_while_the_table_grows(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    struct walk walk;
    make_keydir(&keydir, &pages, KEY_COUNT);
    walk_begin(&walk);
    for (uint64_t key = KEY_COUNT; !walk.is_over; key++) {
        walk_steps(&walk, &keydir, 1 + key % 2);
        for (uint64_t i = 0; i < 5; i++)
            assert_int_equal(keydir_test_add(&keydir, KEY_COUNT + (key - KEY_COUNT) * 5 + i, 0), STAVE_OK);
    }
    walk_expect_all(&walk, 1);
    keydir_free(&keydir);
}

/* The table is made anew at other sizes between steps, as by opening the store again. */
static void a_walk_misses_nothing_when_the_table_is_rebuilt_at_other_sizes(void **state)
{
    (void)state;
    struct walk walk;
    walk_begin(&walk);
    const uint64_t sizes[] = {2 * KEY_COUNT, KEY_COUNT, 3 * KEY_COUNT, KEY_COUNT + 90000, KEY_COUNT};
    const uint64_t steps[] = {90001, 30011, 150003, 25013, UINT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct keydir_pages pages = {0};
        struct keydir keydir;
        make_keydir(&keydir, &pages, sizes[i]);
        walk_steps(&walk, &keydir, steps[i]);
        keydir_free(&keydir);
    }
    walk_expect_all(&walk, 3);
}

static void a_walk_goes_on_in_an_image_and_loads_it(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir old;
    struct keydir new;
    struct image image;
    struct walk walk;
    make_keydir(&old, &pages, KEY_COUNT);
    image_take(&image, &old);
    walk_begin(&walk);
    walk_steps(&walk, &old, 50000);
    open_image(&image, &new, &pages);
    image.refused_block = 0;
    uint64_t position = 0;
    uint64_t locations[KEYDIR_WALK_CAPACITY];
    size_t count = 0;
    bool is_over = false;
    assert_int_equal(keydir_walk(&new, &position, locations, KEYDIR_WALK_CAPACITY, &count, &is_over),
                     STAVE_IO);
    assert_int_equal(position, 0);
    image.refused_block = UINT32_MAX;
    walk_steps(&walk, &new, UINT64_MAX);
    walk_expect_all(&walk, 1);
    keydir_free(&old);
    keydir_free(&new);
    image_free(&image);
}

static void a_walk_says_when_a_bucket_does_not_fit_and_stays(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    assert_int_equal(keydir_reserve(&keydir, 20), STAVE_OK);
    for (uint64_t i = 1; i <= 20; i++) keydir_insert(&keydir, 0, i);
    uint64_t position = 77; /* inside bucket 0 */
    uint64_t locations[20];
    size_t count = 0;
    bool is_end = false;
    assert_int_equal(keydir_walk(&keydir, &position, locations, 19, &count, &is_end), STAVE_LIMIT);
    assert_int_equal(position, 77);
    assert_int_equal(keydir_walk(&keydir, &position, locations, 20, &count, &is_end), STAVE_OK);
    assert_int_equal(count, 20);
    assert_int_equal(position, UINT64_C(1) << 48);
    position = UINT64_MAX; /* the last bucket, as a random position may be */
    assert_int_equal(keydir_walk(&keydir, &position, locations, 20, &count, &is_end), STAVE_OK);
    assert_true(is_end);
    keydir_free(&keydir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_loads_block_by_block_and_grows_on),
        cmocka_unit_test(an_image_taken_while_keys_change_holds_what_was_there_throughout),
        cmocka_unit_test(export_tells_the_size_it_needs),
        cmocka_unit_test(buckets_of_255_and_more_entries_survive_export),
        cmocka_unit_test(damaged_blocks_are_refused_and_change_nothing),
        cmocka_unit_test(an_image_of_an_impossible_size_is_refused),
        cmocka_unit_test(a_block_that_cannot_be_loaded_fails_its_readers_only),
        cmocka_unit_test(import_without_memory_leaves_the_block_unloaded),
        cmocka_unit_test(a_damaged_block_can_be_filled_by_hand),
        cmocka_unit_test(a_walk_of_a_table_at_rest_gives_each_entry_once),
        cmocka_unit_test(a_walk_misses_nothing_while_the_table_grows),
        cmocka_unit_test(a_walk_misses_nothing_when_the_table_is_rebuilt_at_other_sizes),
        cmocka_unit_test(a_walk_goes_on_in_an_image_and_loads_it),
        cmocka_unit_test(a_walk_says_when_a_bucket_does_not_fit_and_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
