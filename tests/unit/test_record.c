/* SPDX-License-Identifier: MIT */
/* Records: what is encoded comes back, and nothing else passes for a record (R1 to R5, P3, P6). */
#include "log/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { IDENTITY = 0x1D, OFFSET = 4096, SAMPLE_COUNT = 7 };

static const struct record samples[SAMPLE_COUNT] = {
    {.kind = RECORD_PUT,
     .sequence = 1ull << 32 | 1,
     .key_hash = 7,
     .key_size = 3,
     .value_size = 5,
     .generation = 9,
     .payload_checksum = 0xCAFE},
    {.kind = RECORD_PUT,
     .flags = RECORD_HAS_EXPIRY | RECORD_INSERT,
     .sequence = UINT64_MAX,
     .key_hash = UINT64_MAX,
     .key_size = RECORD_KEY_SIZE_MAX,
     .value_size = RECORD_VALUE_SIZE_MAX,
     .generation = UINT32_MAX,
     .payload_checksum = UINT32_MAX,
     .expires_at_ms = UINT64_MAX},
    {.kind = RECORD_PUT,
     .flags = RECORD_HAS_EXPIRY | RECORD_HAS_SUPERSEDED | RECORD_IN_BATCH,
     .expires_at_ms = 11,
     .superseded = 13},
    {.kind = RECORD_TOMBSTONE,
     .flags = RECORD_HAS_SUPERSEDED,
     .sequence = 5,
     .key_size = 1,
     .superseded = 17},
    {.kind = RECORD_BATCH, .sequence = 6, .value_size = RECORD_BATCH_SIZE},
    {.kind = RECORD_MARK, .sequence = 7, .value_size = RECORD_MARK_SIZE},
    {.kind = RECORD_LINK,
     .flags = RECORD_INSERT,
     .sequence = 8,
     .key_size = 2,
     .value_size = RECORD_LINK_SIZE},
};

static void assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->sequence, b->sequence);
    assert_int_equal(a->key_hash, b->key_hash);
    assert_int_equal(a->key_size, b->key_size);
    assert_int_equal(a->value_size, b->value_size);
    assert_int_equal(a->generation, b->generation);
    assert_int_equal(a->payload_checksum, b->payload_checksum);
    assert_int_equal(a->expires_at_ms, b->expires_at_ms);
    assert_int_equal(a->superseded, b->superseded);
}

static enum stave_status decode(const uint8_t *bytes, struct record *ret_record)
{
    return record_decode_header(bytes, RECORD_HEADER_SIZE_MAX, IDENTITY, OFFSET, ret_record);
}

static void every_kind_of_header_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t index = 0; index < SAMPLE_COUNT; index++) {
        uint8_t bytes[RECORD_HEADER_SIZE_MAX] = {0};
        struct record record;
        record_encode_header(&samples[index], IDENTITY, OFFSET, bytes);
        assert_int_equal(decode(bytes, &record), STAVE_OK);
        assert_same_record(&record, &samples[index]);
        record_peek(bytes, &record);
        assert_same_record(&record, &samples[index]);
    }
}

