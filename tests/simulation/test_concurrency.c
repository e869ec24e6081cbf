/* SPDX-License-Identifier: MIT */
/*
 * Everything at once: writers, readers, batches beside multi_get, compaction, checkpoints, snapshots,
 * cursors, drops.
 *
 *   Q1  A key that is there throughout is found by every read and every walk, whatever goes on.  (P7)
 *   Q2  The sum over the accounts is the same in every multi_get: no batch is seen in part.      (P5)
 *   Q3  Counters raised by stave_update lose no step, whoever else writes.
 *   Q4  A key's version only grows in the eyes of a reader.                                      (P4)
 */
#include "support/fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

enum { STEADY_COUNT = 200, ACCOUNT_COUNT = 16, ACCOUNT_SUM = 16000, MOVING_COUNT = 50 };

struct shared {
    struct fixture *fixture;
    struct stave *store;
    _Atomic bool stop;
    _Atomic uint64_t increments;
    _Atomic uint64_t seed;
    _Atomic int trouble;
    char message[256];
};

#define EXPECT(shared, condition)                                                                            \
    do {                                                                                                     \
        if (!(condition)) report((shared), #condition, __LINE__);                                            \
    } while (0)

/* cmocka's assertions belong to its own thread. */
static void report(struct shared *shared, const char *what, int line)
{
    if (atomic_exchange(&shared->trouble, 1) == 0)
        (void)snprintf(shared->message, sizeof(shared->message), "line %d: %s", line, what);
    atomic_store(&shared->stop, true);
}

static void key_text(char ret_key[32], const char *prefix, uint64_t number)
{
    (void)snprintf(ret_key, 32, "%s%llu", prefix, (unsigned long long)number);
}

static struct random_source seeded(struct shared *shared)
{
    return (struct random_source){atomic_fetch_add(&shared->seed, 1)};
}

/* Steady keys. */

static void *overwrite_steady(void *context)
{
    struct shared *shared = context;
    struct random_source random = seeded(shared);
    uint8_t value[2000];
    char key[32];
    while (!atomic_load(&shared->stop)) {
        key_text(key, "steady", random_below(&random, STEADY_COUNT));
        const uint64_t number = random_next(&random);
        memcpy(value, &number, sizeof(number));
        const size_t size = 8 + (size_t)random_below(&random, sizeof(value) - 8);
        fill_bytes(value + 8, size - 8, number);
        EXPECT(shared, stave_put(shared->store, stave_text(key), stave_bytes(value, size)) == STAVE_OK);
    }
    return NULL;
}

static bool is_whole(const void *data, size_t size)
{
    uint64_t number = 0;
    if (size < 8) return false;
    memcpy(&number, data, 8);
    return bytes_are((const uint8_t *)data + 8, size - 8, number);
}

static void *read_steady(void *context)
{
    struct shared *shared = context;
    struct random_source random = seeded(shared);
    char key[32];
    while (!atomic_load(&shared->stop)) {
        struct stave_view view = {0};
        struct stave_value value = {0};
        key_text(key, "steady", random_below(&random, STEADY_COUNT));
        EXPECT(shared, stave_exists(shared->store, stave_text(key)) == STAVE_OK);
        if (random_chance(&random, 2)) {
            EXPECT(shared, stave_get(shared->store, stave_text(key), &value) == STAVE_OK);
            EXPECT(shared, value.data == NULL || is_whole(value.data, value.size));
            stave_free(value.data);
        } else {
            EXPECT(shared, stave_view(shared->store, stave_text(key), NULL, &view) == STAVE_OK);
            EXPECT(shared, view.data == NULL || is_whole(view.data, view.size));
            stave_view_release(shared->store, &view);
        }
    }
    return NULL;
}

static void *walk_steady(void *context)
{
    struct shared *shared = context;
    while (!atomic_load(&shared->stop)) {
        struct stave_cursor *cursor = NULL;
        struct stave_entry entry;
        bool seen[STEADY_COUNT] = {false};
        enum stave_status status = STAVE_END;
        EXPECT(shared, stave_cursor_open(shared->store, 0, stave_text("steady"), 0, &cursor) == STAVE_OK);
        while (cursor != NULL && (status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
            char number[16] = {0};
            EXPECT(shared, is_whole(entry.value.data, entry.value.size));
            if (entry.key.size < 6 + sizeof(number))
                memcpy(number, (const char *)entry.key.data + 6, entry.key.size - 6);
            seen[strtoul(number, NULL, 10) % STEADY_COUNT] = true;
        }
        EXPECT(shared, status == STAVE_END);
        stave_cursor_close(cursor);
        for (size_t number = 0; number < STEADY_COUNT; number++) EXPECT(shared, seen[number]);
    }
    return NULL;
}

/* Accounts. */

static void *transfer(void *context)
{
    struct shared *shared = context;
    struct random_source random = seeded(shared);
    struct stave_batch *batch = NULL;
    EXPECT(shared, stave_batch_begin(shared->store, &batch) == STAVE_OK);
    while (!atomic_load(&shared->stop)) {
        char keys[2][32];
        int64_t balances[2];
        const uint64_t from = random_below(&random, ACCOUNT_COUNT);
        key_text(keys[0], "account", from);
        key_text(keys[1], "account", (from + 1 + random_below(&random, ACCOUNT_COUNT - 1)) % ACCOUNT_COUNT);
        stave_batch_clear(batch);
        for (size_t side = 0; side < 2; side++) {
            struct stave_value value = {0};
            EXPECT(shared, stave_get(shared->store, stave_text(keys[side]), &value) == STAVE_OK);
            if (value.data == NULL) break;
            memcpy(&balances[side], value.data, sizeof(balances[side]));
            EXPECT(shared, stave_batch_require(batch, stave_text(keys[side]), value.sequence) == STAVE_OK);
            stave_free(value.data);
        }
        if (atomic_load(&shared->trouble) != 0) break;
        balances[0]--;
        balances[1]++;
        for (size_t side = 0; side < 2; side++)
            EXPECT(shared, stave_batch_put(batch, stave_text(keys[side]), stave_bytes(&balances[side], 8),
                                           0) == STAVE_OK);
        const enum stave_status status = stave_batch_commit(batch, NULL, NULL);
        EXPECT(shared, status == STAVE_OK || status == STAVE_CONFLICT);
    }
    stave_batch_free(batch);
    return NULL;
}

static void *sum_accounts(void *context)
{
    struct shared *shared = context;
    char texts[ACCOUNT_COUNT][32];
    struct stave_bytes keys[ACCOUNT_COUNT];
    struct stave_view views[ACCOUNT_COUNT];
    enum stave_status statuses[ACCOUNT_COUNT];
    for (uint64_t number = 0; number < ACCOUNT_COUNT; number++) {
        key_text(texts[number], "account", number);
        keys[number] = stave_text(texts[number]);
    }
    while (!atomic_load(&shared->stop)) {
        int64_t sum = 0;
        EXPECT(shared, stave_multi_get(shared->store, keys, ACCOUNT_COUNT, 0, views, statuses) == STAVE_OK);
        if (atomic_load(&shared->trouble) != 0) break;
        for (size_t number = 0; number < ACCOUNT_COUNT; number++) {
            int64_t balance = 0;
            EXPECT(shared, statuses[number] == STAVE_OK);
            if (statuses[number] != STAVE_OK) continue;
            memcpy(&balance, views[number].data, sizeof(balance));
            stave_view_release(shared->store, &views[number]);
            sum += balance;
        }
        EXPECT(shared, sum == ACCOUNT_SUM);
    }
    return NULL;
}

/* Counters, versions. */

static enum stave_update_action increment(void *context, struct stave_update *update)
{
    uint64_t *number = context;
    *number = 0;
    if (update->found) memcpy(number, update->old_value.data, sizeof(*number));
    ++*number;
    update->new_value = stave_bytes(number, sizeof(*number));
    return STAVE_UPDATE_PUT;
}

static void *count_up(void *context)
{
    struct shared *shared = context;
    uint64_t number = 0;
    do { /* once at least, however late the thread begins */
        EXPECT(shared, stave_update(shared->store, stave_text("counter"), increment, &number, NULL, NULL) ==
                           STAVE_OK);
        atomic_fetch_add(&shared->increments, 1);
    } while (!atomic_load(&shared->stop));
    return NULL;
}

static void *watch_counter(void *context)
{
    struct shared *shared = context;
    uint64_t last = 0;
    uint64_t last_sequence = 0;
    while (!atomic_load(&shared->stop)) {
        struct stave_value value = {0};
        uint64_t number = 0;
        if (stave_get(shared->store, stave_text("counter"), &value) != STAVE_OK) continue;
        memcpy(&number, value.data, sizeof(number));
        EXPECT(shared, number >= last && value.sequence >= last_sequence);
        last = number;
        last_sequence = value.sequence;
        stave_free(value.data);
    }
    return NULL;
}

/* Comings and goings. */

static void *put_and_delete(void *context)
{
    struct shared *shared = context;
    struct random_source random = seeded(shared);
    struct stave *space = stave_space(shared->store, 1 + (uint32_t)random_below(&random, 2));
    char key[32];
    while (!atomic_load(&shared->stop)) {
        key_text(key, "moving", random_below(&random, MOVING_COUNT));
        const uint64_t kind = random_below(&random, 200);
        if (kind == 0)
            EXPECT(shared, stave_drop(space, NULL, NULL) == STAVE_OK);
        else if (kind == 1)
            EXPECT(shared, stave_swap(shared->store, 1, 2, NULL, NULL) == STAVE_OK);
        else if (kind < 80)
            EXPECT(shared, stave_delete(space, stave_text(key)) >= STAVE_OK);
        else
            EXPECT(shared, stave_put(space, stave_text(key), stave_text("here for a while")) == STAVE_OK);
        EXPECT(shared, stave_count(space) <= MOVING_COUNT);
    }
    return NULL;
}

static void *keep_up(void *context)
{
    struct shared *shared = context;
    struct random_source random = seeded(shared);
    char path[SCRATCH_PATH_SIZE];
    scratch_path(&shared->fixture->scratch, "snapshot", path);
    while (!atomic_load(&shared->stop)) {
        switch (random_below(&random, 5)) {
        case 0:
            EXPECT(shared, stave_compact(shared->store, STAVE_COMPACT_ALL, NULL, NULL) == STAVE_OK);
            break;
        case 1: EXPECT(shared, stave_checkpoint(shared->store) == STAVE_OK); break;
        case 2: EXPECT(shared, stave_sync(shared->store) == STAVE_OK); break;
        case 3:
            EXPECT(shared, stave_snapshot(shared->store, path, NULL) == STAVE_OK);
            scratch_remove_tree(path);
            break;
        default: (void)usleep(5000); break;
        }
    }
    return NULL;
}

/* All of it. */

static void fill(struct stave *store)
{
    char key[32];
    for (uint64_t number = 0; number < STEADY_COUNT; number++) {
        uint8_t value[100];
        memcpy(value, &number, sizeof(number));
        fill_bytes(value + 8, sizeof(value) - 8, number);
        key_text(key, "steady", number);
        assert_int_equal(stave_put(store, stave_text(key), stave_bytes(value, sizeof(value))), STAVE_OK);
    }
    for (uint64_t number = 0; number < ACCOUNT_COUNT; number++) {
        const int64_t balance = ACCOUNT_SUM / ACCOUNT_COUNT;
        key_text(key, "account", number);
        assert_int_equal(stave_put(store, stave_text(key), stave_bytes(&balance, sizeof(balance))), STAVE_OK);
    }
}

static void run(struct fixture *fixture)
{
    static void *(*const work[])(void *) = {overwrite_steady, overwrite_steady, read_steady,   read_steady,
                                            walk_steady,      transfer,         transfer,      sum_accounts,
                                            count_up,         count_up,         watch_counter, put_and_delete,
                                            put_and_delete,   keep_up};
    enum { COUNT = sizeof(work) / sizeof(work[0]) };
    struct shared shared = {.fixture = fixture, .store = fixture->store, .seed = test_seed()};
    pthread_t threads[COUNT];
    fill(fixture->store);
    for (size_t index = 0; index < COUNT; index++)
        assert_int_equal(pthread_create(&threads[index], NULL, work[index], &shared), 0);
    const uint64_t end = test_clock_ns() + environment_number("STAVE_TEST_MS", 1000) * 1000000;
    while (!atomic_load(&shared.stop) && test_clock_ns() < end) (void)usleep(1000);
    atomic_store(&shared.stop, true);
    for (size_t index = 0; index < COUNT; index++) assert_int_equal(pthread_join(threads[index], NULL), 0);
    if (atomic_load(&shared.trouble) != 0) {
        struct stave_error error;
        stave_last_error(fixture->store, &error);
        fail_msg("%s (%d %s)", shared.message, (int)error.status,
                 error.status == STAVE_OK ? "" : error.message);
    }
    struct stave_value value = {0};
    uint64_t number = 0;
    fixture_reopen(fixture);
    assert_int_equal(stave_get(fixture->store, stave_text("counter"), &value), STAVE_OK);
    memcpy(&number, value.data, sizeof(number));
    stave_free(value.data);
    assert_true(number == atomic_load(&shared.increments)); /* Q3 */
}

static void everything_at_once_on_mapped_files(void **state)
{
    run(*state);
}

static void everything_at_once_on_written_and_copied_files(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.tail = STAVE_TAIL_WRITTEN;
    fixture->options.reads = STAVE_READS_COPIED;
    fixture_reopen(fixture);
    run(fixture);
}

static void everything_at_once_with_every_write_durable(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.sync = STAVE_SYNC_ALWAYS;
    fixture_reopen(fixture);
    run(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(everything_at_once_on_mapped_files),
        FIXTURE_TEST(everything_at_once_on_written_and_copied_files),
        FIXTURE_TEST(everything_at_once_with_every_write_durable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
