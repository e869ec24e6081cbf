/* SPDX-License-Identifier: MIT */
/* A kill after a segment was sealed and before a manifest says so (logend.h, E1). */
#include "support/fixture.h"

#include <errno.h>
#include <unistd.h>

#include "support/crash_copy.h"
#include "support/fault.h"

/* Fills the tail until it is left. */
static void put_until_rolled(struct stave *handle)
{
    struct store *store = handle->store;
    for (bool has_spare = true; has_spare;) {
        crash_put_sized(handle, "filler", 1000);
        mutex_lock(&store->write_lock);
        has_spare = store->spare != NULL;
        mutex_unlock(&store->write_lock);
    }
}

/* Until the thread that seals has tried to replace the manifest, and given up. */
static void wait_until_given_up(struct stave *handle)
{
    struct store *store = handle->store;
    for (bool has_failed = false; !has_failed; (void)usleep(500)) {
        mutex_lock(&store->write_lock);
        has_failed = store->spare_status != STAVE_OK;
        mutex_unlock(&store->write_lock);
    }
    assert_true(store->sealing != NULL && store->sealing->sealed);
}

/* E1, P6: a MARK in a later segment vouches for all of an earlier one. */
static void what_a_later_segment_vouches_for_is_not_cut(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char name[64];
    uint64_t offset = 0;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    store_put(fixture->store, "first", "1");
    store_put(fixture->store, "damaged", "a value to be damaged");
    crash_wait_until_quiet(fixture->store);
    fault_choose(FAULT_RENAME);
    fault_arm_from(1, EIO);
    put_until_rolled(fixture->store);
    wait_until_given_up(fixture->store);
    store_put(fixture->store, "last", "1");
    scratch_path(&fixture->scratch, "crash", path);
    scratch_copy(fixture->scratch.store, path);
    assert_true(fault_disarm());
    fault_choose(FAULT_SYSTEM);

    assert_true(scratch_find_segment(path, stave_text("a value to be damaged"), name, &offset));
    scratch_flip(path, name, offset);
    struct stave *store = store_open(path, &fixture->options);
    struct stave_value value = {0};
    assert_int_equal(stave_get(store, stave_text("damaged"), &value), STAVE_CORRUPT);
    store_expect(store, "first", "1");
    store_expect(store, "last", "1");
    assert_int_equal(stave_exists(store, stave_text("filler")), STAVE_OK);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_a_later_segment_vouches_for_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
