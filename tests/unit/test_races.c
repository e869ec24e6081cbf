/* SPDX-License-Identifier: MIT */
/*
 * Writes that something comes between: a writer has looked its keys up, and waits for room, with the lock let
 * go, while another one writes the same keys. What it decided is decided again.
 */
#include "support/fixture.h"

#include <pthread.h>
#include <unistd.h>

#include "store/store.h"
#include "support/crash_copy.h"

enum { WAITING_SIZE = 15000, ROOM_LEFT = 26000 };

struct waiting {
    struct stave *store;
    pthread_t thread;
    enum stave_status (*write)(struct stave *store, struct stave_bytes value);
    enum stave_status status;
};

static uint64_t room_left(struct store *store)
{
    mutex_lock(&store->write_lock);
    const uint64_t left = store->tail->capacity - atomic_load(&store->tail->end);
    mutex_unlock(&store->write_lock);
    return left;
}

static bool has_spare(struct store *store)
{
    mutex_lock(&store->write_lock);
    const bool has = store->spare != NULL;
    mutex_unlock(&store->write_lock);
    return has;
}

/* No spare can be listed from here on, and the tail has room for small records only. */
static void hold_up(struct fixture *fixture)
{
    const uint8_t filler[1000] = {0};
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    struct store *const store = fixture->store->store;
    crash_wait_until_quiet(fixture->store);
    mutex_lock(&store->manifest_lock);
    while (has_spare(store) || room_left(store) > ROOM_LEFT)
        assert_int_equal(stave_put(stave_space(fixture->store, 9), stave_text("filler"),
                                   stave_bytes(filler, sizeof(filler))),
                         STAVE_OK);
}

static void *run(void *context)
{
    struct waiting *waiting = context;
    uint8_t *value = calloc(1, WAITING_SIZE);
    waiting->status = waiting->write(waiting->store, stave_bytes(value, WAITING_SIZE));
    free(value);
    return NULL;
}

/* Returns when the write has looked its keys up and waits for room. */
static void begin_waiting(struct fixture *fixture, struct waiting *waiting,
                          enum stave_status (*write)(struct stave *, struct stave_bytes))
{
    struct store *store = fixture->store->store;
    *waiting = (struct waiting){.store = fixture->store, .write = write};
    assert_int_equal(pthread_create(&waiting->thread, NULL, run, waiting), 0);
    for (bool waits = false; !waits; usleep(200)) {
        mutex_lock(&store->write_lock);
        waits = store->room_wanted >= WAITING_SIZE;
        mutex_unlock(&store->write_lock);
    }
}

static enum stave_status end_waiting(struct fixture *fixture, struct waiting *waiting)
{
    mutex_unlock(&fixture->store->store->manifest_lock);
    assert_int_equal(pthread_join(waiting->thread, NULL), 0);
    return waiting->status;
}

/* ------------------------------------------------------------------ single writes */

static enum stave_status put_if_absent(struct stave *store, struct stave_bytes value)
{
    const struct stave_write write = {.flags = STAVE_IF_ABSENT};
    return stave_put_with(store, stave_text("k"), value, &write, NULL);
}

static enum stave_status put_whatever(struct stave *store, struct stave_bytes value)
{
    return stave_put(store, stave_text("k"), value);
}

/* STAVE_IF_ABSENT */
static void a_key_put_meanwhile_is_not_absent(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    begin_waiting(fixture, &waiting, put_if_absent);
    store_put(fixture->store, "k", "first");
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_EXISTS);
    store_expect(fixture->store, "k", "first");
    assert_int_equal(stave_count(fixture->store), 1);
}

/* P4: the entry of a key is replaced, not doubled. */
static void a_key_put_meanwhile_is_overwritten(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    begin_waiting(fixture, &waiting, put_whatever);
    store_put(fixture->store, "k", "first");
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_OK);
    assert_int_equal(stave_count(fixture->store), 1);
    assert_int_equal(stave_delete(fixture->store, stave_text("k")), STAVE_OK);
    store_expect(fixture->store, "k", NULL);
}

/* P4: what was dropped meanwhile stays dropped, and what is written then is there. */
static void a_put_whose_space_is_dropped_meanwhile_goes_to_the_new_one(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    store_put(fixture->store, "old", "1");
    begin_waiting(fixture, &waiting, put_whatever);
    assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_OK);
    store_expect(fixture->store, "old", NULL);
    assert_int_equal(stave_exists(fixture->store, stave_text("k")), STAVE_OK);
    assert_int_equal(stave_count(fixture->store), 1);
}

/* ------------------------------------------------------------------ batches */

static enum stave_status commit_if_absent(struct stave *store, struct stave_bytes value)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(store, &batch);
    if (status == STAVE_OK) status = stave_batch_require(batch, stave_text("k"), 0);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("other"), value, 0);
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    return status;
}

static enum stave_status commit_and_swap(struct stave *store, struct stave_bytes value)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(store, &batch);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("k"), value, 0);
    if (status == STAVE_OK) status = stave_batch_swap(batch, 0, 1);
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    return status;
}

static enum stave_status commit_two(struct stave *store, struct stave_bytes value)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(store, &batch);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("k"), value, 0);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("l"), stave_text("1"), 0);
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    return status;
}

/* P4, P5 */
static void a_batch_whose_space_is_dropped_meanwhile_goes_to_the_new_one(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    store_put(fixture->store, "old", "1");
    begin_waiting(fixture, &waiting, commit_two);
    assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_OK);
    assert_int_equal(stave_exists(fixture->store, stave_text("k")), STAVE_OK);
    store_expect(fixture->store, "l", "1");
    assert_int_equal(stave_count(fixture->store), 2);
}

/* P5: a requirement holds when the batch applies, not only when it was looked at. */
static void a_requirement_broken_meanwhile_is_a_conflict(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    begin_waiting(fixture, &waiting, commit_if_absent);
    store_put(fixture->store, "k", "first");
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_CONFLICT);
    assert_int_equal(stave_exists(fixture->store, stave_text("other")), STAVE_NOT_FOUND);
}

/* P5 */
static void a_batch_of_spaces_follows_a_drop_made_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    struct waiting waiting;
    hold_up(fixture);
    store_put(fixture->store, "old", "1");
    begin_waiting(fixture, &waiting, commit_and_swap);
    assert_int_equal(stave_drop(fixture->store, NULL, NULL), STAVE_OK);
    assert_int_equal(end_waiting(fixture, &waiting), STAVE_OK);
    struct stave *const other = stave_space(fixture->store, 1);
    assert_int_equal(stave_exists(other, stave_text("k")), STAVE_OK);
    store_expect(other, "old", NULL);
    assert_int_equal(stave_count(other), 1);
    assert_int_equal(stave_count(fixture->store), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_key_put_meanwhile_is_not_absent),
        FIXTURE_TEST(a_key_put_meanwhile_is_overwritten),
        FIXTURE_TEST(a_put_whose_space_is_dropped_meanwhile_goes_to_the_new_one),
        FIXTURE_TEST(a_batch_whose_space_is_dropped_meanwhile_goes_to_the_new_one),
        FIXTURE_TEST(a_requirement_broken_meanwhile_is_a_conflict),
        FIXTURE_TEST(a_batch_of_spaces_follows_a_drop_made_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
