/* SPDX-License-Identifier: MIT */
/* Where the log ends when a large value that it publishes is not all there (logend.h, E3 and E4). */
#include "support/fixture.h"

#include "support/crash_copy.h"

enum { LARGE_SIZE = 100000 }; /* above a quarter of the segment */

/* The file of the newest LARGE segment. */
static void name_large(struct stave *handle, char ret_name[SEGMENT_FILE_NAME_SIZE])
{
    struct store *store = handle->store;
    uint32_t id = 0;
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->kind == SEGMENT_LARGE) id = store->segments[i]->id;
    mutex_unlock(&store->write_lock);
    assert_true(id != 0);
    segment_file_name(id, ret_name);
}

/* A batch with a large value in its middle, between other puts; the files as kill -9 leaves them. */
static void take_batch(struct fixture *fixture, char ret_path[SCRATCH_PATH_SIZE],
                       char ret_name[SEGMENT_FILE_NAME_SIZE])
{
    struct stave_batch *batch = NULL;
    uint8_t *value = calloc(1, LARGE_SIZE);
    assert_non_null(value);
    crash_start(fixture, UINT64_C(256) << 10);
    store_put(fixture->store, "before", "1");
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("a"), stave_text("1"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("large"), stave_bytes(value, LARGE_SIZE), 0),
                     STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("1"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    store_put(fixture->store, "after", "1");
    free(value);
    name_large(fixture->store, ret_name);
    crash_take(fixture, ret_path);
}

static void expect_cut_before_the_batch(const char *path, const struct stave_options *options)
{
    struct stave *store = store_open(path, options);
    store_expect(store, "before", "1");
    store_expect(store, "a", NULL);
    store_expect(store, "large", NULL);
    store_expect(store, "b", NULL);
    store_expect(store, "after", NULL);
    assert_int_equal(stave_count(store), 1);
    store_close(store);
    store = store_open(path, options); /* and it stays so */
    store_expect(store, "a", NULL);
    store_expect(store, "after", NULL);
    store_close(store);
}

/* E3, E4, P5: the header of a large record becomes durable with the log, and may be missing after a power
   loss. */
static void a_batch_whose_large_value_has_no_header_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    const uint8_t zeroes[RECORD_HEADER_SIZE] = {0};
    char path[SCRATCH_PATH_SIZE];
    char name[SEGMENT_FILE_NAME_SIZE];
    take_batch(fixture, path, name);
    crash_overwrite(path, name, SEGMENT_HEADER_SIZE, zeroes, sizeof(zeroes));
    expect_cut_before_the_batch(path, &fixture->options);
}

/* E3, E4, P5, P6 */
static void a_batch_whose_large_value_does_not_check_out_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char name[SEGMENT_FILE_NAME_SIZE];
    take_batch(fixture, path, name);
    scratch_flip(path, name, SEGMENT_HEADER_SIZE + LARGE_SIZE / 2);
    expect_cut_before_the_batch(path, &fixture->options);
}

static void a_batch_whose_large_value_is_there_counts(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char name[SEGMENT_FILE_NAME_SIZE];
    take_batch(fixture, path, name);
    struct stave *store = store_open(path, &fixture->options);
    store_expect(store, "a", "1");
    assert_int_equal(stave_exists(store, stave_text("large")), STAVE_OK);
    store_expect(store, "after", "1");
    assert_int_equal(stave_count(store), 5);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_batch_whose_large_value_has_no_header_does_not_count),
        FIXTURE_TEST(a_batch_whose_large_value_does_not_check_out_does_not_count),
        FIXTURE_TEST(a_batch_whose_large_value_is_there_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
