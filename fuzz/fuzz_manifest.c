/* SPDX-License-Identifier: MIT */
/* The manifest: what is decoded is encoded to the same bytes; nothing else is accepted (M2). */
#include "fuzz/fuzz.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "log/manifest.h"

enum { SIZE_AT = 72, HEADER_SIZE = 80 };

/* The size field and the checksum fit. */
static void mend(uint8_t *bytes, size_t size)
{
    store_le64(bytes + SIZE_AT, size);
    store_le64(bytes + size - 8, hash_bytes(bytes, size - 8, 0));
}

static void decode(const uint8_t *bytes, size_t size)
{
    struct manifest manifest = MANIFEST_NONE;
    struct error error = ERROR_NONE;
    const enum stave_status status = manifest_decode(bytes, size, &manifest, &error);
    if (status != STAVE_OK) {
        fuzz_expect(status < 0 && error.status == status && error.message[0] != 0, "a refusal says why");
        return;
    }
    fuzz_expect(manifest_size(&manifest) == size, "the size is that of what was decoded");
    uint8_t *again = malloc(size);
    fuzz_expect(again != NULL, "there is memory");
    manifest_encode(&manifest, again);
    fuzz_expect(memcmp(again, bytes, size) == 0, "what was decoded is encoded to the same bytes");
    free(again);
    manifest_free(&manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    if (size < HEADER_SIZE + 8) return 0;
    uint8_t *bytes = malloc(size);
    fuzz_expect(bytes != NULL, "there is memory");
    memcpy(bytes, data, size);
    mend(bytes, size);
    decode(bytes, size);
    free(bytes);
    return 0;
}

static struct manifest_segment segment_of(uint32_t id)
{
    struct manifest_segment segment = {
        .id = id,
        .kind = (uint8_t)(id == 2   ? SEGMENT_OUTPUT
                          : id == 3 ? SEGMENT_LARGE
                                    : SEGMENT_LOG),
        .state = id == 4 ? MANIFEST_SEGMENT_OPEN : MANIFEST_SEGMENT_SEALED,
        .first_slot = id * 4,
        .slot_count = 2,
        .identity = id * UINT64_C(0x1234567812345),
    };
    if (segment.kind == SEGMENT_LOG) segment.incarnation = id;
    if (segment.state == MANIFEST_SEGMENT_OPEN) return segment;
    segment.length = 4096;
    segment.horizon = segment.kind == SEGMENT_LOG ? (uint64_t)id << 32 : (UINT64_C(1) << 32) + 7;
    segment.last_sequence = segment.kind == SEGMENT_LOG ? ((uint64_t)id << 32) + 9 : (UINT64_C(1) << 32) + 7;
    segment.record_count = 3;
    segment.created_at_ms = 1700000000000;
    return segment;
}

size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    if (number > 5) return 0;
    struct manifest manifest = {
        .incarnation = 4,
        .store_id = 77,
        .hash_seed = 99,
        .next_segment_id = 9,
        .next_slot = 40,
        .next_generation = 2000,
        .swept_generation = 1024,
        .feed_floor = UINT64_C(1) << 32,
        .flags = number % 2 == 0 ? 0 : MANIFEST_SNAPSHOT,
    };
    for (uint32_t id = 1; id < number; id++) {
        const struct manifest_segment segment = segment_of(id);
        fuzz_expect(manifest_add_segment(&manifest, &segment) == STAVE_OK, "a segment is added");
        const struct manifest_space space = {id * 3, 1500 + id, id};
        fuzz_expect(manifest_set_space(&manifest, &space) == STAVE_OK, "a space is added");
    }
    const size_t size = manifest_size(&manifest);
    manifest_encode(&manifest, ret_bytes);
    manifest_free(&manifest);
    return size;
}
