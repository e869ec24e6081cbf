/* SPDX-License-Identifier: MIT */
/* The bytes of a CHECKPOINT file: C1, C2, C3. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "index/checkpoint.h"
#include "index/keydir.h"

enum { SEGMENTS = 3, BLOCKS = 65, BLOCK_BYTES = 1100 };
#define STORE_ID UINT64_C(0x0123456789ABCDEF)

static const struct checkpoint_segment segments[SEGMENTS] = {
    {.id = 1, .first_slot = 0, .slot_count = 16, .identity = 77, .live_size = 1 << 20, .live_count = 4096},
    {.id = 9, .first_slot = 16, .slot_count = 1, .identity = UINT64_MAX, .live_size = 0, .live_count = 0},
    {.id = UINT32_MAX,
     .first_slot = CHECKPOINT_SLOT_COUNT_MAX - 8,
     .slot_count = 8,
     .identity = 5,
     .live_size = UINT64_C(1) << 35,
     .live_count = 3},
};

static const struct checkpoint_contents contents_written = {
    .sequence = (UINT64_C(7) << 32) + 5,
    .sequence_last = (UINT64_C(7) << 32) + 900,
    .segment_id = 9,
    .segment_offset = 4096,
    .bucket_count = (BLOCKS - 1) * KEYDIR_BLOCK_BUCKETS + 1,
    .entry_count = 123456,
    .segment_count = SEGMENTS,
    .swept_generation = 1027,
};

/* A whole file, put together as the store does it. */
struct checkpoint_file {
    uint8_t *bytes;
    size_t size;
    uint8_t *directory;
    uint8_t *contents;
    uint8_t *footer;
};

static void file_blocks(struct checkpoint_file *file)
{
    for (uint32_t block = 0; block < BLOCKS; block++) {
        uint8_t *const at = file->bytes + CHECKPOINT_PRELUDE_SIZE + (size_t)block * BLOCK_BYTES;
        memset(at, (int)block, BLOCK_BYTES);
        const struct checkpoint_block place = {
            .offset = (uint64_t)(at - file->bytes),
            .size = BLOCK_BYTES,
            .checksum = checkpoint_block_checksum(STORE_ID, block, at, BLOCK_BYTES),
        };
        checkpoint_encode_block(file->directory, block, &place);
    }
}

static void file_begin(struct checkpoint_file *file)
{
    const size_t blocks_size = (size_t)BLOCKS * BLOCK_BYTES;
    const size_t contents_size = checkpoint_contents_size(SEGMENTS);
    const size_t directory_size = checkpoint_directory_size(BLOCKS);
    file->size =
        CHECKPOINT_PRELUDE_SIZE + blocks_size + directory_size + contents_size + CHECKPOINT_FOOTER_SIZE;
    file->bytes = calloc(1, file->size);
    assert_non_null(file->bytes);
    file->directory = file->bytes + CHECKPOINT_PRELUDE_SIZE + blocks_size;
    file->contents = file->directory + directory_size;
    file->footer = file->contents + contents_size;
    checkpoint_encode_prelude(file->bytes);
    file_blocks(file);
    checkpoint_encode_contents(file->contents, STORE_ID, &contents_written, segments);
    const struct checkpoint_footer footer = {
        .store_id = STORE_ID,
        .block_count = BLOCKS,
        .directory_offset = (uint64_t)(file->directory - file->bytes),
        .directory_checksum = checkpoint_directory_checksum(STORE_ID, file->directory, BLOCKS),
        .contents_offset = (uint64_t)(file->contents - file->bytes),
        .contents_size = (uint32_t)contents_size,
    };
    checkpoint_encode_footer(file->footer, &footer);
}

static void file_end(struct checkpoint_file *file)
{
    free(file->bytes);
}

static enum stave_status read_blocks(const struct checkpoint_file *file,
                                     const struct checkpoint_footer *footer)
{
    for (uint32_t block = 0; block < footer->block_count; block++) {
        struct checkpoint_block place;
        const enum stave_status status = checkpoint_decode_block(file->directory, block, footer, &place);
        if (status < 0) return status;
        const uint8_t *const at = file->bytes + place.offset;
        if (checkpoint_block_checksum(footer->store_id, block, at, place.size) != place.checksum)
            return STAVE_CORRUPT;
    }
    return STAVE_OK;
}

