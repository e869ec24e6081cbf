/* SPDX-License-Identifier: MIT */
/* Scans: whole, torn, damaged and cut segments (C1 to C4; P3, P5, P6). */
#include "log/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "support/segment_writer.h"

enum { CHECK_ALL = SCAN_VERIFY | SCAN_BATCHES };

struct fixture {
    char *path;
    struct dir dir;
    struct segment_writer writer;
};

static struct fixture begin(enum segment_kind kind)
{
    struct fixture fixture = {.path = test_directory_make(), .dir = DIR_NONE};
    assert_int_equal(dir_open(fixture.path, &fixture.dir, NULL), STAVE_OK);
    segment_writer_begin(&fixture.writer, kind, 1);
    return fixture;
}

static void end(struct fixture *fixture)
{
    segment_writer_free(&fixture->writer);
    dir_close(&fixture->dir);
    test_directory_remove(fixture->path);
}

static struct scan_expect expect_of(const struct fixture *fixture, uint64_t end_offset, unsigned flags)
{
    return (struct scan_expect){
        .store_id = fixture->writer.header.store_id,
        .identity = fixture->writer.header.identity,
        .id = fixture->writer.header.id,
        .end = end_offset,
        .flags = flags,
    };
}

static struct scan open_scan(const struct fixture *fixture, uint64_t end_offset, unsigned flags)
{
    const struct scan_expect expect = expect_of(fixture, end_offset, flags);
    struct scan scan = SCAN_NONE;
    assert_int_equal(scan_open(&fixture->dir, &expect, &scan, NULL), STAVE_OK);
    return scan;
}

static void save(const struct fixture *fixture, size_t size)
{
    segment_writer_save(&fixture->writer, fixture->path, size);
}

static void expect_key(struct scan *scan, const char *key)
{
    struct scan_record record;
    struct error error = ERROR_NONE;
    assert_int_equal(scan_next(scan, &record, &error), STAVE_OK);
    assert_int_equal(record.record.key_size, strlen(key));
    assert_memory_equal(record.key, key, strlen(key));
}

static void expect_status(struct scan *scan, enum stave_status status)
{
    struct scan_record record;
    assert_int_equal(scan_next(scan, &record, NULL), status);
}

/* How many records a scan hands out, and what it ends with. */
static size_t count_records(struct scan *scan, enum stave_status *ret_status)
{
    struct scan_record record;
    size_t count = 0;
    while ((*ret_status = scan_next(scan, &record, NULL)) == STAVE_OK) count++;
    return count;
}

static void records_come_back_in_order_until_zeroes(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    segment_writer_put(&fixture.writer, "", "");
    const size_t third = segment_writer_delete(&fixture.writer, "a");
    save(&fixture, 65536);

    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    expect_key(&scan, "");
    expect_key(&scan, "a");
    assert_int_equal(scan.current.record.kind, RECORD_TOMBSTONE);
    assert_int_equal(scan.current.offset, third);
    expect_status(&scan, STAVE_END);
    assert_int_equal(scan.offset, fixture.writer.size);
    scan_close(&scan);
    end(&fixture);
}

static void a_look_ahead_tells_the_hashes_of_what_comes(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    segment_writer_put(&fixture.writer, "b", "22");
    const size_t third = segment_writer_put(&fixture.writer, "c", "333");
    save(&fixture, 65536);

    uint64_t hashes[2];
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    uint64_t offset = scan.next;
    for (int i = 0; i < 2; i++) assert_true(scan_peek(&scan, &offset, &hashes[i]));
    expect_key(&scan, "b");
    assert_int_equal(scan.current.record.key_hash, hashes[0]);
    expect_key(&scan, "c");
    assert_int_equal(scan.current.record.key_hash, hashes[1]);
    assert_int_equal(scan.current.offset, third);
    assert_int_equal(scan.next, offset);
    offset = UINT64_MAX - 8;
    assert_false(scan_peek(&scan, &offset, &hashes[0]));
    scan_close(&scan);
    end(&fixture);
}

static void a_scan_can_start_at_any_record(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    const size_t second = segment_writer_put(&fixture.writer, "b", "2");
    save(&fixture, fixture.writer.size);

    struct scan_expect expect = expect_of(&fixture, fixture.writer.size, CHECK_ALL);
    struct scan scan = SCAN_NONE;
    expect.start = second;
    assert_int_equal(scan_open(&fixture.dir, &expect, &scan, NULL), STAVE_OK);
    expect_key(&scan, "b");
    expect_status(&scan, STAVE_END);
    scan_close(&scan);
    expect.start = second + 1;
    assert_int_equal(scan_open(&fixture.dir, &expect, &scan, NULL), STAVE_CORRUPT);
    end(&fixture);
}

