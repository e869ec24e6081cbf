/* SPDX-License-Identifier: MIT */
/*
 * P9: what the files of a store take, as the system counts it, while it is overwritten as fast as it can. A
 * thread adds up the blocks of all files every few milliseconds.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/thread.h"
#include "support/fixture.h"
#include "support/slowness.h"

#define SEGMENT_SIZE (UINT64_C(1) << 20)
#define NAP_NS UINT64_C(1000000)

enum { KEY_COUNT = 20000, VALUE_SIZE_MAX = 1500 };

struct watch {
    struct thread thread;
    const char *path;
    _Atomic uint64_t most;
    _Atomic bool stops;
};

/* Of a directory whose files come and go meanwhile: a file renamed while it is read may count twice. */
static uint64_t blocks_once(const char *path)
{
    uint64_t size = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct stat stat;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (fstatat(dirfd(dir), entry->d_name, &stat, 0) == 0 && S_ISREG(stat.st_mode))
            size += (uint64_t)stat.st_blocks * 512;
    (void)closedir(dir);
    return size;
}

/* The least of three looks: one that is held up half-way counts what was never there at once. */
static uint64_t blocks_of(const char *path)
{
    uint64_t least = UINT64_MAX;
    for (int look = 0; look < 3; look++) {
        const uint64_t size = blocks_once(path);
        if (size < least) least = size;
    }
    return least;
}

static void watch_run(void *context)
{
    struct watch *watch = context;
    while (!atomic_load(&watch->stops)) {
        const uint64_t size = blocks_of(watch->path);
        if (size > atomic_load(&watch->most)) atomic_store(&watch->most, size);
        thread_sleep_ns(NAP_NS);
    }
}

static void put_number(struct stave *store, uint64_t number)
{
    static const char bytes[VALUE_SIZE_MAX];
    char key[32];
    const size_t key_size = (size_t)snprintf(key, sizeof(key), "key %llu", (unsigned long long)number);
    const size_t size = number * 7919 % VALUE_SIZE_MAX; /* the same each time: live bytes stay as they are */
    assert_int_equal(stave_put(store, stave_bytes(key, key_size), stave_bytes(bytes, size)), STAVE_OK);
}

/* Evenly, or four writes of five to a twentieth of the keys. */
static uint64_t choose(struct random_source *random, bool is_skewed)
{
    if (is_skewed && !random_chance(random, 5)) return random_below(random, KEY_COUNT / 20);
    return random_below(random, KEY_COUNT);
}

/* stave.h, disk_ratio_percent: four segments, 2 MiB, 20 bytes a key and 5 KiB a segment. */
static uint64_t allowed(const struct stave_stats *stats, uint32_t ratio)
{
    return stats->live_size * ratio / 100 + 4 * SEGMENT_SIZE + UINT64_C(20) * KEY_COUNT +
           (UINT64_C(2) << 20) + (UINT64_C(5) << 10) * stats->segment_count;
}

static void overwrite_and_watch(uint32_t ratio, bool is_skewed)
{
    const struct stave_options options = {
        .size = sizeof(options),
        .sync = STAVE_SYNC_NONE,
        .segment_size = SEGMENT_SIZE,
        .disk_ratio_percent = ratio,
        .dead_ratio_percent = 100, /* the ratio alone makes it compact */
        .checkpoint_size = 8 * SEGMENT_SIZE,
    };
    struct scratch scratch;
    struct random_source random = {ratio};
    struct stave_stats stats = {.size = sizeof(stats)};
    struct error error = ERROR_NONE;
    scratch_make(&scratch);
    struct stave *store = store_open(scratch.store, &options);
    for (uint64_t i = 0; i < KEY_COUNT; i++) put_number(store, i);
    struct watch watch = {.thread = THREAD_NONE, .path = scratch.store};
    assert_int_equal(thread_start(&watch.thread, "watch", watch_run, &watch, &error), STAVE_OK);
    const uint64_t times = environment_number("STAVE_TEST_ROUNDS", 4) * KEY_COUNT;
    for (uint64_t i = 0; i < times; i++) put_number(store, choose(&random, is_skewed));
    atomic_store(&watch.stops, true);
    thread_join(&watch.thread);
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    assert_true(stats.key_count == KEY_COUNT && stats.compaction_count > 0);
    const uint64_t most = atomic_load(&watch.most);
    const uint64_t bound = allowed(&stats, ratio);
    (void)fprintf(stderr, "ratio %u, %s: at most %llu KiB of %llu, %.2f of live\n", (unsigned)ratio,
                  is_skewed ? "skewed" : "even", (unsigned long long)most >> 10,
                  (unsigned long long)bound >> 10, (double)most / (double)stats.live_size);
    assert_true(most <= bound);
    store_close(store);
    scratch_remove(&scratch);
}

