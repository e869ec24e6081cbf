/* SPDX-License-Identifier: MIT */
/* The keydir with one thread: K3, K4, K5, K8, K9, P8, against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/keydir_bucket.h"
#include "support/keydir_pages.h"

enum { MODEL_KEYS = 800000, MODEL_STEPS = 3000000 };

/* What the keydir should hold: the version of each key plus 1, 0 for a key that is not there. */
struct model {
    struct keydir keydir;
    struct keydir_pages pages;
    uint32_t *versions;
    uint64_t count;
};

static void model_begin(struct model *model)
{
    memset(model, 0, sizeof *model);
    model->versions = calloc(MODEL_KEYS, sizeof *model->versions);
    assert_non_null(model->versions);
    assert_int_equal(keydir_init(&model->keydir, keydir_pages_memory(&model->pages)), STAVE_OK);
}

static void model_end(struct model *model)
{
    keydir_free(&model->keydir);
    assert_int_equal(model->pages.mapped_size, 0);
    free(model->versions);
}

static void model_step(struct model *model, uint64_t random)
{
    const uint64_t key = (random >> 8) % MODEL_KEYS;
    const uint64_t hash = keydir_test_hash(key);
    uint32_t *const version = &model->versions[key];
    const uint64_t old = keydir_test_location(key, *version == 0 ? 0 : *version - 1);
    const bool is_there = *version != 0;
    assert_int_equal(keydir_has(&model->keydir, hash, old), is_there);
    if (random % 4 == 0) {
        assert_int_equal(keydir_remove(&model->keydir, hash, old), is_there);
        *version = 0;
        model->count -= is_there;
    } else if (is_there) {
        const uint64_t next = *version % 200;
        assert_true(keydir_replace(&model->keydir, hash, old, keydir_test_location(key, next)));
        *version = (uint32_t)next + 1;
    } else {
        assert_false(keydir_replace(&model->keydir, hash, old, old));
        assert_int_equal(keydir_test_add(&model->keydir, key, 7), STAVE_OK);
        *version = 8;
        model->count++;
    }
}

static void model_check(struct model *model)
{
    assert_int_equal(keydir_entry_count(&model->keydir), model->count);
    for (uint64_t key = 0; key < MODEL_KEYS; key++) {
        const uint32_t version = model->versions[key];
        assert_int_equal(keydir_test_find(&model->keydir, key),
                         version == 0 ? 0 : keydir_test_location(key, version - 1));
    }
}

/* K9; also that every entry stands in its own bucket, and that none is lost or there twice. */
static void check_buckets(struct keydir *keydir)
{
    const uint64_t bucket_count = keydir_bucket_count(keydir);
    uint64_t entry_count = 0;
    uint64_t area_count = 0;
    for (uint64_t index = 0; index < bucket_count; index++) {
        struct keydir_bucket *const bucket = keydir_bucket_at(keydir, index);
        const uint32_t first = (uint32_t)keydir_load(&bucket->word);
        for (uint32_t i = 0; i < KEYDIR_BUCKET_ENTRIES; i++) {
            const uint64_t entry = keydir_load(&bucket->entries[i]);
            assert_true(entry != 0 || first == 0);
            entry_count += entry != 0;
            const uint64_t hash = keydir_test_hash((entry & UINT32_MAX) - 1);
            assert_true(entry == 0 || keydir_bucket_index(hash, bucket_count) == index);
        }
        for (uint32_t link = first; link != 0;
             link = (uint32_t)keydir_load(&keydir_area_at(&keydir->pool, link)->link)) {
            area_count++;
            for (uint32_t i = 0; i < KEYDIR_AREA_ENTRIES; i++) {
                const uint64_t entry = keydir_load(&keydir_area_at(&keydir->pool, link)->entries[i]);
                assert_true(entry != 0 || (link == first && i > 0));
                entry_count += entry != 0;
            }
        }
    }
    struct keydir_stats stats;
    keydir_stat(keydir, &stats);
    assert_int_equal(entry_count, stats.entry_count);
    assert_int_equal(area_count, stats.area_used_count);
}

