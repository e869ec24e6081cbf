/* SPDX-License-Identifier: MIT */
/* The change feed: order, completeness, batches, spaces, waiting, and what it says when it cannot go on. */
#include "support/fixture.h"

#include <pthread.h>

#include "store/store.h"

static struct stave_feed *feed_from(struct stave *store, uint64_t after, uint32_t flags)
{
    struct stave_feed *feed = NULL;
    assert_int_equal(stave_feed_open(store, after, flags, &feed), STAVE_OK);
    return feed;
}

static void expect_change(struct stave_feed *feed, enum stave_change_kind kind, uint32_t space,
                          const char *key, const char *value)
{
    struct stave_change change;
    const enum stave_status status = stave_feed_next(feed, 2000, &change);
    if (status != STAVE_OK) fail_msg("%s: %d", key, (int)status);
    assert_int_equal(change.kind, kind);
    assert_int_equal(change.space, space);
    assert_int_equal(change.key.size, strlen(key));
    if (change.key.size > 0) assert_memory_equal(change.key.data, key, change.key.size);
    assert_int_equal(change.value.size, strlen(value));
    if (change.value.size > 0) assert_memory_equal(change.value.data, value, change.value.size);
}

static void expect_end(struct stave_feed *feed)
{
    struct stave_change change;
    assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_END);
}

static void changes_come_in_order(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "a", "1");
    store_put(fixture->store, "b", "2");
    assert_int_equal(stave_delete(fixture->store, stave_text("a")), STAVE_OK);
    store_put(stave_space(fixture->store, 9), "c", "3");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    struct stave_feed *feed = feed_from(fixture->store, 0, 0);
    expect_change(feed, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "b", "2");
    expect_change(feed, STAVE_CHANGE_DELETE, 0, "a", "");
    expect_change(feed, STAVE_CHANGE_PUT, 9, "c", "3");
    expect_end(feed);
    store_put(fixture->store, "d", "4");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "d", "4");
    expect_end(feed);
    stave_feed_close(feed);
}

static void a_feed_goes_on_from_any_sequence(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.feed_retention_size = UINT64_C(1) << 30;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "k", 500, 300, 1);
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "k", 500, 300, 2);
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    struct stave_feed *all = feed_from(fixture->store, 0, 0);
    uint64_t before = 0;
    for (int i = 0; i < 1000; i++) {
        struct stave_change change;
        assert_int_equal(stave_feed_next(all, 0, &change), STAVE_OK);
        assert_true(change.sequence > before);
        assert_true(bytes_are(change.value.data, change.value.size,
                              (uint64_t)(i % 500) + ((uint64_t)(i / 500 + 1) << 32)));
        if (i % 97 == 0) {
            struct stave_change again;
            struct stave_feed *part = feed_from(fixture->store, before, 0);
            assert_int_equal(stave_feed_next(part, 0, &again), STAVE_OK);
            assert_int_equal(again.sequence, change.sequence);
            stave_feed_close(part);
        }
        before = change.sequence;
    }
    expect_end(all);
    stave_feed_close(all);
}