/* Reads all of it, as the store does. */
static enum stave_status file_read(const struct checkpoint_file *file,
                                   struct checkpoint_contents *ret_contents)
{
    enum stave_status status = checkpoint_decode_prelude(file->bytes);
    if (status < 0) return status;
    struct checkpoint_footer footer;
    status = checkpoint_decode_footer(file->footer, file->size, &footer);
    if (status < 0) return status;
    status = checkpoint_check_directory(file->directory, &footer);
    if (status < 0) return status;
    status = checkpoint_decode_contents(file->contents, &footer, ret_contents);
    if (status < 0) return status;
    return read_blocks(file, &footer);
}

static void expect_written(const struct checkpoint_contents *contents, const uint8_t *bytes)
{
    assert_int_equal(contents->sequence, contents_written.sequence);
    assert_int_equal(contents->sequence_last, contents_written.sequence_last);
    assert_int_equal(contents->segment_id, contents_written.segment_id);
    assert_int_equal(contents->segment_offset, contents_written.segment_offset);
    assert_int_equal(contents->bucket_count, contents_written.bucket_count);
    assert_int_equal(contents->entry_count, contents_written.entry_count);
    assert_int_equal(contents->segment_count, SEGMENTS);
    assert_int_equal(contents->swept_generation, contents_written.swept_generation);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct checkpoint_segment segment;
        checkpoint_take_segment(bytes, i, &segment);
        assert_int_equal(segment.id, segments[i].id);
        assert_int_equal(segment.first_slot, segments[i].first_slot);
        assert_int_equal(segment.slot_count, segments[i].slot_count);
        assert_int_equal(segment.identity, segments[i].identity);
        assert_int_equal(segment.live_size, segments[i].live_size);
        assert_int_equal(segment.live_count, segments[i].live_count);
    }
}

static void what_is_encoded_is_decoded(void **state)
{
    (void)state;
    struct checkpoint_file file;
    struct checkpoint_contents contents;
    file_begin(&file);
    assert_int_equal(file_read(&file, &contents), STAVE_OK);
    expect_written(&contents, file.contents);
    file_end(&file);
}

/* C2. */
static void a_change_of_any_byte_is_refused_as_damage(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xFF};
    struct checkpoint_file file;
    struct checkpoint_contents contents;
    file_begin(&file);
    for (size_t at = 0; at < file.size; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            file.bytes[at] ^= changes[i];
            assert_int_equal(file_read(&file, &contents), STAVE_CORRUPT);
            file.bytes[at] ^= changes[i];
        }
    assert_int_equal(file_read(&file, &contents), STAVE_OK);
    file_end(&file);
}

static void zeroes_are_no_checkpoint(void **state)
{
    (void)state;
    static const uint8_t zeroes[CHECKPOINT_FOOTER_SIZE];
    struct checkpoint_footer footer;
    assert_int_equal(checkpoint_decode_prelude(zeroes), STAVE_CORRUPT);
    assert_int_equal(checkpoint_decode_footer(zeroes, 1 << 20, &footer), STAVE_CORRUPT);
}

static void footer_seal(uint8_t *footer)
{
    store_le64(footer + 56, hash_bytes(footer, 56, load_le64(footer + 16)));
}

static void a_newer_version_is_told_from_damage(void **state)
{
    (void)state;
    struct checkpoint_file file;
    struct checkpoint_footer footer;
    file_begin(&file);
    store_le32(file.footer + 8, CHECKPOINT_VERSION + 1);
    assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_CORRUPT);
    footer_seal(file.footer);
    assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_VERSION);
    store_le32(file.footer + 8, 0);
    footer_seal(file.footer);
    assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_CORRUPT);
    file_end(&file);
}

/* C1, C3: right checksums do not make a wrong layout right. */
static void a_sealed_footer_with_impossible_fields_is_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
        size_t size;
    } cases[] = {
        {12, 0, 4},          {12, UINT32_MAX, 4}, {24, 0, 8},          {24, UINT64_MAX, 8}, {40, 16, 8},
        {40, UINT64_MAX, 8}, {48, 0, 4},          {48, UINT32_MAX, 4}, {52, 1, 4},
    };
    struct checkpoint_file file;
    struct checkpoint_footer footer;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_begin(&file);
        if (cases[i].size == 8)
            store_le64(file.footer + cases[i].at, cases[i].value);
        else
            store_le32(file.footer + cases[i].at, (uint32_t)cases[i].value);
        footer_seal(file.footer);
        assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_CORRUPT);
        file_end(&file);
    }
}

