/* SPDX-License-Identifier: MIT */
/* Which segments compaction may take (compaction.h, C1). */
#include "support/fixture.h"

#include "store/compaction.h"
#include "store/writer.h"
#include "support/crash_copy.h"

enum { LARGE_SIZE = 100000 };

/* Segments of that kind among the victims. */
static size_t count_picked(struct stave *handle, enum pick_mode mode, uint32_t kind)
{
    struct store *store = handle->store;
    struct pick pick;
    size_t count = 0;
    mutex_lock(&store->write_lock);
    compaction_pick(store, mode, UINT32_MAX, &pick);
    for (size_t i = 0; i < pick.count; i++) count += pick.victims[i]->kind == kind;
    mutex_unlock(&store->write_lock);
    return count;
}

/* C1, P3: a kill would leave a LINK in the log, and nothing that it leads to. */
static void a_dead_large_value_stays_while_the_log_that_links_it_is_open(void **state)
{
    struct fixture *fixture = *state;
    struct store *store;
    crash_start(fixture, UINT64_C(256) << 10);
    store = fixture->store->store;
    crash_put_sized(fixture->store, "k", LARGE_SIZE);
    store_put(fixture->store, "k", "small");
    const enum pick_mode modes[] = {PICK_DUE, PICK_FULL, PICK_ALL};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        assert_int_equal(count_picked(fixture->store, modes[i], SEGMENT_LARGE), 0);
    mutex_lock(&store->write_lock);
    assert_int_equal(writer_roll(store), STAVE_OK);
    mutex_unlock(&store->write_lock);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        assert_int_equal(count_picked(fixture->store, modes[i], SEGMENT_LARGE), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_dead_large_value_stays_while_the_log_that_links_it_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
