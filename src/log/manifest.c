/* SPDX-License-Identifier: MIT */
/* The manifest in memory, as bytes, and in its file. */
#include "log/manifest.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"
#include "log/record.h"
#include "os/dir.h"
#include "os/file.h"

/* FORMAT.md, table 8: header of the manifest, little-endian. */
enum {
    MAGIC_AT = 0,             /* 00-07  "STAVEMAN" */
    VERSION_AT = 8,           /* 08-11 */
    FLAGS_AT = 12,            /* 12-15 */
    STORE_ID_AT = 16,         /* 16-23 */
    HASH_SEED_AT = 24,        /* 24-31 */
    INCARNATION_AT = 32,      /* 32-35 */
    NEXT_SEGMENT_ID_AT = 36,  /* 36-39 */
    NEXT_SLOT_AT = 40,        /* 40-43 */
    NEXT_GENERATION_AT = 44,  /* 44-47 */
    SWEPT_GENERATION_AT = 48, /* 48-51 */
    SPACE_COUNT_AT = 52,      /* 52-55 */
    SEGMENT_COUNT_AT = 56,    /* 56-59 */
    RESERVED_AT = 60,         /* 60-63  zero */
    FEED_FLOOR_AT = 64,       /* 64-71 */
    SIZE_AT = 72,             /* 72-79  of the whole file */
    HEADER_SIZE = 80,
    SPACE_SIZE = 16,    /* table 9 */
    SEGMENT_SIZE = 112, /* table 10 */
    CHECKSUM_SIZE = 8,  /* at the end, over all bytes before it */
};
static_assert(HEADER_SIZE == SIZE_AT + sizeof(uint64_t), "FORMAT.md, table 8");

enum {
    MANIFEST_SIZE_MIN = HEADER_SIZE + CHECKSUM_SIZE,
    MANIFEST_SIZE_MAX =
        MANIFEST_SIZE_MIN + MANIFEST_SPACE_MAX * SPACE_SIZE + MANIFEST_SEGMENT_MAX * SEGMENT_SIZE,
    SPARE_PAGE = 4096,
};

static const uint8_t magic[8] = {'S', 'T', 'A', 'V', 'E', 'M', 'A', 'N'};

/* ---- in memory ---- */

void manifest_free(struct manifest *manifest)
{
    memory_free(manifest->spaces);
    memory_free(manifest->segments);
    *manifest = MANIFEST_NONE;
}

