/* SPDX-License-Identifier: MIT */
/* stave_refresh of a read-only store while others read it: nothing is seen that never was. */
#include "support/fixture.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KEYS = 300, ROUNDS = 60 };

struct beside {
    struct stave *store; /* read-only */
    _Atomic bool stops;
    _Atomic uint64_t looks;
    const char *_Atomic trouble;
};

static void key_text(char ret_key[32], const char *prefix, int number)
{
    (void)snprintf(ret_key, 32, "%s%d", prefix, number);
}

static struct stave *open_reader(const struct fixture *fixture)
{
    struct stave_options options = fixture->options;
    options.read_only = true;
    return store_open(fixture->scratch.store, &options);
}

static void begin(struct beside *beside, struct stave *store, void *(*run)(void *), pthread_t *ret_thread)
{
    *beside = (struct beside){.store = store};
    assert_int_equal(pthread_create(ret_thread, NULL, run, beside), 0);
    while (atomic_load(&beside->looks) == 0 && atomic_load(&beside->trouble) == NULL) continue;
}

static void end(struct beside *beside, pthread_t thread)
{
    atomic_store(&beside->stops, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    const char *trouble = atomic_load(&beside->trouble);
    if (trouble != NULL) fail_msg("%s", trouble);
    store_close(beside->store);
}

/* Deleted is no empty value. */

static const char *look_for_empty(struct stave *store)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    enum stave_status status;
    for (int number = 0; number < KEYS; number++) {
        struct stave_info info;
        char key[32];
        key_text(key, "k", number);
        status = stave_info(store, stave_text(key), &info);
        if (status < 0) return "stave_info failed";
        if (status == STAVE_OK && info.value_size == 0) return "a deleted key had an empty value";
    }
    if (stave_cursor_open(store, 0, stave_bytes(NULL, 0), 0, &cursor) != STAVE_OK) return "no cursor";
    const char *trouble = NULL;
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK && trouble == NULL)
        if (entry.value_size == 0) trouble = "a cursor returned a deleted key";
    stave_cursor_close(cursor);
    return status < 0 ? "the cursor failed" : trouble;
}

static void *read_keys(void *context)
{
    struct beside *beside = context;
    while (!atomic_load(&beside->stops) && atomic_load(&beside->trouble) == NULL) {
        const char *trouble = look_for_empty(beside->store);
        if (trouble != NULL) atomic_store(&beside->trouble, trouble);
        atomic_fetch_add(&beside->looks, 1);
    }
    return NULL;
}

static void a_key_deleted_is_not_empty_while_a_refresh_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    struct beside beside;
    pthread_t thread;
    fixture_fill(fixture->store, "k", KEYS, 20, 1);
    begin(&beside, open_reader(fixture), read_keys, &thread);
    for (int round = 0; round < ROUNDS; round++) {
        fixture_delete(fixture->store, "k", KEYS);
        assert_int_equal(stave_refresh(beside.store), STAVE_OK);
        fixture_fill(fixture->store, "k", KEYS, 20, 1);
        assert_int_equal(stave_refresh(beside.store), STAVE_OK);
    }
    end(&beside, thread);
}

/* Batches are whole (P5). */

static void write_batch(struct stave *store, uint64_t version)
{
    struct stave_batch *batch = NULL;
    assert_int_equal(stave_batch_begin(store, &batch), STAVE_OK);
    for (int number = 0; number < KEYS; number++) {
        char key[32];
        key_text(key, "b", number);
        assert_int_equal(stave_batch_put(batch, stave_text(key), stave_bytes(&version, sizeof(version)), 0),
                         STAVE_OK);
    }
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
}

static void *read_batches(void *context)
{
    struct beside *beside = context;
    char first[32];
    char last[32];
    key_text(first, "b", 0);
    key_text(last, "b", KEYS - 1);
    const struct stave_bytes keys[2] = {stave_text(first), stave_text(last)};
    while (!atomic_load(&beside->stops) && atomic_load(&beside->trouble) == NULL) {
        struct stave_view views[2];
        enum stave_status statuses[2];
        const enum stave_status status = stave_multi_get(beside->store, keys, 2, 0, views, statuses);
        if (status != STAVE_OK || statuses[0] != STAVE_OK || statuses[1] != STAVE_OK) {
            atomic_store(&beside->trouble, "multi_get failed");
            break;
        }
        if (memcmp(views[0].data, views[1].data, sizeof(uint64_t)) != 0)
            atomic_store(&beside->trouble, "half a batch was seen");
        stave_view_release(beside->store, &views[0]);
        stave_view_release(beside->store, &views[1]);
        atomic_fetch_add(&beside->looks, 1);
    }
    return NULL;
}

static void half_a_batch_is_not_seen_while_a_refresh_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    struct beside beside;
    pthread_t thread;
    write_batch(fixture->store, 1);
    begin(&beside, open_reader(fixture), read_batches, &thread);
    for (uint64_t round = 2; round < 5 * ROUNDS; round++) {
        write_batch(fixture->store, round);
        assert_int_equal(stave_refresh(beside.store), STAVE_OK);
    }
    end(&beside, thread);
}

/* What is gone stays away (P4). */

static void *read_deleted(void *context)
{
    struct beside *beside = context;
    while (!atomic_load(&beside->stops) && atomic_load(&beside->trouble) == NULL) {
        for (int number = 0; number < KEYS; number++) {
            char key[32];
            key_text(key, "gone", number);
            if (stave_exists(beside->store, stave_text(key)) == STAVE_NOT_FOUND) continue;
            atomic_store(&beside->trouble, "a key deleted before the last refresh was there again");
            break;
        }
        atomic_fetch_add(&beside->looks, 1);
    }
    return NULL;
}

struct moving {
    struct fixture *fixture;
    struct stave *reader;
};

/* The values have been moved, but nobody knows it yet; the reader that is opened here knows of deletes. */
static bool delete_what_moved(void *context, uint64_t done, uint64_t total)
{
    struct moving *moving = context;
    (void)done;
    (void)total;
    if (moving->reader != NULL) return false;
    fixture_delete(moving->fixture->store, "gone", KEYS);
    moving->reader = open_reader(moving->fixture);
    return false;
}

static void a_key_deleted_does_not_come_back_while_a_refresh_meets_a_compaction(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.segment_size = UINT64_C(4) << 20;
    fixture->options.manual_compaction = true;
    fixture_reopen(fixture);
    for (uint64_t round = 0; round < 3; round++) {
        struct moving moving = {.fixture = fixture};
        struct beside beside;
        pthread_t thread;
        fixture_fill(fixture->store, "gone", KEYS, 1000, round);
        fixture_fill(fixture->store, "other", 60, 500000, round);
        assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, delete_what_moved, &moving),
                         STAVE_OK);
        assert_non_null(moving.reader);
        begin(&beside, moving.reader, read_deleted, &thread);
        assert_int_equal(stave_refresh(beside.store), STAVE_OK);
        end(&beside, thread);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_key_deleted_is_not_empty_while_a_refresh_is_under_way),
        FIXTURE_TEST(half_a_batch_is_not_seen_while_a_refresh_is_under_way),
        FIXTURE_TEST(a_key_deleted_does_not_come_back_while_a_refresh_meets_a_compaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
