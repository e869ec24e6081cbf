/* SPDX-License-Identifier: MIT */
/*
 * Sizes that would fill a disk: offsets across 2 and 4 GiB, keys and values of 512 MiB, all segments that a
 * store may have. The files are sparse (fault_sparse_files).
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "log/record.h"
#include "os/map.h"
#include "store/account.h"
#include "store/store.h"
#include "support/crash_copy.h"
#include "support/fault.h"
#include "support/slowness.h"

/* Where threads are looked at, sizes are not: a thread sanitizer takes a minute for 4 GiB. */
#define GIB ((UINT64_C(1) << 30) / (TEST_SLOWNESS > 2 ? TEST_SLOWNESS * 8 : 1))
#define NEAR 20000u /* bytes before an edge, less than what is put there */
#define HUGE_SIZE (((size_t)512 << 20) / TEST_SLOWNESS) /* of keys and values */

enum { KEY_COUNT = 50, VALUE_SIZE = 1000 };

static void *zeroes_make(size_t size)
{
    void *zeroes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(zeroes != MAP_FAILED);
    (void)madvise(zeroes, size, MADV_HUGEPAGE);
    return zeroes;
}

static int setup(void **state)
{
    const int result = fixture_setup(state);
    fault_sparse_files(true);
    return result;
}

static int teardown(void **state)
{
    fault_sparse_files(false);
    return fixture_teardown(state);
}

#define SPARSE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

/* ------------------------------------------------------------------ offsets */

/* write_lock. The tail ends `size` bytes further on, behind a value of zeroes under the key "filler". */
static void append_filler(struct store *store, uint32_t size, const void *zeroes)
{
    static const char key[] = "filler";
    uint8_t bytes[RECORD_HEADER_SIZE_MAX + sizeof(key)];
    const size_t written = RECORD_HEADER_SIZE + sizeof(key) - 1;
    struct segment *tail = store->tail;
    const uint64_t offset = atomic_load(&tail->end);
    struct record record = {
        .kind = RECORD_PUT,
        .key_size = sizeof(key) - 1,
        .value_size = size - RECORD_HEADER_SIZE_MAX - (uint32_t)sizeof(key),
        .generation = atomic_load(&store->generation_of[0]),
        .sequence = (uint64_t)tail->incarnation << SEQUENCE_BITS | store->counter++,
    };
    record.key_hash = record_key_hash(store->hash_seed, record.generation, key, record.key_size);
    record.payload_checksum = record_payload_checksum(record.key_hash, zeroes, record.value_size);
    record_encode_header(&record, tail->identity, offset, bytes);
    memcpy(bytes + RECORD_HEADER_SIZE, key, record.key_size);
    assert_int_equal(pwrite(tail->file.fd, bytes, written, (off_t)offset), (ssize_t)written);
    account_record(tail, &record);
    const uint64_t end = offset + record_size(&record);
    atomic_store(&tail->allocated, align_down(end, MAP_PAGE_SIZE));
    atomic_store(&tail->granted, align_down(end, MAP_PAGE_SIZE));
    atomic_store(&tail->end, end);
    atomic_store(&store->sequence, record.sequence);
}

/* The next records stand to both sides of `edge`. */
static void jump_to(struct stave *handle, uint64_t edge, const void *zeroes)
{
    struct store *store = handle->store;
    mutex_lock(&store->write_lock);
    for (uint64_t end; (end = atomic_load(&store->tail->end)) < edge - NEAR;) {
        const uint64_t left = align_down(edge - NEAR / 2 - end, RECORD_ALIGNMENT);
        append_filler(store, (uint32_t)(left < GIB ? left : GIB), zeroes);
    }
    mutex_unlock(&store->write_lock);
}

static void fill_across(struct stave *store)
{
    void *zeroes = zeroes_make(GIB);
    fixture_fill(store, "first", KEY_COUNT, VALUE_SIZE, 1);
    jump_to(store, 2 * GIB, zeroes);
    fixture_fill(store, "second", KEY_COUNT, VALUE_SIZE, 1);
    jump_to(store, 4 * GIB, zeroes);
    fixture_fill(store, "third", KEY_COUNT, VALUE_SIZE, 1);
    assert_int_equal(stave_sync(store), STAVE_OK); /* and a mark */
    fixture_fill(store, "fourth", KEY_COUNT, VALUE_SIZE, 1);
    store_put(store, "filler", "small");
    (void)munmap(zeroes, GIB);
}

static void expect_across(struct stave *store)
{
    fixture_expect_filled(store, "first", KEY_COUNT, VALUE_SIZE, 1);
    fixture_expect_filled(store, "second", KEY_COUNT, VALUE_SIZE, 1);
    fixture_expect_filled(store, "third", KEY_COUNT, VALUE_SIZE, 1);
    fixture_expect_filled(store, "fourth", KEY_COUNT, VALUE_SIZE, 1);
    store_expect(store, "filler", "small");
    assert_int_equal(stave_count(store), 4 * KEY_COUNT + 1);
}

static uint64_t largest_segment(struct stave *store)
{
    struct stave_segment_stats *segments = NULL;
    size_t count = 0;
    uint64_t largest = 0;
    assert_int_equal(stave_segments(store, &segments, &count), STAVE_OK);
    for (size_t i = 0; i < count; i++)
        if (segments[i].size > largest) largest = segments[i].size;
    stave_free(segments);
    return largest;
}