/* Index of the first segment whose id is not below `id`. */
static size_t segment_index(const struct manifest *manifest, uint32_t id)
{
    size_t low = 0;
    size_t high = manifest->segment_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (manifest->segments[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t space_index(const struct manifest *manifest, uint32_t number)
{
    size_t index = 0;
    while (index < manifest->space_count && manifest->spaces[index].number < number) index++;
    return index;
}

struct manifest_segment *manifest_find_segment(const struct manifest *manifest, uint32_t id)
{
    const size_t index = segment_index(manifest, id);
    if (index == manifest->segment_count || manifest->segments[index].id != id) return NULL;
    return &manifest->segments[index];
}

struct manifest_space *manifest_find_space(const struct manifest *manifest, uint32_t number)
{
    const size_t index = space_index(manifest, number);
    if (index == manifest->space_count || manifest->spaces[index].number != number) return NULL;
    return &manifest->spaces[index];
}

/* Room for one item more; gives the array, moved or not, or NULL. */
static void *grow(void *items, size_t item_size, size_t count, size_t *capacity)
{
    if (count < *capacity) return items;
    const size_t wanted = *capacity < 8 ? 8 : *capacity * 2;
    void *moved = memory_realloc(items, wanted * item_size);
    if (moved != NULL) *capacity = wanted;
    return moved;
}

enum stave_status manifest_add_segment(struct manifest *manifest, const struct manifest_segment *segment)
{
    const size_t count = manifest->segment_count;
    const size_t index = segment_index(manifest, segment->id);
    assert(index == count || manifest->segments[index].id != segment->id);
    if (count == MANIFEST_SEGMENT_MAX) return STAVE_LIMIT;

    const struct manifest_segment added = *segment; /* may stand in the array that moves */
    struct manifest_segment *segments =
        grow(manifest->segments, sizeof(*segments), count, &manifest->segment_capacity);
    if (segments == NULL) return STAVE_NO_MEMORY;
    memmove(&segments[index + 1], &segments[index], (count - index) * sizeof(*segments));
    segments[index] = added;
    manifest->segments = segments;
    manifest->segment_count = count + 1;
    return STAVE_OK;
}

enum stave_status manifest_set_space(struct manifest *manifest, const struct manifest_space *space)
{
    struct manifest_space *known = manifest_find_space(manifest, space->number);
    if (known != NULL) {
        *known = *space;
        return STAVE_OK;
    }
    const size_t count = manifest->space_count;
    const size_t index = space_index(manifest, space->number);
    if (count == MANIFEST_SPACE_MAX || space->number >= MANIFEST_SPACE_MAX) return STAVE_LIMIT;

    const struct manifest_space added = *space;
    struct manifest_space *spaces = grow(manifest->spaces, sizeof(*spaces), count, &manifest->space_capacity);
    if (spaces == NULL) return STAVE_NO_MEMORY;
    memmove(&spaces[index + 1], &spaces[index], (count - index) * sizeof(*spaces));
    spaces[index] = added;
    manifest->spaces = spaces;
    manifest->space_count = count + 1;
    return STAVE_OK;
}

/* ---- checks ---- */

static const char *space_problem(const struct manifest *manifest, size_t index)
{
    const struct manifest_space *space = &manifest->spaces[index];
    if (space->number >= MANIFEST_SPACE_MAX) return "a space's number is out of range";
    if (index > 0 && space->number <= space[-1].number) return "the spaces are not in order";
    if (space->generation >= manifest->next_generation) return "a space's generation was never given out";
    return NULL;
}

static const char *segment_place_problem(const struct manifest *manifest, size_t index)
{
    const struct manifest_segment *segment = &manifest->segments[index];
    if (segment->id == 0 || segment->id >= manifest->next_segment_id)
        return "a segment's id was never given out";
    if (index > 0 && segment->id <= segment[-1].id) return "the segments are not in order"; /* M3 */
    if (segment->slot_count == 0 || segment->first_slot >= MANIFEST_SLOT_MAX)
        return "a segment's slots are out of range";
    if (segment->slot_count > MANIFEST_SLOT_MAX - segment->first_slot)
        return "a segment's slots are out of range";
    return NULL;
}

static const char *segment_kind_problem(const struct manifest *manifest,
                                        const struct manifest_segment *segment)
{
    if (segment->kind < SEGMENT_LOG || segment->kind > SEGMENT_LARGE) return "a segment's kind is unknown";
    if (segment->state > MANIFEST_SEGMENT_SEALED) return "a segment's state is unknown";
    if (segment->flags & ~MANIFEST_SEGMENT_FLAGS) return "a segment's flag is unknown";
    if (segment->flags != 0 && segment->state == MANIFEST_SEGMENT_OPEN) return "an open segment has a flag";
    if ((segment->kind == SEGMENT_LOG) != (segment->incarnation != 0))
        return "a segment's kind and incarnation disagree";
    if (segment->incarnation > manifest->incarnation) return "a segment's incarnation was never given out";
    return NULL;
}

static const char *segment_length_problem(const struct manifest_segment *segment)
{
    const uint64_t room = (uint64_t)segment->slot_count * MANIFEST_SLOT_SIZE;
    if (segment->state == MANIFEST_SEGMENT_OPEN)
        return segment->length == 0 ? NULL : "an open segment has a length";
    if (segment->length < SEGMENT_HEADER_SIZE) return "a sealed segment is shorter than its header";
    if (segment->length % RECORD_ALIGNMENT != 0) return "a sealed segment's length is not aligned";
    if (segment->length > room) return "a sealed segment is longer than its slots";
    if (segment->tombstone_bytes > segment->length) return "a segment has more tombstones than bytes";
    if (segment->expiring_bytes > segment->length) return "a segment has more expiring records than bytes";
    if (segment->record_count > segment->length / RECORD_HEADER_SIZE)
        return "a segment has more records than bytes";
    return NULL;
}

static const char *segment_expiry_problem(const struct manifest_segment *segment)
{
    if (segment->earliest_expiry_ms > segment->latest_expiry_ms)
        return "a segment's expiries are not in order";
    return NULL;
}

static const char *segment_problem(const struct manifest *manifest, size_t index)
{
    const struct manifest_segment *segment = &manifest->segments[index];
    const char *problem = segment_place_problem(manifest, index);
    if (problem == NULL) problem = segment_kind_problem(manifest, segment);
    if (problem == NULL) problem = segment_length_problem(segment);
    if (problem == NULL) problem = segment_expiry_problem(segment);
    return problem;
}

/* M2: NULL, or what contradicts itself. Slots are looked at apart, since that takes memory. */
static const char *manifest_problem(const struct manifest *manifest)
{
    const char *problem = NULL;
    if (manifest->flags & ~(uint32_t)MANIFEST_FLAGS) return "a flag is unknown";
    if (manifest->swept_generation > manifest->next_generation)
        return "the swept generation was never given out";
    if (manifest->next_slot > MANIFEST_SLOT_MAX) return "the next slot is out of range";
    for (size_t index = 0; problem == NULL && index < manifest->space_count; index++)
        problem = space_problem(manifest, index);
    for (size_t index = 0; problem == NULL && index < manifest->segment_count; index++)
        problem = segment_problem(manifest, index);
    return problem;
}

/* Takes the segment's slots in the bitmap; false if one was taken already (M3). */
static bool take_slots(uint8_t *taken, const struct manifest_segment *segment)
{
    for (uint32_t slot = segment->first_slot; slot < segment->first_slot + segment->slot_count; slot++) {
        const uint8_t bit = (uint8_t)(1u << (slot & 7));
        if (taken[slot >> 3] & bit) return false;
        taken[slot >> 3] |= bit;
    }
    return true;
}

static enum stave_status check_slots(const struct manifest *manifest, struct error *error)
{
    if (manifest->segment_count == 0) return STAVE_OK;
    uint8_t *taken = memory_alloc_zero(MANIFEST_SLOT_MAX / 8, 1);
    if (taken == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to read the manifest");

    bool fits = true;
    for (size_t index = 0; fits && index < manifest->segment_count; index++)
        fits = take_slots(taken, &manifest->segments[index]);
    memory_free(taken);
    if (fits) return STAVE_OK;
    return error_set(error, STAVE_CORRUPT, 0, "two segments own the same slot");
}

/* ---- encoding ---- */

static size_t size_of(size_t space_count, size_t segment_count)
{
    return MANIFEST_SIZE_MIN + space_count * SPACE_SIZE + segment_count * SEGMENT_SIZE;
}

size_t manifest_size(const struct manifest *manifest)
{
    return size_of(manifest->space_count, manifest->segment_count);
}

static void encode_header(const struct manifest *manifest, uint8_t *at)
{
    memcpy(at + MAGIC_AT, magic, sizeof(magic));
    store_le32(at + VERSION_AT, MANIFEST_VERSION);
    store_le32(at + FLAGS_AT, manifest->flags);
    store_le64(at + STORE_ID_AT, manifest->store_id);
    store_le64(at + HASH_SEED_AT, manifest->hash_seed);
    store_le32(at + INCARNATION_AT, manifest->incarnation);
    store_le32(at + NEXT_SEGMENT_ID_AT, manifest->next_segment_id);
    store_le32(at + NEXT_SLOT_AT, manifest->next_slot);
    store_le32(at + NEXT_GENERATION_AT, manifest->next_generation);
    store_le32(at + SWEPT_GENERATION_AT, manifest->swept_generation);
    store_le32(at + SPACE_COUNT_AT, (uint32_t)manifest->space_count);
    store_le32(at + SEGMENT_COUNT_AT, (uint32_t)manifest->segment_count);
    store_le32(at + RESERVED_AT, 0);
    store_le64(at + FEED_FLOOR_AT, manifest->feed_floor);
    store_le64(at + SIZE_AT, manifest_size(manifest));
}

static void decode_header(const uint8_t *at, struct manifest *ret_manifest)
{
    *ret_manifest = (struct manifest){
        .flags = load_le32(at + FLAGS_AT),
        .store_id = load_le64(at + STORE_ID_AT),
        .hash_seed = load_le64(at + HASH_SEED_AT),
        .incarnation = load_le32(at + INCARNATION_AT),
        .next_segment_id = load_le32(at + NEXT_SEGMENT_ID_AT),
        .next_slot = load_le32(at + NEXT_SLOT_AT),
        .next_generation = load_le32(at + NEXT_GENERATION_AT),
        .swept_generation = load_le32(at + SWEPT_GENERATION_AT),
        .feed_floor = load_le64(at + FEED_FLOOR_AT),
    };
}

static void encode_space(const struct manifest_space *space, uint8_t *at)
{
    store_le32(at, space->number);
    store_le32(at + 4, space->generation);
    store_le64(at + 8, space->count);
}

static void decode_space(const uint8_t *at, struct manifest_space *ret_space)
{
    ret_space->number = load_le32(at);
    ret_space->generation = load_le32(at + 4);
    ret_space->count = load_le64(at + 8);
}

static void encode_segment(const struct manifest_segment *segment, uint8_t *at)
{
    store_le32(at, segment->id);
    store_le32(at + 4,
               (uint32_t)segment->kind | (uint32_t)segment->state << 8 | (uint32_t)segment->flags << 16);
    store_le32(at + 8, segment->first_slot);
    store_le32(at + 12, segment->slot_count);
    store_le32(at + 16, segment->incarnation);
    store_le32(at + 20, 0);
    store_le64(at + 24, segment->identity);
    store_le64(at + 32, segment->length);
    store_le64(at + 40, segment->horizon);
    store_le64(at + 48, segment->last_sequence);
    store_le64(at + 56, segment->spaces_mask);
    store_le64(at + 64, segment->record_count);
    store_le64(at + 72, segment->tombstone_bytes);
    store_le64(at + 80, segment->expiring_bytes);
    store_le64(at + 88, segment->earliest_expiry_ms);
    store_le64(at + 96, segment->latest_expiry_ms);
    store_le64(at + 104, segment->created_at_ms);
}

static void decode_segment(const uint8_t *at, struct manifest_segment *ret_segment)
{
    *ret_segment = (struct manifest_segment){
        .id = load_le32(at),
        .kind = at[4],
        .state = at[5],
        .flags = at[6],
        .first_slot = load_le32(at + 8),
        .slot_count = load_le32(at + 12),
        .incarnation = load_le32(at + 16),
        .identity = load_le64(at + 24),
        .length = load_le64(at + 32),
        .horizon = load_le64(at + 40),
        .last_sequence = load_le64(at + 48),
        .spaces_mask = load_le64(at + 56),
        .record_count = load_le64(at + 64),
        .tombstone_bytes = load_le64(at + 72),
        .expiring_bytes = load_le64(at + 80),
        .earliest_expiry_ms = load_le64(at + 88),
        .latest_expiry_ms = load_le64(at + 96),
        .created_at_ms = load_le64(at + 104),
    };
}

void manifest_encode(const struct manifest *manifest, uint8_t *at)
{
    assert(manifest_problem(manifest) == NULL); /* M2 */
    const size_t size = manifest_size(manifest);
    encode_header(manifest, at);
    uint8_t *to = at + HEADER_SIZE;
    for (size_t index = 0; index < manifest->space_count; index++, to += SPACE_SIZE)
        encode_space(&manifest->spaces[index], to);
    for (size_t index = 0; index < manifest->segment_count; index++, to += SEGMENT_SIZE)
        encode_segment(&manifest->segments[index], to);
    store_le64(to, hash_bytes(at, size - CHECKSUM_SIZE, 0));
}

static enum stave_status refuse(struct error *error, const char *problem)
{
    return error_set(error, STAVE_CORRUPT, 0, "%s", problem);
}

/* What is to be known before the fields mean anything: magic, checksum, version, counts. */
static enum stave_status check_frame(const uint8_t *bytes, size_t size, struct error *error)
{
    if (size < sizeof(magic) || memcmp(bytes, magic, sizeof(magic)) != 0)
        return error_set(error, STAVE_NOT_A_STORE, 0, "is not a manifest of Stave");
    if (size < MANIFEST_SIZE_MIN) return refuse(error, "is shorter than its header");
    if (load_le64(bytes + size - CHECKSUM_SIZE) != hash_bytes(bytes, size - CHECKSUM_SIZE, 0))
        return error_set(error, STAVE_CORRUPT, 0, "does not match its checksum at offset %zu",
                         size - CHECKSUM_SIZE);
    if (load_le32(bytes + VERSION_AT) > MANIFEST_VERSION)
        return error_set(error, STAVE_VERSION, 0, "was written by a newer version of Stave");
    if (load_le32(bytes + VERSION_AT) != MANIFEST_VERSION) return refuse(error, "has an unknown version");
    if (load_le32(bytes + RESERVED_AT) != 0) return refuse(error, "a reserved field is not zero");

    const uint32_t space_count = load_le32(bytes + SPACE_COUNT_AT);
    const uint32_t segment_count = load_le32(bytes + SEGMENT_COUNT_AT);
    if (space_count > MANIFEST_SPACE_MAX) return refuse(error, "lists too many spaces");
    if (segment_count > MANIFEST_SEGMENT_MAX) return refuse(error, "lists too many segments");
    if (load_le64(bytes + SIZE_AT) != size) return refuse(error, "does not have the size it states");
    if (size_of(space_count, segment_count) != size)
        return refuse(error, "does not have the size of its lists");
    return STAVE_OK;
}

static bool segments_reserved_zero(const uint8_t *at, size_t count)
{
    for (size_t index = 0; index < count; index++, at += SEGMENT_SIZE)
        if (at[7] != 0 || load_le32(at + 20) != 0) return false;
    return true;
}

static enum stave_status decode_lists(const uint8_t *bytes, struct manifest *manifest, struct error *error)
{
    const size_t space_count = load_le32(bytes + SPACE_COUNT_AT);
    const size_t segment_count = load_le32(bytes + SEGMENT_COUNT_AT);
    const uint8_t *spaces = bytes + HEADER_SIZE;
    const uint8_t *segments = spaces + space_count * SPACE_SIZE;

    manifest->spaces = memory_alloc_zero(space_count, sizeof(*manifest->spaces));
    manifest->segments = memory_alloc_zero(segment_count, sizeof(*manifest->segments));
    if (manifest->spaces == NULL || manifest->segments == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory to read the manifest");
    manifest->space_count = manifest->space_capacity = space_count;
    manifest->segment_count = manifest->segment_capacity = segment_count;

    for (size_t index = 0; index < space_count; index++)
        decode_space(spaces + index * SPACE_SIZE, &manifest->spaces[index]);
    for (size_t index = 0; index < segment_count; index++)
        decode_segment(segments + index * SEGMENT_SIZE, &manifest->segments[index]);
    if (!segments_reserved_zero(segments, segment_count))
        return refuse(error, "a reserved field is not zero");
    return STAVE_OK;
}

enum stave_status manifest_decode(const uint8_t *bytes, size_t size, struct manifest *ret_manifest,
                                  struct error *error)
{
    enum stave_status status = check_frame(bytes, size, error);
    if (status != STAVE_OK) return status;

    struct manifest manifest;
    decode_header(bytes, &manifest);
    status = decode_lists(bytes, &manifest, error);
    const char *problem = status == STAVE_OK ? manifest_problem(&manifest) : NULL;
    if (problem != NULL) status = refuse(error, problem);
    if (status == STAVE_OK) status = check_slots(&manifest, error);
    if (status != STAVE_OK) {
        manifest_free(&manifest);
        return status;
    }
    *ret_manifest = manifest;
    return STAVE_OK;
}

/* ---- the file ---- */

enum stave_status manifest_read(const struct dir *dir, struct manifest *ret_manifest, struct error *error)
{
    struct file file = FILE_NONE;
    struct error problem = ERROR_NONE;
    uint8_t *bytes = NULL;
    uint64_t size = 0;

    enum stave_status status = file_open(dir, MANIFEST_FILE_NAME, false, &file, error);
    if (status != STAVE_OK) goto done;
    status = file_size(&file, &size, error);
    if (status != STAVE_OK) goto done;
    if (size > MANIFEST_SIZE_MAX) {
        status = file_error(&file, error, STAVE_CORRUPT, 0, "is larger than a manifest can be");
        goto done;
    }
    bytes = memory_alloc((size_t)size);
    if (bytes == NULL) {
        status = error_set(error, STAVE_NO_MEMORY, 0, "no memory to read the manifest");
        goto done;
    }
    status = file_read_at(&file, bytes, (size_t)size, 0, error);
    if (status != STAVE_OK) goto done;
    status = manifest_decode(bytes, (size_t)size, ret_manifest, &problem);
    if (status != STAVE_OK) status = file_error(&file, error, status, 0, "%s", problem.message);

done:
    memory_free(bytes);
    (void)file_close(&file, NULL); /* only read */
    return status;
}

/* The file to write the next manifest to, and its name: the spare if there is one (M4). */
static enum stave_status open_next(const struct dir *dir, struct file *ret_file, const char **ret_name,
                                   struct error *error)
{
    *ret_name = MANIFEST_SPARE_FILE_NAME;
    const enum stave_status status = file_open(dir, MANIFEST_SPARE_FILE_NAME, true, ret_file, error);
    if (status == STAVE_OK) return STAVE_OK;
    *ret_name = MANIFEST_TEMP_FILE_NAME;
    return file_create_over(dir, MANIFEST_TEMP_FILE_NAME, ret_file, error);
}

static enum stave_status write_file(struct file *file, const uint8_t *bytes, size_t size, struct error *error)
{
    enum stave_status status = file_write_at(file, bytes, size, 0, error);
    if (status == STAVE_OK) status = file_truncate(file, size, error);
    if (status == STAVE_OK) status = file_sync(file, error);
    const enum stave_status close_status = file_close(file, status == STAVE_OK ? error : NULL);
    return status == STAVE_OK ? close_status : status;
}

/* M1 */
static enum stave_status replace(const struct dir *dir, const uint8_t *bytes, size_t size,
                                 struct error *error)
{
    struct file file = FILE_NONE;
    const char *name = NULL;

    enum stave_status status = open_next(dir, &file, &name, error);
    if (status != STAVE_OK) return status;
    status = write_file(&file, bytes, size, error);
    if (status == STAVE_OK) status = dir_rename(dir, name, MANIFEST_FILE_NAME, error);
    if (status != STAVE_OK) {
        if (strcmp(name, MANIFEST_TEMP_FILE_NAME) == 0) (void)dir_unlink(dir, name, NULL);
        return status;
    }
    if (dir_sync(dir, error) == STAVE_OK) return STAVE_OK;
    if (error != NULL) error->status = STAVE_FAILED;
    return STAVE_FAILED;
}

enum stave_status manifest_write(const struct dir *dir, const struct manifest *manifest, struct error *error)
{
    const size_t size = manifest_size(manifest);
    uint8_t *bytes = memory_alloc(size);
    if (bytes == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to write the manifest");

    manifest_encode(manifest, bytes);
    const enum stave_status status = replace(dir, bytes, size, error);
    memory_free(bytes);
    if (status != STAVE_OK) return status;
    (void)manifest_ensure_spare(dir, manifest, NULL);
    return STAVE_OK;
}

enum stave_status manifest_ensure_spare(const struct dir *dir, const struct manifest *manifest,
                                        struct error *error)
{
    const uint64_t size = manifest_size(manifest);
    const uint64_t wanted = align_up(size + size / 4 + SPARE_PAGE, SPARE_PAGE);
    struct file file = FILE_NONE;
    uint64_t has = 0;

    enum stave_status status = file_open(dir, MANIFEST_SPARE_FILE_NAME, true, &file, error);
    if (status == STAVE_NOT_FOUND) status = file_create_over(dir, MANIFEST_SPARE_FILE_NAME, &file, error);
    if (status != STAVE_OK) goto done;
    status = file_disk_size(&file, &has, error);
    if (status != STAVE_OK) goto done;
    if (has < wanted) status = file_allocate(&file, 0, wanted, error);
    if (status == STAVE_FULL) { /* on a full disk what the next one needs, and a few segments more */
        const uint64_t least = align_up(size + SPARE_PAGE, SPARE_PAGE);
        status = has >= least ? STAVE_OK : file_allocate(&file, 0, least, error);
    }

done:
    (void)file_close(&file, NULL); /* holds nothing yet */
    return status;
}
