/* SPDX-License-Identifier: MIT */
/* What recovery has got wrong, or could have, each by name. */
#include "support/crash_copy.h"

#include <pthread.h>

#include "log/manifest.h"
#include "log/scan.h"
#include "store/writer.h"

enum { LARGE_SIZE = 100000 };

/* sweeps */

static void wait_for_live_size(struct stave *store, uint64_t expected)
{
    const uint64_t began_ns = test_clock_ns();
    for (uint64_t seen; (seen = crash_live_size(store)) != expected;) {
        if (!test_nap(began_ns))
            fail_msg("%llu bytes are live, not %llu", (unsigned long long)seen, (unsigned long long)expected);
    }
}

static void put_and_roll(struct stave *store, uint64_t version)
{
    for (size_t number = 0; number < 3; number++) {
        char key[32];
        uint8_t value[16000];
        (void)snprintf(key, sizeof(key), "filling%zu", number);
        fill_bytes(value, sizeof(value), version);
        assert_int_equal(stave_put(store, stave_text(key), stave_bytes(value, sizeof(value))), STAVE_OK);
    }
    for (int round = 0; round < 3; round++) crash_put_sized(store, "other", 16000);
}

/* Until the sweep is at its end, and a manifest says so. */
static void wait_until_swept(struct stave *handle)
{
    struct store *store = handle->store;
    const uint64_t began_ns = test_clock_ns();
    for (bool is_swept = false; !is_swept;) {
        mutex_lock(&store->write_lock);
        is_swept = store->swept_generation == store->next_generation;
        mutex_unlock(&store->write_lock);
        assert_true(test_nap(began_ns));
    }
    put_and_roll(handle, 99);
    put_and_roll(handle, 99);
}

/* The manifest says that the space was swept, the older image still has its entries. */
static void a_space_swept_after_the_checkpoint_is_swept_again(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    put_and_roll(fixture->store, 1);
    const uint64_t rest = crash_live_size(fixture->store);
    fixture_fill(stave_space(fixture->store, 1), "k", 1000, 200, 1);
    put_and_roll(fixture->store, 2);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    put_and_roll(fixture->store, 3);
    wait_until_swept(fixture->store);
    assert_int_equal(crash_live_size(fixture->store), rest);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    put_and_roll(store, 5);
    wait_for_live_size(store, rest);
    store_close(store);
}

/* Without a checkpoint the index is made from all there is, the large values of dropped spaces included. */
static void a_large_value_of_a_swept_space_is_swept_again(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    put_and_roll(fixture->store, 1);
    const uint64_t rest = crash_live_size(fixture->store);
    crash_put_sized(stave_space(fixture->store, 1), "large", LARGE_SIZE);
    put_and_roll(fixture->store, 2);
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    put_and_roll(fixture->store, 3);
    wait_until_swept(fixture->store);
    assert_int_equal(crash_live_size(fixture->store), rest);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_false(crash_from_checkpoint(store));
    put_and_roll(store, 5);
    wait_for_live_size(store, rest);
    store_close(store);
}

/* checkpoints */

struct inserting {
    struct stave *store;
    _Atomic bool stops;
    size_t count;
};

static void *insert_on(void *context)
{
    struct inserting *inserting = context;
    for (; !atomic_load(&inserting->stops); inserting->count++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "n%zu", inserting->count);
        if (stave_put(inserting->store, stave_text(key), stave_text("1")) != STAVE_OK) return context;
    }
    return NULL;
}

/* Blocks are exported one after the other; the count of all their entries is no number of one moment. */
static void a_checkpoint_beside_a_writer_counts_its_own_entries(void **state)
{
    struct fixture *fixture = *state;
    struct inserting inserting = {.store = fixture->store};
    char path[SCRATCH_PATH_SIZE];
    pthread_t thread;
    void *failed = NULL;
    crash_start(fixture, UINT64_C(1) << 26);
    inserting.store = fixture->store;
    assert_int_equal(pthread_create(&thread, NULL, insert_on, &inserting), 0);
    for (int round = 0; round < 5; round++) {
        (void)usleep(3000);
        assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    }
    atomic_store(&inserting.stops, true);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    assert_int_equal(stave_count(store), inserting.count);
    assert_int_equal(keydir_entry_count(&store->store->keydir), inserting.count);
    store_close(store);
}