static void only_durable_changes_unless_asked(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture_reopen(fixture);
    struct stave_feed *durable = feed_from(fixture->store, 0, 0);
    struct stave_feed *all = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    store_put(fixture->store, "a", "1");
    expect_end(durable);
    expect_change(all, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_end(all);
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    expect_change(durable, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_end(durable);
    stave_feed_close(durable);
    stave_feed_close(all);
}

static void batches_are_marked(void **state)
{
    struct fixture *fixture = *state;
    struct stave_batch *batch = NULL;
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("a"), stave_text("1"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("c"), stave_text("3"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    store_put(fixture->store, "d", "4");
    struct stave_feed *feed = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    const bool continues[] = {true, true, false, false};
    for (size_t i = 0; i < 4; i++) {
        struct stave_change change;
        assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_OK);
        assert_int_equal(change.batch_continues, continues[i]);
    }
    expect_end(feed);
    stave_feed_close(feed);
}

/* F3, P5: the sequence grows record by record while a batch is applied. */
static void of_a_batch_nothing_comes_before_all_of_it_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store->store;
    struct stave_batch *batch = NULL;
    const uint64_t before = stave_sequence(fixture->store);
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("a"), stave_text("1"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    const uint64_t last = atomic_load(&store->sequence);
    struct stave_feed *feed = feed_from(fixture->store, before, STAVE_FEED_NOT_DURABLE);
    for (uint64_t sequence = last - 2; sequence < last; sequence++) {
        atomic_store(&store->sequence, sequence);
        expect_end(feed);
    }
    atomic_store(&store->sequence, last);
    expect_change(feed, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "b", "2");
    expect_end(feed);
    stave_feed_close(feed);
}

static void spaces_are_those_of_the_time(void **state)
{
    struct fixture *fixture = *state;
    store_put(stave_space(fixture->store, 1), "a", "1");
    store_put(stave_space(fixture->store, 2), "b", "2");
    assert_int_equal(stave_swap(fixture->store, 1, 2, NULL, NULL), STAVE_OK);
    store_put(stave_space(fixture->store, 1), "c", "3");
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    store_put(stave_space(fixture->store, 1), "d", "4");
    assert_int_equal(stave_swap(fixture->store, 1, 3, NULL, NULL), STAVE_OK);
    struct stave_feed *feed = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    expect_change(feed, STAVE_CHANGE_PUT, 1, "a", "1");
    expect_change(feed, STAVE_CHANGE_PUT, 2, "b", "2");
    expect_change(feed, STAVE_CHANGE_SWAP, 1, "", "");
    expect_change(feed, STAVE_CHANGE_PUT, 1, "c", "3");
    expect_change(feed, STAVE_CHANGE_DROP, 1, "", "");
    expect_change(feed, STAVE_CHANGE_PUT, 1, "d", "4");
    expect_change(feed, STAVE_CHANGE_SWAP, 1, "", "");
    expect_end(feed);
    store_put(stave_space(fixture->store, 3), "e", "5");
    expect_change(feed, STAVE_CHANGE_PUT, 3, "e", "5");
    stave_feed_close(feed);
}

/* Two spaces swapped and both dropped: which generation was whose is in the log, not to be guessed. */
static void spaces_are_those_of_the_time_before_swaps_and_drops(void **state)
{
    struct fixture *fixture = *state;
    for (int round = 0; round < 2; round++) { /* generations of a new store, and given by a drop */
        struct stave *one = stave_space(fixture->store, 1);
        struct stave *two = stave_space(fixture->store, 2);
        const uint64_t after = stave_sequence(fixture->store);
        store_put(one, "a", "1");
        store_put(two, "b", "2");
        assert_int_equal(stave_swap(fixture->store, 1, 2, NULL, NULL), STAVE_OK);
        store_put(one, "c", "3");
        store_put(two, "d", "4");
        assert_int_equal(stave_drop(one, NULL, NULL), STAVE_OK);
        store_put(one, "e", "5");
        assert_int_equal(stave_drop(two, NULL, NULL), STAVE_OK);
        assert_int_equal(stave_drop(one, NULL, NULL), STAVE_OK);
        store_put(two, "f", "6");
        struct stave_feed *feed = feed_from(fixture->store, after, STAVE_FEED_NOT_DURABLE);
        expect_change(feed, STAVE_CHANGE_PUT, 1, "a", "1");
        expect_change(feed, STAVE_CHANGE_PUT, 2, "b", "2");
        expect_change(feed, STAVE_CHANGE_SWAP, 1, "", "");
        expect_change(feed, STAVE_CHANGE_PUT, 1, "c", "3");
        expect_change(feed, STAVE_CHANGE_PUT, 2, "d", "4");
        expect_change(feed, STAVE_CHANGE_DROP, 1, "", "");
        expect_change(feed, STAVE_CHANGE_PUT, 1, "e", "5");
        expect_change(feed, STAVE_CHANGE_DROP, 2, "", "");
        expect_change(feed, STAVE_CHANGE_DROP, 1, "", "");
        expect_change(feed, STAVE_CHANGE_PUT, 2, "f", "6");
        expect_end(feed);
        stave_feed_close(feed);
    }
}

/* The two drops in one batch: the second gives up what the first got. */
static void a_batch_that_drops_twice_is_understood(void **state)
{
    struct fixture *fixture = *state;
    struct stave_batch *batch = NULL;
    store_put(fixture->store, "a", "1");
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_drop(batch, 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_drop(batch, 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("c"), stave_text("3"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    struct stave_feed *feed = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    expect_change(feed, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_change(feed, STAVE_CHANGE_DROP, 0, "", "");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "b", "2");
    expect_change(feed, STAVE_CHANGE_DROP, 0, "", "");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "c", "3");
    expect_end(feed);
    stave_feed_close(feed);
}

/* A reader's feed: as of its open, and on after each refresh. */
static void a_feed_works_on_a_store_opened_read_only(void **state)
{
    struct fixture *fixture = *state;
    struct stave_options options = fixture->options;
    options.read_only = true;
    store_put(fixture->store, "a", "1");
    assert_int_equal(stave_swap(fixture->store, 0, 5, NULL, NULL), STAVE_OK);
    struct stave *reader = store_open(fixture->scratch.store, &options);
    struct stave_feed *feed = feed_from(reader, 0, 0);
    expect_change(feed, STAVE_CHANGE_PUT, 0, "a", "1");
    expect_change(feed, STAVE_CHANGE_SWAP, 0, "", "");
    expect_end(feed);
    store_put(stave_space(fixture->store, 5), "b", "2");
    assert_int_equal(stave_drop(stave_space(fixture->store, 5), NULL, NULL), STAVE_OK);
    fixture_fill(fixture->store, "k", 1000, 200, 1); /* over a roll or two */
    expect_end(feed);
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    expect_change(feed, STAVE_CHANGE_PUT, 5, "b", "2");
    expect_change(feed, STAVE_CHANGE_DROP, 5, "", "");
    for (int number = 0; number < 1000; number++) {
        struct stave_change change;
        assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_OK);
        assert_int_equal(change.space, 0);
    }
    expect_end(feed);
    stave_feed_close(feed);
    store_close(reader);
}

static void large_values_are_handed_out(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.manual_compaction = true;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "large", 3, 300000, 1);
    struct stave_feed *feed = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    for (uint64_t i = 0; i < 3; i++) {
        struct stave_change change;
        assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_OK);
        assert_int_equal(change.value.size, 300000);
        assert_true(bytes_are(change.value.data, change.value.size, i + (UINT64_C(1) << 32)));
    }
    expect_end(feed);
    stave_feed_close(feed);
}

static void a_feed_says_when_changes_are_gone(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.manual_compaction = true;
    fixture_reopen(fixture);
    store_put(fixture->store, "first", "1");
    struct stave_feed *begun = feed_from(fixture->store, 0, STAVE_FEED_NOT_DURABLE);
    expect_change(begun, STAVE_CHANGE_PUT, 0, "first", "1");
    fixture_fill(fixture->store, "k", 1000, 200, 1);
    const uint64_t last = stave_sequence(fixture->store);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    struct stave_feed *feed = NULL;
    assert_int_equal(stave_feed_open(fixture->store, 0, 0, &feed), STAVE_GONE);
    assert_null(feed);

    /* What it holds it still reads; then a segment is missing. */
    enum stave_status status = STAVE_OK;
    struct stave_change change;
    uint64_t count = 0;
    while ((status = stave_feed_next(begun, 0, &change)) == STAVE_OK) count++;
    assert_int_equal(status, STAVE_GONE);
    assert_true(count > 0 && count < 1000);
    stave_feed_close(begun);

    feed = feed_from(fixture->store, last, STAVE_FEED_NOT_DURABLE);
    expect_end(feed);
    store_put(fixture->store, "next", "2");
    expect_change(feed, STAVE_CHANGE_PUT, 0, "next", "2");
    stave_feed_close(feed);
}

static void retention_keeps_the_newest_log(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.manual_compaction = true;
    fixture->options.feed_retention_size = 4 * STAVE_SEGMENT_SIZE_MIN;
    fixture_reopen(fixture);
    fixture_fill(fixture->store, "k", 3000, 200, 1);
    const uint64_t after = stave_sequence(fixture->store);
    fixture_fill(fixture->store, "k", 500, 200, 2);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    struct stave_feed *feed = feed_from(fixture->store, after, STAVE_FEED_NOT_DURABLE);
    for (int i = 0; i < 500; i++) {
        struct stave_change change;
        assert_int_equal(stave_feed_next(feed, 0, &change), STAVE_OK);
    }
    expect_end(feed);
    stave_feed_close(feed);
    assert_int_equal(stave_feed_open(fixture->store, 0, 0, &feed), STAVE_GONE);
}

enum { LIVE_COUNT = 5000 };

static void *write_numbers(void *context)
{
    for (uint64_t i = 0; i < LIVE_COUNT; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "n%llu", (unsigned long long)i);
        if (stave_put(context, stave_text(key), stave_bytes(&i, sizeof(i))) != STAVE_OK) return context;
    }
    return NULL;
}

static void a_feed_follows_a_writer(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.feed_retention_size = UINT64_C(1) << 30;
    fixture->options.sync_interval_ms = 5;
    fixture_reopen(fixture);
    struct stave_feed *feed = feed_from(fixture->store, 0, 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_numbers, fixture->store), 0);
    for (uint64_t i = 0; i < LIVE_COUNT; i++) {
        struct stave_change change;
        uint64_t number;
        assert_int_equal(stave_feed_next(feed, 5000, &change), STAVE_OK);
        assert_int_equal(change.value.size, sizeof(number));
        memcpy(&number, change.value.data, sizeof(number));
        assert_int_equal(number, i);
    }
    void *failed = NULL;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    expect_end(feed);
    stave_feed_close(feed);
}

