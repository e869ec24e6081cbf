/* SPDX-License-Identifier: MIT */
/*
 * A large value whose writing fails anywhere: it says why, and is not there, not after a kill either. And who
 * syncs it.
 */
#include "support/fixture.h"

#include <errno.h>

#include "support/crash_copy.h"
#include "support/fault.h"

enum { LARGE_SIZE = 100000, WRITE_COUNT = 4 }; /* header of the segment, key, value, header of the record */

/* P4, P6 */
static void a_large_put_that_fails_says_why_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *value = calloc(1, LARGE_SIZE);
    assert_non_null(value);
    crash_start(fixture, UINT64_C(256) << 10);
    store_put(fixture->store, "other", "1");
    for (uint64_t nth = 1; nth <= WRITE_COUNT; nth++) {
        char path[SCRATCH_PATH_SIZE];
        struct stave_error error = {.status = STAVE_OK};
        crash_wait_until_quiet(fixture->store);
        fault_choose(FAULT_WRITE);
        fault_arm(nth, EIO);
        assert_int_equal(stave_put(fixture->store, stave_text("k"), stave_bytes(value, LARGE_SIZE)),
                         STAVE_IO);
        assert_true(fault_disarm());
        fault_choose(FAULT_SYSTEM);
        stave_last_error(fixture->store, &error);
        assert_int_equal(error.status, STAVE_IO);
        assert_int_equal(error.system_error, EIO);
        char number[8];
        (void)snprintf(number, sizeof(number), "%d", (int)nth);
        store_put(fixture->store, "other", number); /* another error than the last one is to be seen next */
        assert_int_equal(
            stave_put(fixture->store, stave_text("k"), stave_bytes(value, (size_t)STAVE_VALUE_SIZE_MAX + 1)),
            STAVE_LIMIT);
        store_expect(fixture->store, "k", NULL);
        crash_take(fixture, path);
        struct stave *store = store_open(path, &fixture->options);
        store_expect(store, "k", NULL);
        store_expect(store, "other", number);
        store_close(store);
    }
    assert_int_equal(stave_put(fixture->store, stave_text("k"), stave_bytes(value, LARGE_SIZE)), STAVE_OK);
    free(value);
}

static uint64_t syncs_of_put(struct fixture *fixture, uint32_t flags)
{
    static const uint8_t value[LARGE_SIZE];
    const struct stave_write write = {.flags = flags};
    crash_wait_until_quiet(fixture->store);
    fault_choose(FAULT_SYNC | FAULT_DIR_SYNC);
    fault_arm(UINT64_MAX, EIO);
    assert_int_equal(
        stave_put_with(fixture->store, stave_text("k"), stave_bytes(value, LARGE_SIZE), &write, NULL),
        STAVE_OK);
    const uint64_t count = fault_count();
    (void)fault_disarm();
    fault_choose(FAULT_SYSTEM);
    return count;
}

static uint64_t syncs_of_batch(struct fixture *fixture, uint32_t flags)
{
    static const uint8_t value[LARGE_SIZE];
    const struct stave_write write = {.flags = flags};
    struct stave_batch *batch = NULL;
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_bytes(value, LARGE_SIZE), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("c"), stave_text("1"), 0), STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    fault_choose(FAULT_SYNC | FAULT_DIR_SYNC);
    fault_arm(UINT64_MAX, EIO);
    assert_int_equal(stave_batch_commit(batch, &write, NULL), STAVE_OK);
    const uint64_t count = fault_count();
    (void)fault_disarm();
    fault_choose(FAULT_SYSTEM);
    stave_batch_free(batch);
    return count;
}

/* large.h, L1, L2 */
static void a_large_write_is_synced_by_who_waits_for_it(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, UINT64_C(256) << 10);
    assert_int_equal(syncs_of_put(fixture, 0), 0);
    assert_int_equal(syncs_of_put(fixture, STAVE_NOT_DURABLE), 0);
    assert_int_equal(syncs_of_batch(fixture, 0), 0);
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    assert_int_equal(syncs_of_put(fixture, STAVE_DURABLE), 4);   /* bytes; header, name, log */
    assert_int_equal(syncs_of_batch(fixture, STAVE_DURABLE), 4); /* so that the log's sync is a short one */
}

/* large.h, L3 (P11) */
static void large_values_that_are_not_synced_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, UINT64_C(8) << 20);
    fixture->options.segment_size = STAVE_SEGMENT_SIZE_MIN;
    fixture_reopen(fixture);
    const size_t before = scratch_count_descriptors();
    for (int round = 0; round < 5; round++) {
        char prefix[8];
        (void)snprintf(prefix, sizeof(prefix), "k%d-", round);
        fixture_fill(fixture->store, prefix, 60, LARGE_SIZE, 1);
        assert_true(scratch_count_descriptors() - before < 150);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_large_write_is_synced_by_who_waits_for_it),
        FIXTURE_TEST(large_values_that_are_not_synced_are_bounded),
        FIXTURE_TEST(a_large_put_that_fails_says_why_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