static void a_file_of_another_size_is_refused(void **state)
{
    (void)state;
    struct checkpoint_file file;
    struct checkpoint_footer footer;
    file_begin(&file);
    assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_OK);
    for (uint64_t size = 0; size < file.size + 100; size++)
        if (size != file.size)
            assert_int_equal(checkpoint_decode_footer(file.footer, size, &footer), STAVE_CORRUPT);
    assert_int_equal(checkpoint_decode_footer(file.footer, UINT64_MAX, &footer), STAVE_CORRUPT);
    file_end(&file);
}

static void a_place_outside_the_blocks_is_refused(void **state)
{
    (void)state;
    static const struct checkpoint_block places[] = {
        {15, BLOCK_BYTES, 0},
        {0, BLOCK_BYTES, 0},
        {UINT64_MAX, BLOCK_BYTES, 0},
        {16, KEYDIR_BLOCK_BUCKETS - 1, 0},
        {16, UINT32_MAX, 0},
        {16, 0, 0},
        {16 + 1, BLOCKS * BLOCK_BYTES, 0},
    };
    struct checkpoint_file file;
    struct checkpoint_footer footer;
    struct checkpoint_block place;
    file_begin(&file);
    assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_OK);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        store_le64(file.directory, places[i].offset);
        store_le32(file.directory + 8, places[i].size);
        assert_int_equal(checkpoint_decode_block(file.directory, 0, &footer, &place), STAVE_CORRUPT);
    }
    assert_int_equal(checkpoint_decode_block(file.directory, 1, &footer, &place), STAVE_OK);
    assert_int_equal(checkpoint_decode_block(file.directory, BLOCKS, &footer, &place), STAVE_CORRUPT);
    file_end(&file);
}

/*
 * C3, for the contents: offset, value and width of a field; all are refused although the checksum is right.
 */
static void sealed_contents_with_impossible_fields_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        uint64_t value;
        size_t size;
    } cases[] = {
        {0, UINT64_MAX, 8},
        {8, 0, 8},
        {20, SEGMENTS - 1, 4},
        {20, UINT32_MAX, 4},
        {32, 0, 8},
        {32, 1 << 16, 8},
        {32, UINT64_MAX, 8},
        {48, STORE_ID + 1, 8},
        {60, 1, 4},
        {64, 0, 4},
        {68, CHECKPOINT_SLOT_COUNT_MAX, 4},
        {72, 0, 4},
        {72, UINT32_MAX, 4},
    };
    struct checkpoint_file file;
    struct checkpoint_footer footer;
    struct checkpoint_contents contents;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        file_begin(&file);
        assert_int_equal(checkpoint_decode_footer(file.footer, file.size, &footer), STAVE_OK);
        if (cases[i].size == 8)
            store_le64(file.contents + cases[i].at, cases[i].value);
        else
            store_le32(file.contents + cases[i].at, (uint32_t)cases[i].value);
        const size_t size = footer.contents_size - 8;
        store_le64(file.contents + size, hash_bytes(file.contents, size, STORE_ID ^ UINT64_C(1) << 40));
        assert_int_equal(checkpoint_decode_contents(file.contents, &footer, &contents), STAVE_CORRUPT);
        file_end(&file);
    }
}

/* C2: equal bytes in another place, or of another store, have another checksum. */
static void blocks_do_not_pass_for_each_other(void **state)
{
    (void)state;
    static const uint8_t bytes[BLOCK_BYTES];
    const uint32_t checksum = checkpoint_block_checksum(STORE_ID, 4, bytes, sizeof bytes);
    assert_int_not_equal(checksum, checkpoint_block_checksum(STORE_ID, 5, bytes, sizeof bytes));
    assert_int_not_equal(checksum, checkpoint_block_checksum(STORE_ID + 256, 4, bytes, sizeof bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_decoded),
        cmocka_unit_test(a_change_of_any_byte_is_refused_as_damage),
        cmocka_unit_test(zeroes_are_no_checkpoint),
        cmocka_unit_test(a_newer_version_is_told_from_damage),
        cmocka_unit_test(a_sealed_footer_with_impossible_fields_is_refused),
        cmocka_unit_test(a_file_of_another_size_is_refused),
        cmocka_unit_test(a_place_outside_the_blocks_is_refused),
        cmocka_unit_test(sealed_contents_with_impossible_fields_are_refused),
        cmocka_unit_test(blocks_do_not_pass_for_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