static void an_open_segment_cut_at_any_byte_gives_a_prefix(void **state) /* P3 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    size_t ends[4] = {SEGMENT_HEADER_SIZE};
    for (size_t index = 1; index < 4; index++) {
        segment_writer_put(&fixture.writer, "key", "a value of some length");
        ends[index] = fixture.writer.size;
    }
    for (size_t size = SEGMENT_HEADER_SIZE; size <= fixture.writer.size; size++) {
        save(&fixture, size);
        struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
        enum stave_status status = STAVE_OK;
        const size_t count = count_records(&scan, &status);
        assert_int_equal(count, (size - SEGMENT_HEADER_SIZE) / (ends[1] - ends[0]));
        assert_int_equal(status, size == ends[count] ? STAVE_END : STAVE_CORRUPT);
        assert_int_equal(scan.offset, ends[count]);
        scan_close(&scan);
    }
    end(&fixture);
}

static void a_sealed_segment_shorter_than_listed_is_corrupt(void **state) /* P6 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "key", "value");
    for (size_t size = SEGMENT_HEADER_SIZE; size < fixture.writer.size; size++) {
        save(&fixture, size);
        const struct scan_expect expect = expect_of(&fixture, fixture.writer.size, CHECK_ALL);
        struct scan scan = SCAN_NONE;
        struct error error = ERROR_NONE;
        assert_int_equal(scan_open(&fixture.dir, &expect, &scan, &error), STAVE_CORRUPT);
        assert_non_null(strstr(error.message, "0000000001.seg"));
    }
    end(&fixture);
}

static void zeroes_within_a_sealed_segment_are_corrupt(void **state) /* P6 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "key", "value");
    const size_t size = fixture.writer.size;
    save(&fixture, size + 256);
    struct scan scan = open_scan(&fixture, size + 256, CHECK_ALL);
    expect_key(&scan, "key");
    expect_status(&scan, STAVE_CORRUPT);
    assert_int_equal(scan.damage, SCAN_HEADER_DAMAGED);
    assert_int_equal(scan.offset, size);
    scan_close(&scan);
    end(&fixture);
}

static void a_flipped_bit_is_never_returned_as_data(void **state) /* P6 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "first", "one");
    segment_writer_put(&fixture.writer, "second", "two");
    const size_t middle = fixture.writer.size;
    segment_writer_put(&fixture.writer, "third", "a longer one, to be damaged");
    const size_t padding = 40 + 5 + 27;
    const size_t last = segment_writer_put(&fixture.writer, "fourth", "four");

    for (size_t at = middle; at < middle + padding; at++) {
        fixture.writer.bytes[at] ^= 0x10;
        save(&fixture, fixture.writer.size);
        struct scan scan = open_scan(&fixture, fixture.writer.size, CHECK_ALL);
        expect_key(&scan, "first");
        expect_key(&scan, "second");
        expect_status(&scan, STAVE_CORRUPT);
        assert_int_equal(scan.offset, middle);
        assert_int_equal(scan.damage, at < middle + 40 ? SCAN_HEADER_DAMAGED : SCAN_PAYLOAD_DAMAGED);
        uint64_t skipped = 0;
        assert_int_equal(scan_resume(&scan, &skipped), STAVE_OK);
        assert_int_equal(skipped, last - middle);
        expect_key(&scan, "fourth");
        expect_status(&scan, STAVE_END);
        scan_close(&scan);
        fixture.writer.bytes[at] ^= 0x10;
    }
    end(&fixture);
}

static void a_damaged_payload_still_claims_its_key(void **state) /* R5 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const size_t at = segment_writer_put(&fixture.writer, "key", "value");
    fixture.writer.bytes[at + 40 + 3] ^= 1;
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, SCAN_VERIFY);
    expect_status(&scan, STAVE_CORRUPT);
    assert_int_equal(scan.current.record.key_hash, record_key_hash(scan.header.hash_seed, 0, "key", 3));
    assert_memory_equal(scan.current.key, "key", 3);
    expect_status(&scan, STAVE_END);
    scan_close(&scan);

    scan = open_scan(&fixture, SCAN_TO_THE_END, 0); /* unverified, it is handed out */
    expect_key(&scan, "key");
    assert_int_equal(scan_verify(&scan, NULL), STAVE_CORRUPT);
    scan_close(&scan);
    end(&fixture);
}