/* What threads could do to each other one ratio shows. */
static void overwrite_with_ratios(bool is_skewed)
{
    static const uint32_t ratios[] = {130, 200, 300};
    const size_t count = TEST_SLOWNESS > 2 ? 1 : sizeof(ratios) / sizeof(ratios[0]);
    for (size_t i = 0; i < count; i++) overwrite_and_watch(ratios[i], is_skewed);
}

static void overwriting_evenly_keeps_the_disk_within_its_ratio(void **state)
{
    (void)state;
    overwrite_with_ratios(false);
}

static void overwriting_a_few_keys_keeps_the_disk_within_its_ratio(void **state)
{
    (void)state;
    overwrite_with_ratios(true);
}

static void large_values_keep_the_disk_within_its_ratio(void **state)
{
    (void)state;
    enum { LARGE_SIZE = 3 << 20, LARGE_COUNT = 4, PUTS = 60 };
    const struct stave_options options = {
        .size = sizeof(options), .sync = STAVE_SYNC_NONE, .segment_size = SEGMENT_SIZE};
    static char bytes[LARGE_SIZE];
    struct scratch scratch;
    struct error error = ERROR_NONE;
    scratch_make(&scratch);
    struct stave *store = store_open(scratch.store, &options);
    struct watch watch = {.thread = THREAD_NONE, .path = scratch.store};
    assert_int_equal(thread_start(&watch.thread, "watch", watch_run, &watch, &error), STAVE_OK);
    for (int i = 0; i < PUTS; i++) {
        const char key = (char)('a' + i % LARGE_COUNT);
        assert_int_equal(stave_put(store, stave_bytes(&key, 1), stave_bytes(bytes, LARGE_SIZE)), STAVE_OK);
    }
    atomic_store(&watch.stops, true);
    thread_join(&watch.thread);
    /* the one that is being written counts as live */
    const uint64_t most = atomic_load(&watch.most);
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    stats.live_size = (LARGE_COUNT + 1) * (uint64_t)(LARGE_SIZE + 4096);
    const uint64_t bound = allowed(&stats, 200);
    (void)fprintf(stderr, "large values: at most %llu KiB of %llu\n", (unsigned long long)most >> 10,
                  (unsigned long long)bound >> 10);
    assert_true(most <= bound);
    store_close(store);
    scratch_remove(&scratch);
}

/* Where compaction may not take anything writers go on: they are slowed down, not stopped. */
static void a_ratio_that_cannot_be_kept_stops_nobody(void **state)
{
    (void)state;
    const struct stave_options options = {
        .size = sizeof(options),
        .sync = STAVE_SYNC_NONE,
        .segment_size = STAVE_SEGMENT_SIZE_MIN,
        .disk_ratio_percent = 110,
        .feed_retention_size = UINT64_MAX,
    };
    struct scratch scratch;
    scratch_make(&scratch);
    struct stave *store = store_open(scratch.store, &options);
    for (uint64_t i = 0; i < 3000; i++) put_number(store, i % 10);
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    assert_true(stats.log_size > 20 * stats.live_size);
    store_close(store);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overwriting_evenly_keeps_the_disk_within_its_ratio),
        cmocka_unit_test(overwriting_a_few_keys_keeps_the_disk_within_its_ratio),
        cmocka_unit_test(large_values_keep_the_disk_within_its_ratio),
        cmocka_unit_test(a_ratio_that_cannot_be_kept_stops_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
