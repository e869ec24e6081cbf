/* SPDX-License-Identifier: MIT */
/* Segment files: their names and headers (S1, S2, P6). */
#include "log/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"

static const struct segment_header sample = {
    .store_id = 1,
    .identity = 2,
    .hash_seed = 3,
    .horizon = UINT64_MAX,
    .kind = SEGMENT_LOG,
    .id = 5,
    .incarnation = 6,
};

static void a_header_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    segment_encode_header(&sample, bytes);
    assert_int_equal(segment_decode_header(bytes, sizeof(bytes), &header), STAVE_OK);
    assert_int_equal(header.store_id, sample.store_id);
    assert_int_equal(header.identity, sample.identity);
    assert_int_equal(header.hash_seed, sample.hash_seed);
    assert_int_equal(header.horizon, sample.horizon);
    assert_int_equal(header.kind, sample.kind);
    assert_int_equal(header.id, sample.id);
    assert_int_equal(header.incarnation, sample.incarnation);
}

static void a_header_with_any_bit_flipped_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    segment_encode_header(&sample, bytes);
    for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_true(segment_decode_header(bytes, sizeof(bytes), &header) < 0);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t size = 0; size < sizeof(bytes); size++)
        assert_int_equal(segment_decode_header(bytes, size, &header), STAVE_CORRUPT);
}

static enum stave_status decode_changed(size_t at, uint32_t value)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    segment_encode_header(&sample, bytes);
    store_le32(bytes + at, value);
    store_le32(bytes + SEGMENT_CHECKSUM_AT, hash_checksum(bytes, SEGMENT_CHECKSUM_AT, 0));
    return segment_decode_header(bytes, sizeof(bytes), &header);
}

static void foreign_newer_and_contradictory_headers_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(SEGMENT_MAGIC_AT, 0), STAVE_NOT_A_STORE);
    assert_int_equal(decode_changed(SEGMENT_VERSION_AT, SEGMENT_VERSION + 1), STAVE_VERSION);
    assert_int_equal(decode_changed(SEGMENT_VERSION_AT, 0), STAVE_CORRUPT);
    assert_int_equal(decode_changed(SEGMENT_KIND_AT, 0), STAVE_CORRUPT);
    assert_int_equal(decode_changed(SEGMENT_KIND_AT, 4), STAVE_CORRUPT);
    assert_int_equal(decode_changed(SEGMENT_KIND_AT, SEGMENT_OUTPUT), STAVE_CORRUPT); /* has an incarnation */
    assert_int_equal(decode_changed(SEGMENT_INCARNATION_AT, 0), STAVE_CORRUPT);
    assert_int_equal(decode_changed(SEGMENT_ID_AT, 0), STAVE_CORRUPT);
    assert_int_equal(decode_changed(SEGMENT_RESERVED_AT, 1), STAVE_CORRUPT);
}

static void a_header_never_written_is_told_from_a_damaged_one(void **state)
{
    (void)state;
    const uint8_t zeroes[SEGMENT_HEADER_SIZE] = {0};
    struct segment_header header;
    assert_int_equal(segment_decode_header(zeroes, sizeof(zeroes), &header), STAVE_NOT_FOUND);
}

static void names_come_back_as_ids(void **state)
{
    (void)state;
    const uint32_t ids[] = {1, 9, 10, 4294967295u};
    for (size_t index = 0; index < sizeof(ids) / sizeof(ids[0]); index++) {
        char name[SEGMENT_FILE_NAME_SIZE];
        uint32_t id = 0;
        segment_file_name(ids[index], name);
        assert_true(segment_file_name_parse(name, &id));
        assert_int_equal(id, ids[index]);
    }
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(1, name);
    assert_string_equal(name, "0000000001.seg");
}

static void other_names_are_not_segments(void **state)
{
    (void)state;
    const char *const names[] = {"",
                                 "1.seg",
                                 "0000000001.se",
                                 "0000000001.seg2",
                                 "0000000000.seg",
                                 "4294967296.seg",
                                 "00000000001.seg",
                                 "000000001x.seg",
                                 "-000000001.seg",
                                 "MANIFEST"};
    for (size_t index = 0; index < sizeof(names) / sizeof(names[0]); index++) {
        uint32_t id = 77;
        assert_false(segment_file_name_parse(names[index], &id));
        assert_int_equal(id, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_comes_back_as_it_was),
        cmocka_unit_test(a_header_with_any_bit_flipped_is_refused),
        cmocka_unit_test(foreign_newer_and_contradictory_headers_are_told_apart),
        cmocka_unit_test(a_header_never_written_is_told_from_a_damaged_one),
        cmocka_unit_test(names_come_back_as_ids),
        cmocka_unit_test(other_names_are_not_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
