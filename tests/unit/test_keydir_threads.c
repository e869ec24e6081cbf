/* SPDX-License-Identifier: MIT */
/* Readers beside the mutator: K1, K2, K7, P7. Also run under the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/keydir_bucket.h"
#include "support/keydir_pages.h"
#include "support/slowness.h"

enum {
    STABLE_COUNT = 150000, /* keys that are there throughout */
    CHANGE_COUNT = 500000 / TEST_SLOWNESS,
    READER_COUNT = 3,
    IMAGE_BYTES = 512 << 10,
};

struct scene {
    struct keydir keydir;
    struct keydir_pages pages;
    pthread_mutex_t pages_lock; /* maps come from several threads, */
    pthread_mutex_t load_lock;  /* so do loads */
    uint8_t *blocks[1024];
    size_t sizes[1024];
    _Atomic bool is_over;
    _Atomic uint64_t miss_count;
    _Atomic uint64_t read_count;
    _Atomic uint64_t walk_count;
};

static void *scene_map(void *context, size_t size)
{
    struct scene *const scene = context;
    pthread_mutex_lock(&scene->pages_lock);
    void *const at = keydir_pages_map(&scene->pages, size);
    pthread_mutex_unlock(&scene->pages_lock);
    return at;
}

static void scene_unmap(void *context, void *at, size_t size)
{
    struct scene *const scene = context;
    pthread_mutex_lock(&scene->pages_lock);
    keydir_pages_unmap(&scene->pages, at, size);
    pthread_mutex_unlock(&scene->pages_lock);
}

static struct scene *scene_new(void)
{
    struct scene *const scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    pthread_mutex_init(&scene->pages_lock, NULL);
    pthread_mutex_init(&scene->load_lock, NULL);
    return scene;
}

static void scene_free(struct scene *scene)
{
    keydir_free(&scene->keydir);
    assert_int_equal(scene->pages.mapped_size, 0);
    for (size_t i = 0; i < 1024; i++) free(scene->blocks[i]);
    free(scene);
}

static void *read_stable_keys(void *context)
{
    struct scene *const scene = context;
    static _Atomic uint64_t seed;
    uint64_t random = keydir_test_hash(atomic_fetch_add(&seed, 1) + 77);
    uint64_t reads = 0;
    while (!atomic_load(&scene->is_over)) {
        random = keydir_test_hash(random);
        if (keydir_test_find(&scene->keydir, random % STABLE_COUNT) == 0)
            atomic_fetch_add(&scene->miss_count, 1);
        reads++;
    }
    atomic_fetch_add(&scene->read_count, reads);
    return NULL;
}

static uint64_t walk_once(struct keydir *keydir, uint8_t *seen)
{
    uint64_t locations[KEYDIR_WALK_CAPACITY];
    uint64_t position = 0;
    memset(seen, 0, STABLE_COUNT);
    for (bool is_end = false; !is_end;) {
        size_t count = 0;
        (void)keydir_walk_empty(keydir, &position, UINT64_MAX / 2, &is_end);
        if (is_end) break;
        if (keydir_walk(keydir, &position, locations, KEYDIR_WALK_CAPACITY, &count, &is_end) < 0) return 1;
        for (size_t i = 0; i < count; i++) {
            const uint64_t key = (locations[i] & UINT32_MAX) - 1;
            if (key < STABLE_COUNT) seen[key] = 1;
        }
    }
    uint64_t missed = 0;
    for (uint64_t key = 0; key < STABLE_COUNT; key++) missed += seen[key] == 0;
    return missed;
}

static void *walk_stable_keys(void *context)
{
    struct scene *const scene = context;
    uint8_t *const seen = malloc(STABLE_COUNT);
    while (seen != NULL && !atomic_load(&scene->is_over)) {
        atomic_fetch_add(&scene->miss_count, walk_once(&scene->keydir, seen));
        atomic_fetch_add(&scene->walk_count, 1);
    }
    free(seen);
    return NULL;
}

