/* SPDX-License-Identifier: MIT */
/* What compaction writes, as FORMAT.md has it. */
#include "support/fixture.h"

#include "log/scan.h"
#include "support/crash_copy.h"

enum { KEY_COUNT = 20 };

/* Every record of every OUTPUT: of the log's flags only the expiry's is left. Returns how many there are. */
static size_t check_outputs(struct stave *handle)
{
    struct store *store = handle->store;
    size_t count = 0;
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        if (segment->kind != SEGMENT_OUTPUT) continue;
        const struct scan_expect expect = {.identity = segment->identity,
                                           .end = atomic_load(&segment->end),
                                           .id = segment->id,
                                           .flags = SCAN_VERIFY};
        struct scan scan = SCAN_NONE;
        struct scan_record record;
        enum stave_status status = scan_open(&store->dir, &expect, &scan, NULL);
        assert_int_equal(status, STAVE_OK);
        while ((status = scan_next(&scan, &record, NULL)) == STAVE_OK) {
            assert_int_equal(record.record.flags & ~RECORD_HAS_EXPIRY, 0);
            count++;
        }
        assert_int_equal(status, STAVE_END);
        scan_close(&scan);
    }
    return count;
}

/* FORMAT.md, section 2: copies have neither INSERT nor IN_BATCH. */
static void copies_belong_to_no_batch(void **state)
{
    struct fixture *fixture = *state;
    struct stave_batch *batch = NULL;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    for (int i = 0; i < KEY_COUNT; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(
            stave_batch_put(batch, stave_text(key), stave_text("1"), i % 2 == 0 ? 0 : UINT64_C(1) << 60),
            STAVE_OK);
    }
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(check_outputs(fixture->store), KEY_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(copies_belong_to_no_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
