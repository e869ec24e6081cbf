/* SPDX-License-Identifier: MIT */
/*
 * Recovery, checkpoints and refresh, by copies of a store's files taken while it is open: what kill -9 leaves
 * (P1), and, with bytes of the copy changed, what a loss of power or a bad disk leaves (P3 to P6).
 */
#include "support/crash_copy.h"

#include "log/scan.h"
#include "store/store.h"

enum { BIG_SIZE = 100000 }; /* above a quarter of a small segment: gets a segment of its own */

/* The end of the log. */

static void what_was_written_survives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 3000, 100, 1);
    fixture_fill(fixture->store, "k", 1500, 100, 2);
    fixture_delete(fixture->store, "k", 500);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    fixture_expect_absent(store, "k", 500);
    assert_int_equal(stave_count(store), 2500);
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    store_put(store, "new", "1");
    store_close(store);
    store = store_open(path, &fixture->options);
    assert_int_equal(stave_count(store), 2501);
    store_expect(store, "new", "1");
    store_close(store);
}

static void what_follows_a_torn_record_is_discarded_for_good(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "a", "first-value");
    store_put(fixture->store, "b", "second-value");
    store_put(fixture->store, "c", "third-value");
    crash_take(fixture, path);
    crash_flip_in(path, "second-value");
    for (int round = 0; round < 3; round++) {
        struct stave *store = store_open(path, &fixture->options);
        store_expect(store, "a", "first-value");
        store_expect(store, "b", NULL);
        store_expect(store, "c", NULL);
        assert_int_equal(stave_count(store), 1);
        store_close(store);
    }
}

/* Zeroes from the first MARK of a segment on, as if it and what follows had not reached the disk. */
static void cut_at_first_mark(const char *path, uint32_t id)
{
    struct dir dir = DIR_NONE;
    struct scan scan = SCAN_NONE;
    struct scan_record record;
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(id, name);
    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    struct file file = FILE_NONE;
    assert_int_equal(file_open(&dir, name, false, &file, NULL), STAVE_OK);
    assert_int_equal(file_read_at(&file, bytes, sizeof(bytes), 0, NULL), STAVE_OK);
    assert_int_equal(segment_decode_header(bytes, sizeof(bytes), &header), STAVE_OK);
    (void)file_close(&file, NULL);
    const struct scan_expect expect = {.identity = header.identity, .id = id, .end = SCAN_TO_THE_END};
    assert_int_equal(scan_open(&dir, &expect, &scan, NULL), STAVE_OK);
    enum stave_status status = scan_next(&scan, &record, NULL);
    while (status == STAVE_OK && record.record.kind != RECORD_MARK) status = scan_next(&scan, &record, NULL);
    assert_int_equal(status, STAVE_OK);
    assert_int_not_equal(record.offset, SEGMENT_HEADER_SIZE);
    scan_close(&scan);
    dir_close(&dir);
    scratch_truncate(path, name, record.offset);
}

struct gap {
    bool has_mark;    /* one that vouches for both segments */
    bool is_whole;    /* the first segment loses all its records, not the last one alone */
    bool is_none;     /* it loses none */
    uint64_t counter; /* that the first segment begins with; 0: 1 */
};