/* damage */

static void roll(struct stave *handle)
{
    struct store *store = handle->store;
    mutex_lock(&store->write_lock);
    assert_int_equal(writer_roll(store), STAVE_OK);
    mutex_unlock(&store->write_lock);
}

static void put_twice_around_a_checkpoint(struct stave *store)
{
    store_put(store, "k", "the-old-value");
    roll(store);
    assert_int_equal(stave_checkpoint(store), STAVE_OK);
    store_put(store, "k", "the-new-value");
}

/* The image leads to a record whose header is damaged; the log says that its key was overwritten since. */
static void a_damaged_header_gives_way_to_what_follows_it(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    put_twice_around_a_checkpoint(fixture->store);
    crash_take(fixture, path);
    crash_zero_from(path, "kthe-old-value", 8);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    store_expect(store, "k", "the-new-value");
    assert_int_equal(keydir_entry_count(&store->store->keydir), 1);
    assert_int_equal(stave_delete(store, stave_text("k")), STAVE_OK);
    store_expect(store, "k", NULL);
    assert_int_equal(stave_count(store), 0);
    store_close(store);
    store = store_open(path, &fixture->options);
    store_expect(store, "k", NULL);
    store_close(store);
}

/* What a drop or swap says cannot be guessed, and the records behind it are not tried without. */
static void a_damaged_drop_is_corruption(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error = {.status = STAVE_OK};
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "a", "first-value");
    const uint64_t offset = atomic_load(&fixture->store->store->tail->end);
    const uint32_t id = fixture->store->store->tail->id;
    assert_int_equal(stave_drop(stave_space(fixture->store, 1), NULL, NULL), STAVE_OK);
    store_put(fixture->store, "b", "second-value");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK); /* and a mark behind it */
    crash_take(fixture, path);
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(id, name);
    scratch_flip(path, name, offset + RECORD_HEADER_SIZE + 4); /* the number of the space */
    assert_int_equal(crash_try_open(path, &fixture->options, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, name));

    struct stave_options options = fixture->options;
    options.read_only = options.accept_damage = true;
    struct stave *store = store_open(path, &options);
    store_expect(store, "a", "first-value");
    store_expect(store, "b", "second-value");
    assert_int_equal(stave_count(store), 2);
    store_close(store);
}

static size_t count_damaged(struct stave *store)
{
    struct stave_segment_stats *segments = NULL;
    size_t count = 0;
    size_t damaged = 0;
    assert_int_equal(stave_segments(store, &segments, &count), STAVE_OK);
    for (size_t i = 0; i < count; i++) damaged += segments[i].damaged;
    stave_free(segments);
    return damaged;
}

/* Compaction does not fail on it again after each open. */
static void a_damaged_segment_is_known_as_such_after_an_open(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 300, 100, 1);
    store_put(fixture->store, "bad", "a-value-to-be-damaged");
    fixture_fill(fixture->store, "l", 300, 100, 1);
    fixture_close(fixture);
    crash_flip_in(fixture->scratch.store, "a-value-to-be-damaged");
    fixture_reopen(fixture);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_CORRUPT);
    assert_int_equal(count_damaged(fixture->store), 1);
    fixture_reopen(fixture);
    assert_int_equal(count_damaged(fixture->store), 1);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    assert_int_equal(count_damaged(fixture->store), 1);
    fixture_expect_filled(fixture->store, "k", 300, 100, 1);
    fixture_expect_filled(fixture->store, "l", 300, 100, 1);
}

