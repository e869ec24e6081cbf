/* SPDX-License-Identifier: MIT */
/*
 * A process that writes is killed at any moment; what its calls had reported is there (P1), the store opens
 * by itself to a prefix of what was written (P3), deleted values stay away (P4), batches are whole (P5).
 *
 * The child tells of a write before it begins and after it returned, through shared memory that outlives it.
 * STAVE_TEST_KILLS makes more rounds than the usual few.
 */
#include "support/fixture.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY_COUNT = 200, PAIR_COUNT = 50, VALUE_SIZE_MAX = 3000 };

/* A key's version in the child's order: even numbers are puts, odd ones deletes. */
struct reported {
    _Atomic uint64_t begun[KEY_COUNT];
    _Atomic uint64_t done[KEY_COUNT];
    _Atomic uint64_t pair_begun[PAIR_COUNT];
    _Atomic uint64_t pair_done[PAIR_COUNT];
    _Atomic uint64_t trouble; /* a status, negated */
};

struct round {
    struct scratch scratch;
    struct reported *reported;
    struct random_source random;
    uint64_t number;
};

static size_t size_of_version(uint64_t version, size_t key)
{
    struct random_source random = {version * KEY_COUNT + key};
    return random_chance(&random, 60) ? 70000 : 8 + (size_t)random_below(&random, VALUE_SIZE_MAX - 8);
}

static void key_text(char ret_key[32], const char *prefix, size_t number)
{
    (void)snprintf(ret_key, 32, "%s%zu", prefix, number);
}

/* The child. */

static void note(struct reported *reported, enum stave_status status)
{
    if (status < 0) atomic_store(&reported->trouble, (uint64_t)-status);
}

static void write_key(struct stave *store, struct reported *reported, size_t number, bool is_delete)
{
    static uint8_t value[70000];
    char key[32];
    const uint64_t done = atomic_load(&reported->done[number]);
    uint64_t version = done + 1;
    if ((version % 2 == 1) != is_delete) version++;
    key_text(key, "k", number);
    atomic_store(&reported->begun[number], version);
    enum stave_status status;
    if (is_delete)
        status = stave_delete(store, stave_text(key));
    else {
        const size_t size = size_of_version(version, number);
        fill_bytes(value, size, version);
        status = stave_put(store, stave_text(key), stave_bytes(value, size));
    }
    note(reported, status);
    atomic_store(&reported->done[number], version);
}

/* Two keys that always hold the same version. */
static void write_pair(struct stave *store, struct reported *reported, size_t number)
{
    struct stave_batch *batch = NULL;
    char first[32];
    char second[32];
    const uint64_t version = atomic_load(&reported->pair_done[number]) + 1;
    key_text(first, "first", number);
    key_text(second, "second", number);
    atomic_store(&reported->pair_begun[number], version);
    note(reported, stave_batch_begin(store, &batch));
    note(reported, stave_batch_put(batch, stave_text(first), stave_bytes(&version, sizeof(version)), 0));
    note(reported, stave_batch_put(batch, stave_text(second), stave_bytes(&version, sizeof(version)), 0));
    note(reported, stave_batch_commit(batch, NULL, NULL));
    atomic_store(&reported->pair_done[number], version);
    stave_batch_free(batch);
}

static void write_on(const struct round *round)
{
    struct stave *store = NULL;
    struct random_source random = {round->random.state};
    struct stave_options options = small_options();
    options.sync = (enum stave_sync)(round->number % 3);
    options.tail = round->number % 2 == 0 ? STAVE_TAIL_AUTO : STAVE_TAIL_WRITTEN;
    options.sync_interval_ms = 2;
    const enum stave_status status = stave_open(round->scratch.store, &options, &store, NULL);
    note(round->reported, status);
    while (status == STAVE_OK) {
        if (random_chance(&random, 4))
            write_pair(store, round->reported, (size_t)random_below(&random, PAIR_COUNT));
        else
            write_key(store, round->reported, (size_t)random_below(&random, KEY_COUNT),
                      random_chance(&random, 4));
        if (random_chance(&random, 500)) note(round->reported, stave_compact(store, 0, NULL, NULL));
        if (random_chance(&random, 500)) note(round->reported, stave_checkpoint(store));
    }
    _exit(1);
}