/* Inserts and removes passing keys, and moves stable ones, as compaction does. */
static void change(struct scene *scene, uint64_t step)
{
    struct keydir *const keydir = &scene->keydir;
    const uint64_t key = STABLE_COUNT + step;
    struct keydir_probe probe;
    assert_int_equal(keydir_probe_begin(keydir, keydir_test_hash(key), &probe), STAVE_OK);
    assert_int_equal(keydir_test_add(keydir, key, 0), STAVE_OK);
    if (step % 3 != 0) {
        const uint64_t gone = STABLE_COUNT + keydir_test_hash(step) % (step + 1);
        assert_int_equal(keydir_probe_begin(keydir, keydir_test_hash(gone), &probe), STAVE_OK);
        (void)keydir_remove(keydir, keydir_test_hash(gone), keydir_test_location(gone, 0));
    }
    const uint64_t moved = keydir_test_hash(step + 5) % STABLE_COUNT;
    const uint64_t location = keydir_test_find(keydir, moved);
    assert_true(location != 0);
    assert_true(keydir_replace(keydir, keydir_test_hash(moved), location,
                               keydir_test_location(moved, ((location >> 32) + 1) % 256)));
}

static bool is_never_stale(void *context, uint64_t location)
{
    (void)context;
    return location > STABLE_COUNT && (location & UINT32_MAX) > STABLE_COUNT && location % 7 == 0;
}

static void run_beside_readers(struct scene *scene)
{
    pthread_t readers[READER_COUNT + 1];
    for (int i = 0; i < READER_COUNT; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_stable_keys, scene), 0);
    assert_int_equal(pthread_create(&readers[READER_COUNT], NULL, walk_stable_keys, scene), 0);
    for (uint64_t step = 0; step < CHANGE_COUNT; step++) {
        change(scene, step);
        if (step % 200000 == 100000) keydir_freeze(&scene->keydir);
        if (step % 200000 == 150000) keydir_thaw(&scene->keydir);
        const uint32_t block = (uint32_t)(step / 500 % keydir_block_count(&scene->keydir));
        uint64_t dropped;
        if (step % 500 == 0 && keydir_block_is_loaded(&scene->keydir, block))
            keydir_sweep_block(&scene->keydir, block, is_never_stale, NULL, &dropped);
    }
    atomic_store(&scene->is_over, true);
    for (int i = 0; i <= READER_COUNT; i++) pthread_join(readers[i], NULL);
    assert_int_equal(scene->miss_count, 0); /* K1, K7 */
    assert_true(scene->read_count > 0);
    assert_true(scene->walk_count > 0);
}

static void fill_stable(struct keydir *keydir)
{
    for (uint64_t key = 0; key < STABLE_COUNT; key++)
        assert_int_equal(keydir_test_add(keydir, key, 0), STAVE_OK);
}

static void readers_never_miss_a_key_that_is_there_throughout(void **state)
{
    (void)state;
    struct scene *const scene = scene_new();
    const struct keydir_memory memory = {scene, scene_map, scene_unmap};
    assert_int_equal(keydir_init(&scene->keydir, memory), STAVE_OK);
    fill_stable(&scene->keydir);
    run_beside_readers(scene);
    scene_free(scene);
}

static enum stave_status scene_load(void *context, uint32_t block)
{
    struct scene *const scene = context;
    pthread_mutex_lock(&scene->load_lock);
    enum stave_status status = STAVE_OK;
    if (!keydir_block_is_loaded(&scene->keydir, block))
        status = keydir_import_block(&scene->keydir, block, scene->blocks[block], scene->sizes[block]);
    pthread_mutex_unlock(&scene->load_lock);
    return status;
}

/* The image of an old table with the stable keys, and others that make it large. */
static void make_image(struct scene *scene, uint64_t *ret_bucket_count, uint64_t *ret_entry_count)
{
    struct keydir_pages pages = {0};
    struct keydir old;
    assert_int_equal(keydir_init(&old, keydir_pages_memory(&pages)), STAVE_OK);
    fill_stable(&old);
    for (uint64_t key = 0; key < 500000; key++)
        assert_int_equal(keydir_test_add(&old, 100000000 + key, 0), STAVE_OK);
    uint8_t *const buffer = malloc(IMAGE_BYTES);
    assert_non_null(buffer);
    for (uint32_t block = 0; block < keydir_block_count(&old); block++) {
        scene->sizes[block] = keydir_export_block(&old, block, buffer, IMAGE_BYTES);
        scene->blocks[block] = malloc(scene->sizes[block]);
        assert_non_null(scene->blocks[block]);
        memcpy(scene->blocks[block], buffer, scene->sizes[block]);
    }
    *ret_bucket_count = keydir_bucket_count(&old);
    *ret_entry_count = keydir_entry_count(&old);
    free(buffer);
    keydir_free(&old);
}

