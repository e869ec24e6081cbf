/* SPDX-License-Identifier: MIT */
/*
 * Compaction that ends, or is refused something, at any of its steps: the store opens again to what was there
 * (P3, P4, C2, C5), and while it stays open every read is right.
 */
#include "support/fixture.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/slowness.h"

enum { KEY_COUNT = 400, VALUE_SIZE = 300, LARGE_SIZE = 50000 };

static struct stave_options scenario_options(void)
{
    struct stave_options options = small_options();
    options.manual_compaction = true;
    options.sync = STAVE_SYNC_NONE;
    return options;
}

/* Live, overwritten, deleted, dropped and large values, over several segments. */
static void make_store(const char *path)
{
    const struct stave_options options = scenario_options();
    struct stave *store = store_open(path, &options);
    fixture_fill(store, "gone", 50, VALUE_SIZE, 1);
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    fixture_fill(store, "large", 2, LARGE_SIZE, 1);
    fixture_fill(stave_space(store, 4), "d", 50, VALUE_SIZE, 1);
    store_close(store);
}

/* What is not durable when compaction begins. */
static void write_more(struct stave *store)
{
    fixture_delete(store, "gone", 50);
    fixture_fill(store, "k", KEY_COUNT / 2, VALUE_SIZE, 2);
    fixture_fill(store, "large", 1, LARGE_SIZE, 2);
    assert_int_equal(stave_drop(stave_space(store, 4), NULL, NULL), STAVE_OK);
}

static void expect_contents(struct stave *store)
{
    fixture_expect_absent(store, "gone", 50);
    fixture_expect_filled(store, "k", KEY_COUNT / 2, VALUE_SIZE, 2);
    fixture_expect_filled(store, "large", 1, LARGE_SIZE, 2);
    fixture_expect_absent(stave_space(store, 4), "d", 50);
    assert_int_equal(stave_count(store), KEY_COUNT + 2);
    struct stave_view view = {0};
    assert_int_equal(stave_view(store, stave_text("k399"), NULL, &view), STAVE_OK);
    assert_true(bytes_are(view.data, view.size, 399 + (UINT64_C(1) << 32)));
    stave_view_release(store, &view);
}

static void expect_store(const char *path)
{
    const struct stave_options options = scenario_options();
    struct stave *store = store_open(path, &options);
    expect_contents(store);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    expect_contents(store);
    store_close(store);
    if (scratch_has(path, "CHECKPOINT")) scratch_unlink(path, "CHECKPOINT");
    store = store_open(path, &options);
    expect_contents(store);
    store_close(store);
}

/* Crashes. */

static void crash_in_child(const char *path, uint64_t nth, bool after)
{
    const struct stave_options options = scenario_options();
    struct stave *store = store_open(path, &options);
    write_more(store);
    fault_arm_crash(nth, after);
    (void)stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL);
    (void)fault_disarm();
    _exit(0);
}

static bool crash_at(const char *origin, uint64_t nth, bool after)
{
    struct scratch scratch;
    scratch_make(&scratch);
    scratch_copy(origin, scratch.store);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) crash_in_child(scratch.store, nth, after);
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    const bool crashed = WEXITSTATUS(result) == FAULT_CRASH_EXIT;
    if (!crashed) assert_int_equal(WEXITSTATUS(result), 0);
    expect_store(scratch.store);
    scratch_remove(&scratch);
    return crashed;
}

/* "crash between copied and removed" */
static void a_crash_at_any_step_loses_nothing(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_make(&scratch);
    make_store(scratch.store);
    fault_choose(FAULT_DISK_CHANGES);
    const uint64_t step = environment_number("STAVE_TEST_STEP", 2 * TEST_SLOWNESS + 1);
    for (uint64_t nth = 1; crash_at(scratch.store, nth, nth % 2 == 0); nth += step) {
    }
    scratch_remove(&scratch);
}

/* C6. Tombstones for keys in segments that stay, between values that are dead. */
static void make_tombstones(const char *path)
{
    const struct stave_options options = scenario_options();
    struct stave *store = store_open(path, &options);
    fixture_fill(store, "gone", 100, 4, 1);
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    store_close(store);
    store = store_open(path, &options);
    fixture_delete(store, "gone", 100);
    for (uint64_t round = 0; round < 5; round++) fixture_fill(store, "junk", 40, VALUE_SIZE, round);
    store_close(store);
}