/* The parent. */

/* The version a key holds now; what was begun and not reported may be there or not. */
static void expect_key(struct round *round, struct stave *store, size_t number)
{
    char key[32];
    struct stave_value value = {0};
    const uint64_t done = atomic_load(&round->reported->done[number]);
    const uint64_t begun = atomic_load(&round->reported->begun[number]);
    key_text(key, "k", number);
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status < 0) fail_msg("%s: %d", key, (int)status);
    const uint64_t candidates[2] = {begun, done};
    for (size_t index = 0; index < 2; index++) {
        const uint64_t version = candidates[index];
        const bool absent = version == 0 || version % 2 == 1;
        const size_t size = absent ? 0 : size_of_version(version, number);
        const bool agrees =
            absent ? status == STAVE_NOT_FOUND
                   : status == STAVE_OK && value.size == size && bytes_are(value.data, size, version);
        if (!agrees) continue;
        stave_free(value.data);
        atomic_store(&round->reported->done[number], version);
        atomic_store(&round->reported->begun[number], version);
        return;
    }
    fail_msg("round %llu: %s (status %d, size %zu) is neither version %llu nor %llu",
             (unsigned long long)round->number, key, (int)status, value.size, (unsigned long long)done,
             (unsigned long long)begun);
}

static uint64_t read_version(struct stave *store, const char *prefix, size_t number)
{
    char key[32];
    struct stave_value value = {0};
    uint64_t version = 0;
    key_text(key, prefix, number);
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status == STAVE_NOT_FOUND) return 0;
    assert_int_equal(status, STAVE_OK);
    assert_int_equal(value.size, sizeof(version));
    memcpy(&version, value.data, sizeof(version));
    stave_free(value.data);
    return version;
}

static void expect_pair(struct round *round, struct stave *store, size_t number)
{
    const uint64_t first = read_version(store, "first", number);
    const uint64_t second = read_version(store, "second", number);
    const uint64_t done = atomic_load(&round->reported->pair_done[number]);
    const uint64_t begun = atomic_load(&round->reported->pair_begun[number]);
    if (first != second || (first != done && first != begun))
        fail_msg("round %llu: pair %zu is %llu and %llu, not %llu or %llu", (unsigned long long)round->number,
                 number, (unsigned long long)first, (unsigned long long)second, (unsigned long long)done,
                 (unsigned long long)begun);
    atomic_store(&round->reported->pair_done[number], first);
    atomic_store(&round->reported->pair_begun[number], first);
}

static void run_round(struct round *round)
{
    (void)random_next(&round->random);
    const pid_t child = fork();
    if (child == 0) write_on(round);
    (void)usleep((useconds_t)random_below(&round->random, 60000));
    assert_int_equal(kill(child, SIGKILL), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* it had not ended by itself */
    assert_int_equal(atomic_load(&round->reported->trouble), 0);

    struct stave_options options = small_options();
    struct stave *store = store_open(round->scratch.store, &options);
    for (size_t number = 0; number < KEY_COUNT; number++) expect_key(round, store, number);
    for (size_t number = 0; number < PAIR_COUNT; number++) expect_pair(round, store, number);
    store_close(store);
    if (random_chance(&round->random, 3)) scratch_unlink(round->scratch.store, "CHECKPOINT");
    if (random_chance(&round->random, 5))
        assert_int_equal(stave_check(round->scratch.store, NULL, NULL, NULL, NULL), STAVE_OK);
}

static void a_write_that_returned_survives_the_end_of_the_process(void **state)
{
    (void)state;
    struct round round = {.random = {test_seed()}};
    const uint64_t rounds = environment_number("STAVE_TEST_KILLS", 40);
    round.reported =
        mmap(NULL, sizeof(*round.reported), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(round.reported != MAP_FAILED);
    scratch_make(&round.scratch);
    for (round.number = 0; round.number < rounds; round.number++) run_round(&round);
    scratch_remove(&round.scratch);
    (void)munmap(round.reported, sizeof(*round.reported));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_returned_survives_the_end_of_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
