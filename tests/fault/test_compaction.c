/* SPDX-License-Identifier: MIT */
/* Compaction when time has gone by, and when memory runs out. */
#include "support/fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_has_expired_gives_its_room_back_unread),
        FIXTURE_TEST(what_cannot_be_expired_is_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
