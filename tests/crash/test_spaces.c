/* SPDX-License-Identifier: MIT */
/*
 * Spaces that are filled, emptied, dropped and swapped over and over, beside compaction and checkpoints, by a
 * process that is killed again and again: what only dropped spaces have written is removed unread, and
 * nothing else is. A plain map says what has to be there (support/model.h; P1, P3, P4).
 *
 * Generations are given out fast, so that those of living spaces share bits of a segment's mask with dropped
 * ones. STAVE_TEST_SEED repeats a run, STAVE_TEST_RUNS makes more of them.
 */
#include "support/fixture.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/model.h"

enum { LIVES = 5, STEPS_MAX = 120 };

/* Beside the steps, so that the kill meets it anywhere. */
static void *keep_up(void *context)
{
    struct stave *store = context;
    struct random_source random = {test_clock_ns()};
    for (;;) {
        (void)usleep((useconds_t)random_below(&random, 20000));
        if (random_chance(&random, 4))
            (void)stave_checkpoint(store);
        else
            (void)stave_compact(store, random_chance(&random, 2) ? STAVE_COMPACT_ALL : 0, NULL, NULL);
    }
    return NULL;
}

/* Every step has returned when the process ends, so that all it did has to be there. */
static void live(struct model *model)
{
    pthread_t thread;
    model_open(model);
    const bool has_helper = random_chance(&model->random, 2);
    if (has_helper) assert_int_equal(pthread_create(&thread, NULL, keep_up, model->store), 0);
    const uint64_t steps = random_below(&model->random, STEPS_MAX);
    model->stays_open = has_helper;
    for (uint64_t step = 0; step < steps; step++) model_step(model);
    if (random_chance(&model->random, 2)) (void)usleep((useconds_t)random_below(&model->random, 5000));
    _exit(0);
}

static void run(struct model *model, uint64_t seed)
{
    model_begin(model, seed);
    store_close(model->store);
    model->only_spaces = true;
    for (int number = 0; number < LIVES; number++) {
        int status = -1;
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) live(model);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("STAVE_TEST_SEED=%llu, life %d: what is there is in %s", (unsigned long long)seed,
                     number, model->scratch.root);
    }
    model_open(model);
    model_end(model);
}

static void only_what_dropped_spaces_wrote_is_removed_unread(void **state)
{
    (void)state;
    const uint64_t seed = test_seed();
    const uint64_t runs = environment_number("STAVE_TEST_RUNS", 3);
    struct model *model =
        mmap(NULL, sizeof(*model), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(model != MAP_FAILED);
    for (uint64_t number = 0; number < runs; number++) run(model, seed + number);
    (void)munmap(model, sizeof(*model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_dropped_spaces_wrote_is_removed_unread)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