/* P9: a crash between a manifest that lists a segment as sealed and the cut of its file. */
static void a_sealed_file_that_is_long_is_cut(void **state)
{
    struct fixture *fixture = *state;
    char snapshot[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    store_put(fixture->store, "a", "value");
    fixture_close(fixture);
    const uint64_t size = scratch_size(fixture->scratch.store, "0000000001.seg");
    scratch_truncate(fixture->scratch.store, "0000000001.seg", 1 << 20);
    fixture_reopen(fixture);
    assert_int_equal(scratch_size(fixture->scratch.store, "0000000001.seg"), size);

    scratch_path(&fixture->scratch, "snapshot", snapshot);
    assert_int_equal(stave_snapshot(fixture->store, snapshot, NULL), STAVE_OK);
    fixture_close(fixture);
    scratch_truncate(fixture->scratch.store, "0000000001.seg", 1 << 20);
    fixture_reopen(fixture); /* somebody else links it */
    assert_int_equal(scratch_size(fixture->scratch.store, "0000000001.seg"), 1 << 20);
    store_expect(fixture->store, "a", "value");
}

/* marks */

static struct manifest_segment listing_of(const char *path, uint32_t id)
{
    struct dir dir = DIR_NONE;
    struct manifest manifest = MANIFEST_NONE;
    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    assert_int_equal(manifest_read(&dir, &manifest, NULL), STAVE_OK);
    const struct manifest_segment *found = manifest_find_segment(&manifest, id);
    assert_non_null(found);
    const struct manifest_segment listing = *found;
    manifest_free(&manifest);
    dir_close(&dir);
    return listing;
}

/* All records of segment 2 are lost but a MARK that was written behind the first. */
static void leave_a_mark(const char *path, uint64_t durable_sequence)
{
    enum { OFFSET = SEGMENT_HEADER_SIZE + 512 };
    uint8_t bytes[60000] = {0};
    uint8_t value[RECORD_MARK_SIZE];
    const struct manifest_segment listing = listing_of(path, 2);
    const struct record_mark mark = {SEGMENT_HEADER_SIZE, durable_sequence};
    record_encode_mark(&mark, value);
    const struct record record = {
        .kind = RECORD_MARK,
        .sequence = ((uint64_t)listing.incarnation << SEQUENCE_BITS) + 1000,
        .value_size = sizeof(value),
        .payload_checksum = record_payload_checksum(0, value, sizeof(value)),
    };
    record_encode_header(&record, listing.identity, OFFSET, bytes + OFFSET);
    memcpy(bytes + OFFSET + RECORD_HEADER_SIZE, value, sizeof(value));
    crash_overwrite(path, "0000000002.seg", SEGMENT_HEADER_SIZE, bytes + SEGMENT_HEADER_SIZE,
                    sizeof(bytes) - SEGMENT_HEADER_SIZE);
}

/* Two segments, both listed as open, as the syncer lists them while it seals the first. */
static uint64_t write_two_segments(struct fixture *fixture, char path[SCRATCH_PATH_SIZE])
{
    char saved[SCRATCH_PATH_SIZE];
    char command[4 * SCRATCH_PATH_SIZE];
    uint64_t last = 0;
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 100, 100, 1);
    assert_int_equal(
        stave_put_with(fixture->store, stave_text("last"), stave_text("the-end-of-the-first"), NULL, &last),
        STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "saved", saved);
    scratch_remove_tree(saved);
    scratch_copy(fixture->scratch.store, saved);
    roll(fixture->store);
    store_put(fixture->store, "later", "2");
    crash_take(fixture, path);
    (void)snprintf(command, sizeof(command), "cp %s/MANIFEST %s/MANIFEST", saved, path);
    assert_int_equal(system(command), 0); /* NOLINT: a test's own paths */
    return last;
}

/* P6: the sequence in a mark tells what was durable in the segment before. */
static void a_mark_vouches_for_the_segment_before_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error = {.status = STAVE_OK};
    char path[SCRATCH_PATH_SIZE];
    const uint64_t last = write_two_segments(fixture, path);
    leave_a_mark(path, last);
    crash_zero_from(path, "lastthe-end-of-the-first", 60);
    assert_int_equal(crash_try_open(path, &fixture->options, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, "0000000001.seg"));
}