static void a_record_of_another_place_or_segment_is_refused(void **state) /* R1, S2 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const size_t first = segment_writer_put(&fixture.writer, "a", "1");
    const size_t second = segment_writer_put(&fixture.writer, "b", "2");
    memcpy(fixture.writer.bytes + second, fixture.writer.bytes + first, second - first);
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    expect_status(&scan, STAVE_CORRUPT);
    scan_close(&scan);

    fixture.writer.header.identity ^= 1; /* the same records under a header of another identity */
    segment_encode_header(&fixture.writer.header, fixture.writer.bytes);
    save(&fixture, fixture.writer.size);
    scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_status(&scan, STAVE_CORRUPT);
    scan_close(&scan);
    end(&fixture);
}

static void a_log_record_with_a_sequence_of_another_segment_is_refused(void **state) /* C1 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const struct record record = {.kind = RECORD_PUT, .sequence = 2ull << 32 | 1};
    segment_writer_add(&fixture.writer, record, "a", 1, "1", 1);
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_status(&scan, STAVE_CORRUPT);
    scan_close(&scan);
    end(&fixture);
}

static void only_the_segment_that_the_manifest_lists_opens(void **state) /* S1 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    save(&fixture, fixture.writer.size);
    const struct scan_expect right = expect_of(&fixture, SCAN_TO_THE_END, 0);
    struct scan scan = SCAN_NONE;

    struct scan_expect wrong = right;
    wrong.identity ^= 1;
    assert_int_equal(scan_open(&fixture.dir, &wrong, &scan, NULL), STAVE_CORRUPT);
    wrong = right;
    wrong.store_id ^= 1;
    assert_int_equal(scan_open(&fixture.dir, &wrong, &scan, NULL), STAVE_NOT_A_STORE);
    wrong = right;
    wrong.id = 2;
    assert_int_equal(scan_open(&fixture.dir, &wrong, &scan, NULL), STAVE_CORRUPT); /* missing */
    test_file_write(fixture.path, "0000000002.seg", fixture.writer.bytes, fixture.writer.size);
    assert_int_equal(scan_open(&fixture.dir, &wrong, &scan, NULL), STAVE_CORRUPT); /* renamed */
    end(&fixture);
}

static void a_header_never_written_is_told_from_a_damaged_one(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const struct scan_expect expect = expect_of(&fixture, SCAN_TO_THE_END, 0);
    const uint8_t zeroes[128] = {0};
    struct scan scan = SCAN_NONE;
    test_file_write(fixture.path, "0000000001.seg", zeroes, 0);
    assert_int_equal(scan_open(&fixture.dir, &expect, &scan, NULL), STAVE_NOT_FOUND);
    test_file_write(fixture.path, "0000000001.seg", zeroes, sizeof(zeroes));
    assert_int_equal(scan_open(&fixture.dir, &expect, &scan, NULL), STAVE_NOT_FOUND);
    for (size_t size = 1; size < SEGMENT_HEADER_SIZE; size++) {
        save(&fixture, size);
        assert_true(scan_open(&fixture.dir, &expect, &scan, NULL) < 0);
    }
    end(&fixture);
}

/* Two records, then a batch of three, then one more. Returns where the batch begins. */
static size_t write_batch(struct segment_writer *writer)
{
    segment_writer_put(writer, "a", "1");
    segment_writer_put(writer, "b", "2");
    const size_t at = segment_writer_batch(writer, 3, 48 + 48 + 64);
    segment_writer_put_in_batch(writer, "c", "3");
    segment_writer_put_in_batch(writer, "d", "4");
    segment_writer_put_in_batch(writer, "e", "a value of 23 bytes ...");
    assert_int_equal(writer->size - at, 64 + 48 + 48 + 64);
    segment_writer_put(writer, "f", "6");
    return at;
}

static void a_whole_batch_is_handed_out_record_by_record(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    write_batch(&fixture.writer);
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    expect_key(&scan, "b");
    expect_key(&scan, "");
    assert_int_equal(scan.current.record.kind, RECORD_BATCH);
    expect_key(&scan, "c");
    expect_key(&scan, "d");
    expect_key(&scan, "e");
    expect_key(&scan, "f");
    expect_status(&scan, STAVE_END);
    scan_close(&scan);
    end(&fixture);
}

