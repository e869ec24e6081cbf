/* SPDX-License-Identifier: MIT */
/*
 * P11: the number of segments has a limit, which is an error to writers and to nobody else. Slow: it takes 2
 * GiB of files, so it runs with STAVE_TEST_SLOW alone (make test-long).
 */
#include "support/fixture.h"

#define VALUE_SIZE 50000
#define KEYS_MORE_THAN_FIT 36000

static void put_until_the_limit(struct stave *store, uint64_t *ret_count)
{
    static uint8_t value[VALUE_SIZE];
    enum stave_status status = STAVE_OK;
    uint64_t count = 0;
    for (; count < KEYS_MORE_THAN_FIT; count++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "key %llu", (unsigned long long)count);
        status = stave_put(store, stave_text(key), stave_bytes(value, sizeof(value)));
        if (status != STAVE_OK) break;
    }
    struct stave_error error;
    stave_last_error(store, &error);
    assert_int_equal(status, STAVE_LIMIT);
    assert_non_null(strstr(error.message, "segments, more are not allowed"));
    *ret_count = count;
}

static void at_the_limit_of_segments_only_writes_fail_and_compaction_leads_out(void **state)
{
    (void)state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    struct stave_options options = {
        .size = sizeof(options), .sync = STAVE_SYNC_NONE, .segment_size = STAVE_SEGMENT_SIZE_MIN};
    struct scratch scratch;
    uint64_t count = 0;
    scratch_make(&scratch);
    struct stave *store = store_open(scratch.store, &options);
    put_until_the_limit(store, &count);
    assert_int_equal(stave_exists(store, stave_text("key 0")), STAVE_OK);
    assert_int_equal(stave_delete(store, stave_text("key 1")), STAVE_OK);
    store_close(store);

    /* Opened and closed again and again; and with larger segments compaction makes few of them. */
    options.segment_size = UINT64_C(64) << 20;
    for (int round = 0; round < 3; round++) {
        store = store_open(scratch.store, &options);
        assert_true(stave_count(store) == count - 1);
        store_close(store);
    }
    store = store_open(scratch.store, &options);
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    assert_true(stats.segment_count < 1000);
    assert_true(stave_count(store) == count - 1);
    assert_int_equal(stave_put(store, stave_text("key 1"), stave_text("again")), STAVE_OK);
    store_close(store);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_limit_of_segments_only_writes_fail_and_compaction_leads_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
