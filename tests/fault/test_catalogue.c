/* SPDX-License-Identifier: MIT */
/* What went wrong in relatives of Stave, where the system has to fail: see unit/test_catalogue.c. */
#include "support/fixture.h"

#include <errno.h>

#include "support/crash_copy.h"
#include "support/fault.h"

static void reopen_with_manual_compaction(struct fixture *fixture)
{
    fixture_close(fixture);
    fixture->options.manual_compaction = true;
    fixture_reopen(fixture);
}

static void close_whatever_it_says(struct fixture *fixture)
{
    (void)stave_close(fixture->store);
    fixture->store = NULL;
}

/* "a failed unlink leaving a segment that the next compaction or open takes for live" */
static void a_segment_whose_unlink_failed_is_not_taken_for_live(void **state)
{
    struct fixture *fixture = *state;
    reopen_with_manual_compaction(fixture);
    fixture_fill(fixture->store, "gone", 200, 1000, 1);
    fixture_fill(fixture->store, "k", 200, 1000, 1);
    fixture_delete(fixture->store, "gone", 200);
    fixture_fill(fixture->store, "k", 200, 1000, 2);
    fault_choose(FAULT_UNLINK);
    fault_arm_from(1, EIO);
    (void)stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL);
    (void)stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL);
    close_whatever_it_says(fixture);
    assert_true(fault_disarm());
    const size_t left = scratch_count_segments(fixture->scratch.store);
    scratch_unlink(fixture->scratch.store, "CHECKPOINT");
    fixture_reopen(fixture);
    fixture_expect_absent(fixture->store, "gone", 200);
    fixture_expect_filled(fixture->store, "k", 200, 1000, 2);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_expect_absent(fixture->store, "gone", 200);
    fixture_reopen(fixture);
    assert_true(scratch_count_segments(fixture->scratch.store) < left);
    fixture_expect_filled(fixture->store, "k", 200, 1000, 2);
    fault_choose(FAULT_SYSTEM);
}

/* "a victim deleted although its merge failed (checksum error or disk full half-way)" */
static void a_victim_stays_when_the_disk_fills_half_way(void **state)
{
    struct fixture *fixture = *state;
    reopen_with_manual_compaction(fixture);
    fixture_fill(fixture->store, "k", 300, 1000, 1);
    fault_choose(FAULT_SPACE);
    for (uint64_t nth = 1; nth < 20; nth++) {
        fault_arm_from(nth, ENOSPC);
        const enum stave_status status = stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL);
        const bool fired = fault_disarm();
        assert_true(fired || status == STAVE_OK);
        fixture_expect_filled(fixture->store, "k", 300, 1000, 1);
        fixture_reopen(fixture);
        fixture_expect_filled(fixture->store, "k", 300, 1000, 1);
    }
    fault_choose(FAULT_SYSTEM);
}

/* Puts `size` bytes under "key" while the nth write fails. False: there was no such write. */
static bool put_that_fails(struct fixture *fixture, uint64_t nth, size_t size)
{
    uint8_t *value = calloc(1, size);
    assert_non_null(value);
    fault_arm(nth, EIO);
    const enum stave_status status = stave_put(fixture->store, stave_text("key"), stave_bytes(value, size));
    const bool fired = fault_disarm();
    assert_true(fired == (status != STAVE_OK));
    free(value);
    return fired;
}

/* "a put that failed coming back after a later delete that had nothing to do": not after a kill either */
static void a_put_that_failed_does_not_return_after_an_idle_delete(void **state)
{
    static const size_t sizes[] = {6, 6003}; /* written at once, and in parts with a padding */
    struct fixture *fixture = *state;
    crash_start(fixture, UINT64_C(1) << 20);
    fixture->options.tail = STAVE_TAIL_WRITTEN;
    size_t fired = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (uint64_t nth = 1; nth < 10; nth++) {
            char path[SCRATCH_PATH_SIZE];
            fixture_reopen(fixture);
            store_put(fixture->store, "other", "1");
            crash_wait_until_quiet(fixture->store);
            fault_choose(FAULT_WRITE);
            const bool failed = put_that_fails(fixture, nth, sizes[i]);
            fault_choose(FAULT_SYSTEM);
            if (!failed) {
                assert_int_equal(stave_delete(fixture->store, stave_text("key")), STAVE_OK);
                break;
            }
            fired++;
            store_expect(fixture->store, "key", NULL);
            assert_int_equal(stave_delete(fixture->store, stave_text("key")), STAVE_NOT_FOUND);
            crash_take(fixture, path);
            struct stave *store = store_open(path, &fixture->options);
            store_expect(store, "key", NULL);
            store_expect(store, "other", "1");
            store_close(store);
        }
    }
    assert_int_equal(fired, 5);
}

