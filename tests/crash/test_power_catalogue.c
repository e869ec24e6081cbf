/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in relatives of Stave (see unit/test_catalogue.c), where it takes a loss of power to show.
 *
 * A child writes and ends at a known place; of what was not durable then all, some or nothing is kept.
 */
#include "support/fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/crash_copy.h"
#include "support/fault.h"
#include "support/power_loss.h"

enum { IMAGES = 8, NOTHING_KEPT = 2, KEY_COUNT = 150, VALUE_SIZE = 1000, SMALL_COUNT = 70, SMALL_SIZE = 16 };
enum { LARGE_COUNT = 6, LARGE_SIZE = 100000 };

static struct stave_options quiet_options(void)
{
    struct stave_options options = small_options();
    options.sync = STAVE_SYNC_NONE;
    options.manual_compaction = true;
    return options;
}

typedef void (*write_call)(struct stave *store);
typedef void (*expect_call)(struct stave *store);

static void write_in_child(const struct scratch *scratch, const char *shadow, bool compacts, write_call write)
{
    struct stave_options options = quiet_options();
    options.manual_compaction = !compacts;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fault_power_begin(scratch->store, shadow);
        write(store_open(scratch->store, &options));
        _exit(0); /* not closed: the power is off */
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void lose_power(bool compacts, write_call write, expect_call expect)
{
    struct scratch scratch;
    char shadow[SCRATCH_PATH_SIZE];
    char image[SCRATCH_PATH_SIZE];
    const struct stave_options options = quiet_options();
    scratch_make(&scratch);
    scratch_path(&scratch, "shadow", shadow);
    scratch_path(&scratch, "image", image);
    assert_int_equal(mkdir(scratch.store, 0700), 0);
    assert_int_equal(mkdir(shadow, 0700), 0);
    write_in_child(&scratch, shadow, compacts, write);
    for (uint64_t seed = 0; seed < IMAGES; seed++) { /* the seed says how much is kept: L4 */
        power_loss_compose(scratch.store, shadow, image, seed);
        struct stave *store = store_open(image, &options);
        expect(store);
        store_close(store);
        scratch_remove_tree(image);
    }
    scratch_remove(&scratch);
}

static void lose_power_after(write_call write, expect_call expect)
{
    lose_power(false, write, expect);
}

static void must(enum stave_status status)
{
    if (status != STAVE_OK) _exit(2);
}

static void expect_version(struct stave *store, size_t number, uint64_t older, uint64_t newer)
{
    char key[32];
    struct stave_value value = {0};
    (void)snprintf(key, sizeof(key), "k%zu", number);
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status != STAVE_OK) fail_msg("%s: %d", key, (int)status);
    assert_int_equal(value.size, VALUE_SIZE);
    if (!bytes_are(value.data, value.size, number + (older << 32)) &&
        !bytes_are(value.data, value.size, number + (newer << 32)))
        fail_msg("%s has another value", key);
    stave_free(value.data);
}

/* Durable values, moved. */

static void write_and_move(struct stave *store)
{
    fixture_fill(store, "gone", KEY_COUNT, VALUE_SIZE, 1);
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    fixture_delete(store, "gone", KEY_COUNT);
    must(stave_sync(store));
    must(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL));
}

static void expect_moved(struct stave *store)
{
    fixture_expect_filled(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    fixture_expect_absent(store, "gone", KEY_COUNT);
}

/* "copies not synced before originals are removed" (P2, P4) */
static void copies_are_durable_before_their_originals_are_removed(void **state)
{
    (void)state;
    lose_power_after(write_and_move, expect_moved);
}

/* Values with a segment of their own: durable ones, then newer ones that were never synced. */

static void write_large(struct stave *store)
{
    fixture_fill(store, "large", LARGE_COUNT, LARGE_SIZE, 1);
    must(stave_sync(store));
    fixture_fill(store, "large", LARGE_COUNT, LARGE_SIZE, 2);
}

static void expect_large(struct stave *store)
{
    uint64_t version = 2;
    for (size_t number = 0; number < LARGE_COUNT; number++) {
        char key[32];
        struct stave_value value = {0};
        (void)snprintf(key, sizeof(key), "large%zu", number);
        assert_int_equal(stave_get(store, stave_text(key), &value), STAVE_OK);
        assert_int_equal(value.size, LARGE_SIZE);
        if (version == 2 && !bytes_are(value.data, value.size, number + (version << 32))) version = 1;
        assert_true(bytes_are(value.data, value.size, number + (version << 32)));
        stave_free(value.data);
    }
}

/* P2, P3: a LINK counts for nothing without what it publishes, and is not durable before that is. */
static void large_values_are_durable_with_the_log_that_links_them(void **state)
{
    (void)state;
    lose_power_after(write_large, expect_large);
}

/*
 * Large values that were never synced, by a process that was killed; the power goes while the next one opens.
 */

static void kill_after_large(const struct scratch *scratch, const struct stave_options *options)
{
    const pid_t child = fork();
    if (child == 0) {
        fixture_fill(store_open(scratch->store, options), "large", LARGE_COUNT, LARGE_SIZE, 1);
        _exit(0);
    }
    int status = -1;
    if (waitpid(child, &status, 0) != child || status != 0) _exit(1);
}

/* In a child: the open dies at its nth change of the disk. True when it got to the end. */
static bool recover_until(const struct scratch *scratch, const char *shadow, uint64_t nth)
{
    const struct stave_options options = quiet_options();
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fault_power_begin(scratch->store, shadow);
        kill_after_large(scratch, &options);
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(nth, false);
        (void)store_open(scratch->store, &options);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_EXIT);
    return WEXITSTATUS(status) == 0;
}

