/* SPDX-License-Identifier: MIT */
/*
 * Threads that meet at one point, every time: a call of the system is held (fault_hold) while another thread
 * does what has to come between.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"
#include "support/crash_copy.h"
#include "support/fault.h"

enum { NAP_US = 1000, LATER_US = 100000 };

static int teardown(void **state)
{
    (void)fault_disarm();
    fault_release();
    fault_choose(FAULT_SYSTEM);
    return fixture_teardown(state);
}

#define SCHEDULE(function) cmocka_unit_test_setup_teardown(function, fixture_setup, teardown)

static void reopen_with(struct fixture *fixture, enum stave_tail tail, enum stave_reads reads)
{
    fixture->options.manual_compaction = true;
    fixture->options.sync = STAVE_SYNC_NONE;
    fixture->options.tail = tail;
    fixture->options.reads = reads;
    fixture_reopen(fixture);
    crash_wait_until_quiet(fixture->store);
}

static void close_whatever_it_says(struct fixture *fixture)
{
    (void)stave_close(fixture->store);
    fixture->store = NULL;
}

/* ------------------------------------------------------------------ expiry */

static uint64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct expirer {
    struct stave *store;
    enum stave_status status;
    uint64_t expired;
};

static void *expire_all(void *context)
{
    struct expirer *expirer = context;
    fault_mark_thread();
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    expirer->status = stave_cursor_open(expirer->store, 0, stave_text(""),
                                        STAVE_CURSOR_EXPIRE | STAVE_CURSOR_KEYS, &cursor);
    while (expirer->status == STAVE_OK) expirer->status = stave_cursor_next(cursor, &entry);
    expirer->expired = stave_cursor_expired(cursor);
    stave_cursor_close(cursor);
    return NULL;
}

