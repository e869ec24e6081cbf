/* SPDX-License-Identifier: MIT */
/*
 * What recovery asks of the disk before it reads the log back (lookahead.h), and that it reads back the same.
 * Without mappings nothing counts as being in memory, so that everything is asked for.
 */
#include "support/fixture.h"

#include "support/crash_copy.h"

#include "store/lookahead.h"
#include "store/operation.h"
#include "store/rebuild.h"

enum {
    KEY_COUNT = 8000,
    SEGMENT_SIZE = 1 << 20,
    PAGES_NOTED_MAX = 1 << 16,
    VALUE_SIZE = 900, /* enough log for several threads */
};

/* ---- what is asked for ---- */

struct noted {
    uint32_t pages[PAGES_NOTED_MAX];
    size_t count;
    unsigned looks;
};

/* All looks at the segment, as recovery has them. */
static void note_all(struct store *store, const struct segment *segment, struct noted *ret_noted)
{
    store->recovering = true;
    struct lookahead ahead = lookahead_begin(store, segment, 0);
    *ret_noted = (struct noted){.count = 0};
    while (ahead.until != UINT64_MAX) {
        const uint64_t offset = ahead.until;
        lookahead_reach(&ahead, offset != 0 ? offset : SEGMENT_HEADER_SIZE);
        assert_true(ahead.until > offset);
        assert_true(ret_noted->count + ahead.count <= PAGES_NOTED_MAX);
        for (size_t i = 0; i < ahead.count; i++) ret_noted->pages[ret_noted->count++] = ahead.pages[i];
        ret_noted->looks++;
    }
    lookahead_end(&ahead);
    store->recovering = false;
}

static bool is_noted(const struct noted *noted, uint64_t location)
{
    for (size_t i = 0; i < noted->count; i++)
        if (noted->pages[i] == location * LOCATION_UNIT / MAP_PAGE_SIZE) return true;
    return false;
}

struct expectation {
    struct store *store;
    const struct noted *noted;
    size_t record_count;
};

static enum stave_status expect_noted(void *context, struct scan *scan, const struct scan_record *record,
                                      struct error *error)
{
    struct expectation *expectation = context;
    struct keydir_probe probe;
    uint64_t location = 0;
    (void)scan;
    (void)error;
    if (!replay_wants(&record->record)) return STAVE_OK;
    struct keydir *keydir = &expectation->store->keydir;
    assert_int_equal(keydir_probe_begin(keydir, record->record.key_hash, &probe), STAVE_OK);
    while (keydir_probe_next(&probe, &location)) assert_true(is_noted(expectation->noted, location));
    expectation->record_count++;
    return STAVE_OK;
}

static struct segment *first_segment(struct stave *handle)
{
    struct segment *segment = handle->store->segments[0];
    assert_true(segment->sealed);
    return segment;
}

static void two_versions(struct fixture *fixture, uint32_t reads)
{
    fixture_close(fixture);
    scratch_remove_tree(fixture->scratch.store);
    fixture->options = crash_options(SEGMENT_SIZE);
    fixture->options.reads = reads;
    fixture->store = store_open(fixture->scratch.store, &fixture->options);
    fixture_fill(fixture->store, "k", KEY_COUNT, 100, 1);
    fixture_fill(fixture->store, "k", KEY_COUNT, 100, 2);
    fixture_reopen(fixture);
}

/* L2 bounds a look: it takes several. */
static void every_page_that_a_replay_compares_with_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct noted *noted = malloc(sizeof(*noted));
    assert_non_null(noted);
    two_versions(fixture, STAVE_READS_COPIED);
    struct segment *segment = first_segment(fixture->store);
    note_all(fixture->store->store, segment, noted);
    struct expectation expectation = {.store = fixture->store->store, .noted = noted};
    const struct rebuild_job job = {.segment = segment};
    assert_int_equal(rebuild_scan(fixture->store->store, &job, expect_noted, &expectation, NULL), STAVE_OK);
    assert_true(expectation.record_count > (size_t)3 * LOOKAHEAD_PAGES_MIN);
    assert_true(noted->looks > 3);
    free(noted);
}

/* L3 */
static void what_is_in_memory_is_not_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct noted *noted = malloc(sizeof(*noted));
    assert_non_null(noted);
    two_versions(fixture, STAVE_READS_MAPPED);
    fixture_expect_filled(fixture->store, "k", KEY_COUNT, 100, 2);
    note_all(fixture->store->store, first_segment(fixture->store), noted);
    assert_int_equal(noted->count, 0);
    free(noted);
}

/* L1: an open store's own reads ask for nothing, and load no block of the index for it. */
static void only_recovery_looks_ahead(void **state)
{
    struct fixture *fixture = *state;
    two_versions(fixture, STAVE_READS_COPIED);
    struct lookahead ahead = lookahead_begin(fixture->store->store, first_segment(fixture->store), 0);
    assert_true(ahead.until == UINT64_MAX);
}

