/* SPDX-License-Identifier: MIT */
/* Compaction when time has gone by, and when memory runs out. */
#include "support/fixture.h"

#include <errno.h>

#include "os/clock.h"
#include "support/crash_copy.h"
#include "support/fault.h"

enum { KEY_COUNT = 500, VALUE_SIZE = 500, HOUR_MS = 3600000 };

static void put_expiring(struct stave *store, uint64_t expires_at_ms)
{
    const struct stave_write write = {.expires_at_ms = expires_at_ms};
    const uint8_t value[VALUE_SIZE] = {0};
    for (int i = 0; i < KEY_COUNT; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(stave_put_with(store, stave_text(key), stave_bytes(value, VALUE_SIZE), &write, NULL),
                         STAVE_OK);
    }
}

/* P9: nobody reads them, and the index still leads to them. */
static void what_has_expired_gives_its_room_back_unread(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    put_expiring(fixture->store, clock_wall_ms() + HOUR_MS);
    assert_int_equal(stave_compact(fixture->store, 0, NULL, NULL), STAVE_OK);
    assert_true(crash_live_size(fixture->store) > KEY_COUNT * VALUE_SIZE);
    fault_shift_wall_clock(2 * HOUR_MS);
    assert_int_equal(stave_compact(fixture->store, 0, NULL, NULL), STAVE_OK);
    fault_shift_wall_clock(0);
    assert_true(crash_live_size(fixture->store) < KEY_COUNT * VALUE_SIZE / 10);
    assert_true(stave_count(fixture->store) < KEY_COUNT / 10);
}

/* "k0" as a value that stays, and above it one that will have expired, in a segment that is due. */
static void put_one_that_hides_another(struct fixture *fixture)
{
    const struct stave_write write = {.expires_at_ms = clock_wall_ms() + HOUR_MS};
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "k", 100, VALUE_SIZE, 1);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_put_with(fixture->store, stave_text("k0"), stave_text("short"), &write, NULL),
                     STAVE_OK);
    for (uint64_t version = 1; version < 10; version++)
        fixture_fill(fixture->store, "other", 10, VALUE_SIZE, version);
}

/* P4: without a tombstone for what has expired, its record goes on hiding the older one. */
static void what_cannot_be_expired_is_not_dropped(void **state)
{
    struct fixture *fixture = *state;
    bool fired = true;
    for (uint64_t nth = 1; fired && nth < 200; nth++) {
        put_one_that_hides_another(fixture);
        fault_shift_wall_clock(2 * HOUR_MS);
        crash_wait_until_quiet(fixture->store);
        fault_choose(FAULT_MEMORY);
        fault_arm(nth, 0);
        (void)stave_compact(fixture->store, 0, NULL, NULL);
        fired = fault_disarm();
        fault_choose(FAULT_SYSTEM);
        fixture_close(fixture);
        if (scratch_has(fixture->scratch.store, "CHECKPOINT"))
            scratch_unlink(fixture->scratch.store, "CHECKPOINT");
        fixture_reopen(fixture);
        store_expect(fixture->store, "k0", NULL);
        fixture_expect_filled(fixture->store, "other", 10, VALUE_SIZE, 9);
        fault_shift_wall_clock(0);
    }
    assert_false(fired);
}

static uint64_t feed_floor(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    return stats.feed_floor;
}

static void expect_the_first_change(struct stave *store)
{
    struct stave_feed *feed = NULL;
    struct stave_change change;
    assert_int_equal(stave_feed_open(store, 0, STAVE_FEED_NOT_DURABLE, &feed), STAVE_OK);
    assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_OK);
    assert_memory_equal(change.key.data, "k0", 2);
    stave_feed_close(feed);
}

static void put_what_compaction_moves(struct fixture *fixture)
{
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "k", 40, VALUE_SIZE, 1);
    fixture_reopen(fixture); /* sealed */
    crash_wait_until_quiet(fixture->store);
}

/* F1. The manifest without the victims cannot be installed: they are still there, and fed. */
static void victims_that_could_not_be_removed_are_still_fed(void **state)
{
    struct fixture *fixture = *state;
    put_what_compaction_moves(fixture);
    const uint64_t before = feed_floor(fixture->store);
    uint64_t nth = 1;
    for (;; nth++) {
        fault_choose(FAULT_RENAME);
        fault_arm_from(nth, EIO);
        const enum stave_status status = stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL);
        assert_true(fault_disarm() || status == STAVE_OK);
        fault_choose(FAULT_SYSTEM);
        if (status == STAVE_OK) break;
        assert_true(feed_floor(fixture->store) == before);
        expect_the_first_change(fixture->store);
    }
    assert_true(nth > 2); /* one for the copies, one for the victims */
    assert_true(feed_floor(fixture->store) > before);
    fixture_expect_filled(fixture->store, "k", 40, VALUE_SIZE, 1);
}

/* F1. The first manifest without the victims has the floor that this makes. */
static void the_floor_is_there_after_a_kill(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    put_what_compaction_moves(fixture);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    const uint64_t floor = feed_floor(fixture->store);
    assert_true(floor > 0);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(feed_floor(store) == floor);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_has_expired_gives_its_room_back_unread),
        FIXTURE_TEST(what_cannot_be_expired_is_not_dropped),
        FIXTURE_TEST(victims_that_could_not_be_removed_are_still_fed),
        FIXTURE_TEST(the_floor_is_there_after_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