static void expect_first_of_large(struct stave *store)
{
    bool is_over = false;
    for (size_t number = 0; number < LARGE_COUNT; number++) {
        char key[32];
        struct stave_value value = {0};
        (void)snprintf(key, sizeof(key), "large%zu", number);
        const enum stave_status status = stave_get(store, stave_text(key), &value);
        if (status == STAVE_OK) assert_true(bytes_are(value.data, LARGE_SIZE, number + (UINT64_C(1) << 32)));
        if (status == STAVE_OK) assert_false(is_over);
        if (status != STAVE_OK) assert_int_equal(status, STAVE_NOT_FOUND);
        is_over = status != STAVE_OK;
        stave_free(value.data);
    }
}

/* P3: a manifest does not list a large value whose name is not durable. */
static void large_values_are_durable_before_recovery_lists_them(void **state)
{
    (void)state;
    const struct stave_options options = quiet_options();
    bool is_complete = false;
    for (uint64_t nth = 1; !is_complete; nth++) {
        struct scratch scratch;
        char shadow[SCRATCH_PATH_SIZE];
        char image[SCRATCH_PATH_SIZE];
        scratch_make(&scratch);
        scratch_path(&scratch, "shadow", shadow);
        scratch_path(&scratch, "image", image);
        assert_int_equal(mkdir(scratch.store, 0700), 0);
        assert_int_equal(mkdir(shadow, 0700), 0);
        is_complete = recover_until(&scratch, shadow, nth);
        for (uint64_t seed = 0; seed <= NOTHING_KEPT; seed++) {
            power_loss_compose(scratch.store, shadow, image, seed);
            struct stave *store = store_open(image, &options);
            expect_first_of_large(store);
            store_close(store);
            scratch_remove_tree(image);
        }
        scratch_remove(&scratch);
    }
}

/* Durable values, overwritten and deleted without a sync, then compacted. */

static void overwrite_and_move(struct stave *store)
{
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    must(stave_sync(store));
    fixture_fill(store, "k", KEY_COUNT / 2, VALUE_SIZE, 2);
    must(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL));
    fixture_fill(store, "k", KEY_COUNT / 4, VALUE_SIZE, 2);
}

static void expect_one_of_two(struct stave *store)
{
    for (size_t number = 0; number < KEY_COUNT; number++)
        expect_version(store, number, 1, number < KEY_COUNT / 2 ? 2 : 1);
}

/* "a durable old value destroyed by compaction because of a newer one that power loss then took" (P2, P3) */
static void a_durable_value_is_not_given_up_for_one_that_power_loss_takes(void **state)
{
    (void)state;
    lose_power_after(overwrite_and_move, expect_one_of_two);
}

/* A segment of durable values, all overwritten in the tail without a sync, and removed in the background. */

static void overwrite_and_wait(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    crash_wait_until_quiet(store);
    must(stave_sync(store));
    fixture_fill(store, "k", SMALL_COUNT, SMALL_SIZE, 2);
    const uint64_t sequence = stave_sequence(store);
    const uint64_t began_ns = test_clock_ns();
    while (stats.compaction_count == 0 && test_nap(began_ns)) must(stave_stats(store, &stats));
    if (stats.compaction_count == 0 || stave_sequence(store) != sequence) _exit(3);
}