static void a_batch_damaged_at_any_byte_is_handed_out_not_at_all(void **state) /* C3, P5 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const size_t at = write_batch(&fixture.writer);
    const size_t batch_end = at + 64 + 48 + 48 + 64;
    for (size_t byte = at; byte < batch_end; byte++) {
        fixture.writer.bytes[byte] ^= 0x40;
        save(&fixture, fixture.writer.size);
        struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
        enum stave_status status = STAVE_OK;
        const size_t count = count_records(&scan, &status);
        if (count == 7) {
            assert_int_equal(status, STAVE_END); /* padding */
        } else {
            assert_int_equal(count, 2);
            assert_int_equal(status, STAVE_CORRUPT);
            assert_int_equal(scan.offset, at);
            assert_in_range(scan.damage_offset, at, byte);
        }
        scan_close(&scan);
        fixture.writer.bytes[byte] ^= 0x40;
    }
    end(&fixture);
}

static void a_batch_cut_at_any_byte_is_handed_out_not_at_all(void **state) /* C3, P5 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const size_t at = write_batch(&fixture.writer);
    const size_t batch_end = at + 64 + 48 + 48 + 64;
    for (size_t size = at + 1; size < batch_end; size++) {
        save(&fixture, size);
        struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
        enum stave_status status = STAVE_OK;
        assert_int_equal(count_records(&scan, &status), 2);
        assert_int_equal(status, STAVE_CORRUPT);
        assert_int_equal(scan.offset, at);
        scan_close(&scan);
    }
    end(&fixture);
}

static void a_record_of_a_batch_without_its_batch_is_refused(void **state) /* C3, P5 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put_in_batch(&fixture.writer, "c", "3");
    segment_writer_put(&fixture.writer, "d", "4");
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_status(&scan, STAVE_CORRUPT);
    assert_int_equal(scan.damage, SCAN_BATCH_BROKEN);
    expect_key(&scan, "d");
    scan_close(&scan);
    end(&fixture);
}

/* Three records behind a BATCH; `strays` has a bit for each of them that does not say that it belongs. */
static void expect_no_batch(uint32_t count, uint64_t size, unsigned strays)
{
    static const char *const keys[] = {"c", "d", "e"};
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    const size_t at = segment_writer_batch(&fixture.writer, count, size);
    for (unsigned i = 0; i < 3; i++) {
        if (strays >> i & 1)
            segment_writer_put(&fixture.writer, keys[i], "1");
        else
            segment_writer_put_in_batch(&fixture.writer, keys[i], "1");
    }
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    expect_status(&scan, STAVE_CORRUPT);
    assert_int_equal(scan.damage, SCAN_BATCH_BROKEN);
    assert_int_equal(scan.offset, at);
    scan_close(&scan);
    end(&fixture);
}

static void a_batch_is_exactly_the_records_that_it_announces(void **state) /* C3, P5 */
{
    (void)state;
    const uint64_t size = 48; /* of each record */
    expect_no_batch(2, 3 * size, 0);
    expect_no_batch(3, 3 * size - 16, 0);
    expect_no_batch(3, 3 * size + 16, 0);
    expect_no_batch(4, 4 * size, 0);
    for (unsigned strays = 1; strays < 8; strays++) expect_no_batch(3, 3 * size, strays);
}

static void marks_behind_damage_are_found(void **state) /* P6 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    const size_t bad = segment_writer_put(&fixture.writer, "b", "2");
    segment_writer_mark(&fixture.writer, bad, 1ull << 32 | 1);
    const size_t good = fixture.writer.size;
    segment_writer_mark(&fixture.writer, good, 1ull << 32 | 3);
    fixture.writer.bytes[bad] ^= 1;
    save(&fixture, 1 << 16);

    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, CHECK_ALL);
    expect_key(&scan, "a");
    expect_status(&scan, STAVE_CORRUPT);
    struct record_mark mark;
    assert_int_equal(scan_search_mark(&scan, scan.offset, &mark, NULL), STAVE_OK);
    assert_int_equal(mark.durable_end, good);
    assert_int_equal(mark.durable_sequence, 1ull << 32 | 3);
    assert_int_equal(scan.offset, bad);
    assert_int_equal(scan_search_mark(&scan, fixture.writer.size, &mark, NULL), STAVE_NOT_FOUND);
    scan_close(&scan);
    end(&fixture);
}

/* P6: the one that vouches for the most, however far behind the others it stands. */
static void a_mark_is_found_wherever_the_buffer_ends(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 128; shift += RECORD_ALIGNMENT) {
        struct fixture fixture = begin(SEGMENT_LOG);
        const size_t size = SCAN_BUFFER_SIZE - 128 + shift;
        uint8_t *filler = calloc(size, 1);
        segment_writer_mark(&fixture.writer, SEGMENT_HEADER_SIZE, 0);
        segment_writer_add(&fixture.writer, (struct record){.kind = RECORD_PUT}, "k", 1, filler, size);
        const size_t end_marked = fixture.writer.size;
        segment_writer_mark(&fixture.writer, end_marked, 0);
        save(&fixture, fixture.writer.size);
        struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, 0);
        struct record_mark mark;
        assert_int_equal(scan_search_mark(&scan, SEGMENT_HEADER_SIZE, &mark, NULL), STAVE_OK);
        assert_int_equal(mark.durable_end, end_marked);
        scan_close(&scan);
        free(filler);
        end(&fixture);
    }
}