static void a_header_with_any_bit_flipped_is_refused(void **state) /* R3 */
{
    (void)state;
    for (size_t index = 0; index < SAMPLE_COUNT; index++) {
        uint8_t bytes[RECORD_HEADER_SIZE_MAX] = {0};
        struct record record;
        record_encode_header(&samples[index], IDENTITY, OFFSET, bytes);
        for (size_t bit = 0; bit < 8 * record_header_size(samples[index].flags); bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(decode(bytes, &record), STAVE_CORRUPT);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void a_header_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    for (size_t index = 0; index < SAMPLE_COUNT; index++) {
        uint8_t bytes[RECORD_HEADER_SIZE_MAX] = {0};
        struct record record;
        record_encode_header(&samples[index], IDENTITY, OFFSET, bytes);
        for (size_t size = 0; size < record_header_size(samples[index].flags); size++)
            assert_int_equal(record_decode_header(bytes, size, IDENTITY, OFFSET, &record), STAVE_CORRUPT);
    }
}

static void a_record_moved_to_another_offset_or_segment_is_refused(void **state) /* R1 */
{
    (void)state;
    uint8_t bytes[RECORD_HEADER_SIZE_MAX] = {0};
    struct record record;
    record_encode_header(&samples[0], IDENTITY, OFFSET, bytes);
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t flip = UINT64_C(1) << bit;
        assert_int_equal(record_decode_header(bytes, sizeof(bytes), IDENTITY, OFFSET ^ flip, &record),
                         STAVE_CORRUPT);
        assert_int_equal(record_decode_header(bytes, sizeof(bytes), IDENTITY ^ flip, OFFSET, &record),
                         STAVE_CORRUPT);
    }
}

static void zeroes_are_never_a_record(void **state) /* R2 */
{
    (void)state;
    const uint8_t zeroes[RECORD_HEADER_SIZE_MAX] = {0};
    struct record record;
    for (uint64_t offset = 0; offset < 1 << 20; offset += RECORD_ALIGNMENT)
        assert_int_equal(record_decode_header(zeroes, sizeof(zeroes), IDENTITY, offset, &record),
                         STAVE_NOT_FOUND);
}

/* Encodes what the encoder would never be given, with a checksum that fits. */
static void expect_refused(struct record record)
{
    uint8_t bytes[RECORD_HEADER_SIZE_MAX] = {0};
    record_encode_header(&record, IDENTITY, OFFSET, bytes);
    assert_int_equal(decode(bytes, &record), STAVE_CORRUPT);
}

static void a_header_that_says_what_its_kind_cannot_is_refused(void **state) /* R4 */
{
    (void)state;
    expect_refused((struct record){.kind = 0, .sequence = 1});
    expect_refused((struct record){.kind = 7});
    expect_refused((struct record){.kind = RECORD_PUT, .flags = 16});
    expect_refused((struct record){.kind = RECORD_PUT, .key_size = RECORD_KEY_SIZE_MAX + 1});
    expect_refused((struct record){.kind = RECORD_PUT, .value_size = RECORD_VALUE_SIZE_MAX + 1});
    expect_refused((struct record){.kind = RECORD_TOMBSTONE, .value_size = 1});
    expect_refused((struct record){.kind = RECORD_TOMBSTONE, .flags = RECORD_HAS_EXPIRY});
    expect_refused((struct record){.kind = RECORD_TOMBSTONE, .flags = RECORD_INSERT});
    expect_refused((struct record){.kind = RECORD_BATCH, .value_size = 8});
    expect_refused((struct record){.kind = RECORD_BATCH, .value_size = 16, .flags = RECORD_IN_BATCH});
    expect_refused((struct record){.kind = RECORD_MARK, .value_size = 16, .key_size = 1});
    expect_refused((struct record){.kind = RECORD_MARK, .value_size = 16, .key_hash = 1});
    expect_refused((struct record){.kind = RECORD_LINK, .value_size = 16});
    expect_refused((struct record){.kind = RECORD_SPACES, .value_size = 16, .generation = 1});
}

static void sizes_are_aligned_and_cannot_wrap(void **state)
{
    (void)state;
    for (uint32_t value_size = 0; value_size < 64; value_size++) {
        const struct record record = {
            .kind = RECORD_PUT, .flags = RECORD_HAS_EXPIRY, .key_size = 1, .value_size = value_size};
        assert_int_equal(record_size(&record) % RECORD_ALIGNMENT, 0);
        assert_int_equal(record_size(&record), 48 + 1 + value_size + record_padding(&record));
        assert_in_range(record_padding(&record), 0, RECORD_ALIGNMENT - 1);
    }
    const struct record largest = {.kind = RECORD_PUT,
                                   .flags = RECORD_HAS_EXPIRY | RECORD_HAS_SUPERSEDED,
                                   .key_size = RECORD_KEY_SIZE_MAX,
                                   .value_size = RECORD_VALUE_SIZE_MAX};
    assert_in_range(record_size(&largest), (UINT64_C(1) << 31) + 56, RECORD_SIZE_MAX);
}

static void a_key_hashes_differently_in_each_store_and_space(void **state)
{
    (void)state;
    const uint64_t hash = record_key_hash(1, 2, "key", 3);
    assert_int_equal(hash, record_key_hash(1, 2, "key", 3));
    assert_int_not_equal(hash, record_key_hash(2, 2, "key", 3));
    assert_int_not_equal(hash, record_key_hash(1, 3, "key", 3));
    assert_int_not_equal(hash, record_key_hash(1, 2, "kez", 3));
    assert_int_not_equal(record_key_hash(1, 2, NULL, 0), record_key_hash(1, 3, NULL, 0));
}

static void a_value_checks_out_only_under_its_key(void **state) /* R3 */
{
    (void)state;
    assert_int_equal(record_payload_checksum(1, "value", 5), record_payload_checksum(1, "value", 5));
    assert_int_not_equal(record_payload_checksum(1, "value", 5), record_payload_checksum(2, "value", 5));
    assert_int_not_equal(record_payload_checksum(1, "value", 5), record_payload_checksum(1, "value", 4));
}

static void bodies_come_back_as_they_were(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_LINK_SIZE];
    struct record_batch batch;
    struct record_mark mark;
    struct record_link link;
    struct record_spaces spaces;

    record_encode_batch(&(struct record_batch){.count = 3, .size = 160}, bytes);
    assert_int_equal(record_decode_batch(bytes, RECORD_BATCH_SIZE, &batch), STAVE_OK);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.size, 160);

    record_encode_mark(&(struct record_mark){.durable_end = 1ull << 34, .durable_sequence = 5}, bytes);
    assert_int_equal(record_decode_mark(bytes, RECORD_MARK_SIZE, &mark), STAVE_OK);
    assert_int_equal(mark.durable_end, 1ull << 34);
    assert_int_equal(mark.durable_sequence, 5);

    record_encode_link(
        &(struct record_link){
            .segment_id = 7, .value_size = 1u << 30, .identity = UINT64_MAX, .payload_checksum = 9},
        bytes);
    assert_int_equal(record_decode_link(bytes, RECORD_LINK_SIZE, &link), STAVE_OK);
    assert_int_equal(link.segment_id, 7);
    assert_int_equal(link.value_size, 1u << 30);
    assert_int_equal(link.identity, UINT64_MAX);
    assert_int_equal(link.payload_checksum, 9);

    record_encode_spaces(
        &(struct record_spaces){
            .op = RECORD_SPACES_DROP, .a = 1023, .generation = 70000, .old_generation = 69999},
        bytes);
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_OK);
    assert_int_equal(spaces.a, 1023);
    assert_int_equal(spaces.b, 0);
    assert_int_equal(spaces.generation, 70000);
    assert_int_equal(spaces.old_generation, 69999);
    record_encode_spaces(&(struct record_spaces){.op = RECORD_SPACES_SWAP, .a = 1, .b = 2}, bytes);
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_OK);
    assert_int_equal(spaces.b, 2);
    assert_int_equal(spaces.old_generation, 0);
}