static void expect_old_or_new(struct stave *store)
{
    for (size_t number = 0; number < KEY_COUNT; number++) {
        char key[32];
        struct stave_value value = {0};
        (void)snprintf(key, sizeof(key), "k%zu", number);
        const enum stave_status status = stave_get(store, stave_text(key), &value);
        if (status != STAVE_OK) fail_msg("%s: %d", key, (int)status);
        const bool is_new = value.size == SMALL_SIZE && number < SMALL_COUNT;
        assert_true(is_new || value.size == VALUE_SIZE);
        assert_true(bytes_are(value.data, value.size, number + (UINT64_C(1) << (is_new ? 33 : 32))));
        stave_free(value.data);
    }
}

/* The same where nothing but compaction itself would make the newer values durable: no roll, no sync. (P2) */
static void what_compaction_relied_on_is_durable_before_a_segment_goes(void **state)
{
    (void)state;
    lose_power(true, overwrite_and_wait, expect_old_or_new);
}

/* Segments filled between two syncs. */

static void fill_segments_and_sync(struct stave *store)
{
    const struct stave_write durable = {.flags = STAVE_DURABLE};
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1); /* more than two segments */
    must(stave_put_with(store, stave_text("last"), stave_text("1"), &durable, NULL));
}

static void expect_all(struct stave *store)
{
    fixture_expect_filled(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    store_expect(store, "last", "1");
}

/* "the segment that filled between two syncs never synced" (P2) */
static void a_durable_write_makes_the_segments_before_it_durable(void **state)
{
    (void)state;
    lose_power_after(fill_segments_and_sync, expect_all);
}

/* The mark behind the last sync of each tail, durable as soon as nothing more is written. */

static uint64_t sync_count(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    must(stave_stats(store, &stats));
    return stats.sync_count;
}

/*
 * Two syncs: of the record, then of the mark. A store that leaves the second out is not waited for without
 * end.
 */
static void put_and_fall_idle(struct stave *store, const char *key, const char *value)
{
    const struct stave_write durable = {.flags = STAVE_DURABLE};
    const uint64_t before = sync_count(store);
    must(stave_put_with(store, stave_text(key), stave_text(value), &durable, NULL));
    const uint64_t began_ns = test_clock_ns();
    while (sync_count(store) < before + 2 && test_nap(began_ns)) continue;
}

/*
 * The tails of "b" and "c" begin alike and end at the same offset, and the syncer looks at neither in
 * between.
 */
static void put_in_each_tail(struct stave *store)
{
    must(stave_set_sync(store, STAVE_SYNC_INTERVAL, 60000));
    must(stave_put(store, stave_text("a"), stave_text("value-of-a")));
    must(stave_compact(store, 0, NULL, NULL)); /* rolls */
    put_and_fall_idle(store, "b", "value-of-b");
    must(stave_compact(store, 0, NULL, NULL));
    put_and_fall_idle(store, "c", "value-of-c");
}

/* P6: what was durable is known to have been, when the power goes while nothing is written. */
static void the_last_mark_of_every_tail_becomes_durable(void **state)
{
    (void)state;
    struct scratch scratch;
    char shadow[SCRATCH_PATH_SIZE];
    char image[SCRATCH_PATH_SIZE];
    const struct stave_options options = quiet_options();
    scratch_make(&scratch);
    scratch_path(&scratch, "shadow", shadow);
    scratch_path(&scratch, "image", image);
    assert_int_equal(mkdir(scratch.store, 0700), 0);
    assert_int_equal(mkdir(shadow, 0700), 0);
    write_in_child(&scratch, shadow, false, put_in_each_tail);
    power_loss_compose(scratch.store, shadow, image, NOTHING_KEPT);
    crash_flip_in(image, "value-of-c");
    struct stave *store = store_open(image, &options);
    struct stave_value value = {0};
    store_expect(store, "a", "value-of-a");
    store_expect(store, "b", "value-of-b");
    assert_int_equal(stave_get(store, stave_text("c"), &value), STAVE_CORRUPT); /* and not torn off */
    store_close(store);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_durable_before_their_originals_are_removed),
        cmocka_unit_test(large_values_are_durable_with_the_log_that_links_them),
        cmocka_unit_test(large_values_are_durable_before_recovery_lists_them),
        cmocka_unit_test(a_durable_value_is_not_given_up_for_one_that_power_loss_takes),
        cmocka_unit_test(what_compaction_relied_on_is_durable_before_a_segment_goes),
        cmocka_unit_test(a_durable_write_makes_the_segments_before_it_durable),
        cmocka_unit_test(the_last_mark_of_every_tail_becomes_durable),
    };
    fault_skip_syncs();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
