/* SPDX-License-Identifier: MIT */
/* Snapshots: a store of its own with the contents of one moment. */
#include "support/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

struct copy {
    char path[SCRATCH_PATH_SIZE];
    struct stave_options options;
};

static struct copy take_snapshot(struct fixture *fixture, const char *name)
{
    struct copy copy = {.options = fixture->options};
    struct stave_error error = {.status = STAVE_OK};
    scratch_path(&fixture->scratch, name, copy.path);
    const enum stave_status status = stave_snapshot(fixture->store, copy.path, &error);
    if (status != STAVE_OK) fail_msg("snapshot: %d %s", (int)status, error.message);
    return copy;
}

static void a_snapshot_holds_the_moment_and_nothing_after(void **state)
{
    struct fixture *fixture = *state;
    fixture_fill(fixture->store, "k", 1000, 100, 1);
    fixture_delete(fixture->store, "k", 10);
    store_put(stave_space(fixture->store, 5), "other", "space");
    const struct copy copy = take_snapshot(fixture, "copy");
    fixture_fill(fixture->store, "k", 1000, 100, 2);
    store_put(fixture->store, "later", "value");
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);

    struct stave *store = store_open(copy.path, &copy.options);
    assert_int_equal(stave_count(store), 990);
    fixture_expect_absent(store, "k", 10);
    store_expect(store, "later", NULL);
    store_expect(stave_space(store, 5), "other", "space");
    store_put(store, "mine", "alone");
    fixture_fill(store, "k", 20, 100, 3);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    store_close(store);

    fixture_expect_filled(fixture->store, "k", 1000, 100, 2);
    store_expect(fixture->store, "mine", NULL);
    fixture_reopen(fixture);
    fixture_expect_filled(fixture->store, "k", 1000, 100, 2);
    store = store_open(copy.path, &copy.options);
    fixture_expect_filled(store, "k", 20, 100, 3);
    store_expect(store, "mine", "alone");
    store_close(store);
}

static void a_snapshot_can_be_read_beside_nobody_and_again_snapshot(void **state)
{
    struct fixture *fixture = *state;
    fixture_fill(fixture->store, "k", 300, 100, 1);
    struct copy copy = take_snapshot(fixture, "copy");
    copy.options.read_only = true;
    struct stave *store = store_open(copy.path, &copy.options);
    fixture_expect_filled(store, "k", 300, 100, 1);
    store_close(store);
    copy.options.read_only = false;
    store = store_open(copy.path, &copy.options);
    char second[SCRATCH_PATH_SIZE];
    scratch_path(&fixture->scratch, "second", second);
    assert_int_equal(stave_snapshot(store, second, NULL), STAVE_OK);
    store_close(store);
    store = store_open(second, &copy.options);
    fixture_expect_filled(store, "k", 300, 100, 1);
    store_close(store);
}

static void a_snapshot_has_large_values_and_the_checkpoint(void **state)
{
    struct fixture *fixture = *state;
    fixture_fill(fixture->store, "k", 1000, 100, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_fill(fixture->store, "large", 3, 300000, 1);
    const struct copy copy = take_snapshot(fixture, "copy");
    assert_true(scratch_has(copy.path, "CHECKPOINT"));
    fixture_fill(fixture->store, "large", 3, 300000, 2);
    struct stave *store = store_open(copy.path, &copy.options);
    fixture_expect_filled(store, "k", 1000, 100, 1);
    fixture_expect_filled(store, "large", 3, 300000, 1);
    assert_int_equal(stave_count(store), 1003);
    store_close(store);
}

static void an_empty_store_has_a_snapshot(void **state)
{
    struct fixture *fixture = *state;
    const struct copy copy = take_snapshot(fixture, "copy");
    struct stave *store = store_open(copy.path, &copy.options);
    assert_int_equal(stave_count(store), 0);
    store_put(store, "a", "b");
    store_close(store);
}

static void a_snapshot_that_fails_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "a", "b");
    char path[SCRATCH_PATH_SIZE];
    struct stave_error error;
    scratch_path(&fixture->scratch, "no/parent", path);
    assert_true(stave_snapshot(fixture->store, path, &error) < 0);
    assert_true(error.status < 0);
    assert_int_equal(stave_snapshot(fixture->store, fixture->scratch.store, &error), STAVE_EXISTS);
    assert_int_equal(stave_snapshot(fixture->store, NULL, &error), STAVE_INVALID);
    assert_int_equal(stave_snapshot(NULL, path, &error), STAVE_INVALID);
    store_expect(fixture->store, "a", "b");
}

/* Beside writers: P5, one moment. */

struct writer {
    struct stave *store;
    _Atomic bool stop;
    enum stave_status status;
};

static void *write_pairs(void *context)
{
    struct writer *writer = context;
    for (uint64_t number = 1; !atomic_load(&writer->stop) && writer->status == STAVE_OK; number++) {
        struct stave_batch *batch = NULL;
        char text[32];
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
        writer->status = stave_put(writer->store, stave_text("first"), stave_text(text));
        if (writer->status == STAVE_OK) writer->status = stave_batch_begin(writer->store, &batch);
        if (writer->status == STAVE_OK)
            writer->status = stave_batch_put(batch, stave_text("a"), stave_text(text), 0);
        if (writer->status == STAVE_OK)
            writer->status = stave_batch_put(batch, stave_text("b"), stave_text(text), 0);
        if (writer->status == STAVE_OK) writer->status = stave_batch_commit(batch, NULL, NULL);
        stave_batch_free(batch);
    }
    return NULL;
}

static uint64_t number_of(struct stave *store, const char *key)
{
    struct stave_value value = {0};
    if (stave_get(store, stave_text(key), &value) != STAVE_OK) return 0;
    const uint64_t number = strtoull(value.data, NULL, 10);
    stave_free(value.data);
    return number;
}

static void a_snapshot_is_one_moment_with_whole_batches(void **state)
{
    struct fixture *fixture = *state;
    struct writer writer = {.store = fixture->store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_pairs, &writer), 0);
    for (int i = 0; i < 10; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "copy%d", i);
        const uint64_t before = number_of(fixture->store, "first");
        const struct copy copy = take_snapshot(fixture, name);
        struct stave *store = store_open(copy.path, &copy.options);
        const uint64_t first = number_of(store, "first");
        assert_true(first >= before);
        assert_int_equal(number_of(store, "a"), number_of(store, "b"));
        assert_true(number_of(store, "a") == first || number_of(store, "a") + 1 == first);
        store_close(store);
    }
    atomic_store(&writer.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(writer.status, STAVE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_snapshot_holds_the_moment_and_nothing_after),
        FIXTURE_TEST(a_snapshot_can_be_read_beside_nobody_and_again_snapshot),
        FIXTURE_TEST(a_snapshot_has_large_values_and_the_checkpoint),
        FIXTURE_TEST(an_empty_store_has_a_snapshot),
        FIXTURE_TEST(a_snapshot_that_fails_leaves_nothing),
        FIXTURE_TEST(a_snapshot_is_one_moment_with_whole_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