static void readers_load_an_image_while_the_mutator_changes_it(void **state)
{
    (void)state;
    struct scene *const scene = scene_new();
    uint64_t bucket_count;
    uint64_t entry_count;
    make_image(scene, &bucket_count, &entry_count);
    const struct keydir_memory memory = {scene, scene_map, scene_unmap};
    assert_int_equal(keydir_init_image(&scene->keydir, memory, bucket_count, entry_count,
                                       (struct keydir_loader){scene, scene_load}),
                     STAVE_OK);
    run_beside_readers(scene);
    scene_free(scene);
}

/* Readers at the very bucket that changes, where the windows are. */

enum { FULL_COUNT_MAX = 18, FULL_COUNT_EVEN = 6, RACE_ROUNDS = 4 };

/*
 * Odd buckets have a chain, even ones do not; together they are due to split until there are twice as many.
 */
static uint64_t full_count(uint64_t bucket)
{
    return bucket % 2 != 0 ? FULL_COUNT_MAX : FULL_COUNT_EVEN;
}

static uint32_t full_bits(uint64_t bucket)
{
    return (UINT32_C(1) << full_count(bucket)) - 1;
}

/* Entry `i` of those that each of the first buckets has. */
static uint64_t full_hash(uint64_t bucket, uint64_t i)
{
    return bucket | i << 16;
}

static uint64_t full_location(uint64_t bucket, uint64_t i)
{
    return bucket * 32 + i + 1;
}

/* Marks which of the entries of `bucket` a walk over all that was bucket `bucket` gives. */
static uint32_t walk_full(struct keydir *keydir, uint64_t bucket)
{
    uint64_t position = 0;
    for (uint64_t bit = 0; bit < 16; bit++) position |= (bucket >> bit & 1) << (63 - bit);
    const uint64_t end = position + (UINT64_C(1) << 48);
    uint32_t seen = 0;
    while (position != end) {
        uint64_t locations[KEYDIR_WALK_CAPACITY];
        size_t count = 0;
        bool is_end = false;
        if (keydir_walk(keydir, &position, locations, KEYDIR_WALK_CAPACITY, &count, &is_end) < 0) return 0;
        for (size_t i = 0; i < count; i++)
            if ((locations[i] - 1) / 32 == bucket) seen |= UINT32_C(1) << (locations[i] - 1) % 32;
    }
    return seen;
}

static uint32_t probe_full(struct keydir *keydir, uint64_t bucket)
{
    uint32_t seen = 0;
    for (uint64_t i = 0; i < full_count(bucket); i++) {
        struct keydir_probe probe;
        uint64_t location = 0;
        do {
            if (keydir_probe_begin(keydir, full_hash(bucket, i), &probe) < 0) return 0;
            while (keydir_probe_next(&probe, &location) && location != full_location(bucket, i)) continue;
        } while (location != full_location(bucket, i) && keydir_probe_changed(&probe));
        if (location == full_location(bucket, i)) seen |= UINT32_C(1) << i;
    }
    return seen;
}

/* Follows the splits: always at the bucket that is next. */
static void *follow_splits(void *context)
{
    struct scene *const scene = context;
    while (!atomic_load(&scene->is_over)) {
        const uint64_t bucket = (keydir_bucket_count(&scene->keydir) + 1) % KEYDIR_BUCKET_COUNT_MIN;
        if (walk_full(&scene->keydir, bucket) != full_bits(bucket)) atomic_fetch_add(&scene->miss_count, 1);
        if (probe_full(&scene->keydir, bucket) != full_bits(bucket)) atomic_fetch_add(&scene->miss_count, 1);
        atomic_fetch_add(&scene->walk_count, 1);
    }
    return NULL;
}