static void bodies_that_contradict_themselves_are_refused(void **state) /* R4 */
{
    (void)state;
    uint8_t bytes[RECORD_LINK_SIZE] = {0};
    struct record_batch batch;
    struct record_mark mark;
    struct record_link link;
    struct record_spaces spaces;

    assert_int_equal(record_decode_batch(bytes, RECORD_BATCH_SIZE, &batch),
                     STAVE_CORRUPT);                                            /* of no records */
    record_encode_batch(&(struct record_batch){.count = 2, .size = 80}, bytes); /* 48 each at least */
    assert_int_equal(record_decode_batch(bytes, RECORD_BATCH_SIZE, &batch), STAVE_CORRUPT);
    record_encode_batch(&(struct record_batch){.count = 1, .size = 48}, bytes);
    assert_int_equal(record_decode_batch(bytes, RECORD_BATCH_SIZE, &batch), STAVE_OK);
    bytes[4] = 1;
    assert_int_equal(record_decode_batch(bytes, RECORD_BATCH_SIZE, &batch), STAVE_CORRUPT);
    store_le64(bytes, 8);
    assert_int_equal(record_decode_mark(bytes, RECORD_MARK_SIZE, &mark), STAVE_CORRUPT);
    assert_int_equal(record_decode_mark(bytes, RECORD_MARK_SIZE - 1, &mark), STAVE_CORRUPT);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(record_decode_link(bytes, RECORD_LINK_SIZE, &link), STAVE_CORRUPT); /* to segment 0 */
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_CORRUPT);
    record_encode_spaces(&(struct record_spaces){.op = RECORD_SPACES_DROP, .a = 1024, .generation = 8},
                         bytes);
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_CORRUPT);
    store_le32(bytes + 4, 1023);
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_OK);
    store_le32(bytes + 8, 8); /* gives up what it gets */
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_CORRUPT);
    record_encode_spaces(&(struct record_spaces){.op = RECORD_SPACES_SWAP, .a = 1, .b = 1024}, bytes);
    assert_int_equal(record_decode_spaces(bytes, RECORD_SPACES_SIZE, &spaces), STAVE_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_header_comes_back_as_it_was),
        cmocka_unit_test(a_header_with_any_bit_flipped_is_refused),
        cmocka_unit_test(a_header_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_record_moved_to_another_offset_or_segment_is_refused),
        cmocka_unit_test(zeroes_are_never_a_record),
        cmocka_unit_test(a_header_that_says_what_its_kind_cannot_is_refused),
        cmocka_unit_test(sizes_are_aligned_and_cannot_wrap),
        cmocka_unit_test(a_key_hashes_differently_in_each_store_and_space),
        cmocka_unit_test(a_value_checks_out_only_under_its_key),
        cmocka_unit_test(bodies_come_back_as_they_were),
        cmocka_unit_test(bodies_that_contradict_themselves_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