/* The cursor has read that "key" has expired, `looks` times, and goes on when "key" has a new value. */
static void rewrite_between(struct fixture *fixture, uint64_t looks)
{
    const struct stave_write write = {.expires_at_ms = wall_ms() - 1};
    struct expirer expirer = {.store = fixture->store};
    pthread_t thread;
    assert_int_equal(stave_put_with(fixture->store, stave_text("key"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    fault_hold(FAULT_CLOCK | FAULT_MARKED, looks);
    assert_int_equal(pthread_create(&thread, NULL, expire_all, &expirer), 0);
    assert_true(fault_await_held());
    store_put(fixture->store, "key", "2");
    fault_release();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(expirer.status, STAVE_END);
    assert_int_equal(expirer.expired, 0);
    assert_int_equal(stave_count(fixture->store), 1);
    store_expect(fixture->store, "key", "2");
    fixture_close(fixture);
    scratch_unlink(fixture->scratch.store, "CHECKPOINT");
    fixture_reopen(fixture);
    assert_int_equal(stave_count(fixture->store), 1);
    store_expect(fixture->store, "key", "2");
}

/*
 * "expiry on the read path deleting a value just rewritten" (P4). The first look at the clock is the
 * cursor's, the second that of who removes the key; the write lock is taken behind it.
 */
static void a_cursor_removes_no_value_that_came_between_its_look_and_the_removal(void **state)
{
    struct fixture *fixture = *state;
    reopen_with(fixture, STAVE_TAIL_AUTO, STAVE_READS_MAPPED);
    rewrite_between(fixture, 1);
    rewrite_between(fixture, 2);
}

/* ------------------------------------------------------------------ batches */

struct committer {
    struct stave_batch *batch;
    enum stave_status status;
};

static void *commit(void *context)
{
    struct committer *committer = context;
    fault_mark_thread();
    committer->status = stave_batch_commit(committer->batch, NULL, NULL);
    return NULL;
}

/*
 * A requirement behind a write of its key holds when the batch is applied, or the batch is not: the key was
 * absent when its write was looked up, there for the requirement, and absent again in the end. (P5)
 */
static void a_requirement_behind_a_write_of_its_key_is_checked_again(void **state)
{
    struct fixture *fixture = *state;
    struct committer committer = {.batch = NULL};
    pthread_t thread;
    store_put(fixture->store, "first", "1");
    store_put(fixture->store, "last", "1");
    reopen_with(fixture, STAVE_TAIL_AUTO,
                STAVE_READS_COPIED); /* what is not in the tail is read by an open */
    store_put(fixture->store, "other", "1");
    const uint64_t next = stave_sequence(fixture->store) + 1;
    assert_int_equal(stave_batch_begin(fixture->store, &committer.batch), STAVE_OK);
    assert_int_equal(stave_batch_put(committer.batch, stave_text("key"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(committer.batch, stave_text("first"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_require(committer.batch, stave_text("key"), next), STAVE_OK);
    assert_int_equal(stave_batch_put(committer.batch, stave_text("last"), stave_text("2"), 0), STAVE_OK);

    fault_hold(FAULT_OPEN | FAULT_MARKED, 1); /* at "first" */
    assert_int_equal(pthread_create(&thread, NULL, commit, &committer), 0);
    assert_true(fault_await_held());
    store_put(fixture->store, "key", "1");
    assert_true(stave_sequence(fixture->store) == next);
    fault_hold(FAULT_OPEN | FAULT_MARKED, 1); /* at "last", behind the requirement */
    assert_true(fault_await_held());
    assert_int_equal(stave_delete(fixture->store, stave_text("key")), STAVE_OK);
    fault_release();
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(committer.status, STAVE_CONFLICT);
    stave_batch_free(committer.batch);
    store_expect(fixture->store, "key", NULL);
    store_expect(fixture->store, "first", "1");
    store_expect(fixture->store, "last", "1");
}

struct writer {
    struct stave *store;
    enum stave_status status;
};

static void *write_on(void *context)
{
    struct writer *writer = context;
    uint8_t value[5000];
    memset(value, 'v', sizeof(value));
    writer->status = STAVE_OK;
    while (writer->status == STAVE_OK)
        writer->status = stave_put(writer->store, stave_text("writer"), stave_bytes(value, sizeof(value)));
    return NULL;
}

/*
 * A writer that waits for room: the tail is full, the segment before it is not sealed yet, since the syncer
 * is held at its sync.
 */
static void start_writer_that_waits(struct fixture *fixture, struct writer *writer, pthread_t *ret_thread)
{
    struct store *store = fixture->store->store;
    *writer = (struct writer){.store = fixture->store};
    fault_hold(FAULT_SYNC, 1);
    assert_int_equal(pthread_create(ret_thread, NULL, write_on, writer), 0);
    assert_true(fault_await_held());
    for (bool waits = false; !waits;) {
        (void)usleep(NAP_US);
        mutex_lock(&store->write_lock);
        waits = store->room_wanted != 0 && store->sealing != NULL;
        mutex_unlock(&store->write_lock);
    }
}

/* Under the tail's room for this batch, which the writer's next value does not fit in. */
static struct stave_batch *small_batch(struct stave *store)
{
    struct stave_batch *batch = NULL;
    assert_int_equal(stave_batch_begin(store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("a"), stave_text("1"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("1"), 0), STAVE_OK);
    return batch;
}

static void await_readable(int event)
{
    struct pollfd poller = {.fd = event, .events = POLLIN};
    assert_int_equal(poll(&poller, 1, -1), 1);
}

/*
 * An append that fails in the middle of a batch fails the store: who polls for durability hears of it, and no
 * half of the batch is there after the next open. (P5, P13)
 */
static void a_batch_that_fails_half_way_tells_who_waits_for_durability(void **state)
{
    struct fixture *fixture = *state;
    reopen_with(fixture, STAVE_TAIL_WRITTEN, STAVE_READS_MAPPED);
    store_put(fixture->store, "before", "1");
    const int event = stave_durable_event(fixture->store);
    struct stave_batch *batch = small_batch(fixture->store);
    assert_true(event >= 0);
    fault_choose(FAULT_WRITE);
    fault_arm(3, EIO); /* the batch's own record, "a", then "b" */
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_IO);
    assert_true(fault_disarm());
    await_readable(event);
    assert_int_equal(stave_put(fixture->store, stave_text("c"), stave_text("1")), STAVE_FAILED);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_FAILED);
    stave_batch_free(batch);
    close_whatever_it_says(fixture);
    fixture_reopen(fixture);
    store_expect(fixture->store, "before", "1");
    store_expect(fixture->store, "a", NULL);
    store_expect(fixture->store, "b", NULL);
    assert_int_equal(stave_count(fixture->store), 1);
}

enum { MIXED_RECORDS = 7 }; /* the batch's own, and one for each write below */

static struct stave_batch *mixed_batch(struct stave *store)
{
    struct stave_batch *batch = NULL;
    assert_int_equal(stave_batch_begin(store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("new"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("twice"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("twice"), stave_text("3"), 0), STAVE_OK);
    assert_int_equal(stave_batch_delete(batch, stave_text("deleted")), STAVE_OK);
    assert_int_equal(stave_batch_drop(batch, 1), STAVE_OK);
    assert_int_equal(stave_batch_select(batch, 1), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("dropped"), stave_text("2"), 0), STAVE_OK);
    return batch;
}

static void expect_none_of_the_mixed_batch(struct stave *store)
{
    const struct stave_bytes keys[] = {stave_text("new"), stave_text("twice"), stave_text("deleted")};
    struct stave_view views[3];
    enum stave_status statuses[3];
    store_expect(store, "new", NULL);
    store_expect(store, "twice", "1");
    store_expect(store, "deleted", "1");
    store_expect(stave_space(store, 1), "dropped", "1");
    assert_int_equal(stave_count(store), 2);
    assert_int_equal(stave_count(stave_space(store, 1)), 1);
    assert_int_equal(stave_multi_get(store, keys, 3, NULL, views, statuses), STAVE_OK);
    assert_int_equal(statuses[0], STAVE_NOT_FOUND);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(statuses[i], STAVE_OK);
        assert_memory_equal(views[i].data, "1", 1);
        stave_view_release(store, &views[i]);
    }
}

/* Wherever the appends of a batch fail, readers see nothing of it, neither then nor after an open. (P5) */
static void of_a_batch_that_fails_half_way_nothing_is_ever_seen(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "twice", "1");
    store_put(fixture->store, "deleted", "1");
    store_put(stave_space(fixture->store, 1), "dropped", "1");
    for (uint64_t nth = 1; nth <= MIXED_RECORDS; nth++) {
        reopen_with(fixture, STAVE_TAIL_WRITTEN, STAVE_READS_MAPPED);
        struct stave_batch *batch = mixed_batch(fixture->store);
        fault_choose(FAULT_WRITE);
        fault_arm(nth, EIO);
        assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_IO);
        assert_true(fault_disarm());
        fault_choose(FAULT_SYSTEM);
        stave_batch_free(batch);
        expect_none_of_the_mixed_batch(fixture->store);
        close_whatever_it_says(fixture);
        fixture_reopen(fixture);
        expect_none_of_the_mixed_batch(fixture->store);
    }
    struct stave_batch *batch = mixed_batch(fixture->store);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    store_expect(fixture->store, "new", "2");
    store_expect(fixture->store, "twice", "3");
    store_expect(fixture->store, "deleted", NULL);
    store_expect(stave_space(fixture->store, 1), "dropped", "2");
}

/* Writers that wait for room are woken, although the syncer, which would wake them, is held. (P13) */
static void a_batch_that_fails_half_way_wakes_writers_that_wait_for_room(void **state)
{
    struct fixture *fixture = *state;
    struct writer writer;
    pthread_t thread;
    reopen_with(fixture, STAVE_TAIL_WRITTEN, STAVE_READS_MAPPED);
    start_writer_that_waits(fixture, &writer, &thread);
    struct stave_batch *batch = small_batch(fixture->store);
    fault_choose(FAULT_WRITE);
    fault_arm(3, EIO);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_IO);
    assert_true(fault_disarm());
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(writer.status, STAVE_FAILED);
    fault_release();
    stave_batch_free(batch);
    close_whatever_it_says(fixture);
}

/* ------------------------------------------------------------------ reads */

static void *read_all(void *context)
{
    struct fixture *fixture = context;
    struct stave_info info;
    struct stave_view view;
    fixture_expect_filled(fixture->store, "k", 100, 500, 1);
    fixture_expect_absent(fixture->store, "absent", 100);
    assert_int_equal(stave_exists(fixture->store, stave_text("k1")), STAVE_OK);
    assert_int_equal(stave_info(fixture->store, stave_text("k2"), &info), STAVE_OK);
    assert_int_equal(stave_view(fixture->store, stave_text("k3"), NULL, &view), STAVE_OK);
    assert_int_equal(view.size, 500);
    stave_view_release(fixture->store, &view);
    assert_int_equal(stave_exists(fixture->store, stave_text("expired")), STAVE_NOT_FOUND);
    return NULL;
}

/*
 * Single reads take no lock: they go on while somebody holds all that writers, syncs, compaction, checkpoints
 * and replacements of the manifest take. (P7)
 */
static void reads_go_on_while_every_lock_is_held(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.expires_at_ms = wall_ms() - 1};
    pthread_t thread;
    reopen_with(fixture, STAVE_TAIL_AUTO, STAVE_READS_MAPPED);
    fixture_fill(fixture->store, "k", 100, 500, 1); /* in sealed segments and in the tail */
    fixture_fill(fixture->store, "other", 100, 500, 1);
    assert_int_equal(stave_put_with(fixture->store, stave_text("expired"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    struct store *store = fixture->store->store;
    struct mutex *const locks[] = {&store->upkeep_lock, &store->manifest_lock, &store->sync_lock,
                                   &store->write_lock,  &store->reserve_lock,  &store->thread_lock};
    const size_t count = sizeof(locks) / sizeof(locks[0]);
    for (size_t i = 0; i < count; i++) mutex_lock(locks[i]);
    assert_int_equal(pthread_create(&thread, NULL, read_all, fixture), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (size_t i = count; i-- > 0;) mutex_unlock(locks[i]);
}

/* ------------------------------------------------------------------ a reader beside its writer */

enum { SPOILT_BY_COMPACTION = 3, LISTS_AN_ATTEMPT = 2 }; /* the second one finds no more files */

struct opener {
    const char *path;
    struct stave_options options;
    struct stave *reader;
    enum stave_status status;
    struct stave_error error;
};

static void *open_reader(void *context)
{
    struct opener *opener = context;
    fault_mark_thread();
    opener->status = stave_open(opener->path, &opener->options, &opener->reader, &opener->error);
    return NULL;
}

/* The reader has read the manifest, and no segment yet. */
static void await_attempt(uint64_t lists)
{
    fault_hold(FAULT_LIST | FAULT_MARKED, lists);
    assert_true(fault_await_held());
}

/* What the manifest listed is gone. */
static void compact_under_the_reader(struct fixture *fixture, uint64_t version)
{
    fixture_fill(fixture->store, "k", 100, 500, version);
    crash_wait_until_quiet(fixture->store);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    crash_wait_until_quiet(fixture->store);
}

/* The reader knows how long the tail's file is, and finds it trimmed; no manifest says so yet. */
static void seal_under_the_reader(struct fixture *fixture)
{
    struct store *store = fixture->store->store;
    fault_hold(FAULT_READ | FAULT_MARKED, 2); /* behind the tail's header */
    assert_true(fault_await_held());
    for (bool is_trimmed = false; !is_trimmed;) {
        mutex_lock(&store->write_lock);
        const bool rolls = store->sealing != NULL;
        is_trimmed = rolls && store->sealing->sealed;
        mutex_unlock(&store->write_lock);
        if (!rolls)
            store_put(fixture->store, "filler", "1");
        else
            (void)usleep(NAP_US);
    }
}

/*
 * A seal costs a reader an attempt although the manifest stays as it was; it may cost one after any number of
 * attempts that compactions have spoilt.
 */
static void an_open_that_compactions_spoil_tries_again_when_a_seal_does(void **state)
{
    struct fixture *fixture = *state;
    struct opener opener = {.path = fixture->scratch.store};
    pthread_t thread;
    reopen_with(fixture, STAVE_TAIL_AUTO, STAVE_READS_MAPPED);
    compact_under_the_reader(fixture, 0);
    opener.options = fixture->options;
    opener.options.read_only = true;
    fault_choose(FAULT_LIST);
    fault_arm(UINT64_MAX, EIO);
    fault_hold(FAULT_LIST | FAULT_MARKED, 1);
    assert_int_equal(pthread_create(&thread, NULL, open_reader, &opener), 0);
    assert_true(fault_await_held());
    for (uint64_t version = 1; version <= SPOILT_BY_COMPACTION; version++) {
        compact_under_the_reader(fixture, version);
        await_attempt(LISTS_AN_ATTEMPT);
    }
    struct mutex *const manifest_lock = &fixture->store->store->manifest_lock;
    mutex_lock(manifest_lock);
    seal_under_the_reader(fixture);
    fault_release();
    assert_int_equal(pthread_join(thread, NULL), 0);
    mutex_unlock(manifest_lock);
    if (opener.status != STAVE_OK) fail_msg("%d %s", (int)opener.status, opener.error.message);
    assert_int_equal(fault_count(), (SPOILT_BY_COMPACTION + 2) * LISTS_AN_ATTEMPT);
    fixture_expect_filled(opener.reader, "k", 100, 500, SPOILT_BY_COMPACTION);
    store_close(opener.reader);
}

/* ------------------------------------------------------------------ close */

enum { LONG_KEY_SIZE = 1000, LONG_KEYS = 200 };

/* Their tombstones fill more than two segments. */
static void put_expiring_long_keys(struct stave *store)
{
    const struct stave_write write = {.expires_at_ms = wall_ms() - 1};
    char key[LONG_KEY_SIZE];
    for (int number = 0; number < LONG_KEYS; number++) {
        memset(key, 'k', sizeof(key));
        (void)snprintf(key, 16, "%d", number);
        assert_int_equal(stave_put_with(store, stave_bytes(key, sizeof(key)), stave_text("v"), &write, NULL),
                         STAVE_OK);
    }
}

static void *close_store(void *context)
{
    struct fixture *fixture = context;
    assert_int_equal(stave_close(fixture->store), STAVE_OK);
    return NULL;
}

/*
 * The worker meets expired values, whose tombstones take more room than the tail and the spare have, after a
 * close has begun: it needs the syncer, which must not have left. (P12)
 */
static void a_close_waits_for_the_worker_that_waits_for_a_roll(void **state)
{
    struct fixture *fixture = *state;
    pthread_t thread;
    reopen_with(fixture, STAVE_TAIL_AUTO, STAVE_READS_MAPPED);
    put_expiring_long_keys(fixture->store);
    fixture_close(fixture);
    fixture->options.manual_compaction = false;
    fixture_reopen(fixture);
    struct store *store = fixture->store->store;
    fault_hold(FAULT_READ, 1); /* of a victim: nobody else reads */
    assert_true(fault_await_held());
    assert_int_equal(pthread_create(&thread, NULL, close_store, fixture), 0);
    while (!atomic_load(&store->stopping)) (void)usleep(NAP_US);
    (void)usleep(LATER_US); /* for the threads that do not wait for the worker to leave */
    fault_release();
    assert_int_equal(pthread_join(thread, NULL), 0);
    fixture->store = NULL;
    fixture_reopen(fixture);
    assert_true(stave_count(fixture->store) < LONG_KEYS); /* the worker was at it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCHEDULE(a_cursor_removes_no_value_that_came_between_its_look_and_the_removal),
        SCHEDULE(a_requirement_behind_a_write_of_its_key_is_checked_again),
        SCHEDULE(a_batch_that_fails_half_way_tells_who_waits_for_durability),
        SCHEDULE(of_a_batch_that_fails_half_way_nothing_is_ever_seen),
        SCHEDULE(a_batch_that_fails_half_way_wakes_writers_that_wait_for_room),
        SCHEDULE(reads_go_on_while_every_lock_is_held),
        SCHEDULE(an_open_that_compactions_spoil_tries_again_when_a_seal_does),
        SCHEDULE(a_close_waits_for_the_worker_that_waits_for_a_roll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