/* The first segment loses records, while the second has some. The manifest is of before it was sealed. */
static void make_gap(struct fixture *fixture, const struct gap *gap, char path[SCRATCH_PATH_SIZE])
{
    char saved[SCRATCH_PATH_SIZE];
    char command[4 * SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    if (gap->counter != 0) fixture->store->store->counter = gap->counter;
    fixture_fill(fixture->store, "k", 100, 100, 1);
    store_put(fixture->store, "last", "the-end-of-the-first");
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "manifest", saved);
    scratch_remove_tree(saved);
    scratch_copy(fixture->scratch.store, saved);
    for (int i = 0; i < 3; i++) crash_put_sized(fixture->store, "fill", 15000);
    crash_put_sized(fixture->store, "tail", 16000); /* rolls, and stands before any MARK */
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    store_put(fixture->store, "later", "2");
    crash_take(fixture, path);
    (void)snprintf(command, sizeof(command), "cp %s/MANIFEST %s/MANIFEST", saved, path);
    assert_int_equal(system(command), 0);
    if (!gap->is_none) crash_zero_from(path, "lastthe-end-of-the-first", 50000);
    uint8_t zeroes[20000] = {0};
    if (gap->is_whole) crash_overwrite(path, "0000000001.seg", SEGMENT_HEADER_SIZE, zeroes, sizeof(zeroes));
    if (!gap->has_mark) cut_at_first_mark(path, 2);
}

/* No record before the gap is lost, and none behind it is there. */
static void expect_gap(const struct fixture *fixture, const char *path, const struct gap *gap)
{
    for (int round = 0; round < 2; round++) {
        struct stave *store = store_open(path, &fixture->options);
        fixture_expect_filled(store, "k", gap->is_whole ? 0 : 100, 100, 1);
        store_expect(store, "last", gap->is_none ? "the-end-of-the-first" : NULL);
        assert_int_equal(stave_exists(store, stave_text("tail")), gap->is_none ? STAVE_OK : STAVE_NOT_FOUND);
        assert_int_equal(stave_count(store), gap->is_none ? 103 : gap->is_whole ? 0 : 100);
        store_close(store);
    }
}

static void a_gap_between_segments_ends_the_log(void **state)
{
    struct fixture *fixture = *state;
    const struct gap gap = {.has_mark = false};
    char path[SCRATCH_PATH_SIZE];
    make_gap(fixture, &gap, path);
    expect_gap(fixture, path, &gap);
}

/* There is nothing before it to compare with: no sealed segment, and not one record. */
static void the_loss_of_a_whole_first_segment_is_a_gap(void **state)
{
    struct fixture *fixture = *state;
    const struct gap gap = {.is_whole = true};
    char path[SCRATCH_PATH_SIZE];
    make_gap(fixture, &gap, path);
    expect_gap(fixture, path, &gap);
}

/* Behind 2^31 records counters begin low again, but not anywhere. */
static void a_gap_is_seen_where_counters_come_round(void **state)
{
    struct fixture *fixture = *state;
    const struct gap gaps[] = {
        {.is_none = true, .counter = RECORD_COUNTER_ROUND - 50},
        {.is_none = false, .counter = RECORD_COUNTER_ROUND - 50},
        {.is_none = true, .counter = RECORD_COUNTER_ROUND - 103}, /* the last of the first segment is 2^31 */
        {.is_none = true, .counter = RECORD_COUNTER_ROUND - 104},
        {.is_none = true, .counter = 2 * RECORD_COUNTER_ROUND - 200},
    };
    char path[SCRATCH_PATH_SIZE];
    for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        make_gap(fixture, &gaps[i], path);
        assert_true(fixture->store->store->counter < RECORD_COUNTER_ROUND + 10);
        expect_gap(fixture, path, &gaps[i]);
    }
}

/* What stands behind the last record of a segment that another goes on from: of a write that failed. */
static void garbage_behind_the_last_record_is_no_gap(void **state)
{
    struct fixture *fixture = *state;
    const struct gap gap = {.is_none = true};
    char path[SCRATCH_PATH_SIZE];
    make_gap(fixture, &gap, path);
    const uint64_t size = scratch_size(path, "0000000001.seg");
    crash_overwrite(path, "0000000001.seg", size, "half of a record that was never written", 39);
    expect_gap(fixture, path, &gap);
}

