/* SPDX-License-Identifier: MIT */
/*
 * The power goes while compaction, a checkpoint, or recovery is at work, or just behind, and again while the
 * store opens, and again: durable values stay, of the later writes a prefix is there, deleted values stay
 * away (P2, P3, P4).
 *
 * The first cut is always behind the whole work, and all, some and nothing of what was not synced is kept: so
 * each sync that the work leaves out shows. STAVE_TEST_SEED repeats a run, STAVE_TEST_CUTS makes more rounds.
 */
#include "support/fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/crash_copy.h"
#include "support/fault.h"
#include "support/power_loss.h"

enum {
    KEY_COUNT = 120,
    VALUE_SIZE = 1000,
    LATER_COUNT = KEY_COUNT / 2,
    OPEN_CHANGES = 30,
    OPENS = 3,
    SHARES = 8
};

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

/* True if it was cut, false if it got to its end. */
static bool wait_for_child(pid_t child)
{
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_EXIT);
    return WEXITSTATUS(status) == FAULT_CRASH_EXIT;
}

/* Where the power goes: at the nth change of the work, or behind all of them. */
struct cut {
    uint64_t nth;
    bool is_after;
};

static const struct cut behind_all = {UINT64_MAX, false};

static bool cut_during(const char *dir, const char *shadow, upkeep_call upkeep, struct cut cut,
                       uint64_t *ret_changes)
{
    const struct stave_options options = quiet_options();
    uint64_t *changes =
        mmap(NULL, sizeof(*changes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(changes != MAP_FAILED);
    const pid_t child = fork();
    if (child == 0) {
        fault_power_begin(dir, shadow);
        struct stave *store = store_open(dir, &options);
        write_all(store);
        crash_wait_until_quiet(store);
        fault_choose(FAULT_DISK_CHANGES);
        fault_arm_crash(cut.nth, cut.is_after);
        if (upkeep(store) != STAVE_OK) _exit(3);
        *changes = fault_count();
        _exit(0); /* not closed */
    }
    const bool is_cut = wait_for_child(child);
    *ret_changes = *changes;
    (void)munmap(changes, sizeof(*changes));
    return is_cut;
}

/* Opens, and loses power at any moment of it or just behind. */
static bool cut_open(const char *dir, const char *shadow, struct random_source *random)
{
    const uint64_t nth = 1 + random_below(random, OPEN_CHANGES);
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
    return wait_for_child(child);
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

static void expect_all(const char *dir, bool from_checkpoint)
{
    const struct stave_options options = quiet_options();
    struct stave *store = store_open(dir, &options);
    if (from_checkpoint) assert_true(crash_from_checkpoint(store));
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

/* Each open of the chain finds what a power loss left of the one before. Returns how many were cut. */
static uint64_t open_again_and_again(const struct scratch *scratch, struct random_source *random)
{
    uint64_t cuts = 0;
    for (int number = 0; number < OPENS; number++) {
        char from[SCRATCH_PATH_SIZE];
        char shadow[SCRATCH_PATH_SIZE];
        char to[SCRATCH_PATH_SIZE];
        path_in(scratch, "image", number, from);
        path_in(scratch, "image", number + 1, to);
        scratch_path(scratch, "shadow-open", shadow);
        assert_int_equal(mkdir(shadow, 0700), 0);
        cuts += cut_open(from, shadow, random);
        power_loss_compose(from, shadow, to, random_next(random));
        scratch_remove_tree(shadow);
        scratch_remove_tree(from);
    }
    char last[SCRATCH_PATH_SIZE];
    path_in(scratch, "image", OPENS, last);
    expect_all(last, false);
    scratch_remove_tree(last);
    return cuts;
}

struct plan {
    upkeep_call upkeep;
    bool opens_again;
    bool ends_with_checkpoint; /* which is durable then: an open begins with it (P10) */
};

/* The work up to the cut, then an image for each share of what is kept, or one. */
static bool run_round(const struct plan *plan, struct random_source *random, struct cut cut, int images,
                      uint64_t *ret_changes, uint64_t *open_cuts)
{
    struct scratch scratch;
    char shadow[SCRATCH_PATH_SIZE];
    char image[SCRATCH_PATH_SIZE];
    scratch_make(&scratch);
    scratch_path(&scratch, "shadow", shadow);
    path_in(&scratch, "image", 0, image);
    assert_int_equal(mkdir(scratch.store, 0700), 0);
    assert_int_equal(mkdir(shadow, 0700), 0);
    const bool is_cut = cut_during(scratch.store, shadow, plan->upkeep, cut, ret_changes);
    const uint64_t seed = random_next(random);
    for (int share = 0; share < images; share++) {
        power_loss_compose(scratch.store, shadow, image, seed + (uint64_t)share);
        if (plan->opens_again) {
            *open_cuts += open_again_and_again(&scratch, random);
            continue;
        }
        expect_all(image, plan->ends_with_checkpoint && !is_cut);
        scratch_remove_tree(image);
    }
    scratch_remove(&scratch);
    return is_cut;
}

static void run_rounds(const struct plan *plan)
{
    struct random_source random = {test_seed()};
    const uint64_t rounds = environment_number("STAVE_TEST_CUTS", 12);
    uint64_t changes = 0;
    uint64_t unused = 0;
    uint64_t cuts = 0;
    uint64_t open_cuts = 0;
    assert_false(run_round(plan, &random, behind_all, SHARES, &changes, &open_cuts));
    assert_true(changes > 0);
    for (uint64_t round = 1; round < rounds; round++) {
        const struct cut cut = {1 + random_below(&random, changes), random_chance(&random, 2)};
        cuts += run_round(plan, &random, cut, 1, &unused, &open_cuts);
    }
    assert_true(cuts > 0);
    if (plan->opens_again) assert_true(open_cuts > 0);
}

static enum stave_status compact_all(struct stave *store)
{
    return stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL);
}

/* "a durable old value destroyed by compaction because of a newer one that power loss then took" (P2, P3) */
static void power_lost_during_compaction_takes_no_durable_value(void **state)
{
    (void)state;
    run_rounds(&(struct plan){.upkeep = compact_all});
}

static void power_lost_during_a_checkpoint_takes_no_durable_value(void **state)
{
    (void)state;
    run_rounds(&(struct plan){.upkeep = stave_checkpoint, .ends_with_checkpoint = true});
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
    run_rounds(&(struct plan){.upkeep = save_and_compact, .opens_again = true});
}

int main(void)
{
    fault_skip_syncs();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_lost_during_compaction_takes_no_durable_value),
        cmocka_unit_test(power_lost_during_a_checkpoint_takes_no_durable_value),
        cmocka_unit_test(power_lost_in_recovery_again_and_again_takes_no_durable_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