static void a_mark_does_not_vouch_for_more_than_was_durable(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    uint64_t last = write_two_segments(fixture, path);
    leave_a_mark(path, last);
    struct stave *store = store_open(path, &fixture->options); /* nothing durable is missing */
    store_expect(store, "last", "the-end-of-the-first");
    store_expect(store, "later", NULL);
    store_close(store);

    last = write_two_segments(fixture, path);
    leave_a_mark(path, last - 1);
    crash_zero_from(path, "lastthe-end-of-the-first", 60);
    store = store_open(path, &fixture->options);
    fixture_expect_filled(store, "k", 100, 100, 1);
    store_expect(store, "last", NULL);
    store_close(store);
}

/* spaces and large values */

/* The LARGE segment is of a generation that only the open log knows of. */
static void a_large_value_put_after_a_drop_survives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    for (int with_checkpoint = 0; with_checkpoint < 2; with_checkpoint++) {
        crash_start(fixture, 65536);
        struct stave *space = stave_space(fixture->store, 1);
        crash_put_sized(space, "large", LARGE_SIZE / 2);
        crash_put_sized(space, "gone", LARGE_SIZE / 2);
        roll(fixture->store);
        if (with_checkpoint) assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
        assert_int_equal(stave_drop(space, NULL, NULL), STAVE_OK);
        crash_put_sized(space, "large", LARGE_SIZE);
        crash_take(fixture, path);
        for (int round = 0; round < 2; round++) {
            struct stave *store = store_open(path, &fixture->options);
            struct stave_info info;
            assert_int_equal(stave_info(stave_space(store, 1), stave_text("large"), &info), STAVE_OK);
            assert_int_equal(info.value_size, LARGE_SIZE);
            assert_int_equal(stave_exists(stave_space(store, 1), stave_text("gone")), STAVE_NOT_FOUND);
            assert_int_equal(stave_count(stave_space(store, 1)), 1);
            assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
            store_close(store);
        }
    }
}

/* The index is rebuilt from the whole log when a block that the replay needs is damaged. */
static void a_damaged_block_met_while_replaying_is_made_good(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 2000, 20, 1);
    fixture_delete(fixture->store, "k", 100);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_fill(fixture->store, "k", 50, 20, 2);
    fixture_fill(fixture->store, "new", 500, 20, 1);
    crash_take(fixture, path);
    scratch_flip(path, "CHECKPOINT", 100); /* in the first block */
    struct stave *store = store_open(path, &fixture->options);
    assert_false(crash_from_checkpoint(store));
    fixture_expect_filled(store, "k", 50, 20, 2);
    fixture_expect_filled(store, "new", 500, 20, 1);
    assert_int_equal(stave_exists(store, stave_text("k99")), STAVE_NOT_FOUND);
    assert_int_equal(stave_exists(store, stave_text("k1999")), STAVE_OK);
    assert_int_equal(stave_count(store), 2000 - 100 + 50 + 500);
    store_close(store);
}

/* Every record that recovery looks at is read, none through a map. */
static void recovery_needs_no_maps(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 1500, 100, 1);
    crash_put_sized(fixture->store, "large", LARGE_SIZE);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_fill(fixture->store, "k", 700, 100, 2);
    fixture_delete(fixture->store, "k", 300);
    fixture->options.reads = STAVE_READS_COPIED;
    for (int with_checkpoint = 1; with_checkpoint >= 0; with_checkpoint--) {
        crash_take(fixture, path);
        if (!with_checkpoint) scratch_unlink(path, "CHECKPOINT");
        struct stave *store = store_open(path, &fixture->options);
        assert_int_equal(crash_from_checkpoint(store), with_checkpoint);
        assert_int_equal(stave_count(store), 1201);
        fixture_expect_absent(store, "k", 300);
        assert_int_equal(stave_exists(store, stave_text("k1499")), STAVE_OK);
        struct stave_info info;
        assert_int_equal(stave_info(store, stave_text("large"), &info), STAVE_OK);
        store_close(store);
    }
}

/* expiry */