/* A batch too large for the empty tail that it meets. */
static void a_tail_that_was_left_empty_is_no_gap(void **state)
{
    struct fixture *fixture = *state;
    struct stave_batch *batch = NULL;
    struct dir dir = DIR_NONE;
    struct manifest manifest = MANIFEST_NONE;
    char path[SCRATCH_PATH_SIZE];
    uint8_t value[8000] = {0};
    crash_start(fixture, 65536);
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    for (int number = 0; number < 20; number++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "k%d", number);
        assert_int_equal(stave_batch_put(batch, stave_text(key), stave_bytes(value, sizeof(value)), 0),
                         STAVE_OK);
    }
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    crash_take(fixture, path);

    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    assert_int_equal(manifest_read(&dir, &manifest, NULL), STAVE_OK);
    struct manifest_segment *first = manifest_find_segment(&manifest, 1);
    assert_non_null(first);
    first->state = MANIFEST_SEGMENT_OPEN; /* as before it was sealed */
    first->length = first->last_sequence = 0;
    assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK);
    manifest_free(&manifest);
    dir_close(&dir);
    struct stave *store = store_open(path, &fixture->options);
    assert_int_equal(stave_count(store), 20);
    store_close(store);
}

static void a_gap_that_a_later_mark_vouches_for_is_corruption(void **state)
{
    struct fixture *fixture = *state;
    struct stave_error error = {.status = STAVE_OK};
    char path[SCRATCH_PATH_SIZE];
    make_gap(fixture, &(struct gap){.has_mark = true}, path);
    assert_int_equal(crash_try_open(path, &fixture->options, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, "0000000001.seg"));
}

static void damage_below_a_mark_is_corruption(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    struct stave_error error = {.status = STAVE_OK};
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "a", "first-value");
    store_put(fixture->store, "b", "second-value");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK); /* and a mark behind it */
    store_put(fixture->store, "c", "third-value");
    crash_take(fixture, path);
    crash_zero_from(path, "bsecond-value", RECORD_HEADER_SIZE);
    assert_int_equal(crash_try_open(path, &fixture->options, &error), STAVE_CORRUPT);
    assert_non_null(strstr(error.message, ".seg"));
    assert_non_null(strstr(error.message, "offset"));

    struct stave_options options = fixture->options;
    options.read_only = true;
    assert_int_equal(crash_try_open(path, &options, &error), STAVE_CORRUPT);
    options.accept_damage = true;
    struct stave *store = store_open(path, &options);
    store_expect(store, "a", "first-value");
    store_expect(store, "b", NULL);
    store_expect(store, "c", "third-value");
    store_close(store);
}

static void a_damaged_value_below_a_mark_keeps_its_key(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "b", "older-value");
    store_put(fixture->store, "b", "second-value");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    store_put(fixture->store, "c", "third-value");
    crash_take(fixture, path);
    crash_flip_in(path, "second-value");
    for (int round = 0; round < 2; round++) {
        struct stave_value value = {0};
        struct stave *store = store_open(path, &fixture->options);
        assert_int_equal(stave_get(store, stave_text("b"), &value), STAVE_CORRUPT);
        store_expect(store, "c", "third-value");
        store_close(store);
    }
}

static void a_batch_that_is_torn_counts_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    struct stave_batch *batch = NULL;
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "x", "before");
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("x"), stave_text("within"), 0), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("y"), stave_text("within-too"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_OK);
    stave_batch_free(batch);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    store_expect(store, "y", "within-too");
    store_close(store);
    crash_take(fixture, path);
    crash_flip_in(path, "within-too");
    store = store_open(path, &fixture->options);
    store_expect(store, "x", "before");
    store_expect(store, "y", NULL);
    store_close(store);
}

