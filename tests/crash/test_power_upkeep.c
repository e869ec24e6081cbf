/* SPDX-License-Identifier: MIT */
/*
 * The power goes while compaction, a checkpoint, or recovery is at work, and again while the store opens, and
 * again: durable values stay, of the later writes a prefix is there, deleted values stay away (P2, P3, P4).
 *
 * STAVE_TEST_SEED repeats a run, STAVE_TEST_CUTS makes more rounds of each.
 */
#include "support/fixture.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/power_loss.h"

enum { KEY_COUNT = 120, VALUE_SIZE = 1000, LATER_COUNT = KEY_COUNT / 2, CHANGES_MAX = 60, OPENS = 3 };

typedef enum stave_status (*upkeep_call)(struct stave *store);

static struct stave_options quiet_options(void)
{
    struct stave_options options = small_options();
    options.sync = STAVE_SYNC_NONE;
    options.manual_compaction = true;
    return options;
}

/* Version 1 of every key is durable, as are the deletes; of half of the keys a version 2 is not. */
static void write_all(struct stave *store)
{
    fixture_fill(store, "gone", KEY_COUNT, VALUE_SIZE, 1);
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    fixture_delete(store, "gone", KEY_COUNT);
    if (stave_sync(store) != STAVE_OK) _exit(2);
    fixture_fill(store, "k", LATER_COUNT, VALUE_SIZE, 2);
}

static void expect_child(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_EXIT);
}

static void cut_during(const char *dir, const char *shadow, upkeep_call upkeep, struct random_source *random)
{
    const uint64_t nth = 1 + random_below(random, CHANGES_MAX);
    const bool is_after = random_chance(random, 2);
    const struct stave_options options = quiet_options();
    const pid_t child = fork();
    if (child == 0) {
        fault_power_begin(dir, shadow);
        struct stave *store = store_open(dir, &options);
        write_all(store);
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(nth, is_after);
        (void)upkeep(store);
        _exit(0); /* not closed */
    }
    expect_child(child);
}

/* Opens, and loses power at any moment of it or just behind. */
static void cut_open(const char *dir, const char *shadow, struct random_source *random)
{
    const uint64_t nth = 1 + random_below(random, CHANGES_MAX / 2);
    const bool is_after = random_chance(random, 2);
    const struct stave_options options = quiet_options();
    const pid_t child = fork();
    if (child == 0) {
        struct stave *store = NULL;
        fault_power_begin(dir, shadow);
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(nth, is_after);
        (void)stave_open(dir, &options, &store, NULL);
        _exit(0);
    }
    expect_child(child);
}

static uint64_t version_of(struct stave *store, size_t number)
{
    char key[32];
    struct stave_value value = {0};
    (void)snprintf(key, sizeof(key), "k%zu", number);
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status != STAVE_OK) fail_msg("%s: %d", key, (int)status);
    assert_int_equal(value.size, VALUE_SIZE);
    const bool is_first = bytes_are(value.data, value.size, number + (UINT64_C(1) << 32));
    if (!is_first) assert_true(bytes_are(value.data, value.size, number + (UINT64_C(2) << 32)));
    stave_free(value.data);
    return is_first ? 1 : 2;
}

static void expect_all(const char *dir)
{
    const struct stave_options options = quiet_options();
    struct stave *store = store_open(dir, &options);
    uint64_t before = 2;
    for (size_t number = 0; number < KEY_COUNT; number++) {
        const uint64_t version = version_of(store, number);
        assert_true(version <= before); /* a prefix of the later writes, which went from key to key */
        before = version;
    }
    assert_true(version_of(store, LATER_COUNT) == 1);
    fixture_expect_absent(store, "gone", KEY_COUNT);
    assert_int_equal(stave_count(store), KEY_COUNT);
    store_put(store, "writable", "again");
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_expect_absent(store, "gone", KEY_COUNT);
    store_close(store);
}

static void path_in(const struct scratch *scratch, const char *name, int number,
                    char ret_path[SCRATCH_PATH_SIZE])
{
    char numbered[64];
    (void)snprintf(numbered, sizeof(numbered), "%s%d", name, number);
    scratch_path(scratch, numbered, ret_path);
}

/* Each open of the chain finds what a power loss left of the one before. */
static void open_again_and_again(const struct scratch *scratch, struct random_source *random)
{
    for (int number = 0; number < OPENS; number++) {
        char from[SCRATCH_PATH_SIZE];
        char shadow[SCRATCH_PATH_SIZE];
        char to[SCRATCH_PATH_SIZE];
        path_in(scratch, "image", number, from);
        path_in(scratch, "image", number + 1, to);
        scratch_path(scratch, "shadow-open", shadow);
        assert_int_equal(mkdir(shadow, 0700), 0);
        cut_open(from, shadow, random);
        power_loss_compose(from, shadow, to, random_next(random));
        scratch_remove_tree(shadow);
        scratch_remove_tree(from);
    }
    char last[SCRATCH_PATH_SIZE];
    path_in(scratch, "image", OPENS, last);
    expect_all(last);
}

static void run_round(upkeep_call upkeep, struct random_source *random, bool opens_again)
{
    struct scratch scratch;
    char shadow[SCRATCH_PATH_SIZE];
    char image[SCRATCH_PATH_SIZE];
    scratch_make(&scratch);
    scratch_path(&scratch, "shadow", shadow);
    path_in(&scratch, "image", 0, image);
    assert_int_equal(mkdir(scratch.store, 0700), 0);
    assert_int_equal(mkdir(shadow, 0700), 0);
    cut_during(scratch.store, shadow, upkeep, random);
    power_loss_compose(scratch.store, shadow, image, random_next(random));
    if (opens_again)
        open_again_and_again(&scratch, random);
    else
        expect_all(image);
    scratch_remove(&scratch);
}

static void run_rounds(upkeep_call upkeep, bool opens_again)
{
    struct random_source random = {test_seed()};
    const uint64_t rounds = environment_number("STAVE_TEST_CUTS", 12);
    for (uint64_t round = 0; round < rounds; round++) run_round(upkeep, &random, opens_again);
}

static enum stave_status compact_all(struct stave *store)
{
    return stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL);
}

/* "a durable old value destroyed by compaction because of a newer one that power loss then took" (P2, P3) */
static void power_lost_during_compaction_takes_no_durable_value(void **state)
{
    (void)state;
    run_rounds(compact_all, false);
}

static void power_lost_during_a_checkpoint_takes_no_durable_value(void **state)
{
    (void)state;
    run_rounds(stave_checkpoint, false);
}

/* A checkpoint that is installed before the compaction that makes it stale. */
static enum stave_status save_and_compact(struct stave *store)
{
    const enum stave_status status = stave_checkpoint(store);
    return status == STAVE_OK ? compact_all(store) : status;
}

static void power_lost_in_recovery_again_and_again_takes_no_durable_value(void **state)
{
    (void)state;
    run_rounds(save_and_compact, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_lost_during_compaction_takes_no_durable_value),
        cmocka_unit_test(power_lost_during_a_checkpoint_takes_no_durable_value),
        cmocka_unit_test(power_lost_in_recovery_again_and_again_takes_no_durable_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
