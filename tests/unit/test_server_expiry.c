/* SPDX-License-Identifier: MIT */
/*
 * server/expiry.h (X1, X2, X5): how many slices the cycle takes in a tick, and how long one is, by a clock
 * that goes forward when it is looked at.
 */
#include "server/clock.h"
#include "server/expiry.h"
#include "server/server.h"
#include "support/fixture.h"

#define KEY_COUNT ((size_t)40000)
#define PERIOD_MS 100
#define DATABASE_COUNT 3
#define NOW_MS UINT64_C(2000000000000) /* later than the system's clock */
#define EXPIRED_MS UINT64_C(1)

struct setup {
    struct fixture *fixture;
    struct server server;
    struct expiry expiry;
    struct stave *databases[DATABASE_COUNT];
};

static uint64_t now_ms;
static uint64_t clock_us;
static uint64_t step_us; /* for which the clock goes forward at each look */
static size_t look_count;
static size_t slice_count; /* each goes through the gate */

uint64_t __wrap_clock_monotonic_us(void);
uint64_t __wrap_clock_now_ms(void);
void __wrap_gate_enter(struct gate *gate, size_t place);
void __real_gate_enter(struct gate *gate, size_t place);

uint64_t __wrap_clock_monotonic_us(void)
{
    look_count++;
    return clock_us += step_us;
}

uint64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

void __wrap_gate_enter(struct gate *gate, size_t place)
{
    slice_count++;
    __real_gate_enter(gate, place);
}

static int set_up(void **state)
{
    struct setup *setup = calloc(1, sizeof *setup);
    assert_non_null(setup);
    (void)fixture_setup((void **)&setup->fixture);
    setup->fixture->options.manual_compaction = true; /* it would remove what has expired, too */
    fixture_reopen(setup->fixture);
    for (uint32_t i = 0; i < DATABASE_COUNT; i++) setup->databases[i] = stave_space(setup->fixture->store, i);
    setup->server.store = setup->fixture->store;
    setup->server.databases = setup->databases;
    setup->server.expiry = &setup->expiry;
    setup->server.database_count = DATABASE_COUNT;
    atomic_store(&setup->server.active_expire, true);
    gate_init(&setup->server.gate, 1);
    now_ms = NOW_MS;
    *state = setup;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *setup = *state;
    gate_free(&setup->server.gate);
    (void)fixture_teardown((void **)&setup->fixture);
    free(setup);
    return 0;
}

/* `count` keys of which one in `expired_one_in` has expired (0: none), and the others will, some time. */
static void fill(const struct setup *setup, uint32_t database, size_t count, size_t expired_one_in)
{
    char key[32];
    for (size_t number = 0; number < count; number++) {
        const bool is_expired = expired_one_in > 0 && number % expired_one_in == 0;
        const struct stave_write write = {.expires_at_ms = is_expired ? EXPIRED_MS : 2 * NOW_MS};
        (void)snprintf(key, sizeof key, "%zu", number);
        assert_int_equal(
            stave_put_with(setup->databases[database], stave_text(key), stave_text("value"), &write, NULL),
            STAVE_OK);
    }
}

/* How many slices one tick takes, while the clock goes forward for so long at each look. */
static size_t slices_of_a_tick(struct setup *setup, uint64_t us)
{
    step_us = us;
    look_count = 0;
    slice_count = 0;
    expiry_tick(&setup->server, PERIOD_MS);
    return slice_count;
}

static void a_slice_is_over_after_a_millisecond(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, KEY_COUNT, 0);
    assert_int_equal(slices_of_a_tick(setup, 100000), 1);
    const size_t least = look_count;
    assert_int_equal(slices_of_a_tick(setup, 1000), 1);
    assert_int_equal(look_count, least);
    assert_int_equal(slices_of_a_tick(setup, 999), 1);
    assert_int_equal(look_count, least + 1);
    assert_int_equal(slices_of_a_tick(setup, 100), 1);
    assert_int_equal(look_count, least + 9);
}

static void while_nothing_has_expired_a_tick_takes_one_slice(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, KEY_COUNT, 0);
    for (int tick = 0; tick < 5; tick++) assert_int_equal(slices_of_a_tick(setup, 1000), 1);
}

static void while_a_tenth_has_expired_the_cycle_takes_a_quarter_of_the_time(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, KEY_COUNT, 4);
    for (int tick = 0; tick < 2; tick++) assert_int_equal(slices_of_a_tick(setup, 100), PERIOD_MS / 4);
}

static void where_fewer_have_expired_the_cycle_takes_a_twentieth_of_the_time(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, KEY_COUNT, 100);
    size_t count = 1;
    for (int tick = 0; tick < 20 && count == 1; tick++) count = slices_of_a_tick(setup, 100); /* meets one */
    for (int tick = 0; tick < 5; tick++) assert_int_equal(slices_of_a_tick(setup, 100), PERIOD_MS / 20);
}

static void where_all_has_been_seen_the_cycle_rests_until_something_is_due(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, 10, 0);
    assert_int_equal(slices_of_a_tick(setup, 0), 1); /* to the end */
    for (int tick = 0; tick < 3; tick++) assert_int_equal(slices_of_a_tick(setup, 0), 0);

    now_ms = 2 * NOW_MS;
    assert_int_equal(slices_of_a_tick(setup, 0), 1);
}

/* They share an index, so that their walks are equally long; but what finds something goes faster. */
static void a_large_database_keeps_no_other_from_its_turn(void **state)
{
    struct setup *setup = *state;
    fill(setup, 0, KEY_COUNT, 0);
    fill(setup, 2, KEY_COUNT / 10, 1);
    while (stave_count(setup->databases[2]) > 0 && !setup->expiry.walks[0].is_over)
        (void)slices_of_a_tick(setup, 1000);
    assert_int_equal(stave_count(setup->databases[2]), 0);
    assert_false(setup->expiry.walks[0].is_over);
    assert_int_equal(stave_count(setup->databases[0]), KEY_COUNT);
}

static void slices_above_a_twentieth_of_the_time_go_where_much_has_expired(void **state)
{
    struct setup *setup = *state;
    const struct expiry_walk *walks = setup->expiry.walks;
    fill(setup, 0, KEY_COUNT, 0);
    fill(setup, 1, KEY_COUNT, 1);
    assert_int_equal(slices_of_a_tick(setup, 1000), PERIOD_MS / 4);
    assert_true(walks[0].position > 0);
    assert_true(walks[1].position / 4 > walks[0].position);
    assert_false(walks[1].is_over);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slice_is_over_after_a_millisecond, set_up, tear_down),
        cmocka_unit_test_setup_teardown(while_nothing_has_expired_a_tick_takes_one_slice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(while_a_tenth_has_expired_the_cycle_takes_a_quarter_of_the_time,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_fewer_have_expired_the_cycle_takes_a_twentieth_of_the_time,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_database_keeps_no_other_from_its_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slices_above_a_twentieth_of_the_time_go_where_much_has_expired,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_all_has_been_seen_the_cycle_rests_until_something_is_due,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
