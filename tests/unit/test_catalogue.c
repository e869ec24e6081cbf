/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in relatives of Stave, each quoted above the test that guards against it.
 *
 * Here are those that need nothing but the library; others stand in fault/test_catalogue.c (a failing
 * system), crash/test_power_catalogue.c (a loss of power), or where their subject is tested.
 * tidy/test_promises.py has the list and finds the tests.
 */
#include "support/fixture.h"

#include <time.h>
#include <unistd.h>

static void compact(struct fixture *fixture, uint32_t flags)
{
    assert_int_equal(stave_compact(fixture->store, flags, NULL, NULL), STAVE_OK);
}

static void reopen_without_checkpoint(struct fixture *fixture)
{
    fixture_close(fixture);
    scratch_unlink(fixture->scratch.store, "CHECKPOINT");
    fixture_reopen(fixture);
}

/* "old value back after a partial merge and restart" */
static void an_old_value_does_not_return_after_a_partial_merge_and_a_restart(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture->options.manual_compaction = true;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "stay", 100, 1000, 1);
    fixture_fill(fixture->store, "k", 100, 1000, 1);
    fixture_fill(fixture->store, "gone", 100, 1000, 1);
    fixture_fill(fixture->store, "k", 100, 1000, 2);
    fixture_delete(fixture->store, "gone", 100);
    for (int round = 0; round < 4; round++) {
        compact(fixture, 0); /* those past dead_ratio_percent only */
        reopen_without_checkpoint(fixture);
        fixture_expect_filled(fixture->store, "k", 100, 1000, 2);
        fixture_expect_absent(fixture->store, "gone", 100);
        fixture_fill(fixture->store, "more", 80, 1000, (uint64_t)round);
    }
    fixture_expect_filled(fixture->store, "stay", 100, 1000, 1);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* "expiry on the read path deleting a value just rewritten" */
static void an_expiry_met_by_a_read_does_not_delete_a_value_just_rewritten(void **state)
{
    struct fixture *fixture = *state;
    char key[32];
    for (int round = 0; round < 200; round++) {
        const struct stave_write write = {.expires_at_ms = wall_ms() + (uint64_t)(round % 2)};
        (void)snprintf(key, sizeof(key), "k%d", round);
        assert_int_equal(stave_put_with(fixture->store, stave_text(key), stave_text("1"), &write, NULL),
                         STAVE_OK);
        struct stave_value value = {0};
        if (stave_get(fixture->store, stave_text(key), &value) == STAVE_OK) stave_free(value.data);
        store_put(fixture->store, key, "2");
    }
    (void)usleep(20000);
    compact(fixture, STAVE_COMPACT_ALL);
    fixture_reopen(fixture);
    for (int round = 0; round < 200; round++) {
        (void)snprintf(key, sizeof(key), "k%d", round);
        store_expect(fixture->store, key, "2");
    }
}

/* "the active segment picked for merging" */
static void the_segment_being_written_takes_no_harm_from_compaction(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t round = 0; round < 20; round++) {
        fixture_fill(fixture->store, "k", 20, 500, round);
        compact(fixture, STAVE_COMPACT_ALL);
        fixture_fill(fixture->store, "l", 20, 500, round);
        fixture_expect_filled(fixture->store, "k", 20, 500, round);
    }
    fixture_reopen(fixture);
    fixture_expect_filled(fixture->store, "k", 20, 500, 19);
    fixture_expect_filled(fixture->store, "l", 20, 500, 19);
}

/* "iterating while files are removed" */
static void a_cursor_goes_on_while_files_are_removed(void **state)
{
    struct fixture *fixture = *state;
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    bool seen[300] = {false};
    enum stave_status status;
    size_t count = 0;
    fixture_fill(fixture->store, "k", 300, 1000, 1);
    assert_int_equal(stave_cursor_open(fixture->store, 0, stave_bytes(NULL, 0), 0, &cursor), STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
        char number[16] = {0};
        assert_true(entry.key.size > 1 && entry.key.size < 10);
        memcpy(number, (const char *)entry.key.data + 1, entry.key.size - 1);
        seen[strtoul(number, NULL, 10)] = true;
        if (++count % 50 == 0) compact(fixture, STAVE_COMPACT_ALL);
        assert_int_equal(entry.value.size, 1000);
    }
    assert_int_equal(status, STAVE_END);
    stave_cursor_close(cursor);
    for (size_t number = 0; number < 300; number++) assert_true(seen[number]);
}

/* "empty or header-only newest segment" */
static void an_empty_newest_segment_is_no_trouble(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "a", "1");
    for (int round = 0; round < 10; round++) {
        fixture_reopen(fixture); /* nothing is written: the tail has a header only */
        store_expect(fixture->store, "a", "1");
    }
    compact(fixture, STAVE_COMPACT_ALL);
    compact(fixture, STAVE_COMPACT_ALL);
    reopen_without_checkpoint(fixture);
    store_expect(fixture->store, "a", "1");
    assert_true(scratch_count_segments(fixture->scratch.store) < 8);
}

