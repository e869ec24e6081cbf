/* SPDX-License-Identifier: MIT */
/*
 * The checkpoint's parts, read from the back as the store does; what is decoded is encoded to the same
 * bytes (C3).
 *
 * An input is a whole file.
 */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "index/checkpoint.h"

#define SEED_DIRECTORY (UINT64_C(2) << 40)
#define SEED_CONTENTS (UINT64_C(1) << 40)

enum {
    FOOTER_STORE_ID_AT = 16,
    FOOTER_DIRECTORY_CHECKSUM_AT = 32,
    FOOTER_CHECKSUM_AT = 56,
    CONTENTS_STORE_ID_AT = 48,
    BLOCK_SIZE = 1024,
};

static void read_contents(const uint8_t *bytes, const struct checkpoint_footer *footer)
{
    struct checkpoint_contents contents;
    const uint8_t *at = bytes + footer->contents_offset;
    if (checkpoint_decode_contents(at, footer, &contents) != STAVE_OK) return;
    fuzz_expect(checkpoint_contents_size(contents.segment_count) == footer->contents_size,
                "the contents' size");
    struct checkpoint_segment *segments = calloc(contents.segment_count + 1, sizeof(*segments));
    uint8_t *again = malloc(footer->contents_size);
    fuzz_expect(segments != NULL && again != NULL, "there is memory");
    for (uint32_t i = 0; i < contents.segment_count; i++) checkpoint_take_segment(at, i, &segments[i]);
    checkpoint_encode_contents(again, footer->store_id, &contents, segments);
    fuzz_expect(memcmp(again, at, footer->contents_size) == 0, "contents are encoded to the same bytes");
    free(segments);
    free(again);
}

static void read_blocks(const uint8_t *bytes, const struct checkpoint_footer *footer)
{
    const uint8_t *directory = bytes + footer->directory_offset;
    for (uint32_t block = 0; block < footer->block_count; block++) {
        struct checkpoint_block place;
        if (checkpoint_decode_block(directory, block, footer, &place) != STAVE_OK) continue;
        fuzz_expect(place.offset + place.size <= footer->directory_offset,
                    "a block ends before the directory");
        (void)checkpoint_block_checksum(footer->store_id, block, bytes + place.offset, place.size);
    }
}

static void read_file(const uint8_t *bytes, size_t size)
{
    struct checkpoint_footer footer;
    if (checkpoint_decode_prelude(bytes) != STAVE_OK) return;
    const uint8_t *at = bytes + size - CHECKPOINT_FOOTER_SIZE;
    if (checkpoint_decode_footer(at, size, &footer) != STAVE_OK) return;
    uint8_t again[CHECKPOINT_FOOTER_SIZE];
    checkpoint_encode_footer(again, &footer);
    fuzz_expect(memcmp(again, at, sizeof(again)) == 0, "a footer is encoded to the same bytes");
    if (checkpoint_check_directory(bytes + footer.directory_offset, &footer) != STAVE_OK) return;
    read_contents(bytes, &footer);
    read_blocks(bytes, &footer);
}

/* All checksums fit, as far as the footer leads to what they stand for. */
static void mend(uint8_t *bytes, size_t size)
{
    uint8_t *footer_at = bytes + size - CHECKPOINT_FOOTER_SIZE;
    const uint64_t store_id = load_le64(footer_at + FOOTER_STORE_ID_AT);
    struct checkpoint_footer footer;
    checkpoint_encode_prelude(bytes);
    store_le64(footer_at + FOOTER_CHECKSUM_AT, hash_bytes(footer_at, FOOTER_CHECKSUM_AT, store_id));
    if (checkpoint_decode_footer(footer_at, size, &footer) != STAVE_OK) return;
    uint8_t *contents = bytes + footer.contents_offset;
    const size_t sum_at = footer.contents_size - 8;
    store_le64(contents + CONTENTS_STORE_ID_AT, store_id);
    store_le64(contents + sum_at, hash_bytes(contents, sum_at, store_id ^ SEED_CONTENTS));
    footer.directory_checksum =
        checkpoint_directory_checksum(store_id, bytes + footer.directory_offset, footer.block_count);
    checkpoint_encode_footer(footer_at, &footer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHECKPOINT_PRELUDE_SIZE + CHECKPOINT_FOOTER_SIZE) return 0;
    read_file(data, size);
    uint8_t *bytes = malloc(size);
    fuzz_expect(bytes != NULL, "there is memory");
    memcpy(bytes, data, size);
    mend(bytes, size);
    read_file(bytes, size);
    free(bytes);
    return 0;
}

size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    if (number > 2) return 0;
    enum { BUCKET_COUNT = 1 << 16, BLOCK_COUNT = BUCKET_COUNT / 1024 };
    const uint64_t store_id = 4711 + number;
    const struct checkpoint_contents contents = {
        .sequence = (UINT64_C(3) << 32) + 5,
        .sequence_last = (UINT64_C(3) << 32) + 9,
        .segment_id = 3,
        .segment_offset = 64,
        .bucket_count = BUCKET_COUNT,
        .entry_count = 0,
        .segment_count = number,
    };
    const struct checkpoint_segment segments[] = {{1, 4, 2, 55, 640, 10}, {2, 9, 1, 56, 64, 1}};
    /* All blocks lie in the same place: they are empty. */
    uint8_t *block = ret_bytes + CHECKPOINT_PRELUDE_SIZE;
    uint8_t *directory = block + BLOCK_SIZE;
    uint8_t *contents_at = directory + checkpoint_directory_size(BLOCK_COUNT);
    const size_t contents_size = checkpoint_contents_size(number);
    memset(ret_bytes, 0, FUZZ_SEED_SIZE);
    checkpoint_encode_prelude(ret_bytes);
    for (uint32_t i = 0; i < BLOCK_COUNT; i++) {
        const struct checkpoint_block place = {CHECKPOINT_PRELUDE_SIZE, BLOCK_SIZE,
                                               checkpoint_block_checksum(store_id, i, block, BLOCK_SIZE)};
        checkpoint_encode_block(directory, i, &place);
    }
    checkpoint_encode_contents(contents_at, store_id, &contents, segments);
    const struct checkpoint_footer footer = {
        .store_id = store_id,
        .block_count = BLOCK_COUNT,
        .directory_offset = (uint64_t)(directory - ret_bytes),
        .directory_checksum = checkpoint_directory_checksum(store_id, directory, BLOCK_COUNT),
        .contents_offset = (uint64_t)(contents_at - ret_bytes),
        .contents_size = (uint32_t)contents_size,
    };
    checkpoint_encode_footer(contents_at + contents_size, &footer);
    return (size_t)(contents_at - ret_bytes) + contents_size + CHECKPOINT_FOOTER_SIZE;
}