static void a_large_value_counts_by_its_link(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char name[64];
    uint64_t offset = 0;
    crash_start(fixture, 65536);
    store_put(fixture->store, "small", "1");
    fixture_fill(fixture->store, "big", 2, BIG_SIZE, 1);
    store_put(fixture->store, "after", "2");
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    fixture_expect_filled(store, "big", 2, BIG_SIZE, 1);
    store_expect(store, "after", "2");
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    store_close(store);
    store = store_open(path, &fixture->options);
    fixture_expect_filled(store, "big", 2, BIG_SIZE, 1);
    store_close(store);

    crash_take(fixture, path); /* without the file of the second one */
    uint8_t value[64];
    fill_bytes(value, sizeof(value), 1 + (UINT64_C(1) << 32));
    assert_true(scratch_find_segment(path, stave_bytes(value, sizeof(value)), name, &offset));
    scratch_unlink(path, name);
    store = store_open(path, &fixture->options);
    fixture_expect_filled(store, "big", 1, BIG_SIZE, 1);
    store_expect(store, "big1", NULL);
    store_expect(store, "after", NULL);
    assert_int_equal(stave_count(store), 2);
    store_close(store);
}

static void leftovers_go_and_spaces_stay(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    struct stave *one = stave_space(fixture->store, 1);
    struct stave *two = stave_space(fixture->store, 2);
    fixture_fill(one, "k", 600, 100, 1);
    fixture_fill(two, "k", 300, 100, 2);
    assert_int_equal(stave_swap(fixture->store, 1, 2, NULL, NULL), STAVE_OK);
    fixture_delete(one, "k", 10);
    assert_int_equal(stave_drop(two, NULL, NULL), STAVE_OK);
    fixture_fill(two, "n", 5, 100, 3);
    crash_take(fixture, path);
    crash_overwrite(path, "LOCK", 0, "", 0);
    struct stave *store = store_open(path, &fixture->options);
    assert_int_equal(stave_count(stave_space(store, 1)), 290);
    assert_int_equal(stave_count(stave_space(store, 2)), 5);
    fixture_expect_filled(stave_space(store, 2), "n", 5, 100, 3);
    fixture_expect_absent(stave_space(store, 2), "k", 20);
    fixture_expect_absent(stave_space(store, 1), "k", 10);
    store_close(store);
}

/* Checkpoints. */

static void expect_state(struct stave *store)
{
    fixture_expect_absent(store, "k", 200);
    fixture_expect_filled(store, "m", 2000, 50, 2);
    assert_int_equal(stave_count(store), 1800 + 2000);
}

static void fill_state(struct stave *store)
{
    fixture_fill(store, "k", 2000, 50, 1);
    fixture_fill(store, "m", 2000, 50, 1);
    fixture_delete(store, "k", 200);
    fixture_fill(store, "m", 2000, 50, 2);
}

static void a_checkpoint_and_what_came_after_it(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 2000, 50, 1);
    fixture_fill(fixture->store, "m", 2000, 50, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_delete(fixture->store, "k", 200);
    fixture_fill(fixture->store, "m", 1000, 50, 2);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_fill(fixture->store, "m", 2000, 50, 2);
    crash_take(fixture, path);
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store));
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    expect_state(store);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_checkpoint(store), STAVE_OK);
    expect_state(store);
    store_close(store);
    scratch_unlink(path, "CHECKPOINT");
    store = store_open(path, &fixture->options);
    assert_false(crash_from_checkpoint(store));
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    expect_state(store);
    store_close(store);
}

static void damaged_blocks_are_rebuilt_from_the_log(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fill_state(fixture->store);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    crash_take(fixture, path);
    const uint64_t size = scratch_size(path, "CHECKPOINT");
    for (uint64_t offset = 100; offset < size; offset += size / 7) {
        crash_take(fixture, path);
        scratch_flip(path, "CHECKPOINT", offset);
        struct stave *store = store_open(path, &fixture->options);
        expect_state(store);
        assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
        assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
        expect_state(store);
        store_close(store);
    }
    for (uint64_t cut = 0; cut < size; cut += size / 5) {
        crash_take(fixture, path);
        scratch_truncate(path, "CHECKPOINT", cut);
        struct stave *store = store_open(path, &fixture->options);
        assert_false(crash_from_checkpoint(store));
        expect_state(store);
        store_close(store);
    }
}

