/* SPDX-License-Identifier: MIT */
/* Slots of segments that are gone: when they are given out again (checkpointing.h, K3). */
#include "support/fixture.h"

#include "support/crash_copy.h"

enum { KEY_COUNT = 300, VALUE_SIZE = 1000, SLOT_COUNT = 64 };

struct slots {
    uint32_t numbers[SLOT_COUNT];
    size_t count;
};

static struct slots slots_in_use(struct stave *handle)
{
    struct store *store = handle->store;
    struct slots slots = {.count = 0};
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count && slots.count < SLOT_COUNT; i++)
        slots.numbers[slots.count++] = store->segments[i]->first_slot;
    mutex_unlock(&store->write_lock);
    return slots;
}

static bool is_in(const struct slots *slots, uint32_t number)
{
    for (size_t i = 0; i < slots->count; i++)
        if (slots->numbers[i] == number) return true;
    return false;
}

/* Rewrites everything, and gives the slots that came free by that. */
static struct slots free_some(struct fixture *fixture, uint64_t version)
{
    struct slots freed = {.count = 0};
    crash_wait_until_quiet(fixture->store);
    const struct slots before = slots_in_use(fixture->store);
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, version);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    const struct slots after = slots_in_use(fixture->store);
    for (size_t i = 0; i < before.count; i++)
        if (!is_in(&after, before.numbers[i])) freed.numbers[freed.count++] = before.numbers[i];
    assert_true(freed.count > 0);
    return freed;
}

/* How many of `freed` are taken when the search for slots begins anew, as it does after 16 TiB of log. */
static size_t count_taken_again(struct fixture *fixture, const struct slots *freed, uint64_t version)
{
    struct store *store = fixture->store->store;
    crash_wait_until_quiet(fixture->store);
    mutex_lock(&store->write_lock);
    store->next_slot = 1;
    mutex_unlock(&store->write_lock);
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, version);
    crash_wait_until_quiet(fixture->store);
    const struct slots after = slots_in_use(fixture->store);
    size_t count = 0;
    for (size_t i = 0; i < freed->count; i++) count += is_in(&after, freed->numbers[i]);
    return count;
}

static void expect_quarantine(struct fixture *fixture, const struct slots *freed, uint64_t version)
{
    assert_int_equal(count_taken_again(fixture, freed, version), 0);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    assert_true(count_taken_again(fixture, freed, version + 1) > 0);
    fixture_expect_filled(fixture->store, "k", KEY_COUNT, VALUE_SIZE, version + 1);
}

/* K3, P4: an entry of an older checkpoint never leads into a newer segment. */
static void a_slot_is_given_out_again_only_after_a_checkpoint_that_began_later(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, 1);
    struct slots freed = free_some(fixture, 2);
    expect_quarantine(fixture, &freed, 3);
    freed = free_some(fixture, 5);
    expect_quarantine(fixture, &freed, 6);
}

/* K3, P4 */
static void slots_that_only_the_checkpoint_knows_are_not_given_out_after_an_open(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    const struct slots freed = free_some(fixture, 2);
    fixture_reopen(fixture);
    assert_true(crash_from_checkpoint(fixture->store));
    expect_quarantine(fixture, &freed, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_slot_is_given_out_again_only_after_a_checkpoint_that_began_later),
        FIXTURE_TEST(slots_that_only_the_checkpoint_knows_are_not_given_out_after_an_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
