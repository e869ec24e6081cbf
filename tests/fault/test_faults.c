/* SPDX-License-Identifier: MIT */
/*
 * A store over a system that fails: each call and each allocation in turn, a disk that is full from any
 * point on, a sync that fails (P6, P9, P13). What returned STAVE_OK is there, what failed changed nothing
 * or, where its durability alone failed, holds the new value; the store opens again; no descriptor is left.
 *
 * STAVE_TEST_STRIDE 1 takes every point; usually some are passed over, from a random start.
 */
#include "support/fixture.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "support/fault.h"

enum { KEY_COUNT = 30, VALUE_SIZE_MAX = 20000, LARGE_VERSION = 100 };

/* What may be under each key: the values before and after the last write, the same if it is known. */
struct expected {
    uint64_t version[KEY_COUNT]; /* 0: absent */
    uint64_t other[KEY_COUNT];
    bool is_dropped;     /* space 1 */
    bool has_a_snapshot; /* beside the store */
};

/* A large value has a file of its own. */
static size_t size_of(uint64_t version)
{
    return version >= LARGE_VERSION ? VALUE_SIZE_MAX : 500 + version * 37 % 2000;
}

static void key_text(char ret_key[32], size_t number)
{
    (void)snprintf(ret_key, 32, "key%zu", number);
}

static void note(struct expected *expected, size_t number, enum stave_status status, uint64_t version)
{
    expected->other[number] = status == STAVE_OK ? version : expected->version[number];
    if (status < 0) expected->other[number] = version;
    if (status == STAVE_OK) expected->version[number] = version;
}

static void put(struct stave *store, struct expected *expected, size_t number, uint64_t version,
                uint32_t flags)
{
    const struct stave_write write = {.flags = flags};
    char key[32];
    uint8_t value[VALUE_SIZE_MAX];
    const size_t size = size_of(version);
    key_text(key, number);
    fill_bytes(value, size, version);
    note(expected, number, stave_put_with(store, stave_text(key), stave_bytes(value, size), &write, NULL),
         version);
}

static void remove_key(struct stave *store, struct expected *expected, size_t number)
{
    char key[32];
    key_text(key, number);
    note(expected, number, stave_delete(store, stave_text(key)), 0);
}

static void put_batch(struct stave *store, struct expected *expected, size_t first, uint64_t version)
{
    struct stave_batch *batch = NULL;
    char key[32];
    uint8_t value[VALUE_SIZE_MAX];
    const size_t size = size_of(version);
    fill_bytes(value, size, version);
    enum stave_status status = stave_batch_begin(store, &batch);
    for (size_t number = first; number < first + 3 && status == STAVE_OK; number++) {
        key_text(key, number);
        status = stave_batch_put(batch, stave_text(key), stave_bytes(value, size), 0);
    }
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    for (size_t number = first; number < first + 3; number++) note(expected, number, status, version);
}

static void snapshot_path(const char *path, char ret_path[SCRATCH_PATH_SIZE])
{
    (void)snprintf(ret_path, SCRATCH_PATH_SIZE, "%.500s-snapshot", path);
}

static enum stave_status take_snapshot(struct stave *store, const char *path, struct expected *expected)
{
    char snapshot[SCRATCH_PATH_SIZE];
    snapshot_path(path, snapshot);
    const enum stave_status status = stave_snapshot(store, snapshot, NULL);
    expected->has_a_snapshot = status == STAVE_OK;
    return status;
}

