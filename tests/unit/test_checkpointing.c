/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints taken while others write (checkpointing.h, K1 and K2). Writes come between two blocks of the
 * image: a block that is not loaded yet is loaded just before it is written, which the test makes use of.
 */
#include "support/fixture.h"

#include <pthread.h>

#include "store/checkpointing.h"
#include "support/crash_copy.h"

enum { KEY_COUNT = 3000, VALUE_SIZE = 100, WRITES_EACH = 3, ATTEMPT_COUNT = 10 };

struct between {
    struct stave *store;
    pthread_t thread; /* only loads that it asks for are followed by writes */
    struct keydir_loader loader;
    struct random_source random;
    bool is_writing;
    size_t count;
};

/* A key of that block of the index. */
static struct stave_bytes choose_key(struct between *between, uint32_t block, char ret_text[32])
{
    const struct store *store = between->store->store;
    uint64_t hash;
    do {
        (void)snprintf(ret_text, 32, "k%d", (int)random_below(&between->random, KEY_COUNT));
        hash = record_key_hash(store->hash_seed, 0, ret_text, strlen(ret_text));
    } while (keydir_block_of(&store->keydir, hash) != block);
    return stave_text(ret_text);
}

static void write_some(struct between *between, uint32_t block)
{
    const uint8_t value[VALUE_SIZE] = {1};
    for (int i = 0; i < WRITES_EACH; i++) {
        char text[32];
        const struct stave_bytes key = choose_key(between, block, text);
        const enum stave_status status = random_chance(&between->random, 3)
                                             ? stave_delete(between->store, key)
                                             : stave_put(between->store, key, stave_bytes(value, VALUE_SIZE));
        assert_true(status >= 0);
    }
}

/* The block before has just been written, this one will be next. */
static enum stave_status load_and_write(void *context, uint32_t block)
{
    struct between *between = context;
    const enum stave_status status = between->loader.load(between->loader.context, block);
    if (!pthread_equal(pthread_self(), between->thread) || between->is_writing) return status;
    between->is_writing = true;
    if (block > 0) write_some(between, block - 1);
    write_some(between, block);
    between->count++;
    between->is_writing = false;
    return status;
}

/* Opens the store from its checkpoint, and takes another: with writes between its blocks, if the thread that
   loads in the background has not been faster. */
static size_t checkpoint_with_writes(struct fixture *fixture, uint64_t seed)
{
    fixture_reopen(fixture);
    assert_true(crash_from_checkpoint(fixture->store));
    struct store *store = fixture->store->store;
    struct between between = {
        .store = fixture->store,
        .thread = pthread_self(),
        .loader = store->keydir.loader,
        .random = {.state = seed},
    };
    mutex_lock(&store->thread_lock);
    store->keydir.loader = (struct keydir_loader){&between, load_and_write};
    mutex_unlock(&store->thread_lock);
    assert_int_equal(stave_sync(fixture->store), STAVE_OK); /* all that it begins with is durable */
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    mutex_lock(&store->thread_lock);
    store->keydir.loader = between.loader;
    mutex_unlock(&store->thread_lock);
    return between.count;
}

static struct checkpoint_contents contents_of(struct stave *handle)
{
    struct checkpoint_image image = CHECKPOINT_IMAGE_NONE;
    assert_int_equal(checkpoint_image_open(handle->store, handle->store->store_id, &image, NULL), STAVE_OK);
    const struct checkpoint_contents contents = image.contents;
    checkpoint_image_free(&image);
    return contents;
}

/* Keys, live bytes and live keys of each segment are the same with and without the checkpoint. */
static void expect_same_counts(const struct stave_options *options, const char *with, const char *without)
{
    struct stave *stores[2] = {store_open(with, options), store_open(without, options)};
    struct stave_segment_stats *segments[2];
    size_t counts[2];
    assert_true(crash_from_checkpoint(stores[0]));
    assert_false(crash_from_checkpoint(stores[1]));
    for (int i = 0; i < 2; i++)
        assert_int_equal(stave_segments(stores[i], &segments[i], &counts[i]), STAVE_OK);
    assert_int_equal(stave_count(stores[0]), stave_count(stores[1]));
    assert_int_equal(counts[0], counts[1]);
    for (size_t i = 0; i < counts[0]; i++) {
        assert_int_equal(segments[0][i].id, segments[1][i].id);
        assert_int_equal(segments[0][i].live_size, segments[1][i].live_size);
        assert_int_equal(segments[0][i].live_count, segments[1][i].live_count);
    }
    for (int i = 0; i < 2; i++) {
        stave_free(segments[i]);
        store_close(stores[i]);
    }
}

static void begin(struct fixture *fixture)
{
    size_t count = 0;
    crash_start(fixture, UINT64_C(1) << 20);
    fixture_fill(fixture->store, "k", KEY_COUNT, VALUE_SIZE, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    for (uint64_t attempt = 1; count < 3 && attempt <= ATTEMPT_COUNT; attempt++)
        count = checkpoint_with_writes(fixture, attempt);
    assert_true(count >= 3);
}

/* K1, P3 */
static void a_checkpoint_is_installed_when_all_that_it_has_seen_is_durable(void **state)
{
    struct fixture *fixture = *state;
    begin(fixture);
    const struct checkpoint_contents contents = contents_of(fixture->store);
    assert_true(contents.sequence_last > contents.sequence);
    assert_true(contents.sequence_last <= stave_durable_sequence(fixture->store));
}

/* K2, P9: what compaction goes by is not different after an open from a checkpoint. */
static void a_checkpoint_beside_writes_counts_what_is_live_by_its_blocks(void **state)
{
    struct fixture *fixture = *state;
    char with[SCRATCH_PATH_SIZE];
    char without[SCRATCH_PATH_SIZE];
    begin(fixture);
    crash_take(fixture, with);
    scratch_path(&fixture->scratch, "without", without);
    scratch_copy(with, without);
    scratch_unlink(without, "CHECKPOINT");
    expect_same_counts(&fixture->options, with, without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_checkpoint_is_installed_when_all_that_it_has_seen_is_durable),
        FIXTURE_TEST(a_checkpoint_beside_writes_counts_what_is_live_by_its_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
