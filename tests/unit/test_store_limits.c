/* SPDX-License-Identifier: MIT */
/*
 * P11: the number of segments has a limit, which is an error to writers and to nobody else. A store that is
 * nearly there is made from outside, a record a segment; one that is filled takes 2 GiB of files and half a
 * minute, so that it runs with STAVE_TEST_SLOW alone (make test-long).
 */
#include <unistd.h>

#include "log/manifest.h"
#include "log/record.h"
#include "os/dir.h"
#include "os/file.h"
#include "support/fixture.h"

#define SMALL_SIZE 16000 /* in the log: four fill a segment */
#define LARGE_SIZE 50000 /* a segment each */
#define KEYS_MORE_THAN_FIT 36000
#define SEGMENTS_FOR_WRITERS (STAVE_SEGMENT_COUNT_MAX - 1024)
#define SEGMENTS_LEFT 6 /* to be filled by the test */

static void put_until_the_limit(struct stave *store, size_t size, uint64_t *ret_count)
{
    static uint8_t value[LARGE_SIZE];
    enum stave_status status = STAVE_OK;
    uint64_t count = 0;
    for (; count < KEYS_MORE_THAN_FIT; count++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "key %llu", (unsigned long long)count);
        status = stave_put(store, stave_text(key), stave_bytes(value, size));
        if (status != STAVE_OK) break;
    }
    struct stave_error error;
    stave_last_error(store, &error);
    assert_int_equal(status, STAVE_LIMIT);
    assert_non_null(strstr(error.message, "segments, more are not allowed"));
    *ret_count = count;
}

/* A sealed segment of one record, "made <id>". */
static void make_segment(const struct dir *dir, const struct manifest *manifest,
                         struct manifest_segment *segment)
{
    char key[256]; /* of which 20 are used */
    char name[SEGMENT_FILE_NAME_SIZE];
    uint8_t bytes[SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE_MAX + sizeof(key) + RECORD_ALIGNMENT] = {0};
    struct file file = FILE_NONE;
    const struct segment_header header = {manifest->store_id,  segment->identity, manifest->hash_seed,
                                          segment->horizon,    segment->kind,     segment->id,
                                          segment->incarnation};
    struct record record = {.kind = RECORD_PUT, .flags = RECORD_INSERT, .sequence = segment->last_sequence};
    record.key_size = (uint32_t)snprintf(key, sizeof(key), "made %u", (unsigned)segment->id);
    record.key_hash = record_key_hash(manifest->hash_seed, 0, key, record.key_size);
    record.payload_checksum = record_payload_checksum(record.key_hash, NULL, 0);
    segment->length = SEGMENT_HEADER_SIZE + record_size(&record);
    segment_encode_header(&header, bytes);
    record_encode_header(&record, segment->identity, SEGMENT_HEADER_SIZE, bytes + SEGMENT_HEADER_SIZE);
    memcpy(bytes + SEGMENT_HEADER_SIZE + RECORD_HEADER_SIZE, key, record.key_size);
    segment_file_name(segment->id, name);
    assert_int_equal(file_create(dir, name, &file, NULL), STAVE_OK);
    assert_int_equal(file_write_at(&file, bytes, (size_t)segment->length, 0, NULL), STAVE_OK);
    assert_int_equal(file_close(&file, NULL), STAVE_OK);
}

/* Adds segments to a closed store until it has `count`; returns how many. */
static uint64_t make_segments(const char *path, size_t count)
{
    struct dir dir = DIR_NONE;
    struct manifest manifest = MANIFEST_NONE;
    assert_int_equal(dir_open(path, &dir, NULL), STAVE_OK);
    assert_int_equal(manifest_read(&dir, &manifest, NULL), STAVE_OK);
    const size_t first = manifest.segment_count;
    while (manifest.segment_count < count) {
        const uint32_t incarnation = ++manifest.incarnation;
        struct manifest_segment segment = {.id = manifest.next_segment_id++,
                                           .kind = SEGMENT_LOG,
                                           .state = MANIFEST_SEGMENT_SEALED,
                                           .first_slot = manifest.next_slot++,
                                           .slot_count = 1,
                                           .incarnation = incarnation,
                                           .identity = UINT64_C(0x9E3779B97F4A7C15) * incarnation,
                                           .horizon = (uint64_t)incarnation << 32,
                                           .last_sequence = (uint64_t)incarnation << 32 | 1,
                                           .spaces_mask = 1,
                                           .record_count = 1};
        make_segment(&dir, &manifest, &segment);
        assert_int_equal(manifest_add_segment(&manifest, &segment), STAVE_OK);
    }
    const uint64_t made = manifest.segment_count - first;
    const struct manifest_space *space = manifest_find_space(&manifest, 0);
    const struct manifest_space larger = {0, 0, (space != NULL ? space->count : 0) + made};
    assert_int_equal(manifest_set_space(&manifest, &larger), STAVE_OK);
    assert_int_equal(manifest_write(&dir, &manifest, NULL), STAVE_OK);
    manifest_free(&manifest);
    dir_close(&dir);
    return made;
}