/* Opens, writes in every way, keeps house, closes. The first failure of open or close is returned. */
static enum stave_status scenario(const char *path, struct expected *expected)
{
    struct stave *store = NULL;
    struct stave_options options = small_options();
    options.manual_compaction = true;
    options.sync = STAVE_SYNC_NONE;
    const enum stave_status status = stave_open(path, &options, &store, NULL);
    if (status != STAVE_OK) return status;
    for (uint64_t version = 2; version < 4; version++)
        for (size_t number = 0; number < KEY_COUNT; number++) put(store, expected, number, version, 0);
    put(store, expected, 0, 4, STAVE_DURABLE);
    remove_key(store, expected, 1);
    put_batch(store, expected, 2, 5);
    const enum stave_status compacted = stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL);
    for (size_t number = 5; number < KEY_COUNT; number++) put(store, expected, number, 6, 0);
    put(store, expected, 6, LARGE_VERSION, 0);
    (void)stave_put(stave_space(store, 1), stave_text("key"), stave_text("value"));
    expected->is_dropped = stave_drop(stave_space(store, 1), NULL, NULL) == STAVE_OK;
    const enum stave_status linked = take_snapshot(store, path, expected);
    const enum stave_status saved = stave_checkpoint(store);
    const enum stave_status closed = stave_close(store);
    return closed != STAVE_OK      ? closed
           : compacted != STAVE_OK ? compacted
           : linked != STAVE_OK    ? linked
                                   : saved;
}

static bool holds(struct stave *store, const char *key, uint64_t version)
{
    struct stave_value value = {0};
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status == STAVE_NOT_FOUND) return version == 0;
    assert_int_equal(status, STAVE_OK);
    const bool same =
        version != 0 && value.size == size_of(version) && bytes_are(value.data, value.size, version);
    stave_free(value.data);
    return same;
}

static void expect_store(const char *path, const struct expected *expected, uint64_t nth)
{
    char key[32];
    const struct stave_options options = small_options();
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(path, &options, &store, &error) != STAVE_OK)
        fail_msg("call %llu failed, and then the open: %s", (unsigned long long)nth, error.message);
    for (size_t number = 0; number < KEY_COUNT; number++) {
        key_text(key, number);
        if (!holds(store, key, expected->version[number]) && !holds(store, key, expected->other[number]))
            fail_msg("call %llu failed: %s is neither version %llu nor %llu", (unsigned long long)nth, key,
                     (unsigned long long)expected->version[number],
                     (unsigned long long)expected->other[number]);
    }
    if (expected->is_dropped) assert_int_equal(stave_count(stave_space(store, 1)), 0);
    store_close(store);
}

/* The snapshot is a sound store; one that failed is not there. */
static void expect_snapshot(const char *path, const struct expected *expected)
{
    char snapshot[SCRATCH_PATH_SIZE];
    snapshot_path(path, snapshot);
    if (expected->has_a_snapshot) {
        expect_store(snapshot, expected, 0);
        assert_int_equal(stave_check(snapshot, NULL, NULL, NULL, NULL), STAVE_OK);
    }
    scratch_remove_tree(snapshot);
}

/* The store that each run begins with: closed, with something in every key. */
static struct expected prepare(const char *path)
{
    struct expected expected = {.is_dropped = false};
    const struct stave_options options = small_options();
    struct stave *store = store_open(path, &options);
    for (size_t number = 0; number < KEY_COUNT; number++) put(store, &expected, number, 1, 0);
    store_close(store);
    return expected;
}

enum failing { FAIL_ONCE, FAIL_FROM, FAIL_SHORT };

static void arm(enum failing failing, uint64_t nth, int system_error)
{
    if (failing == FAIL_ONCE) fault_arm(nth, system_error);
    if (failing == FAIL_FROM) fault_arm_from(nth, system_error);
    if (failing == FAIL_SHORT) fault_arm_short(nth);
}

/* One run with a failure at `nth`; false if it needed none. */
static bool run_once(const struct fixture *fixture, enum failing failing, uint64_t nth, int system_error,
                     bool begins_empty)
{
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "faulty", path);
    struct expected expected = {.is_dropped = false};
    if (!begins_empty) expected = prepare(path);
    const size_t descriptors = scratch_count_descriptors();
    arm(failing, nth, system_error);
    const enum stave_status status = scenario(path, &expected);
    const bool fired = fault_disarm();
    assert_int_equal(scratch_count_descriptors(), descriptors);
    if (!fired || failing == FAIL_SHORT) assert_int_equal(status, STAVE_OK);
    expect_store(path, &expected, nth);
    expect_snapshot(path, &expected);
    scratch_remove_tree(path);
    return fired;
}

