/* SPDX-License-Identifier: MIT */
/* A large value whose writing fails anywhere: it says why, and is not there, not after a kill either. */
#include "support/fixture.h"

#include <errno.h>

#include "support/crash_copy.h"
#include "support/fault.h"

enum { LARGE_SIZE = 100000, WRITE_COUNT = 4 }; /* header of the segment, key, value, header of the record */

/* P4, P6 */
static void a_large_put_that_fails_says_why_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint8_t *value = calloc(1, LARGE_SIZE);
    assert_non_null(value);
    crash_start(fixture, UINT64_C(256) << 10);
    store_put(fixture->store, "other", "1");
    for (uint64_t nth = 1; nth <= WRITE_COUNT; nth++) {
        char path[SCRATCH_PATH_SIZE];
        struct stave_error error = {.status = STAVE_OK};
        crash_wait_until_quiet(fixture->store);
        fault_choose(FAULT_WRITE);
        fault_arm(nth, EIO);
        assert_int_equal(stave_put(fixture->store, stave_text("k"), stave_bytes(value, LARGE_SIZE)),
                         STAVE_IO);
        assert_true(fault_disarm());
        fault_choose(FAULT_SYSTEM);
        stave_last_error(fixture->store, &error);
        assert_int_equal(error.status, STAVE_IO);
        assert_int_equal(error.system_error, EIO);
        char number[8];
        (void)snprintf(number, sizeof(number), "%d", (int)nth);
        store_put(fixture->store, "other", number); /* another error than the last one is to be seen next */
        assert_int_equal(
            stave_put(fixture->store, stave_text("k"), stave_bytes(value, (size_t)STAVE_VALUE_SIZE_MAX + 1)),
            STAVE_LIMIT);
        store_expect(fixture->store, "k", NULL);
        crash_take(fixture, path);
        struct stave *store = store_open(path, &fixture->options);
        store_expect(store, "k", NULL);
        store_expect(store, "other", number);
        store_close(store);
    }
    assert_int_equal(stave_put(fixture->store, stave_text("k"), stave_bytes(value, LARGE_SIZE)), STAVE_OK);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_large_put_that_fails_says_why_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