static void keydir_agrees_with_a_model_after_any_operations(void **state)
{
    (void)state;
    struct model model;
    model_begin(&model);
    for (uint64_t step = 0; step < MODEL_STEPS; step++)
        model_step(&model, keydir_test_hash(step + 1000000007));
    model_check(&model);
    check_buckets(&model.keydir);
    for (uint64_t key = 0; key < MODEL_KEYS; key++)
        if (model.versions[key] != 0) {
            const uint64_t location = keydir_test_location(key, model.versions[key] - 1);
            assert_true(keydir_remove(&model.keydir, keydir_test_hash(key), location));
        }
    struct keydir_stats stats;
    keydir_stat(&model.keydir, &stats);
    assert_int_equal(stats.entry_count, 0);
    assert_int_equal(stats.area_used_count, 0);
    check_buckets(&model.keydir);
    model_end(&model);
}

/* P8, K5. */
static void keydir_takes_at_most_16_bytes_a_key_from_1_m_keys_on(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    uint64_t next = 1000000;
    uint64_t mapped_before = 0;
    for (uint64_t key = 0; key < 7000000; key++) {
        assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
        assert_true(key == 0 || pages.mapped_size - mapped_before <= 2 * KEYDIR_ARENA_SIZE); /* no doubling */
        mapped_before = pages.mapped_size;
        if (key + 1 != next) continue;
        struct keydir_stats stats;
        keydir_stat(&keydir, &stats);
        assert_int_equal(stats.memory_size, pages.mapped_size);
        assert_true(pages.mapped_size + sizeof keydir <= next * 16);
        next += next < 4000000 ? next / 200 : next / 20;
    }
    keydir_free(&keydir);
    assert_int_equal(pages.mapped_size, 0);
}

static void keydir_takes_no_more_memory_when_keys_come_and_go(void **state)
{
    (void)state;
    const uint64_t count = 1072400; /* just after an arena has been added */
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    for (uint64_t key = 0; key < count; key++) assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    for (uint64_t key = 0; key < 3 * count; key++) {
        assert_true(keydir_remove(&keydir, keydir_test_hash(key), keydir_test_location(key, 0)));
        assert_int_equal(keydir_test_add(&keydir, key + count, 0), STAVE_OK);
    }
    assert_true(pages.mapped_size <= count * 16);
    check_buckets(&keydir);
    keydir_free(&keydir);
}

/*
 * K8. A refused insert changes nothing, what was there is found, and it goes on when there is memory again.
 */
static void failed_memory_leaves_the_keydir_as_it_was(void **state)
{
    (void)state;
    for (uint64_t refuse_from = 1; refuse_from <= 8; refuse_from++) {
        struct keydir_pages pages = {.refuse_from = refuse_from};
        struct keydir keydir;
        enum stave_status status = keydir_init(&keydir, keydir_pages_memory(&pages));
        if (status < 0) {
            assert_int_equal(status, STAVE_NO_MEMORY);
            assert_int_equal(pages.mapped_size, 0);
            continue;
        }
        uint64_t key = 0;
        while ((status = keydir_test_add(&keydir, key, 0)) == STAVE_OK) key++;
        assert_int_equal(status, STAVE_NO_MEMORY);
        assert_int_equal(keydir_entry_count(&keydir), key);
        for (uint64_t i = 0; i < key; i++) assert_true(keydir_test_find(&keydir, i) != 0);
        assert_true(keydir_test_find(&keydir, key) == 0);
        check_buckets(&keydir);
        pages.refuse_from = 0;
        for (uint64_t i = 0; i < 20000; i++) assert_int_equal(keydir_test_add(&keydir, key + i, 0), STAVE_OK);
        for (uint64_t i = 0; i < key + 20000; i++) assert_true(keydir_test_find(&keydir, i) != 0);
        check_buckets(&keydir);
        keydir_free(&keydir);
        assert_int_equal(pages.mapped_size, 0);
    }
}