static void run_all(struct fixture *fixture, enum failing failing, uint32_t kinds, int system_error,
                    uint64_t stride)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    stride = environment_number("STAVE_TEST_STRIDE", stride);
    bool fired = true;
    fault_choose(kinds);
    uint64_t nth = 1 + (uint64_t)now.tv_nsec % stride;
    for (; fired; nth += stride) fired = run_once(fixture, failing, nth, system_error, nth % 2 == 0);
    fault_choose(FAULT_SYSTEM);
}

static void each_system_call_fails(void **state)
{
    run_all(*state, FAIL_ONCE, FAULT_SYSTEM, EIO, 7);
}

static void each_hint_fails(void **state)
{
    run_all(*state, FAIL_ONCE, FAULT_HINT, EINVAL, 7);
}

static void each_transfer_is_short(void **state)
{
    run_all(*state, FAIL_SHORT, FAULT_READ | FAULT_WRITE, 0, 5);
}

static void each_allocation_fails(void **state)
{
    run_all(*state, FAIL_ONCE, FAULT_MEMORY, ENOMEM, 13);
}

static void every_system_call_fails_from_a_point_on(void **state)
{
    run_all(*state, FAIL_FROM, FAULT_SYSTEM, EIO, 11);
}

static void the_disk_is_full_from_a_point_on(void **state)
{
    run_all(*state, FAIL_FROM, FAULT_SPACE, ENOSPC, 3);
}

/* A put may have waited for an attempt that began before memory was there again. */
static void fill_again(struct stave *store, size_t number, uint64_t version)
{
    char key[32];
    uint8_t value[1000];
    enum stave_status status;
    (void)snprintf(key, sizeof(key), "k%zu", number);
    fill_bytes(value, sizeof(value), number + (version << 32));
    do {
        status = stave_put(store, stave_text(key), stave_bytes(value, sizeof(value)));
    } while (status == STAVE_NO_MEMORY);
    assert_int_equal(status, STAVE_OK);
}

/* A spare that does not get into the table of segments is no spare: nothing written to it would be found. */
static void a_spare_without_a_place_in_the_table_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store->store;
    fault_choose(FAULT_MEMORY);
    for (uint64_t nth = 1; nth < 12; nth++) {
        mutex_lock(&store->write_lock);
        store->segment_capacity = store->segment_count; /* the next one makes it grow */
        mutex_unlock(&store->write_lock);
        fault_arm(nth, ENOMEM);
        for (int count = 0; count < 10; count++)
            (void)stave_put(fixture->store, stave_text("filling"), stave_bytes(store, 10000));
        (void)fault_disarm();
        for (size_t number = 0; number < 150; number++) fill_again(fixture->store, number, nth);
        fixture_expect_filled(fixture->store, "k", 150, 1000, nth);
        fixture_reopen(fixture);
        store = fixture->store->store;
        fixture_expect_filled(fixture->store, "k", 150, 1000, nth);
    }
    fault_choose(FAULT_SYSTEM);
}

/* Disk full (P9). */

static size_t put_until_full(struct stave *store)
{
    char key[32];
    uint8_t value[1000];
    for (size_t number = 0; number < 2000; number++) {
        (void)snprintf(key, sizeof(key), "k%zu", number);
        fill_bytes(value, sizeof(value), number);
        const enum stave_status status = stave_put(store, stave_text(key), stave_bytes(value, sizeof(value)));
        if (status == STAVE_FULL) return number;
        assert_int_equal(status, STAVE_OK);
    }
    fail_msg("the disk never became full");
    return 0;
}

static void put_when_space_returns(struct stave *store)
{
    enum stave_status status;
    const uint64_t began_ns = test_clock_ns();
    while ((status = stave_put(store, stave_text("later"), stave_text("1"))) == STAVE_FULL)
        assert_true(test_nap(began_ns));
    assert_int_equal(status, STAVE_OK);
    store_expect(store, "later", "1");
}