/* What has expired has no expiry to be kept: the new value would be gone at once. */
static void an_expired_value_leaves_its_expiry_to_nobody(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    const struct stave_write expired = {.expires_at_ms = 1};
    const struct stave_write keeping = {.flags = STAVE_KEEP_EXPIRY};
    crash_start(fixture, 65536);
    for (int round = 0; round < 2; round++) {
        const char *key = round == 0 ? "small" : "large";
        const size_t size = round == 0 ? 10 : LARGE_SIZE;
        uint8_t *value = calloc(1, size);
        assert_non_null(value);
        const struct stave_bytes bytes = stave_bytes(value, size);
        struct stave_info info;
        assert_int_equal(stave_put_with(fixture->store, stave_text(key), bytes, &expired, NULL), STAVE_OK);
        assert_int_equal(stave_exists(fixture->store, stave_text(key)), STAVE_NOT_FOUND);
        assert_int_equal(stave_put_with(fixture->store, stave_text(key), bytes, &keeping, NULL), STAVE_OK);
        assert_int_equal(stave_info(fixture->store, stave_text(key), &info), STAVE_OK);
        assert_int_equal(info.expires_at_ms, 0);
        free(value);
    }
    assert_int_equal(stave_count(fixture->store), 2);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_int_equal(stave_count(store), 2);
    assert_int_equal(stave_exists(store, stave_text("small")), STAVE_OK);
    assert_int_equal(stave_exists(store, stave_text("large")), STAVE_OK);
    store_close(store);
}

/* P6: a key that was durable and is damaged is neither found nor taken for another one. */
static void a_damaged_key_is_said_to_be_damaged(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, UINT64_C(1) << 20);
    store_put(fixture->store, "key to be damaged", "1");
    store_put(fixture->store, "another key", "2");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    crash_take(fixture, path);
    crash_flip_in(path, "key to be damaged");
    struct stave *store = store_open(path, &fixture->options);
    assert_int_equal(stave_exists(store, stave_text("key to be damaged")), STAVE_CORRUPT);
    store_expect(store, "another key", "2");
    store_close(store);
}

/* P4: a sequence names nothing else, also when its record is gone and no other is as new. */
static void the_newest_sequence_does_not_fall_back_when_its_record_is_gone(void **state)
{
    struct fixture *fixture = *state;
    uint64_t newest = 0;
    crash_start(fixture, STAVE_SEGMENT_SIZE_MIN);
    fixture_fill(fixture->store, "k", 10, 100, 1);
    assert_int_equal(stave_drop(fixture->store, NULL, &newest), STAVE_OK);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    assert_true(stave_sequence(fixture->store) >= newest);
    assert_true(stave_durable_sequence(fixture->store) >= newest);
    uint64_t next = 0;
    assert_int_equal(stave_put_with(fixture->store, stave_text("k"), stave_text("1"), NULL, &next), STAVE_OK);
    assert_true(next > newest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_space_swept_after_the_checkpoint_is_swept_again),
        FIXTURE_TEST(a_large_value_of_a_swept_space_is_swept_again),
        FIXTURE_TEST(a_checkpoint_beside_a_writer_counts_its_own_entries),
        FIXTURE_TEST(a_damaged_header_gives_way_to_what_follows_it),
        FIXTURE_TEST(a_damaged_drop_is_corruption),
        FIXTURE_TEST(a_damaged_segment_is_known_as_such_after_an_open),
        FIXTURE_TEST(a_sealed_file_that_is_long_is_cut),
        FIXTURE_TEST(a_mark_vouches_for_the_segment_before_its_own),
        FIXTURE_TEST(a_mark_does_not_vouch_for_more_than_was_durable),
        FIXTURE_TEST(a_large_value_put_after_a_drop_survives_a_kill),
        FIXTURE_TEST(a_damaged_block_met_while_replaying_is_made_good),
        FIXTURE_TEST(recovery_needs_no_maps),
        FIXTURE_TEST(an_expired_value_leaves_its_expiry_to_nobody),
        FIXTURE_TEST(a_damaged_key_is_said_to_be_damaged),
        FIXTURE_TEST(the_newest_sequence_does_not_fall_back_when_its_record_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
