/* SPDX-License-Identifier: MIT */
/*
 * The power goes at any moment: what is left opens by itself (P3) to every durable write (P2) and a prefix,
 * in log order, of the later ones; deleted values stay away (P4), batches are whole (P5); and that holds
 * again when the power goes during recovery.
 *
 * A child writes its operations into a journal that outlives it, and how many of them were durable. Each
 * value names the operation that wrote it, so that what a store holds tells how long a prefix it is.
 *
 * STAVE_TEST_CUTS makes more rounds than the usual few.
 */
#include "support/fixture.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/power_loss.h"

enum { SPACE_COUNT = 2, KEY_COUNT = 30, STEP_MAX = 3000, PART_MAX = 4, IMAGES = 3, ROUNDS_USUAL = 15 };

struct part {
    uint8_t space;
    uint8_t key;
    bool is_delete;
};

struct step {
    bool is_drop; /* of space 1 */
    uint8_t count;
    struct part parts[PART_MAX];
    uint64_t sequence; /* 0: had nothing to do, or did not return */
};

struct journal {
    _Atomic uint64_t begun;
    _Atomic uint64_t durable;
    _Atomic uint64_t trouble;
    struct step steps[STEP_MAX];
};

struct world {
    struct scratch scratch;
    struct random_source random;
    struct journal *journal;
    uint64_t round;
    uint64_t durable_images; /* in which something has to be, */
    uint64_t partial_images; /* and which lack something that had begun */
};

/* What a store holds: for each key the step that wrote it, plus 1; 0: absent. */
struct contents {
    uint64_t steps[SPACE_COUNT][KEY_COUNT];
};

static void key_text(char ret_key[32], unsigned key)
{
    (void)snprintf(ret_key, 32, "key%u", key);
}

/* The child. */

static size_t value_size(uint64_t step)
{
    struct random_source random = {step * 7919};
    if (random_chance(&random, 400)) return (size_t)STAVE_LARGE_SIZE + 9;
    if (random_chance(&random, 50)) return 70000;
    return 8 + (size_t)random_below(&random, 2000);
}

static void make_value(uint8_t *value, size_t size, uint64_t step)
{
    memcpy(value, &step, sizeof(step));
    fill_bytes(value + 8, size - 8, step);
}

static void choose_step(struct random_source *random, struct step *step)
{
    step->is_drop = random_chance(random, 300);
    step->count = (uint8_t)(step->is_drop              ? 0
                            : random_chance(random, 4) ? 2 + random_below(random, PART_MAX - 1)
                                                       : 1);
    for (size_t index = 0; index < step->count; index++)
        step->parts[index] =
            (struct part){(uint8_t)random_below(random, SPACE_COUNT),
                          (uint8_t)random_below(random, KEY_COUNT), random_chance(random, 4)};
}

static enum stave_status carry_out_one(struct stave *store, const struct part *part, uint64_t number,
                                       const struct stave_write *write, uint8_t *room, uint64_t *ret_sequence)
{
    char key[32];
    struct stave *space = stave_space(store, part->space);
    key_text(key, part->key);
    if (part->is_delete) return stave_delete_with(space, stave_text(key), write, ret_sequence);
    const size_t size = value_size(number);
    make_value(room, size, number);
    return stave_put_with(space, stave_text(key), stave_bytes(room, size), write, ret_sequence);
}

static enum stave_status carry_out_batch(struct stave *store, const struct step *step, uint64_t number,
                                         const struct stave_write *write, uint8_t *room,
                                         uint64_t *ret_sequence)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(store, &batch);
    const size_t size = 8 + number % 500;
    for (size_t index = 0; index < step->count && status == STAVE_OK; index++) {
        const struct part *part = &step->parts[index];
        char key[32];
        key_text(key, part->key);
        make_value(room, size, number);
        status = stave_batch_select(batch, part->space);
        if (status != STAVE_OK) break;
        status = part->is_delete ? stave_batch_delete(batch, stave_text(key))
                                 : stave_batch_put(batch, stave_text(key), stave_bytes(room, size), 0);
    }
    if (status == STAVE_OK) status = stave_batch_commit(batch, write, ret_sequence);
    stave_batch_free(batch);
    return status;
}

static enum stave_status carry_out(struct stave *store, struct step *step, uint64_t number,
                                   const struct stave_write *write, uint8_t *room)
{
    uint64_t sequence = 0;
    enum stave_status status;
    if (step->is_drop)
        status = stave_drop(stave_space(store, 1), write, &sequence);
    else if (step->count > 1)
        status = carry_out_batch(store, step, number, write, room, &sequence);
    else
        status = carry_out_one(store, &step->parts[0], number, write, room, &sequence);
    if (status == STAVE_OK) step->sequence = sequence;
    return status;
}