static void reserved_inserts_need_no_memory(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    for (uint64_t key = 0; key < 500000; key++) assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    assert_int_equal(keydir_reserve(&keydir, 300000), STAVE_OK);
    pages.refuse_from = 1;
    for (uint64_t key = 500000; key < 800000; key++)
        keydir_insert(&keydir, keydir_test_hash(key), keydir_test_location(key, 0));
    for (uint64_t key = 0; key < 800000; key++) assert_true(keydir_test_find(&keydir, key) != 0);
    check_buckets(&keydir);
    keydir_free(&keydir);
}

/* K4. */
static void locations_use_all_of_40_bits(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    const uint64_t hashes[] = {0, UINT64_MAX, UINT64_C(0xFFFFFF0000), UINT64_C(0xFF0000000000FFFF)};
    const uint64_t locations[] = {1, KEYDIR_LOCATION_MAX, UINT64_C(1) << 39};
    assert_int_equal(keydir_reserve(&keydir, 12), STAVE_OK);
    for (size_t h = 0; h < 4; h++)
        for (size_t l = 0; l < 3; l++) {
            keydir_insert(&keydir, hashes[h], locations[l]);
            assert_true(keydir_has(&keydir, hashes[h], locations[l]));
            assert_false(keydir_has(&keydir, hashes[h], 0));
            assert_false(keydir_remove(&keydir, hashes[h], 0));
            struct keydir_probe probe;
            assert_int_equal(keydir_probe_begin(&keydir, hashes[h], &probe), STAVE_OK);
            uint64_t location;
            assert_true(keydir_probe_next(&probe, &location));
            assert_int_equal(location, locations[l]);
            assert_false(keydir_probe_next(&probe, &location));
            assert_false(keydir_probe_changed(&probe));
            assert_true(keydir_remove(&keydir, hashes[h], locations[l]));
        }
    keydir_free(&keydir);
}

/* No chain is too long: equal hashes, as an attacker who knew the seed would choose them. */
static void thousands_of_equal_hashes_are_all_found(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    enum { COUNT = 5000 };
    for (uint64_t i = 1; i <= COUNT; i++) {
        assert_int_equal(keydir_reserve(&keydir, 1), STAVE_OK);
        keydir_insert(&keydir, 42, i);
    }
    struct keydir_probe probe;
    assert_int_equal(keydir_probe_begin(&keydir, 42, &probe), STAVE_OK);
    uint64_t sum = 0;
    for (uint64_t location; keydir_probe_next(&probe, &location);) sum += location;
    assert_int_equal(sum, (uint64_t)COUNT * (COUNT + 1) / 2);
    for (uint64_t i = 1; i <= COUNT; i++) assert_true(keydir_remove(&keydir, 42, i));
    struct keydir_stats stats;
    keydir_stat(&keydir, &stats);
    assert_int_equal(stats.area_used_count, 0);
    keydir_free(&keydir);
}

static void a_frozen_table_does_not_split_and_catches_up_when_thawed(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    for (uint64_t key = 0; key < 500000; key++) assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    const uint64_t bucket_count = keydir_bucket_count(&keydir);
    keydir_freeze(&keydir);
    for (uint64_t key = 500000; key < 1500000; key++)
        assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    assert_int_equal(keydir_bucket_count(&keydir), bucket_count);
    keydir_thaw(&keydir);
    for (uint64_t key = 1500000; key < 1700000; key++) {
        const uint64_t before = keydir_bucket_count(&keydir);
        assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
        assert_true(keydir_bucket_count(&keydir) <= before + KEYDIR_SPLITS_MAX);
    }
    assert_false(keydir_split_due(&keydir, 1));
    for (uint64_t key = 0; key < 1700000; key++) assert_true(keydir_test_find(&keydir, key) != 0);
    check_buckets(&keydir);
    keydir_free(&keydir);
}

static bool is_odd(void *context, uint64_t location)
{
    (*(uint64_t *)context)++;
    return location % 2 != 0;
}

