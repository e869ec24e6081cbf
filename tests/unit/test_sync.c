/* SPDX-License-Identifier: MIT */
/* What counts as durable, and what a MARK says of it (sync.c, Y2 and Y4). */
#include "store/wake.h"
#include "support/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/background.h"
#include "support/crash_copy.h"

enum { SYNC_COUNT = 20, PUT_COUNT_MAX = 300000, MARK_SIZE = 64, AGE_MS = 5 };

struct writer {
    struct stave *store;
    pthread_t thread;
    _Atomic bool stops;
    _Atomic uint64_t count;
};

static void *put_all_the_time(void *context)
{
    struct writer *writer = context;
    for (int i = 0; i < PUT_COUNT_MAX && !atomic_load(&writer->stops); i++) {
        if (stave_put(writer->store, stave_text("k"), stave_text("1")) == STAVE_OK)
            atomic_fetch_add(&writer->count, 1);
        if (i % 64 == 0) (void)usleep(50); /* so that the log is not full before the last sync */
    }
    return NULL;
}

/* The last MARK of the tail, and the bytes before it. */
static struct record_mark last_mark(struct store *store)
{
    struct record_mark mark;
    mutex_lock(&store->write_lock);
    const uint8_t *at = store->tail->map.data + store->tail->marked_end - MARK_SIZE;
    assert_int_equal(at[RECORD_KIND_AT], RECORD_MARK);
    assert_int_equal(record_decode_mark(at + RECORD_HEADER_SIZE, RECORD_MARK_SIZE, &mark), STAVE_OK);
    mutex_unlock(&store->write_lock);
    return mark;
}

/* Y4: all records before the mark's end are as old as it says. */
static void expect_true_mark(const struct store *store, const struct record_mark *mark)
{
    struct record record;
    for (uint64_t offset = SEGMENT_HEADER_SIZE; offset < mark->durable_end; offset += record_size(&record)) {
        record_peek(store->tail->map.data + offset, &record);
        if (record.kind != RECORD_MARK) assert_true(record.sequence <= mark->durable_sequence);
    }
}

/* Y2, Y4, P2, P6: what is written while a sync is under way is not durable by it. */
static void what_comes_during_a_sync_is_not_durable_by_it(void **state)
{
    struct fixture *fixture = *state;
    struct record_mark marks[SYNC_COUNT];
    crash_start(fixture, UINT64_C(64) << 20);
    struct store *const store = fixture->store->store;
    struct writer writer = {.store = fixture->store};
    assert_int_equal(pthread_create(&writer.thread, NULL, put_all_the_time, &writer), 0);
    while (atomic_load(&writer.count) == 0) (void)usleep(100);
    for (int i = 0; i < SYNC_COUNT; i++) {
        assert_int_equal(stave_sync(fixture->store), STAVE_OK);
        const uint64_t durable = stave_durable_sequence(fixture->store);
        marks[i] = last_mark(store);
        assert_true(durable <= marks[i].durable_sequence);
    }
    atomic_store(&writer.stops, true);
    assert_int_equal(pthread_join(writer.thread, NULL), 0);
    for (int i = 0; i < SYNC_COUNT; i++) expect_true_mark(store, &marks[i]);
}

/* STAVE_SYNC_NONE: durable when the segment is full. */
static void what_is_sealed_is_durable(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    store_put(fixture->store, "first", "1");
    const uint64_t first = stave_sequence(fixture->store);
    fixture_fill(fixture->store, "k", 100, 1000, 1);
    crash_wait_until_quiet(fixture->store);
    assert_true(stave_durable_sequence(fixture->store) >= first);
}

/* P6: when nothing more is written, the MARK that says so becomes durable too. */
static void an_idle_store_syncs_its_last_mark(void **state)
{
    struct fixture *fixture = *state;
    struct stave_stats stats = {.size = sizeof(stats)};
    store_put(fixture->store, "k", "1");
    for (const uint64_t began_ns = test_clock_ns(); stats.sync_count < 2;) {
        assert_true(test_nap(began_ns));
        assert_int_equal(stave_stats(fixture->store, &stats), STAVE_OK);
    }
}

/* P2: an interval ends although the thread that syncs is woken all the time, for something else. */
static void an_interval_ends_whatever_else_there_is_to_do(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "k", "1");
    const uint64_t sequence = stave_sequence(fixture->store);
    const uint64_t began_ns = test_clock_ns();
    while (stave_durable_sequence(fixture->store) < sequence) {
        wake_syncer(fixture->store->store);
        assert_true(test_nap(began_ns));
    }
}

static uint32_t tail_of(struct store *store, uint64_t *ret_end)
{
    mutex_lock(&store->write_lock);
    const uint32_t id = store->tail->id;
    *ret_end = atomic_load(&store->tail->end);
    mutex_unlock(&store->write_lock);
    return id;
}

/* Puts one key; the result is the tail behind the segment that it made old, with its MARK. */
static uint32_t put_and_grow_old(struct fixture *fixture)
{
    fixture->options.segment_age_ms = AGE_MS;
    fixture_reopen(fixture);
    struct store *const store = fixture->store->store;
    const uint64_t began_ns = test_clock_ns();
    uint64_t end;
    const uint32_t first = tail_of(store, &end);
    store_put(fixture->store, "k", "1");
    while (tail_of(store, &end) == first) assert_true(test_nap(began_ns));
    crash_wait_until_quiet(fixture->store);
    return tail_of(store, &end);
}

/* segment_age_ms */
static void a_segment_that_is_old_is_closed(void **state)
{
    (void)put_and_grow_old(*state);
}

/* segment_age_ms: what the sync behind a roll says in the new segment does not make that one old as well. */
static void an_idle_store_closes_no_segment_for_its_age(void **state)
{
    struct fixture *fixture = *state;
    uint64_t end;
    const uint32_t tail = put_and_grow_old(fixture);
    for (int age = 0; age < 100; age++) (void)usleep(1000 * AGE_MS);
    assert_int_equal(tail_of(fixture->store->store, &end), tail);
    assert_true(end > SEGMENT_HEADER_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_comes_during_a_sync_is_not_durable_by_it),
        FIXTURE_TEST(what_is_sealed_is_durable),
        FIXTURE_TEST(an_idle_store_syncs_its_last_mark),
        FIXTURE_TEST(an_interval_ends_whatever_else_there_is_to_do),
        FIXTURE_TEST(a_segment_that_is_old_is_closed),
        FIXTURE_TEST(an_idle_store_closes_no_segment_for_its_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