/* Steps whose sequence is durable, and those without one before them. */
static void note_durable(struct journal *journal, struct stave *store, uint64_t end)
{
    const uint64_t durable_sequence = stave_durable_sequence(store);
    uint64_t durable = atomic_load(&journal->durable);
    while (durable < end && journal->steps[durable].sequence <= durable_sequence) durable++;
    atomic_store(&journal->durable, durable);
}

static void give_up(struct journal *journal, int line)
{
    atomic_store(&journal->trouble, (uint64_t)line);
    _exit(2);
}

static void keep_up(struct journal *journal, struct stave *store, struct random_source *random)
{
    if (random_chance(random, 60) && stave_sync(store) < 0) give_up(journal, __LINE__);
    if (random_chance(random, 150) && stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL) < 0)
        give_up(journal, __LINE__);
    if (random_chance(random, 150) && stave_checkpoint(store) < 0) give_up(journal, __LINE__);
}

static void write_on(const struct world *world, struct random_source random)
{
    struct journal *journal = world->journal;
    struct stave *store = NULL;
    struct stave_options options = small_options();
    uint8_t *room = malloc((size_t)STAVE_LARGE_SIZE + 100);
    options.sync = (enum stave_sync)(world->round % 3);
    options.sync_interval_ms = 3;
    options.tail = random_chance(&random, 2) ? STAVE_TAIL_AUTO : STAVE_TAIL_WRITTEN;
    if (room == NULL || stave_open(world->scratch.store, &options, &store, NULL) != STAVE_OK)
        give_up(journal, __LINE__);
    const uint64_t steps = 100 + random_below(&random, STEP_MAX - 100);
    for (uint64_t number = 0; number < steps; number++) {
        struct step *step = &journal->steps[number];
        const struct stave_write write = {.flags = random_chance(&random, 40) ? STAVE_DURABLE : 0};
        choose_step(&random, step);
        atomic_store(&journal->begun, number + 1);
        const enum stave_status status = carry_out(store, step, number, &write, room);
        if (status < 0) give_up(journal, __LINE__);
        const bool waited = write.flags != 0 || options.sync == STAVE_SYNC_ALWAYS;
        if (waited && status == STAVE_OK) atomic_store(&journal->durable, number + 1); /* P2 */
        note_durable(journal, store, number + 1);
        keep_up(journal, store, &random);
    }
    _exit(0); /* not closed */
}

/* The parent. */

static void read_key(struct stave *store, unsigned space, unsigned key, struct contents *ret_contents)
{
    char text[32];
    struct stave_value value = {0};
    uint64_t step = 0;
    key_text(text, key);
    const enum stave_status status = stave_get(stave_space(store, space), stave_text(text), &value);
    ret_contents->steps[space][key] = 0;
    if (status == STAVE_NOT_FOUND) return;
    assert_int_equal(status, STAVE_OK);
    assert_true(value.size >= sizeof(step));
    memcpy(&step, value.data, sizeof(step));
    assert_true(bytes_are((const uint8_t *)value.data + 8, value.size - 8, step));
    stave_free(value.data);
    ret_contents->steps[space][key] = step + 1;
}

static struct contents read_contents(struct stave *store)
{
    struct contents contents;
    for (unsigned space = 0; space < SPACE_COUNT; space++)
        for (unsigned key = 0; key < KEY_COUNT; key++) read_key(store, space, key, &contents);
    return contents;
}

static void apply_step(struct contents *contents, const struct step *step, uint64_t number)
{
    if (step->is_drop) memset(contents->steps[1], 0, sizeof(contents->steps[1]));
    for (size_t index = 0; index < step->count; index++) {
        const struct part *part = &step->parts[index];
        contents->steps[part->space][part->key] = part->is_delete ? 0 : number + 1;
    }
}

/* Says how the longest prefix that is durable differs from what was found. */
static void fail_with(const struct world *world, const struct contents *found, const struct contents *durable,
                      const char *what)
{
    for (unsigned space = 0; space < SPACE_COUNT; space++)
        for (unsigned key = 0; key < KEY_COUNT; key++)
            if (found->steps[space][key] != durable->steps[space][key])
                print_error("space %u key%u: step %llu, with the durable ones %llu\n", space, key,
                            (unsigned long long)found->steps[space][key],
                            (unsigned long long)durable->steps[space][key]);
    fail_msg("round %llu, %s: no prefix of %llu to %llu steps; what is there is in %s",
             (unsigned long long)world->round, what,
             (unsigned long long)atomic_load(&world->journal->durable),
             (unsigned long long)atomic_load(&world->journal->begun), world->scratch.root);
}