/* Bytes of log when all that is due has been compacted. */
static uint64_t compacted_size(const char *path)
{
    const struct stave_options options = scenario_options();
    struct stave_segment_stats *segments = NULL;
    size_t count = 0;
    uint64_t size = 0;
    struct stave *store = store_open(path, &options);
    assert_int_equal(stave_compact(store, 0, NULL, NULL), STAVE_OK);
    fixture_expect_absent(store, "gone", 100);
    assert_int_equal(stave_count(store), KEY_COUNT + 40);
    assert_int_equal(stave_segments(store, &segments, &count), STAVE_OK);
    for (size_t i = 0; i < count; i++) size += segments[i].size;
    stave_free(segments);
    store_close(store);
    return size;
}

static bool crash_among_tombstones(const char *origin, uint64_t nth, uint64_t size_max)
{
    struct scratch scratch;
    scratch_make(&scratch);
    scratch_copy(origin, scratch.store);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct stave_options options = scenario_options();
        struct stave *store = store_open(scratch.store, &options);
        fault_arm_crash(nth, true);
        (void)stave_compact(store, 0, NULL, NULL);
        (void)fault_disarm();
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    const uint64_t size = compacted_size(scratch.store);
    if (size > size_max)
        fail_msg("crash %llu: %llu bytes, more than %llu", (unsigned long long)nth, (unsigned long long)size,
                 (unsigned long long)size_max);
    scratch_remove(&scratch);
    return WEXITSTATUS(result) == FAULT_CRASH_EXIT;
}

static void a_crash_at_any_step_leaves_no_tombstone_twice(void **state) /* P9, C6 */
{
    (void)state;
    struct scratch scratch;
    struct scratch whole;
    scratch_make(&scratch);
    scratch_make(&whole);
    make_tombstones(scratch.store);
    scratch_copy(scratch.store, whole.store);
    const uint64_t size_max = compacted_size(whole.store) + 1024;
    fault_choose(FAULT_DISK_CHANGES);
    uint64_t nth = 1;
    while (crash_among_tombstones(scratch.store, nth, size_max)) nth++;
    assert_true(nth > 10);
    fault_choose(FAULT_SYSTEM);
    scratch_remove(&whole);
    scratch_remove(&scratch);
}

/* Failures. */

static bool fail_at(const char *origin, uint64_t nth, int system_error, bool for_good)
{
    struct scratch scratch;
    const struct stave_options options = scenario_options();
    scratch_make(&scratch);
    scratch_copy(origin, scratch.store);
    struct stave *store = store_open(scratch.store, &options);
    write_more(store);
    if (for_good)
        fault_arm_from(nth, system_error);
    else
        fault_arm(nth, system_error);
    const enum stave_status status = stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL);
    const bool fired = fault_disarm();
    if (!fired) assert_int_equal(status, STAVE_OK);
    expect_contents(store);
    (void)stave_close(store);
    expect_store(scratch.store);
    scratch_remove(&scratch);
    return fired;
}

static void fail_everywhere(uint32_t kinds, int system_error, bool for_good)
{
    struct scratch scratch;
    scratch_make(&scratch);
    make_store(scratch.store);
    fault_choose(kinds);
    const uint64_t step = environment_number("STAVE_TEST_STEP", 2 * TEST_SLOWNESS + 1);
    for (uint64_t nth = 1; fail_at(scratch.store, nth, system_error, for_good); nth += step) {
    }
    fault_choose(FAULT_SYSTEM);
    scratch_remove(&scratch);
}

static void a_call_that_fails_loses_nothing(void **state)
{
    (void)state;
    fail_everywhere(FAULT_DISK_CHANGES | FAULT_READ | FAULT_OPEN, EIO, false);
}

static void a_disk_that_is_full_loses_nothing(void **state)
{
    (void)state;
    fail_everywhere(FAULT_SPACE, ENOSPC, true);
}

static void memory_that_is_refused_loses_nothing(void **state)
{
    (void)state;
    fail_everywhere(FAULT_MEMORY, ENOMEM, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_at_any_step_loses_nothing),
        cmocka_unit_test(a_crash_at_any_step_leaves_no_tombstone_twice),
        cmocka_unit_test(a_call_that_fails_loses_nothing),
        cmocka_unit_test(a_disk_that_is_full_loses_nothing),
        cmocka_unit_test(memory_that_is_refused_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