static void an_old_checkpoint_beside_newer_segments_does_no_harm(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char old[SCRATCH_PATH_SIZE];
    char command[4 * SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 2000, 50, 1);
    fixture_fill(fixture->store, "m", 2000, 50, 1);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "old", old);
    scratch_copy(fixture->scratch.store, old);
    fixture_delete(fixture->store, "k", 200);
    fixture_fill(fixture->store, "m", 2000, 50, 2);
    for (int round = 0; round < 3; round++) {
        assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
        assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    }
    crash_take(fixture, path);
    (void)snprintf(command, sizeof(command), "cp %s/CHECKPOINT %s/CHECKPOINT", old, path);
    assert_int_equal(system(command), 0);
    struct stave *store = store_open(path, &fixture->options);
    expect_state(store);
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    store_close(store);
}

static void a_checkpoint_of_a_log_that_was_cut_is_void(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    char newer[SCRATCH_PATH_SIZE];
    char command[4 * SCRATCH_PATH_SIZE];
    crash_start(fixture, 1 << 20);
    store_put(fixture->store, "a", "first-value");
    crash_take(fixture, path);
    store_put(fixture->store, "b", "second-value");
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "newer", newer);
    scratch_copy(fixture->scratch.store, newer);
    (void)snprintf(command, sizeof(command), "cp %s/CHECKPOINT %s/CHECKPOINT", newer, path);
    assert_int_equal(system(command), 0);
    struct stave *store = store_open(path, &fixture->options);
    assert_false(crash_from_checkpoint(store));
    store_expect(store, "a", "first-value");
    store_expect(store, "b", NULL);
    store_close(store);
}

static void checkpoints_are_taken_beside_writers(void **state)
{
    struct fixture *fixture = *state;
    char path[SCRATCH_PATH_SIZE];
    crash_start(fixture, 65536);
    fixture->options.checkpoint_size = 20000;
    fixture->options.manual_compaction = false;
    fixture_reopen(fixture);
    for (uint64_t version = 1; version <= 12; version++) {
        fixture_fill(fixture->store, "k", 1500, 60, version);
        fixture_fill(fixture->store, "x", 50, BIG_SIZE / 2, version);
        fixture_delete(fixture->store, "k", 100);
        /*
         * The copy is not of one moment, as kill -9 is: the syncs and files of the background go on. So:
         * close.
         */
        if (version % 4 != 0) continue;
        fixture_reopen(fixture);
        fixture_expect_absent(fixture->store, "k", 100);
        assert_int_equal(stave_count(fixture->store), 1450);
        fixture_expect_filled(fixture->store, "x", 50, BIG_SIZE / 2, version);
    }
    const uint64_t live = crash_live_size(fixture->store);
    fixture_close(fixture);
    scratch_path(&fixture->scratch, "crash", path);
    scratch_copy(fixture->scratch.store, path);
    if (scratch_has(path, "CHECKPOINT")) scratch_unlink(path, "CHECKPOINT");
    struct stave *store = store_open(path, &fixture->options);
    assert_int_equal(crash_live_size(store), live);
    store_close(store);
}

/* Refresh. */