static void a_mark_that_contradicts_itself_vouches_for_nothing(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_mark(&fixture.writer, 0, 0);                            /* ends within the header */
    segment_writer_mark(&fixture.writer, 4096, 0);                         /* of what comes after it */
    segment_writer_mark(&fixture.writer, SEGMENT_HEADER_SIZE, 2ull << 32); /* of a sequence after it */
    const size_t at = segment_writer_mark(&fixture.writer, SEGMENT_HEADER_SIZE, 0);
    fixture.writer.bytes[at + RECORD_HEADER_SIZE] ^= 16; /* the payload damaged */
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, 0);
    struct record_mark mark;
    assert_int_equal(scan_search_mark(&scan, SEGMENT_HEADER_SIZE, &mark, NULL), STAVE_NOT_FOUND);
    scan_close(&scan);
    end(&fixture);
}

static void a_value_that_holds_a_mark_does_not_pass_for_one(void **state) /* R1, P6 */
{
    (void)state;
    struct segment_writer other;
    segment_writer_begin(&other, SEGMENT_LOG, 1);
    for (size_t index = 0; index < 8; index++) segment_writer_mark(&other, SEGMENT_HEADER_SIZE, 0);

    for (size_t shift = 0; shift < RECORD_ALIGNMENT; shift++) { /* at every alignment of the copy */
        struct fixture fixture = begin(SEGMENT_LOG);
        char key[17] = "0123456789abcdef";
        segment_writer_add(&fixture.writer, (struct record){.kind = RECORD_PUT}, key, shift, other.bytes + 64,
                           other.size - 64);
        save(&fixture, fixture.writer.size);
        struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, 0);
        struct record_mark mark;
        assert_int_equal(scan_search_mark(&scan, SEGMENT_HEADER_SIZE, &mark, NULL), STAVE_NOT_FOUND);
        scan_close(&scan);
        end(&fixture);
    }
    segment_writer_free(&other);
}

static uint8_t *pattern(size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t index = 0; index < size; index++) bytes[index] = (uint8_t)(index * 31 + (index >> 12));
    return bytes;
}

struct collected {
    const uint8_t *expected;
    size_t size;
};

static enum stave_status collect(void *context, const uint8_t *bytes, size_t size)
{
    struct collected *collected = context;
    assert_memory_equal(bytes, collected->expected + collected->size, size);
    collected->size += size;
    return STAVE_OK;
}

static void keys_and_values_larger_than_the_buffer_are_read_whole(void **state) /* C4 */
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    const size_t size = 3 * SCAN_BUFFER_SIZE + 5;
    uint8_t *bytes = pattern(size);
    segment_writer_put(&fixture.writer, "a", "1");
    segment_writer_add(&fixture.writer, (struct record){.kind = RECORD_PUT}, bytes, size, bytes, size);
    segment_writer_put(&fixture.writer, "b", "2");
    save(&fixture, fixture.writer.size);

    struct scan scan = open_scan(&fixture, fixture.writer.size, CHECK_ALL);
    expect_key(&scan, "a");
    struct scan_record record;
    assert_int_equal(scan_next(&scan, &record, NULL), STAVE_OK);
    assert_memory_equal(record.key, bytes, size);
    struct collected collected = {.expected = bytes};
    assert_int_equal(scan_value(&scan, collect, &collected, NULL), STAVE_OK);
    assert_int_equal(collected.size, size);
    uint8_t part[100];
    assert_int_equal(scan_read_value(&scan, size - 100, 100, part, NULL), STAVE_OK);
    assert_memory_equal(part, bytes + size - 100, 100);
    expect_key(&scan, "b");
    expect_status(&scan, STAVE_END);
    scan_close(&scan);

    fixture.writer.bytes[fixture.writer.size - 200] ^= 1; /* in the large value */
    save(&fixture, fixture.writer.size);
    scan = open_scan(&fixture, fixture.writer.size, CHECK_ALL);
    expect_key(&scan, "a");
    expect_status(&scan, STAVE_CORRUPT);
    assert_memory_equal(scan.current.key, bytes, size);
    expect_key(&scan, "b");
    scan_close(&scan);
    free(bytes);
    end(&fixture);
}