static void sweeping_drops_stale_entries_and_no_others(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    enum { COUNT = 600000 };
    for (uint64_t key = 0; key < COUNT; key++) assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    uint64_t dropped = 0;
    uint64_t asked = 0;
    for (uint32_t block = 0; block < keydir_block_count(&keydir); block++) {
        uint64_t count = 0;
        keydir_sweep_block(&keydir, block, is_odd, &asked, &count);
        dropped += count;
    }
    assert_int_equal(dropped, COUNT / 2);
    assert_true(asked >= COUNT);
    assert_int_equal(keydir_entry_count(&keydir), COUNT / 2);
    for (uint64_t key = 0; key < COUNT; key++) /* location key + 1 */
        assert_int_equal(keydir_test_find(&keydir, key), key % 2 == 0 ? 0 : key + 1);
    check_buckets(&keydir);
    keydir_free(&keydir);
}

static bool is_the_one(void *context, uint64_t location)
{
    return location == *(const uint64_t *)context;
}

/* K1: checkpoints sweep only the blocks that it names, and slots are used again on the strength of that. */
static void a_stale_entry_is_seen_wherever_it_lies_in_its_block(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    enum { COUNT = 600000, STEP = 30011 };
    for (uint64_t key = 0; key < COUNT; key++) assert_int_equal(keydir_test_add(&keydir, key, 0), STAVE_OK);
    for (uint64_t location = 0; location <= COUNT; location += STEP) { /* location 0 is nobody's */
        uint32_t seen = 0;
        for (uint32_t block = 0; block < keydir_block_count(&keydir); block++)
            if (keydir_block_has_stale(&keydir, block, is_the_one, &location)) seen++;
        assert_int_equal(seen, location == 0 ? 0 : 1);
    }
    keydir_free(&keydir);
}

/* A reader interrupted by the mutator at the worst moment: K1. */

/* Hashes of bucket 0, told apart by their tags; bit 16, which the first split goes by, is that of `i`. */
static uint64_t hash_of_bucket_0(uint64_t i)
{
    return i << 16;
}

static void add_to_bucket_0(struct keydir *keydir, uint64_t begin, uint64_t end)
{
    assert_int_equal(keydir_reserve(keydir, end - begin), STAVE_OK);
    for (uint64_t i = begin; i < end; i++) keydir_insert(keydir, hash_of_bucket_0(i), i + 1);
}

/* An entry of the overflow area moves to where the reader has been. */
static void a_miss_is_repeated_when_an_entry_moved_within_the_bucket(void **state)
{
    (void)state;
    for (uint64_t removed = 0; removed < KEYDIR_BUCKET_ENTRIES; removed++) {
        struct keydir_pages pages = {0};
        struct keydir keydir;
        assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
        add_to_bucket_0(&keydir, 0, 8);
        struct keydir_probe probe;
        assert_int_equal(keydir_probe_begin(&keydir, hash_of_bucket_0(7), &probe), STAVE_OK);
        for (uint64_t i = 0; i < KEYDIR_BUCKET_ENTRIES; i++)
            assert_int_equal(keydir_probe_entry(&probe) & KEYDIR_LOCATION_MAX, i + 1);
        assert_true(keydir_remove(&keydir, hash_of_bucket_0(removed), removed + 1));
        uint64_t location;
        assert_false(keydir_probe_next(&probe, &location));
        assert_true(keydir_probe_changed(&probe));
        assert_int_equal(keydir_probe_begin(&keydir, hash_of_bucket_0(7), &probe), STAVE_OK);
        assert_true(keydir_probe_next(&probe, &location));
        assert_int_equal(location, 8);
        keydir_free(&keydir);
    }
}

