/* SPDX-License-Identifier: MIT */
/*
 * P8: memory a key, as the system counts it. A thread looks at all private memory of the process, every few
 * milliseconds and whatever the store is at, and keeps the most.
 *
 * A sanitizer's shadow and freed blocks that it keeps are private memory, too, several times the store's own,
 * and what the store asked for says nothing of what the system gave: there the same is done with fewer keys,
 * and only looked at for what a sanitizer finds.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/thread.h"
#include "support/fixture.h"

#define BYTES_A_KEY 16
#define KEYS_MIN UINT64_C(1000000) /* from here on the promise holds; below, it is this many times 16 */
#define KEYS_SANITIZED UINT64_C(50000)
#define NAP_NS UINT64_C(2000000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#define IS_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define IS_SANITIZED false
#endif

struct watch {
    struct thread thread;
    uint64_t empty;               /* what the process had before the store */
    _Atomic uint64_t count;       /* keys in the store */
    _Atomic uint64_t most;        /* bytes above 16 a key, and 2^40 */
    _Atomic uint64_t most_count;  /* keys when it was so */
    _Atomic uint64_t most_memory; /* and the bytes above `empty` */
    _Atomic bool stops;
};

/* Anonymous memory of the process, whoever asked for it. */
static uint64_t private_memory(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    assert_non_null(file);
    char line[256];
    unsigned long kib = 0;
    while (fgets(line, sizeof(line), file) != NULL && sscanf(line, "Anonymous: %lu", &kib) != 1) continue;
    (void)fclose(file);
    return (uint64_t)kib << 10;
}

static void look(struct watch *watch)
{
    const uint64_t count = atomic_load(&watch->count);
    const uint64_t memory = private_memory() - watch->empty;
    const uint64_t allowed = (count > KEYS_MIN ? count : KEYS_MIN) * BYTES_A_KEY;
    const uint64_t above = (UINT64_C(1) << 40) + memory - allowed;
    if (above <= atomic_load(&watch->most)) return;
    atomic_store(&watch->most, above);
    atomic_store(&watch->most_count, count);
    atomic_store(&watch->most_memory, memory);
}

static void watch_run(void *context)
{
    struct watch *watch = context;
    while (!atomic_load(&watch->stops)) {
        look(watch);
        thread_sleep_ns(NAP_NS);
    }
}

static void watch_begin(struct watch *watch, uint64_t count)
{
    struct error error = ERROR_NONE;
    *watch = (struct watch){.thread = THREAD_NONE};
    (void)private_memory();
    watch->empty = private_memory();
    atomic_store(&watch->count, count);
    assert_int_equal(thread_start(&watch->thread, "watch", watch_run, watch, &error), STAVE_OK);
}

static void watch_end(struct watch *watch, const char *what)
{
    atomic_store(&watch->stops, true);
    thread_join(&watch->thread);
    const uint64_t count = atomic_load(&watch->most_count);
    const uint64_t memory = atomic_load(&watch->most_memory);
    (void)fprintf(stderr, "%s: at most %.2f bytes a key, of %llu keys\n", what,
                  (double)memory / (double)(count > KEYS_MIN ? count : KEYS_MIN), (unsigned long long)count);
    if (!IS_SANITIZED && atomic_load(&watch->most) > UINT64_C(1) << 40)
        fail_msg("%s: %llu keys took %llu bytes", what, (unsigned long long)count,
                 (unsigned long long)memory);
}

static size_t key_of(uint64_t number, char ret_key[64])
{
    return (size_t)snprintf(ret_key, 64, "key %llu of a store", (unsigned long long)number);
}

static void put_number(struct stave *store, uint64_t number)
{
    char key[64];
    const size_t size = key_of(number, key);
    assert_int_equal(stave_put(store, stave_bytes(key, size), stave_bytes(&number, sizeof(number))),
                     STAVE_OK);
}

static void overwrite(struct stave *store, uint64_t count, uint64_t times, uint64_t seed)
{
    struct random_source random = {seed};
    for (uint64_t i = 0; i < times; i++) put_number(store, random_below(&random, count));
}

static void expect_all(struct stave *store, uint64_t count)
{
    char key[64];
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(stave_exists(store, stave_bytes(key, key_of(i, key))), STAVE_OK);
    assert_true(stave_count(store) == count);
}

static struct stave_options memory_options(void)
{
    return (struct stave_options){
        .size = sizeof(struct stave_options),
        .sync = STAVE_SYNC_NONE,
        .segment_size = UINT64_C(16) << 20,
        .checkpoint_size = UINT64_C(32) << 20,
    };
}

/* P8: growing, checkpoints and compaction included. */
static void a_store_takes_16_bytes_a_key_of_private_memory_at_every_moment(void **state)
{
    (void)state;
    const uint64_t count = environment_number("STAVE_TEST_KEYS", IS_SANITIZED ? KEYS_SANITIZED : 1150000);
    const struct stave_options options = memory_options();
    struct scratch scratch;
    struct watch watch;
    scratch_make(&scratch);
    watch_begin(&watch, 0);
    struct stave *store = store_open(scratch.store, &options);
    for (uint64_t i = 0; i < count; i++) {
        put_number(store, i);
        atomic_store(&watch.count, i + 1);
        if (i + 1 >= KEYS_MIN && i % 1000 == 0) look(&watch);
    }
    overwrite(store, count, count, 1);
    assert_int_equal(stave_checkpoint(store), STAVE_OK);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    look(&watch);
    watch_end(&watch, "growing, overwriting, compacting");
    store_close(store);
    scratch_remove(&scratch);
}

/* P8, P10: from an image and what was written since, compaction's copies included. */
static void an_open_after_a_kill_takes_16_bytes_a_key(void **state)
{
    (void)state;
    const uint64_t count = environment_number("STAVE_TEST_KEYS", IS_SANITIZED ? KEYS_SANITIZED : KEYS_MIN);
    const struct stave_options options = memory_options();
    struct scratch scratch;
    struct watch watch;
    int wait_status = 0;
    scratch_make(&scratch);
    const pid_t child = fork();
    if (child == 0) {
        struct stave_options without = options;
        without.checkpoint_size = UINT64_MAX;
        struct stave *store = store_open(scratch.store, &without);
        for (uint64_t i = 0; i < count; i++) put_number(store, i);
        assert_int_equal(stave_checkpoint(store), STAVE_OK);
        overwrite(store, count, count, 2);
        _exit(0);
    }
    assert_true(child > 0 && waitpid(child, &wait_status, 0) == child && wait_status == 0);
    watch_begin(&watch, count);
    struct stave *store = store_open(scratch.store, &options);
    expect_all(store, count);
    assert_int_equal(stave_checkpoint(store), STAVE_OK);
    watch_end(&watch, "opening after a kill");
    store_close(store);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_takes_16_bytes_a_key_of_private_memory_at_every_moment),
        cmocka_unit_test(an_open_after_a_kill_takes_16_bytes_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