static enum stave_status stop(void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return STAVE_CANCELLED;
}

static void a_sink_can_stop_the_stream(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    segment_writer_put(&fixture.writer, "a", "1");
    save(&fixture, fixture.writer.size);
    struct scan scan = open_scan(&fixture, SCAN_TO_THE_END, 0);
    expect_key(&scan, "a");
    assert_int_equal(scan_value(&scan, stop, NULL, NULL), STAVE_CANCELLED);
    expect_status(&scan, STAVE_END);
    scan_close(&scan);
    end(&fixture);
}

static void many_records_of_all_sizes_come_back(void **state)
{
    (void)state;
    struct fixture fixture = begin(SEGMENT_LOG);
    uint8_t *bytes = pattern(300000);
    enum { COUNT = 400 };
    for (size_t index = 0; index < COUNT; index++) {
        struct record record = {.kind = RECORD_PUT, .flags = (uint8_t)(index % 4), .generation = 3};
        segment_writer_add(&fixture.writer, record, bytes, index * 7 % 300, bytes,
                           index * index * 31 % 30000);
    }
    segment_writer_add(&fixture.writer, (struct record){.kind = RECORD_PUT}, bytes, 300000, bytes, 300000);
    save(&fixture, fixture.writer.size);
    for (unsigned flags = 0; flags <= CHECK_ALL; flags++) {
        struct scan scan = open_scan(&fixture, fixture.writer.size, flags);
        enum stave_status status = STAVE_OK;
        assert_int_equal(count_records(&scan, &status), COUNT + 1);
        assert_int_equal(status, STAVE_END);
        scan_close(&scan);
    }
    free(bytes);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_order_until_zeroes),
        cmocka_unit_test(a_look_ahead_tells_the_hashes_of_what_comes),
        cmocka_unit_test(a_scan_can_start_at_any_record),
        cmocka_unit_test(an_open_segment_cut_at_any_byte_gives_a_prefix),
        cmocka_unit_test(a_sealed_segment_shorter_than_listed_is_corrupt),
        cmocka_unit_test(zeroes_within_a_sealed_segment_are_corrupt),
        cmocka_unit_test(a_flipped_bit_is_never_returned_as_data),
        cmocka_unit_test(a_damaged_payload_still_claims_its_key),
        cmocka_unit_test(a_record_of_another_place_or_segment_is_refused),
        cmocka_unit_test(a_log_record_with_a_sequence_of_another_segment_is_refused),
        cmocka_unit_test(only_the_segment_that_the_manifest_lists_opens),
        cmocka_unit_test(a_header_never_written_is_told_from_a_damaged_one),
        cmocka_unit_test(a_whole_batch_is_handed_out_record_by_record),
        cmocka_unit_test(a_batch_damaged_at_any_byte_is_handed_out_not_at_all),
        cmocka_unit_test(a_batch_cut_at_any_byte_is_handed_out_not_at_all),
        cmocka_unit_test(a_record_of_a_batch_without_its_batch_is_refused),
        cmocka_unit_test(a_batch_is_exactly_the_records_that_it_announces),
        cmocka_unit_test(marks_behind_damage_are_found),
        cmocka_unit_test(a_mark_is_found_wherever_the_buffer_ends),
        cmocka_unit_test(a_mark_that_contradicts_itself_vouches_for_nothing),
        cmocka_unit_test(a_value_that_holds_a_mark_does_not_pass_for_one),
        cmocka_unit_test(keys_and_values_larger_than_the_buffer_are_read_whole),
        cmocka_unit_test(a_sink_can_stop_the_stream),
        cmocka_unit_test(many_records_of_all_sizes_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
