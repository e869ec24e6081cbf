/* SPDX-License-Identifier: MIT */
/* Compaction when time has gone by. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_has_expired_gives_its_room_back_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