static void a_reader_follows_rolls_compactions_and_large_values(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, 65536);
    fixture_fill(fixture->store, "k", 100, 100, 1);
    struct stave_options options = fixture->options;
    options.read_only = true;
    struct stave *reader = store_open(fixture->scratch.store, &options);
    for (uint64_t version = 2; version < 12; version++) {
        fixture_fill(fixture->store, "k", 700, 100, version);
        fixture_fill(fixture->store, "big", 2, BIG_SIZE, version);
        fixture_delete(fixture->store, "k", 50);
        if (version % 3 == 0)
            assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
        if (version % 4 == 0)
            assert_int_equal(stave_drop(stave_space(fixture->store, 3), NULL, NULL), STAVE_OK);
        fixture_fill(stave_space(fixture->store, 3), "s", 20, 10, version);
        assert_int_equal(stave_refresh(reader), STAVE_OK);
        fixture_expect_absent(reader, "k", 50);
        fixture_expect_filled(reader, "big", 2, BIG_SIZE, version);
        fixture_expect_filled(stave_space(reader, 3), "s", 20, 10, version);
        assert_int_equal(stave_count(reader), stave_count(fixture->store));
        assert_int_equal(stave_count(stave_space(reader, 3)), 20);
    }
    fixture_close(fixture);
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    fixture_expect_absent(reader, "k", 50);
    store_close(reader);
}

struct deleting {
    struct stave *store;
    struct stave *reader;
    size_t next;
};

/* Deletes some keys at each report, which the reader sees at once. */
static bool delete_meanwhile(void *context, uint64_t done, uint64_t total)
{
    struct deleting *deleting = context;
    char key[64];
    (void)done;
    (void)total;
    for (int i = 0; i < 20 && deleting->next < 600; i++) {
        (void)snprintf(key, sizeof(key), "k%zu", deleting->next++);
        assert_int_equal(stave_delete(deleting->store, stave_text(key)), STAVE_OK);
    }
    assert_int_equal(stave_refresh(deleting->reader), STAVE_OK);
    return false;
}

/* P4: what compaction had copied already when it was deleted comes to the reader after the deletion. */
static void a_reader_never_sees_a_deleted_value_again(void **state)
{
    struct fixture *fixture = *state;
    crash_start(fixture, 2 << 20);
    fixture_fill(fixture->store, "k", 30000, 100, 1); /* compaction reports once a MiB */
    struct stave_options options = fixture->options;
    options.read_only = true;
    struct stave *reader = store_open(fixture->scratch.store, &options);
    struct deleting deleting = {fixture->store, reader, 0};
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, delete_meanwhile, &deleting), STAVE_OK);
    assert_true(deleting.next > 0);
    assert_int_equal(stave_refresh(reader), STAVE_OK);
    fixture_expect_absent(reader, "k", deleting.next);
    assert_int_equal(stave_count(reader), 30000 - deleting.next);
    store_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_was_written_survives_a_kill),
        FIXTURE_TEST(what_follows_a_torn_record_is_discarded_for_good),
        FIXTURE_TEST(a_gap_between_segments_ends_the_log),
        FIXTURE_TEST(the_loss_of_a_whole_first_segment_is_a_gap),
        FIXTURE_TEST(a_gap_is_seen_where_counters_come_round),
        FIXTURE_TEST(garbage_behind_the_last_record_is_no_gap),
        FIXTURE_TEST(a_tail_that_was_left_empty_is_no_gap),
        FIXTURE_TEST(a_gap_that_a_later_mark_vouches_for_is_corruption),
        FIXTURE_TEST(damage_below_a_mark_is_corruption),
        FIXTURE_TEST(a_damaged_value_below_a_mark_keeps_its_key),
        FIXTURE_TEST(a_batch_that_is_torn_counts_not_at_all),
        FIXTURE_TEST(a_large_value_counts_by_its_link),
        FIXTURE_TEST(leftovers_go_and_spaces_stay),
        FIXTURE_TEST(a_checkpoint_and_what_came_after_it),
        FIXTURE_TEST(damaged_blocks_are_rebuilt_from_the_log),
        FIXTURE_TEST(an_old_checkpoint_beside_newer_segments_does_no_harm),
        FIXTURE_TEST(a_checkpoint_of_a_log_that_was_cut_is_void),
        FIXTURE_TEST(checkpoints_are_taken_beside_writers),
        FIXTURE_TEST(a_reader_follows_rolls_compactions_and_large_values),
        FIXTURE_TEST(a_reader_never_sees_a_deleted_value_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