/* ---- what is read back ---- */

/* As when two keys have the same tag: an entry of the one leads to the record of the other. */
static void make_false_match(struct store *store, const char *key, const char *other)
{
    uint64_t location = 0;
    struct keydir_probe probe;
    const struct stave_bytes a = stave_text(key);
    const struct stave_bytes b = stave_text(other);
    const uint64_t hash = record_key_hash(store->hash_seed, 0, a.data, (uint32_t)a.size);
    const uint64_t other_hash = record_key_hash(store->hash_seed, 0, b.data, (uint32_t)b.size);
    mutex_lock(&store->write_lock);
    assert_int_equal(keydir_probe_begin(&store->keydir, other_hash, &probe), STAVE_OK);
    assert_true(keydir_probe_next(&probe, &location));
    assert_int_equal(keydir_probe_begin(&store->keydir, hash, &probe), STAVE_OK);
    assert_int_equal(keydir_reserve(&store->keydir, 1), STAVE_OK);
    keydir_insert(&store->keydir, hash, location);
    mutex_unlock(&store->write_lock);
}

static void put_delete_put(struct stave *store, size_t count)
{
    char key[32];
    for (size_t number = 0; number < count; number++) {
        (void)snprintf(key, sizeof(key), "again%zu", number);
        store_put(store, key, "1");
        store_put(store, key, "2");
        assert_int_equal(stave_delete(store, stave_text(key)), STAVE_OK);
        store_put(store, key, "3");
    }
}

/* Records that take the place of each other near by, of what compaction moved, and of what an image has. */
static void write_all(struct fixture *fixture)
{
    struct stave *store = fixture->store;
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 1);
    fixture_fill(store, "moved", 2000, VALUE_SIZE, 1);
    fixture_fill(store, "filler", KEY_COUNT, VALUE_SIZE, 1);
    make_false_match(store->store, "k10", "moved10");
    make_false_match(store->store, "k11", "k12");
    assert_int_equal(stave_checkpoint(store), STAVE_OK);
    fixture_fill(store, "k", KEY_COUNT, VALUE_SIZE, 2);
    fixture_delete(store, "filler", KEY_COUNT);
    crash_wait_until_quiet(store);
    assert_int_equal(stave_compact(store, 0, NULL, NULL), STAVE_OK);
    for (uint64_t version = 3; version < 9; version++) fixture_fill(store, "k", 700, VALUE_SIZE, version);
    fixture_fill(store, "moved", 500, VALUE_SIZE, 2);
    fixture_delete(store, "k", 100);
    put_delete_put(store, 500);
}

static void expect_version(struct stave *store, const char *key, uint64_t number, uint64_t version)
{
    struct stave_value value = {0};
    assert_int_equal(stave_get(store, stave_text(key), &value), STAVE_OK);
    assert_true(bytes_are(value.data, value.size, number + (version << 32)));
    stave_free(value.data);
}

static void expect_all(struct stave *store)
{
    char key[32];
    fixture_expect_absent(store, "k", 100);
    fixture_expect_absent(store, "filler", KEY_COUNT);
    for (size_t number = 100; number < KEY_COUNT; number++) {
        (void)snprintf(key, sizeof(key), "k%zu", number);
        expect_version(store, key, number, number < 700 ? 8 : 2);
    }
    for (size_t number = 0; number < 500; number++) {
        (void)snprintf(key, sizeof(key), "again%zu", number);
        store_expect(store, key, "3");
    }
    fixture_expect_filled(store, "moved", 500, VALUE_SIZE, 2);
    assert_int_equal(stave_count(store), KEY_COUNT - 100 + 2000 + 500);
}

static void expect_read_back(struct fixture *fixture, bool has_checkpoint)
{
    char path[SCRATCH_PATH_SIZE];
    crash_take(fixture, path);
    if (!has_checkpoint) scratch_unlink(path, "CHECKPOINT");
    struct stave *store = store_open(path, &fixture->options);
    assert_true(crash_from_checkpoint(store) == has_checkpoint);
    expect_all(store);
    assert_int_equal(crash_live_size(store), crash_live_size(fixture->store));
    store_close(store);
}

/* L1, R1 to R3 of replay.h. */
static void a_log_looked_at_before_is_read_back_the_same(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    scratch_remove_tree(fixture->scratch.store);
    fixture->options = crash_options(SEGMENT_SIZE);
    fixture->options.reads = STAVE_READS_COPIED;
    fixture->store = store_open(fixture->scratch.store, &fixture->options);
    write_all(fixture);
    expect_all(fixture->store);
    expect_read_back(fixture, true);
    expect_read_back(fixture, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(every_page_that_a_replay_compares_with_is_asked_for),
        FIXTURE_TEST(what_is_in_memory_is_not_asked_for),
        FIXTURE_TEST(only_recovery_looks_ahead),
        FIXTURE_TEST(a_log_looked_at_before_is_read_back_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