/* In memory, after a kill, from a checkpoint, from the sealed segment alone, and moved. */
static void run_across(struct fixture *fixture, enum stave_tail tail, enum stave_reads reads)
{
    fixture_close(fixture);
    scratch_remove_tree(fixture->scratch.store);
    fixture->options = crash_options(6 * GIB);
    fixture->options.tail = tail;
    fixture->options.reads = reads;
    const pid_t child = fork();
    if (child == 0) {
        struct stave *store = store_open(fixture->scratch.store, &fixture->options);
        fill_across(store);
        expect_across(store);
        _exit(0); /* not closed */
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    fixture_reopen(fixture);
    assert_true(largest_segment(fixture->store) > 4 * GIB);
    expect_across(fixture->store);
    fixture_reopen(fixture);
    expect_across(fixture->store);
    fixture_close(fixture);
    scratch_unlink(fixture->scratch.store, "CHECKPOINT");
    fixture_reopen(fixture);
    expect_across(fixture->store);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_true(largest_segment(fixture->store) < GIB);
    expect_across(fixture->store);
    fixture_reopen(fixture);
    expect_across(fixture->store);
}

/*
 * "sizes across 2 and 4 GiB": of offsets in a segment (unit/test_catalogue.c writes all those bytes, slowly).
 */
static void offsets_across_2_and_4_gib_are_right(void **state)
{
    struct fixture *fixture = *state;
    run_across(fixture, STAVE_TAIL_MAPPED, STAVE_READS_MAPPED);
    run_across(fixture, STAVE_TAIL_WRITTEN, STAVE_READS_COPIED);
}

/* ------------------------------------------------------------------ keys and values */

static bool is_zeroes(const void *data, size_t size)
{
    const char *bytes = data;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static void expect_huge_value(struct stave *store, size_t size)
{
    struct stave_value value = {0};
    struct stave_info info;
    assert_int_equal(stave_info(store, stave_text("key"), &info), STAVE_OK);
    assert_int_equal(info.value_size, size);
    assert_int_equal(stave_get(store, stave_text("key"), &value), STAVE_OK);
    assert_int_equal(value.size, size);
    assert_true(is_zeroes(value.data, size));
    stave_free(value.data);
}

/* Keys and values of 512 MiB are kept, over a compaction and a reopen. */
static void a_value_of_512_mib_is_kept(void **state)
{
    struct fixture *fixture = *state;
    void *zeroes = zeroes_make(HUGE_SIZE);
    fixture->options.reads = STAVE_READS_COPIED; /* a mapping would bring every page of zeroes */
    fixture_reopen(fixture);
    assert_int_equal(stave_put(fixture->store, stave_text("key"), stave_bytes(zeroes, HUGE_SIZE)), STAVE_OK);
    (void)munmap(zeroes, HUGE_SIZE);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    expect_huge_value(fixture->store, HUGE_SIZE);
    store_put(fixture->store, "key", "small");
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_true(largest_segment(fixture->store) < HUGE_SIZE);
    store_expect(fixture->store, "key", "small");
}

static void a_key_of_512_mib_is_kept(void **state)
{
    struct fixture *fixture = *state;
    void *zeroes = zeroes_make(HUGE_SIZE);
    const struct stave_bytes key = stave_bytes(zeroes, HUGE_SIZE);
    const struct stave_bytes shorter = stave_bytes(zeroes, HUGE_SIZE - 1);
    fixture->options.tail = STAVE_TAIL_WRITTEN;
    fixture->options.reads = STAVE_READS_COPIED;
    fixture_reopen(fixture);
    assert_int_equal(stave_put(fixture->store, key, stave_text("value")), STAVE_OK);
    assert_int_equal(stave_exists(fixture->store, shorter), STAVE_NOT_FOUND);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    struct stave_value value = {0};
    assert_int_equal(stave_get(fixture->store, key, &value), STAVE_OK);
    assert_true(value.size == 5 && memcmp(value.data, "value", 5) == 0);
    stave_free(value.data);
    assert_int_equal(stave_delete(fixture->store, key), STAVE_OK);
    assert_int_equal(stave_count(fixture->store), 0);
    (void)munmap(zeroes, HUGE_SIZE);
}

/* What is above a limit is refused before a byte of it is read. (P11) */
static void a_key_or_value_above_its_limit_is_refused_unread(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = (size_t)STAVE_VALUE_SIZE_MAX + 1;
    void *bytes = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    const struct stave_bytes above = stave_bytes(bytes, size);
    struct stave_batch *batch = NULL;
    struct stave_error error;
    assert_true(bytes != MAP_FAILED && STAVE_KEY_SIZE_MAX == STAVE_VALUE_SIZE_MAX);
    assert_int_equal(stave_put(fixture->store, stave_text("key"), above), STAVE_LIMIT);
    assert_int_equal(stave_put(fixture->store, above, stave_text("value")), STAVE_LIMIT);
    stave_last_error(fixture->store, &error);
    assert_non_null(strstr(error.message, "the key has 1073741825 bytes, more than 1073741824"));
    assert_int_equal(stave_batch_begin(fixture->store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("key"), above, 0), STAVE_LIMIT);
    assert_int_equal(stave_batch_delete(batch, above), STAVE_LIMIT);
    stave_batch_free(batch);
    assert_int_equal(stave_count(fixture->store), 0);
    (void)munmap(bytes, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPARSE_TEST(offsets_across_2_and_4_gib_are_right),
        SPARSE_TEST(a_value_of_512_mib_is_kept),
        SPARSE_TEST(a_key_of_512_mib_is_kept),
        SPARSE_TEST(a_key_or_value_above_its_limit_is_refused_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