/* "a disk that fills at any byte": no SIGBUS, reads and deletes go on, writes too once space returns (P9) */
static void reads_and_deletes_go_on_when_the_disk_is_full(void **state)
{
    struct fixture *fixture = *state;
    fault_choose(FAULT_SPACE);
    for (uint64_t nth = 1; nth < 30; nth += 4) {
        fault_arm_from(nth, ENOSPC);
        const size_t count = put_until_full(fixture->store);
        fixture_expect_filled(fixture->store, "k", count, 1000, 0);
        const size_t deleted = count < 10 ? count : 10;
        fixture_delete(fixture->store, "k", deleted);
        fixture_expect_absent(fixture->store, "k", deleted);
        assert_int_equal(stave_put(fixture->store, stave_text("k0"), stave_bytes(fixture, 1000)), STAVE_FULL);
        assert_true(fault_disarm());
        put_when_space_returns(fixture->store);
        fixture_expect_absent(fixture->store, "k", deleted);
        fixture_reopen(fixture);
        fixture_expect_absent(fixture->store, "k", deleted);
        assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
    }
    fault_choose(FAULT_SYSTEM);
}

/* Failing syncs (P13). */

static void after_a_failed_sync_every_write_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct stave_stats stats = {.size = sizeof(stats)};
    struct stave_error error;
    fixture_close(fixture);
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture_reopen(fixture);
    store_put(fixture->store, "a", "1");
    fault_choose(FAULT_SYNC);
    fault_arm(1, EIO);
    assert_true(stave_sync(fixture->store) < 0);
    assert_true(fault_disarm()); /* the disk works again, and yet: */
    assert_true(stave_sync(fixture->store) < 0);
    assert_int_equal(stave_put(fixture->store, stave_text("b"), stave_text("1")), STAVE_FAILED);
    assert_int_equal(stave_delete(fixture->store, stave_text("a")), STAVE_FAILED);
    assert_int_equal(stave_delete(fixture->store, stave_text("not there")), STAVE_FAILED);
    assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_FAILED);
    store_expect(fixture->store, "a", "1");
    stave_last_error(fixture->store, &error);
    assert_int_not_equal(error.status, STAVE_OK);
    assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
    assert_true(stats.failed);
    assert_true(stave_close(fixture->store) < 0);
    fixture->store = NULL;
    fixture_reopen(fixture);
    store_put(fixture->store, "b", "1");
    fault_choose(FAULT_SYSTEM);
}

static void a_durable_write_whose_sync_fails_does_not_succeed(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.flags = STAVE_DURABLE};
    fault_choose(FAULT_SYNC);
    fault_arm_from(1, EIO);
    assert_true(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, NULL) < 0);
    assert_true(fault_disarm());
    assert_int_equal(stave_put(fixture->store, stave_text("b"), stave_text("1")), STAVE_FAILED);
    assert_true(stave_close(fixture->store) < 0);
    fixture->store = NULL;
    fault_choose(FAULT_SYSTEM);
}

static void a_sync_that_fails_in_the_background_is_not_kept_quiet(void **state)
{
    struct fixture *fixture = *state;
    enum stave_status status;
    const uint64_t began_ns = test_clock_ns();
    fault_choose(FAULT_SYNC);
    fault_arm_from(1, EIO);
    while ((status = stave_put(fixture->store, stave_text("a"), stave_text("1"))) == STAVE_OK)
        assert_true(test_nap(began_ns));
    assert_int_equal(status, STAVE_FAILED);
    (void)fault_disarm();
    fault_choose(FAULT_SYSTEM);
    assert_true(stave_close(fixture->store) < 0);
    fixture->store = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(each_system_call_fails),
        FIXTURE_TEST(each_hint_fails),
        FIXTURE_TEST(each_transfer_is_short),
        FIXTURE_TEST(each_allocation_fails),
        FIXTURE_TEST(a_spare_without_a_place_in_the_table_is_given_up),
        FIXTURE_TEST(every_system_call_fails_from_a_point_on),
        FIXTURE_TEST(the_disk_is_full_from_a_point_on),
        FIXTURE_TEST(reads_and_deletes_go_on_when_the_disk_is_full),
        FIXTURE_TEST(after_a_failed_sync_every_write_is_refused),
        FIXTURE_TEST(a_durable_write_whose_sync_fails_does_not_succeed),
        FIXTURE_TEST(a_sync_that_fails_in_the_background_is_not_kept_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
