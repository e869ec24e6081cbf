/* SPDX-License-Identifier: MIT */
/* Check and salvage of files as kill -9 leaves them: what only the open log says counts too. (P4, P6) */
#include "support/fixture.h"

#include "support/crash_copy.h"

enum { LARGE_SIZE = 100000 };

/* salvage.c, V2 */
static void salvage_follows_swaps_and_leaves_out_what_has_expired(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write past = {.expires_at_ms = 1};
    char path[SCRATCH_PATH_SIZE];
    char salvaged[SCRATCH_PATH_SIZE];
    crash_start(fixture, UINT64_C(1) << 20);
    store_put(fixture->store, "a", "1");
    store_put(fixture->store, "expired", "older");
    assert_int_equal(stave_put_with(fixture->store, stave_text("expired"), stave_text("newer"), &past, NULL),
                     STAVE_OK);
    assert_int_equal(stave_swap(fixture->store, 0, 5, NULL, NULL), STAVE_OK);
    store_put(fixture->store, "b", "2");
    crash_take(fixture, path);
    scratch_path(&fixture->scratch, "salvaged", salvaged);
    assert_int_equal(stave_salvage(path, salvaged, NULL, NULL, NULL, NULL, NULL), STAVE_OK);
    struct stave *store = store_open(salvaged, &fixture->options);
    store_expect(store, "a", NULL);
    store_expect(store, "b", "2");
    store_expect(stave_space(store, 5), "a", "1");
    store_expect(stave_space(store, 5), "expired", NULL);
    assert_int_equal(stave_count(store), 1);
    assert_int_equal(stave_count(stave_space(store, 5)), 1);
    store_close(store);
}

/* A large value that no manifest lists yet. */
static void check_reads_what_the_log_adopts(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char name[SEGMENT_FILE_NAME_SIZE];
    crash_start(fixture, UINT64_C(256) << 10);
    crash_put_sized(fixture->store, "large", LARGE_SIZE);
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    struct store *store = fixture->store->store;
    uint32_t id = 0;
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->kind == SEGMENT_LARGE) id = store->segments[i]->id;
    mutex_unlock(&store->write_lock);
    segment_file_name(id, name);
    crash_take(fixture, path);
    assert_int_equal(stave_check(path, NULL, NULL, NULL, NULL), STAVE_OK);
    scratch_flip(path, name, LARGE_SIZE / 2);
    assert_int_equal(stave_check(path, NULL, NULL, NULL, NULL), STAVE_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(salvage_follows_swaps_and_leaves_out_what_has_expired),
        FIXTURE_TEST(check_reads_what_the_log_adopts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