/* "clock set back" */
static void a_clock_set_back_only_delays_an_expiry(void **state)
{
    struct fixture *fixture = *state;
    fault_shift_wall_clock(0);
    const struct stave_write write = {.expires_at_ms = UINT64_C(4102444800000)}; /* the year 2100 */
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    assert_int_equal(stave_put_with(fixture->store, stave_text("b"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    store_put(fixture->store, "c", "1");
    fault_shift_wall_clock(INT64_C(100) * 366 * 86400 * 1000);
    store_expect(fixture->store, "a", NULL);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL),
                     STAVE_OK); /* logs it: final */
    fault_shift_wall_clock(0);
    fixture_reopen(fixture);
    store_expect(fixture->store, "a", NULL);
    store_expect(fixture->store, "c", "1");
    fault_shift_wall_clock(-INT64_C(20) * 366 * 86400 * 1000);
    assert_int_equal(stave_put_with(fixture->store, stave_text("d"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    store_expect(fixture->store, "d", "1");
    const uint64_t sequence = stave_sequence(fixture->store);
    fixture_reopen(fixture);
    store_put(fixture->store, "e", "1");
    assert_true(stave_sequence(fixture->store) > sequence);
    fault_shift_wall_clock(0);
}

static uint64_t count_found(struct stave *store, const char *prefix, size_t count)
{
    uint64_t found = 0;
    for (size_t number = 0; number < count; number++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "%s%zu", prefix, number);
        found += stave_exists(store, stave_text(key)) == STAVE_OK ? 1 : 0;
    }
    return found;
}

/* The same between two looks at the clock: what compaction takes for expired has a tombstone, or is kept. */
static void a_clock_set_back_while_records_are_moved_loses_none(void **state)
{
    enum { COUNT = 40 };
    const int64_t century_ms = INT64_C(100) * 366 * 86400 * 1000;
    struct fixture *fixture = *state;
    const struct stave_write write = {.expires_at_ms = UINT64_C(4102444800000)}; /* the year 2100 */
    fixture_fill(fixture->store, "k", COUNT, 100, 1);
    for (size_t number = 0; number < COUNT; number++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%zu", number);
        assert_int_equal(stave_expire(fixture->store, stave_text(key), &write, NULL), STAVE_OK);
    }
    fault_shake_wall_clock(century_ms);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fault_shift_wall_clock(0);
    assert_int_equal(count_found(fixture->store, "k", COUNT), stave_count(fixture->store));
    fixture_reopen(fixture);
    assert_int_equal(count_found(fixture->store, "k", COUNT), stave_count(fixture->store));
}

/* "a stale checkpoint beside newer segments": one of a log that was cut is not left behind when it cannot be
   removed, since nobody could tell any more what it is (P4). */
static void a_void_checkpoint_that_cannot_be_removed_is_never_used(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char newer[SCRATCH_PATH_SIZE];
    char command[4 * SCRATCH_PATH_SIZE];
    struct stave *store = NULL;
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "a", "first-value");
    crash_take(fixture, path);
    store_put(fixture->store, "a", "second-value");
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "newer", newer);
    scratch_copy(fixture->scratch.store, newer);
    (void)snprintf(command, sizeof(command), "cp %s/CHECKPOINT %s/CHECKPOINT", newer, path);
    assert_int_equal(system(command), 0);
    fault_choose(FAULT_UNLINK);
    fault_arm_from(1, EIO);
    const enum stave_status status = stave_open(path, &fixture->options, &store, NULL);
    if (status == STAVE_OK) (void)stave_close(store);
    assert_true(fault_disarm());
    fault_choose(FAULT_SYSTEM);
    store = store_open(path, &fixture->options);
    store_expect(store, "a", "first-value");
    store_close(store);
}

/* "a failed open that blocks the next" */
static void an_open_that_failed_anywhere_does_not_block_the_next(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = NULL;
    bool fired = true;
    fixture_fill(fixture->store, "k", 100, 1000, 1);
    fixture_close(fixture);
    for (uint64_t nth = 1; fired; nth++) {
        fault_arm(nth, EIO);
        const enum stave_status status = stave_open(fixture->scratch.store, &fixture->options, &store, NULL);
        fired = fault_disarm();
        assert_true(fired || status == STAVE_OK);
        if (status == STAVE_OK) (void)stave_close(store);
        fixture_reopen(fixture);
        fixture_expect_filled(fixture->store, "k", 100, 1000, 1);
        fixture_close(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_segment_whose_unlink_failed_is_not_taken_for_live),
        FIXTURE_TEST(a_victim_stays_when_the_disk_fills_half_way),
        FIXTURE_TEST(a_put_that_failed_does_not_return_after_an_idle_delete),
        FIXTURE_TEST(a_clock_set_back_only_delays_an_expiry),
        FIXTURE_TEST(a_clock_set_back_while_records_are_moved_loses_none),
        FIXTURE_TEST(a_void_checkpoint_that_cannot_be_removed_is_never_used),
        FIXTURE_TEST(an_open_that_failed_anywhere_does_not_block_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