static void arguments_are_checked(void **state)
{
    struct fixture *fixture = *state;
    struct stave_feed *feed = NULL;
    struct stave_change change;
    assert_int_equal(stave_feed_open(NULL, 0, 0, &feed), STAVE_INVALID);
    assert_int_equal(stave_feed_open(fixture->store, 0, 64, &feed), STAVE_INVALID);
    assert_int_equal(stave_feed_open(fixture->store, 0, 0, NULL), STAVE_INVALID);
    assert_int_equal(stave_feed_next(NULL, 0, &change), STAVE_INVALID);
    stave_feed_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(changes_come_in_order),
        FIXTURE_TEST(a_feed_goes_on_from_any_sequence),
        FIXTURE_TEST(only_durable_changes_unless_asked),
        FIXTURE_TEST(batches_are_marked),
        FIXTURE_TEST(of_a_batch_nothing_comes_before_all_of_it_is_there),
        FIXTURE_TEST(spaces_are_those_of_the_time),
        FIXTURE_TEST(spaces_are_those_of_the_time_before_swaps_and_drops),
        FIXTURE_TEST(a_batch_that_drops_twice_is_understood),
        FIXTURE_TEST(a_feed_works_on_a_store_opened_read_only),
        FIXTURE_TEST(large_values_are_handed_out),
        FIXTURE_TEST(a_feed_says_when_changes_are_gone),
        FIXTURE_TEST(retention_keeps_the_newest_log),
        FIXTURE_TEST(a_feed_follows_a_writer),
        FIXTURE_TEST(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