static struct scene *full_scene(void)
{
    struct scene *const scene = scene_new();
    assert_int_equal(keydir_init(&scene->keydir, (struct keydir_memory){scene, scene_map, scene_unmap}),
                     STAVE_OK);
    keydir_freeze(&scene->keydir);
    for (uint64_t bucket = 0; bucket < KEYDIR_BUCKET_COUNT_MIN; bucket++)
        for (uint64_t i = 0; i < full_count(bucket); i++) {
            assert_int_equal(keydir_reserve(&scene->keydir, 1), STAVE_OK);
            keydir_insert(&scene->keydir, full_hash(bucket, i), full_location(bucket, i));
        }
    keydir_thaw(&scene->keydir);
    return scene;
}

static void readers_of_the_bucket_being_split_miss_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < RACE_ROUNDS; round++) {
        struct scene *const scene = full_scene();
        pthread_t reader;
        assert_int_equal(pthread_create(&reader, NULL, follow_splits, scene), 0);
        while (keydir_split_due(&scene->keydir, 1)) continue;
        atomic_store(&scene->is_over, true);
        pthread_join(reader, NULL);
        assert_int_equal(keydir_bucket_count(&scene->keydir), 2 * KEYDIR_BUCKET_COUNT_MIN);
        assert_int_equal(scene->miss_count, 0); /* K1, K7 */
        scene_free(scene);
    }
}

static void *stay_at_bucket_1(void *context)
{
    struct scene *const scene = context;
    while (!atomic_load(&scene->is_over)) {
        if ((walk_full(&scene->keydir, 1) | 1) != full_bits(1)) atomic_fetch_add(&scene->miss_count, 1);
        if ((probe_full(&scene->keydir, 1) | 1) != full_bits(1)) atomic_fetch_add(&scene->miss_count, 1);
        atomic_fetch_add(&scene->walk_count, 1);
    }
    return NULL;
}

/*
 * Brings an entry of the line into the overflow, and back, so that it is there throughout: a second one of it
 * and entry 0 are added behind; the first is removed, and entry 0 moves to its place; entry 0 is removed, and
 * the second moves there.
 */
static void turn_bucket_1(struct keydir *keydir)
{
    const uint64_t place = 3;
    const uint64_t before = keydir_load(&keydir_bucket_at(keydir, 1)->entries[place]);
    const uint64_t i = before >> KEYDIR_ENTRY_SHIFT;
    assert_int_equal(keydir_reserve(keydir, 2), STAVE_OK);
    keydir_insert(keydir, full_hash(1, i), full_location(1, i));
    keydir_insert(keydir, 1, full_location(1, 0));
    assert_true(keydir_remove(keydir, full_hash(1, i), full_location(1, i)));
    assert_int_equal(keydir_load(&keydir_bucket_at(keydir, 1)->entries[place]), full_location(1, 0));
    assert_true(keydir_remove(keydir, 1, full_location(1, 0)));
    assert_int_equal(keydir_load(&keydir_bucket_at(keydir, 1)->entries[place]), before);
}

static void readers_of_a_bucket_whose_entries_move_miss_nothing(void **state)
{
    (void)state;
    struct scene *const scene = full_scene();
    keydir_freeze(&scene->keydir);
    assert_true(keydir_remove(&scene->keydir, 1, full_location(1, 0)));
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, stay_at_bucket_1, scene), 0);
    for (uint64_t step = 0; step < 4 * CHANGE_COUNT || atomic_load(&scene->walk_count) == 0; step++)
        turn_bucket_1(&scene->keydir);
    atomic_store(&scene->is_over, true);
    pthread_join(reader, NULL);
    assert_int_equal(scene->miss_count, 0); /* K1, K7 */
    scene_free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_miss_a_key_that_is_there_throughout),
        cmocka_unit_test(readers_of_the_bucket_being_split_miss_nothing),
        cmocka_unit_test(readers_of_a_bucket_whose_entries_move_miss_nothing),
        cmocka_unit_test(readers_load_an_image_while_the_mutator_changes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
