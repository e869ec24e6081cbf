/* SPDX-License-Identifier: MIT */
/* What recovery has got wrong, or could have, each by name. */
#include "support/crash_copy.h"

#include <pthread.h>

#include "log/manifest.h"
#include "log/scan.h"

enum { LARGE_SIZE = 100000, PATIENCE_MS = 10000 };

/* sweeps */

static void wait_for_live_size(struct stave *store, uint64_t expected)
{
    uint64_t seen = 0;
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        seen = crash_live_size(store);
        if (seen == expected) return;
        (void)usleep(1000);
    }
    fail_msg("%llu bytes are live, not %llu", (unsigned long long)seen, (unsigned long long)expected);
}

static void put_and_roll(struct stave *store, uint64_t version)
{
    for (size_t number = 0; number < 3; number++) {
        char key[32];
        uint8_t value[16000];
        (void)snprintf(key, sizeof(key), "filling%zu", number);
        fill_bytes(value, sizeof(value), version);
        assert_int_equal(stave_put(store, stave_text(key), stave_bytes(value, sizeof(value))), STAVE_OK);
    }
    for (int round = 0; round < 3; round++) crash_put_sized(store, "other", 16000);
}

/* Until the sweep is at its end, and a manifest says so. */
static void wait_until_swept(struct stave *handle)
{
    struct store *store = handle->store;
    bool is_swept = false;
    for (int waited = 0; waited < PATIENCE_MS && !is_swept; waited++) {
        mutex_lock(&store->write_lock);
        is_swept = store->swept_generation == store->next_generation;
        mutex_unlock(&store->write_lock);
        (void)usleep(1000);
    }
    assert_true(is_swept);
    put_and_roll(handle, 99);
    put_and_roll(handle, 99);
}

/* The manifest says that the space was swept, the older image still has its entries. */
static void a_space_swept_after_the_checkpoint_is_swept_again(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    put_and_roll(fixture->store, 1);
    const uint64_t rest = crash_live_size(fixture->store);
    fixture_fill(stave_space(fixture->store, 1), "k", 1000, 200, 1);
    put_and_roll(fixture->store, 2);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    put_and_roll(fixture->store, 3);
    wait_until_swept(fixture->store);
    assert_int_equal(crash_live_size(fixture->store), rest);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    put_and_roll(store, 5);
    wait_for_live_size(store, rest);
    store_close(store);
}

/* Without a checkpoint the index is made from all there is, the large values of dropped spaces included. */
static void a_large_value_of_a_swept_space_is_swept_again(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    put_and_roll(fixture->store, 1);
    const uint64_t rest = crash_live_size(fixture->store);
    crash_put_sized(stave_space(fixture->store, 1), "large", LARGE_SIZE);
    put_and_roll(fixture->store, 2);
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    put_and_roll(fixture->store, 3);
    wait_until_swept(fixture->store);
    assert_int_equal(crash_live_size(fixture->store), rest);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_false(crash_from_checkpoint(store));
    put_and_roll(store, 5);
    wait_for_live_size(store, rest);
    store_close(store);
}

/* checkpoints */

struct inserting {
    struct stave *store;
    _Atomic bool stops;
    size_t count;
};

static void *insert_on(void *context)
{
    struct inserting *inserting = context;
    for (; !atomic_load(&inserting->stops); inserting->count++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "n%zu", inserting->count);
        if (stave_put(inserting->store, stave_text(key), stave_text("1")) != STAVE_OK) return context;
    }
    return NULL;
}

/* Blocks are exported one after the other; the count of all their entries is no number of one moment. */
static void a_checkpoint_beside_a_writer_counts_its_own_entries(void **state)
{
    struct fixture *fixture = *state;
    struct inserting inserting = {.store = fixture->store};
    char path[SCRATCH_PATH_SIZE];
    pthread_t thread;
    void *failed = NULL;
    crash_start(fixture, UINT64_C(1) << 26);
    inserting.store = fixture->store;
    assert_int_equal(pthread_create(&thread, NULL, insert_on, &inserting), 0);
    for (int round = 0; round < 5; round++) {
        (void)usleep(3000);
        assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    }
    atomic_store(&inserting.stops, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    assert_int_equal(stave_count(store), inserting.count);
    assert_int_equal(keydir_entry_count(&store->store->keydir), inserting.count);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_space_swept_after_the_checkpoint_is_swept_again),
        FIXTURE_TEST(a_large_value_of_a_swept_space_is_swept_again),
        FIXTURE_TEST(a_checkpoint_beside_a_writer_counts_its_own_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
