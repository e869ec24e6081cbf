/* SPDX-License-Identifier: MIT */
/* How long compaction keeps a tombstone (compaction.h, C3): until nothing older of its key can be left. */
#include "support/fixture.h"

#include "store/writer.h"
#include "support/crash_copy.h"

enum { KEY_COUNT = 1000, VALUE_SIZE = 1000, LARGE_SIZE = 100000 };

/* The index is made from the segments alone: everything that compaction has left in them counts. */
static void reopen_from_the_log(struct fixture *fixture)
{
    fixture_close(fixture);
    if (scratch_has(fixture->scratch.store, "CHECKPOINT"))
        scratch_unlink(fixture->scratch.store, "CHECKPOINT");
    fixture_reopen(fixture);
}

static void roll(struct fixture *fixture)
{
    struct store *store = fixture->store->store;
    mutex_lock(&store->write_lock);
    assert_int_equal(writer_roll(store), STAVE_OK);
    mutex_unlock(&store->write_lock);
}

struct deleting {
    struct stave *store;
    bool is_done;
};

/* "k0" has been copied by now; its tombstone gets the first sequence behind the outputs' horizon. */
static bool delete_first(void *context, uint64_t done, uint64_t total)
{
    struct deleting *deleting = context;
    (void)done;
    (void)total;
    if (!deleting->is_done) assert_int_equal(stave_delete(deleting->store, stave_text("k0")), STAVE_OK);
    deleting->is_done = true;
    return false;
}

/* "delete racing the move of its record" (P4) */
static void a_tombstone_written_while_its_key_was_moved_outlives_the_copy(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, UINT64_C(4) << 20); /* so that it is asked about its progress within one run */
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, 1);
    struct deleting deleting = {.store = fixture->store};
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, delete_first, &deleting), STAVE_OK);
    assert_true(deleting.is_done);
    store_expect(fixture->store, "k0", NULL);
    for (uint64_t version = 1; version < 20;
         version++) /* the log that has the tombstone is to be compacted */
        fixture_fill(fixture->store, "other", 20, VALUE_SIZE, version);
    assert_int_equal(stave_compact(fixture->store, 0, NULL, NULL), STAVE_OK);
    reopen_from_the_log(fixture);
    store_expect(fixture->store, "k0", NULL);
    fixture_expect_filled(fixture->store, "other", 20, VALUE_SIZE, 19);
}

/* Those that compaction may not take keep every tombstone that may hide what is in them. */
static void damage_all(struct fixture *fixture, uint32_t kind)
{
    struct store *store = fixture->store->store;
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->kind == kind && store->segments[i]->sealed)
            store->segments[i]->damaged = true;
    mutex_unlock(&store->write_lock);
}

/* A value in a segment of that kind, and its tombstone elsewhere; `is_alone`: the space is empty then. */
static void delete_what_stays(struct fixture *fixture, uint32_t kind, bool is_alone)
{
    crash_start(fixture, UINT64_C(256) << 10);
    crash_put_sized(fixture->store, "gone", kind == SEGMENT_LARGE ? LARGE_SIZE : 100);
    roll(fixture);
    if (kind == SEGMENT_OUTPUT)
        assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    damage_all(fixture, kind);
    assert_int_equal(stave_delete(fixture->store, stave_text("gone")), STAVE_OK);
    if (!is_alone) store_put(fixture->store, "kept", "1");
    for (int round = 0; round < 2; round++)
        assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    reopen_from_the_log(fixture);
    store_expect(fixture->store, "gone", NULL);
    if (!is_alone) store_expect(fixture->store, "kept", "1");
}

/* P4, P6 */
static void a_tombstone_outlives_a_segment_that_cannot_be_compacted(void **state)
{
    const uint32_t kinds[] = {SEGMENT_LOG, SEGMENT_OUTPUT, SEGMENT_LARGE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        delete_what_stays(*state, kinds[i], false);
        delete_what_stays(*state, kinds[i], true);
    }
}

static uint64_t tombstone_size(struct stave *handle)
{
    struct store *store = handle->store;
    uint64_t size = 0;
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count; i++) size += store->segments[i]->tombstone_size;
    mutex_unlock(&store->write_lock);
    return size;
}

/* P9: a cold segment that keeps tombstones alive is rewritten in the end. */
static void tombstones_do_not_stay_for_a_cold_segment(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "cold", 55, VALUE_SIZE, 1); /* a segment full of what is live */
    roll(fixture);
    fixture_fill(fixture->store, "gone", KEY_COUNT, 10, 1);
    fixture_delete(fixture->store, "gone", KEY_COUNT);
    const uint64_t before = tombstone_size(fixture->store);
    for (int round = 0; round < 5; round++)
        assert_int_equal(stave_compact(fixture->store, 0, NULL, NULL), STAVE_OK);
    assert_true(tombstone_size(fixture->store) < before / 10);
    fixture_expect_filled(fixture->store, "cold", 55, VALUE_SIZE, 1);
    reopen_from_the_log(fixture);
    fixture_expect_absent(fixture->store, "gone", KEY_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_tombstone_written_while_its_key_was_moved_outlives_the_copy),
        FIXTURE_TEST(a_tombstone_outlives_a_segment_that_cannot_be_compacted),
        FIXTURE_TEST(tombstones_do_not_stay_for_a_cold_segment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