/* The table is full enough to split bucket 0 next; `i` odd moves. */
static void a_miss_is_repeated_when_the_bucket_was_split(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    add_to_bucket_0(&keydir, 0, 4);
    keydir_freeze(&keydir);
    const uint64_t count = KEYDIR_BUCKET_COUNT_MIN * 7;
    assert_int_equal(keydir_reserve(&keydir, count), STAVE_OK);
    for (uint64_t i = 0; i < count; i++)
        keydir_insert(&keydir, (i % (KEYDIR_BUCKET_COUNT_MIN - 1)) + 1, i + 100);
    keydir_thaw(&keydir);

    struct keydir_probe moving;
    struct keydir_probe staying;
    uint64_t location;
    assert_int_equal(keydir_probe_begin(&keydir, hash_of_bucket_0(1), &moving), STAVE_OK);
    assert_int_equal(keydir_probe_begin(&keydir, hash_of_bucket_0(2), &staying), STAVE_OK);
    assert_true(keydir_split_due(&keydir, 1));
    assert_int_equal(keydir_bucket_count(&keydir), KEYDIR_BUCKET_COUNT_MIN + 1);
    assert_false(keydir_probe_next(&moving, &location));
    assert_true(keydir_probe_changed(&moving));
    assert_true(keydir_probe_next(&staying, &location));
    assert_int_equal(location, 3);
    keydir_free(&keydir);
}

/* A reader stands in an overflow area that becomes another bucket's: it comes to an end, and knows. */
static void a_reader_in_a_recycled_area_comes_to_an_end(void **state)
{
    (void)state;
    struct keydir_pages pages = {0};
    struct keydir keydir;
    assert_int_equal(keydir_init(&keydir, keydir_pages_memory(&pages)), STAVE_OK);
    add_to_bucket_0(&keydir, 0, 12);
    struct keydir_probe probe;
    assert_int_equal(keydir_probe_begin(&keydir, hash_of_bucket_0(99), &probe), STAVE_OK);
    for (uint64_t i = 0; i < KEYDIR_BUCKET_ENTRIES + 1; i++) assert_true(keydir_probe_entry(&probe) != 0);
    for (uint64_t i = 0; i < 12; i++) assert_true(keydir_remove(&keydir, hash_of_bucket_0(i), i + 1));
    enum { FOREIGN = 30000 };
    assert_int_equal(keydir_reserve(&keydir, FOREIGN), STAVE_OK);
    for (uint64_t i = 0; i < FOREIGN; i++) keydir_insert(&keydir, 1, i + 100);
    uint64_t hops = 0;
    while (keydir_probe_entry(&probe) != 0) hops++;
    assert_true(hops < 32 * KEYDIR_AREA_ENTRIES + KEYDIR_BUCKET_ENTRIES);
    assert_true(keydir_probe_changed(&probe));
    keydir_free(&keydir);
}

static void freeing_an_empty_object_does_nothing(void **state)
{
    (void)state;
    struct keydir keydir;
    memset(&keydir, 0, sizeof keydir);
    keydir_free(&keydir);
    keydir_free(&keydir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keydir_agrees_with_a_model_after_any_operations),
        cmocka_unit_test(keydir_takes_at_most_16_bytes_a_key_from_1_m_keys_on),
        cmocka_unit_test(keydir_takes_no_more_memory_when_keys_come_and_go),
        cmocka_unit_test(failed_memory_leaves_the_keydir_as_it_was),
        cmocka_unit_test(reserved_inserts_need_no_memory),
        cmocka_unit_test(locations_use_all_of_40_bits),
        cmocka_unit_test(thousands_of_equal_hashes_are_all_found),
        cmocka_unit_test(a_frozen_table_does_not_split_and_catches_up_when_thawed),
        cmocka_unit_test(sweeping_drops_stale_entries_and_no_others),
        cmocka_unit_test(a_stale_entry_is_seen_wherever_it_lies_in_its_block),
        cmocka_unit_test(a_miss_is_repeated_when_an_entry_moved_within_the_bucket),
        cmocka_unit_test(a_miss_is_repeated_when_the_bucket_was_split),
        cmocka_unit_test(a_reader_in_a_recycled_area_comes_to_an_end),
        cmocka_unit_test(freeing_an_empty_object_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