static struct stave_options smallest_segments(void)
{
    return (struct stave_options){.size = sizeof(struct stave_options),
                                  .sync = STAVE_SYNC_NONE,
                                  .manual_compaction = true,
                                  .segment_size = STAVE_SEGMENT_SIZE_MIN};
}

/* At the limit reads and deletes go on, and it is opened and closed again and again. */
static void expect_reads_and_opens(const struct scratch *scratch, struct stave *store, uint64_t count)
{
    const struct stave_options options = smallest_segments();
    assert_int_equal(stave_exists(store, stave_text("key 0")), STAVE_OK);
    assert_int_equal(stave_delete(store, stave_text("key 1")), STAVE_OK);
    store_close(store);
    for (int round = 0; round < 3; round++) {
        store = store_open(scratch->store, &options);
        assert_true(stave_count(store) == count - 1);
        store_close(store);
    }
}

/* With larger segments compaction makes few of them, in the background: writes go on once it has begun. */
static void expect_a_way_out(const struct scratch *scratch)
{
    struct stave_options options = smallest_segments();
    options.segment_size = UINT64_C(64) << 20;
    options.manual_compaction = false;
    struct stave *store = store_open(scratch->store, &options);
    struct stave_stats stats = {.size = sizeof(stats)};
    const uint64_t began_ns = test_clock_ns();
    do {
        assert_true(test_nap(began_ns));
        assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    } while (stats.segment_count >= SEGMENTS_FOR_WRITERS - 10);
    assert_int_equal(stave_put(store, stave_text("key 1"), stave_text("again")), STAVE_OK);
    store_close(store);
}

/* All of them, now. */
static void expect_few_after_compaction(const struct scratch *scratch, uint64_t count)
{
    struct stave_options options = smallest_segments();
    options.segment_size = UINT64_C(64) << 20;
    struct stave *store = store_open(scratch->store, &options);
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    assert_true(stats.segment_count < 1000);
    assert_true(stave_count(store) == count);
    store_close(store);
}

static void at_the_limit_of_segments_only_writes_fail_and_compaction_leads_out(void **state)
{
    (void)state;
    const struct stave_options options = smallest_segments();
    struct scratch scratch;
    uint64_t count = 0;
    scratch_make(&scratch);
    store_close(store_open(scratch.store, &options));
    const uint64_t made = make_segments(scratch.store, SEGMENTS_FOR_WRITERS - SEGMENTS_LEFT);
    scratch_unlink(scratch.store, "CHECKPOINT");
    struct stave *store = store_open(scratch.store, &options);
    assert_int_equal(stave_count(store), made);
    put_until_the_limit(store, SMALL_SIZE, &count);
    assert_true(count >= SEGMENTS_LEFT);
    assert_true(count <= 4 * SEGMENTS_LEFT);
    expect_reads_and_opens(&scratch, store, made + count);
    expect_a_way_out(&scratch);
    scratch_remove(&scratch);
}

static void a_store_filled_to_the_limit_of_segments_is_led_out(void **state)
{
    (void)state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    const struct stave_options options = smallest_segments();
    struct scratch scratch;
    uint64_t count = 0;
    scratch_make(&scratch);
    struct stave *store = store_open(scratch.store, &options);
    put_until_the_limit(store, LARGE_SIZE, &count);
    expect_reads_and_opens(&scratch, store, count);
    expect_a_way_out(&scratch);
    expect_few_after_compaction(&scratch, count);
    scratch_remove(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_the_limit_of_segments_only_writes_fail_and_compaction_leads_out),
        cmocka_unit_test(a_store_filled_to_the_limit_of_segments_is_led_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