/* "descriptors leaked at open or after merge" */
static void no_descriptor_is_left_by_opens_and_merges(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    const size_t before = scratch_count_descriptors();
    for (uint64_t round = 0; round < 5; round++) {
        fixture_reopen(fixture);
        fixture_fill(fixture->store, "k", 200, 1000, round);
        compact(fixture, STAVE_COMPACT_ALL);
        fixture_close(fixture);
        assert_int_equal(scratch_count_descriptors(), before);
    }
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "more", 2000, 1000, 1);
    assert_true(scratch_count_segments(fixture->scratch.store) > 25);
    assert_true(scratch_count_descriptors() < before + 16); /* sealed segments are closed (P11) */
}

/* "store with thousands of small segments" */
static void a_store_of_very_many_small_segments_works(void **state)
{
    struct fixture *fixture = *state;
    const size_t count = (size_t)environment_number("STAVE_TEST_SEGMENTS", 400);
    fixture_close(fixture);
    fixture->options.manual_compaction = true;
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "k", count, 60000, 1);
    assert_true(scratch_count_segments(fixture->scratch.store) >= count);
    reopen_without_checkpoint(fixture);
    fixture_expect_filled(fixture->store, "k", count, 60000, 1);
    fixture_delete(fixture->store, "k", count - 10);
    compact(fixture, STAVE_COMPACT_ALL);
    assert_true(scratch_count_segments(fixture->scratch.store) < count / 4);
    fixture_reopen(fixture);
    fixture_expect_absent(fixture->store, "k", count - 10);
    assert_int_equal(stave_count(fixture->store), 10);
}

/* "an overwrite that drops a TTL forgotten after restart" */
static void an_overwrite_that_drops_an_expiry_is_remembered_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t moment_ms = wall_ms();
    const struct stave_write write = {.expires_at_ms = moment_ms + 100};
    const struct stave_write lasting = {.now_ms = moment_ms}; /* "b" is there still, however late it is */
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    store_put(fixture->store, "a", "2");
    assert_int_equal(stave_put_with(fixture->store, stave_text("b"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    assert_int_equal(stave_expire(fixture->store, stave_text("b"), &lasting, NULL), STAVE_OK);
    reopen_without_checkpoint(fixture);
    (void)usleep(120000);
    compact(fixture, STAVE_COMPACT_ALL);
    reopen_without_checkpoint(fixture);
    store_expect(fixture->store, "a", "2");
    store_expect(fixture->store, "b", "1");
}

/* "a stale checkpoint beside newer segments" */
static void a_stale_checkpoint_beside_newer_segments_brings_nothing_back(void **state)
{
    struct fixture *fixture = *state;
    char kept[SCRATCH_PATH_SIZE];
    char command[3 * SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "kept", kept);
    fixture_fill(fixture->store, "k", 300, 500, 1);
    fixture_fill(fixture->store, "gone", 100, 500, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_close(fixture);
    scratch_copy(fixture->scratch.store, kept);
    for (uint64_t round = 2; round < 6; round++) {
        fixture_reopen(fixture);
        if (round == 2) fixture_delete(fixture->store, "gone", 100);
        fixture_fill(fixture->store, "k", 300, 500, round);
        compact(fixture, STAVE_COMPACT_ALL);
        assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
        fixture_close(fixture);
        (void)snprintf(command, sizeof(command), "cp '%.500s/CHECKPOINT' '%.500s/CHECKPOINT'", kept,
                       fixture->scratch.store);
        assert_int_equal(system(command), 0);
        fixture_reopen(fixture);
        fixture_expect_filled(fixture->store, "k", 300, 500, round);
        fixture_expect_absent(fixture->store, "gone", 100);
    }
}

/* "sizes across 2 and 4 GiB": takes 5 GiB of disk; fault/test_sizes.c jumps over most of them. */
static void sizes_across_2_and_4_gib_are_right(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = (size_t)1 << 20;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    fixture_close(fixture);
    fixture->options.segment_size = UINT64_C(6) << 30;
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "k", 4400, size, 1);
    for (int round = 0; round < 2; round++) {
        fixture_expect_filled(fixture->store, "k", 4400, size, 1);
        if (round == 0) reopen_without_checkpoint(fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(an_old_value_does_not_return_after_a_partial_merge_and_a_restart),
        FIXTURE_TEST(an_expiry_met_by_a_read_does_not_delete_a_value_just_rewritten),
        FIXTURE_TEST(the_segment_being_written_takes_no_harm_from_compaction),
        FIXTURE_TEST(a_cursor_goes_on_while_files_are_removed),
        FIXTURE_TEST(an_empty_newest_segment_is_no_trouble),
        FIXTURE_TEST(no_descriptor_is_left_by_opens_and_merges),
        FIXTURE_TEST(a_store_of_very_many_small_segments_works),
        FIXTURE_TEST(an_overwrite_that_drops_an_expiry_is_remembered_after_a_restart),
        FIXTURE_TEST(a_stale_checkpoint_beside_newer_segments_brings_nothing_back),
        FIXTURE_TEST(sizes_across_2_and_4_gib_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