static void expect_prefix(struct world *world, const char *path, const char *what)
{
    const struct stave_options options = small_options();
    const struct journal *journal = world->journal;
    struct stave *store = store_open(path, &options);
    const struct contents found = read_contents(store);
    store_put(store, "writable", "again");
    store_close(store);
    struct contents expected = {{{0}}};
    struct contents durable = {{{0}}};
    bool agrees = false;
    uint64_t found_count = 0;
    for (uint64_t count = 0; count <= atomic_load(&journal->begun) && !agrees; count++) {
        if (count > 0) apply_step(&expected, &journal->steps[count - 1], count - 1);
        if (count == atomic_load(&journal->durable)) durable = expected;
        agrees = count >= atomic_load(&journal->durable) && memcmp(&expected, &found, sizeof(found)) == 0;
        found_count = count;
    }
    if (!agrees) fail_with(world, &found, &durable, what);
    if (atomic_load(&journal->durable) > 0) world->durable_images++;
    if (found_count < atomic_load(&journal->begun)) world->partial_images++;
}

static void make_directory(const struct world *world, const char *name, char ret_path[SCRATCH_PATH_SIZE])
{
    scratch_path(&world->scratch, name, ret_path);
    assert_int_equal(mkdir(ret_path, 0700), 0);
}

static void arm_cut(struct random_source *random, uint64_t changes)
{
    fault_choose(FAULT_DISK_CHANGES);
    fault_arm_crash(1 + random_below(random, changes), random_chance(random, 2));
}

static void run_child(const struct world *world, const char *dir, const char *shadow, uint64_t seed,
                      bool writes)
{
    const pid_t child = fork();
    if (child == 0) {
        struct random_source random = {seed};
        struct stave *store = NULL;
        const struct stave_options options = small_options();
        fault_power_begin(dir, shadow);
        arm_cut(&random, writes ? 500 : 40);
        if (writes) write_on(world, random);
        (void)stave_open(dir, &options, &store, NULL); /* cut during recovery, or behind it */
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAULT_CRASH_EXIT);
}

/* The power goes again while the store opens. */
static void cut_again(struct world *world, const char *image)
{
    char shadow[SCRATCH_PATH_SIZE];
    char second[SCRATCH_PATH_SIZE];
    make_directory(world, "shadow2", shadow);
    run_child(world, image, shadow, random_next(&world->random), false);
    scratch_path(&world->scratch, "image2", second);
    power_loss_compose(image, shadow, second, random_next(&world->random));
    expect_prefix(world, second, "cut twice");
    scratch_remove_tree(second);
    scratch_remove_tree(shadow);
}

static void run_round(struct world *world)
{
    char shadow[SCRATCH_PATH_SIZE];
    char image[SCRATCH_PATH_SIZE];
    scratch_make(&world->scratch);
    assert_int_equal(mkdir(world->scratch.store, 0700), 0);
    make_directory(world, "shadow", shadow);
    memset(world->journal, 0, sizeof(*world->journal));
    run_child(world, world->scratch.store, shadow, random_next(&world->random), true);
    if (atomic_load(&world->journal->trouble) != 0)
        fail_msg("the writer failed in line %llu", (unsigned long long)atomic_load(&world->journal->trouble));
    for (unsigned number = 0; number < IMAGES; number++) {
        const uint64_t seed = random_next(&world->random);
        scratch_path(&world->scratch, "image", image);
        power_loss_compose(world->scratch.store, shadow, image, seed);
        cut_again(world, image);
        scratch_remove_tree(image);
        power_loss_compose(world->scratch.store, shadow, image, seed);
        expect_prefix(world, image, "cut once");
        scratch_remove_tree(image);
    }
    scratch_remove(&world->scratch);
}

/* "power lost again during recovery" */
static void what_was_durable_survives_the_loss_of_power(void **state)
{
    (void)state;
    struct world world = {.random = {test_seed()}};
    const uint64_t rounds = environment_number("STAVE_TEST_CUTS", ROUNDS_USUAL);
    world.journal =
        mmap(NULL, sizeof(*world.journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(world.journal != MAP_FAILED);
    for (world.round = 0; world.round < rounds; world.round++) run_round(&world);
    print_message("%llu images with something durable, %llu without all that had begun\n",
                  (unsigned long long)world.durable_images, (unsigned long long)world.partial_images);
    assert_true(rounds < ROUNDS_USUAL || (world.durable_images > 0 && world.partial_images > 0));
    (void)munmap(world.journal, sizeof(*world.journal));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_durable_survives_the_loss_of_power)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
