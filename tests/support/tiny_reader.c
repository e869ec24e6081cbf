/* SPDX-License-Identifier: MIT */
/* The tiny reader. The numbers in comments are sections and tables of docs/FORMAT.md. */
#include "support/tiny_reader.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <xxhash.h>
#pragma GCC diagnostic pop

enum { LOG = 1, OUTPUT = 2, LARGE = 3 };
enum { PUT = 1, TOMBSTONE = 2, BATCH = 3, MARK = 4, LINK = 5, SPACES = 6 };
enum { HAS_EXPIRY = 1, HAS_SUPERSEDED = 2, INSERT = 4, IN_BATCH = 8 };
enum { SPACE_COUNT = 1024, FILE_MAX = 64 + 32768 };

struct bytes {
    uint8_t *data;
    uint64_t size;
};

struct listed { /* table 10 */
    uint32_t id, kind, state, incarnation;
    uint64_t identity, length, last_sequence;
};

struct found { /* a record with a key */
    uint64_t sequence, expiry;
    uint32_t generation, kind;
    const uint8_t *key, *value;
    uint32_t key_size, value_size;
};

struct header { /* table 3 */
    struct found record;
    uint64_t key_hash, size;
    uint32_t payload_checksum, flags;
};

struct file {
    struct bytes bytes;
    uint64_t identity, end;
    uint32_t id, incarnation;
};

struct reader {
    const char *directory;
    char *problem;
    struct bytes files[FILE_MAX]; /* kept until the end: keys and values point into them */
    size_t file_count;
    struct listed *segments;
    uint32_t segment_count;
    uint64_t hash_seed;
    uint32_t generations[SPACE_COUNT];
    struct found *found;
    size_t found_count, found_capacity;
};

static uint64_t number(const uint8_t *at, int size)
{
    uint64_t value = 0;
    for (int index = size - 1; index >= 0; index--) value = value << 8 | at[index];
    return value;
}

static uint32_t number4(const uint8_t *at)
{
    return (uint32_t)number(at, 4);
}

static bool zeroes(const uint8_t *at, uint64_t size)
{
    for (uint64_t index = 0; index < size; index++)
        if (at[index] != 0) return false;
    return true;
}

static bool fail(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *reader, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reader->problem, TINY_READER_PROBLEM_SIZE, format, arguments);
    va_end(arguments);
    return false;
}

static bool load(struct reader *reader, const char *name, struct bytes *ret_bytes)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", reader->directory, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return fail(reader, "%s is missing", name);
    (void)fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    struct bytes bytes = {.data = malloc((size_t)size + 64), .size = (uint64_t)size};
    rewind(file);
    const bool done = bytes.data != NULL && reader->file_count < FILE_MAX &&
                      fread(bytes.data, 1, (size_t)size, file) == (size_t)size;
    (void)fclose(file);
    if (!done) {
        free(bytes.data);
        return fail(reader, "%s cannot be read", name);
    }
    reader->files[reader->file_count++] = bytes;
    *ret_bytes = bytes;
    return true;
}

/* Section 6, tables 8 to 10. */
static bool read_manifest(struct reader *reader)
{
    struct bytes bytes;
    if (!load(reader, "MANIFEST", &bytes)) return false;
    const uint8_t *at = bytes.data;
    if (bytes.size < 88 || memcmp(at, "STAVEMAN", 8) != 0) return fail(reader, "MANIFEST is not one");
    if (number(at + bytes.size - 8, 8) != XXH3_64bits_withSeed(at, bytes.size - 8, 0))
        return fail(reader, "MANIFEST does not match its checksum");
    if (number4(at + 8) != 1) return fail(reader, "MANIFEST is of another version");
    const uint32_t space_count = number4(at + 52);
    reader->segment_count = number4(at + 56);
    reader->hash_seed = number(at + 24, 8);
    if (number(at + 72, 8) != bytes.size || space_count > SPACE_COUNT || reader->segment_count > 32768 ||
        bytes.size != 88 + 16 * (uint64_t)space_count + 112 * (uint64_t)reader->segment_count)
        return fail(reader, "MANIFEST has another size than it should");

    for (uint32_t index = 0; index < SPACE_COUNT; index++) reader->generations[index] = index; /* 6.2 */
    at += 80;
    for (uint32_t index = 0; index < space_count; index++, at += 16) {
        if (number4(at) >= SPACE_COUNT) return fail(reader, "MANIFEST: a space is out of range");
        reader->generations[number4(at)] = number4(at + 4);
    }
    reader->segments = calloc((size_t)reader->segment_count + 1, sizeof(*reader->segments));
    if (reader->segments == NULL) return fail(reader, "no memory");
    for (uint32_t index = 0; index < reader->segment_count; index++, at += 112)
        reader->segments[index] = (struct listed){.id = number4(at),
                                                  .kind = at[4],
                                                  .state = at[5],
                                                  .incarnation = number4(at + 16),
                                                  .identity = number(at + 24, 8),
                                                  .length = number(at + 32, 8),
                                                  .last_sequence = number(at + 48, 8)};
    return true;
}

/* Section 2. A header never written leaves *ret_file without records: end 0. */
static bool open_segment(struct reader *reader, uint32_t id, uint64_t identity, uint64_t length,
                         struct file *ret_file)
{
    char name[24];
    struct bytes bytes;
    (void)snprintf(name, sizeof(name), "%010" PRIu32 ".seg", id);
    if (!load(reader, name, &bytes)) return false;
    *ret_file = (struct file){.bytes = bytes, .identity = identity, .id = id, .end = 0};
    if (length == 0 && zeroes(bytes.data, bytes.size < 64 ? bytes.size : 64)) return true;
    const uint8_t *at = bytes.data;
    if (bytes.size < 64 || bytes.size < length) return fail(reader, "%s is too short", name);
    if (memcmp(at, "STAVESEG", 8) != 0 || number4(at + 60) != (uint32_t)XXH3_64bits_withSeed(at, 60, 0))
        return fail(reader, "%s: the header is damaged", name);
    if (number4(at + 8) != 1 || number4(at + 16) != id || number(at + 32, 8) != identity)
        return fail(reader, "%s is another segment", name);
    ret_file->incarnation = number4(at + 20);
    ret_file->end = length != 0 ? length : bytes.size;
    return true;
}

/* Table 3a: the size of the value, if the kind decides it. */
static bool kind_allows(const struct header *header)
{
    const uint32_t size = header->record.value_size;
    switch (header->record.kind) {
    case PUT: return true;
    case TOMBSTONE: return size == 0 && (header->flags & (HAS_EXPIRY | INSERT)) == 0;
    case LINK: return size == 24;
    case SPACES: return size == 16 && header->record.key_size == 0 && (header->flags | IN_BATCH) == IN_BATCH;
    case BATCH:
    case MARK: return size == 16 && header->record.key_size == 0 && header->flags == 0;
    default: return false;
    }
}

/* Section 3: a valid record with a good payload. */
static bool valid_record(const struct reader *reader, const struct file *file, uint64_t offset,
                         struct header *ret_header)
{
    const uint8_t *at = file->bytes.data + offset;
    if (offset > file->end || file->end - offset < 40) return false;
    const uint32_t flags = at[37];
    const uint64_t size = 40 + 8 * (uint64_t)(flags & 1) + 8 * (uint64_t)(flags >> 1 & 1);
    if (file->end - offset < size || flags > 15 || number(at + 38, 2) != 0) return false;
    if (number4(at) != (uint32_t)XXH3_64bits_withSeed(at + 4, size - 4, file->identity ^ offset))
        return false;

    struct header header = {.record = {.sequence = number(at + 8, 8),
                                       .generation = number4(at + 32),
                                       .kind = at[36],
                                       .key_size = number4(at + 24),
                                       .value_size = number4(at + 28),
                                       .expiry = flags & HAS_EXPIRY ? number(at + 40, 8) : UINT64_MAX},
                            .key_hash = number(at + 16, 8),
                            .payload_checksum = number4(at + 4),
                            .flags = flags};
    struct found *record = &header.record;
    header.size = (size + record->key_size + record->value_size + 15) / 16 * 16;
    if (!kind_allows(&header) || record->key_size > 1u << 30 || record->value_size > 1u << 30) return false;
    if (header.size > file->end - offset) return false;
    record->key = at + size;
    record->value = record->key + record->key_size;

    const uint64_t seed = reader->hash_seed ^ record->generation * UINT64_C(0x9E3779B97F4A7C15);
    const bool has_key = record->kind == PUT || record->kind == TOMBSTONE || record->kind == LINK;
    const uint64_t hash = has_key ? XXH3_64bits_withSeed(record->key, record->key_size, seed) : 0;
    if (hash != header.key_hash) return false;
    if ((uint32_t)XXH3_64bits_withSeed(record->value, record->value_size, hash) != header.payload_checksum)
        return false;
    *ret_header = header;
    return true;
}

static bool keep(struct reader *reader, const struct found *record)
{
    if (reader->found_count == reader->found_capacity) {
        const size_t capacity = reader->found_capacity * 2 + 64;
        struct found *moved = realloc(reader->found, capacity * sizeof(*moved));
        if (moved == NULL) return fail(reader, "no memory");
        reader->found = moved;
        reader->found_capacity = capacity;
    }
    reader->found[reader->found_count++] = *record;
    return true;
}

static bool damage(struct reader *reader, const struct file *file, uint64_t offset)
{
    return fail(reader, "%010" PRIu32 ".seg: damage at offset %" PRIu64, file->id, offset);
}

/* Section 9, step 2. */
static bool read_sealed(struct reader *reader, const struct listed *listed)
{
    struct file file;
    struct header header;
    if (!open_segment(reader, listed->id, listed->identity, listed->length, &file)) return false;
    for (uint64_t offset = 64; offset < file.end; offset += header.size) {
        if (!valid_record(reader, &file, offset, &header)) return damage(reader, &file, offset);
        if (header.record.kind != PUT && header.record.kind != TOMBSTONE) continue;
        if (!keep(reader, &header.record)) return false;
    }
    return true;
}

/* Section 4.3: the record that a LINK in an open segment publishes. */
static bool follow_link(struct reader *reader, const struct header *link)
{
    struct file file;
    struct header header;
    const uint8_t *at = link->record.value;
    if (!open_segment(reader, number4(at), number(at + 8, 8), 0, &file)) return false;
    if (!valid_record(reader, &file, 64, &header) || header.record.kind != PUT ||
        header.record.sequence != link->record.sequence || header.record.value_size != number4(at + 4) ||
        header.payload_checksum != number4(at + 16) || header.key_hash != link->key_hash)
        return damage(reader, &file, 64);
    return keep(reader, &header.record);
}

/* Section 4.4. */
static bool apply_spaces(struct reader *reader, const uint8_t *at)
{
    const uint32_t a = number4(at + 4), b = number4(at + 8);
    if (a >= SPACE_COUNT || (number4(at) == 2 && b >= SPACE_COUNT))
        return fail(reader, "a SPACES record is out of range");
    const uint32_t generation = reader->generations[a];
    if (number4(at) == 1 && b != generation) return fail(reader, "a drop names another generation");
    if (number4(at) == 1) reader->generations[a] = number4(at + 12);
    if (number4(at) == 2) {
        reader->generations[a] = reader->generations[b];
        reader->generations[b] = generation;
    }
    return true;
}

static bool apply(struct reader *reader, const struct header *header)
{
    switch (header->record.kind) {
    case PUT:
    case TOMBSTONE: return keep(reader, &header->record);
    case LINK: return follow_link(reader, header);
    case SPACES: return apply_spaces(reader, header->record.value);
    default: return true;
    }
}

/* Section 4.1: whether the batch at `offset` is whole. */
static bool batch_is_whole(const struct reader *reader, const struct file *file, uint64_t offset,
                           const struct header *batch)
{
    struct header header;
    const uint64_t size = number(batch->record.value + 8, 8);
    uint64_t at = offset + batch->size;
    const uint64_t end = at + size;
    if (size > file->end - at) return false;
    for (uint32_t left = number4(batch->record.value); left > 0; left--, at += header.size) {
        if (at >= end || !valid_record(reader, file, at, &header)) return false;
        if (!(header.flags & IN_BATCH) || header.size > end - at) return false;
    }
    return at == end;
}

/* Section 9, step 4: the highest durable end of the marks from `offset` on; 0 if there is none. */
static uint64_t marked_end(const struct reader *reader, const struct file *file, uint64_t offset)
{
    uint64_t best = 0;
    struct header header;
    for (; offset < file->end && file->end - offset >= 56; offset += 16) {
        if (file->bytes.data[offset + 36] != MARK || !valid_record(reader, file, offset, &header)) continue;
        const uint64_t end = number(header.record.value, 8);
        if (end >= 64 && end <= offset && number(header.record.value + 8, 8) < header.record.sequence &&
            end > best)
            best = end;
    }
    return best;
}

/* Section 9, step 3, for one segment. *ret_offset is where its records end, *last the last sequence. */
static bool read_open_records(struct reader *reader, const struct file *file, uint64_t *ret_offset,
                              uint64_t *last)
{
    struct header header;
    uint64_t batch_end = 0;
    uint64_t offset = 64;
    for (; valid_record(reader, file, offset, &header); offset += header.size) {
        if (header.record.sequence >> 32 != file->incarnation) break;
        if (header.record.kind == BATCH && !batch_is_whole(reader, file, offset, &header)) break;
        if ((header.flags & IN_BATCH) && offset >= batch_end) break;
        if (header.record.kind == BATCH)
            batch_end = offset + header.size + number(header.record.value + 8, 8);
        if (!apply(reader, &header)) return false;
        *last = header.record.sequence;
    }
    *ret_offset = offset;
    return true;
}

static const struct listed *next_open_log(const struct reader *reader, uint32_t above)
{
    const struct listed *best = NULL;
    for (uint32_t index = 0; index < reader->segment_count; index++) {
        const struct listed *listed = &reader->segments[index];
        if (listed->kind != LOG || listed->state != 0 || listed->incarnation <= above) continue;
        if (best == NULL || listed->incarnation < best->incarnation) best = listed;
    }
    return best;
}

/* Section 9, step 3: whether the segment goes on where the log has come to. */
static bool follows(uint64_t last, uint64_t first)
{
    uint64_t expected = (uint32_t)last + UINT64_C(1);
    if (expected > UINT64_C(1) << 31) expected -= UINT64_C(1) << 31;
    return last != 0 && (uint32_t)first == expected;
}

/* Whether `file` begins with a record; *ret_first is its sequence. */
static bool has_record(const struct reader *reader, const struct file *file, uint64_t *ret_first)
{
    struct header header;
    if (file->end == 0 || !valid_record(reader, file, 64, &header)) return false;
    *ret_first = header.record.sequence;
    return true;
}

/* Section 9, steps 3 and 4. */
static bool read_open_log(struct reader *reader)
{
    uint64_t last = 0, ends_at = 64, torn_offset = 0;
    struct file before = {.id = 0}, torn = {.id = 0};
    for (const struct listed *listed = next_open_log(reader, 0); listed != NULL;
         listed = next_open_log(reader, listed->incarnation)) {
        struct file file;
        uint64_t first = 0;
        if (!open_segment(reader, listed->id, listed->identity, 0, &file)) return false;
        const bool has_one = has_record(reader, &file, &first);
        if (torn.id == 0 && before.id != 0 && has_one && !follows(last, first)) {
            torn = before;
            torn_offset = ends_at;
        }
        if (torn.id != 0) {
            if (file.end != 0 && marked_end(reader, &file, 64) != 0)
                return damage(reader, &torn, torn_offset);
            continue;
        }
        file.id = listed->id;
        before = file;
        ends_at = 64;
        last = 0;
        if (file.end == 0) continue;
        if (!read_open_records(reader, &file, &ends_at, &last)) return false;
        if (marked_end(reader, &file, ends_at) > ends_at) return damage(reader, &file, ends_at);
    }
    return true;
}

/* Section 4.3: whether a listed LARGE segment counts by itself. */
static bool log_is_open(const struct reader *reader, uint64_t sequence)
{
    for (uint32_t index = 0; index < reader->segment_count; index++) {
        const struct listed *listed = &reader->segments[index];
        if (listed->kind == LOG && listed->state == 0 && listed->incarnation == sequence >> 32) return true;
    }
    return false;
}

static bool read_segments(struct reader *reader)
{
    for (uint32_t index = 0; index < reader->segment_count; index++) {
        const struct listed *listed = &reader->segments[index];
        if (listed->state != 1) continue;
        if (listed->kind == LARGE && log_is_open(reader, listed->last_sequence)) continue;
        if (!read_sealed(reader, listed)) return false;
    }
    return read_open_log(reader);
}

/* Section 5: by key, and of one key the highest sequence first. */
static int compare(const void *a, const void *b)
{
    const struct found *left = a, *right = b;
    if (left->generation != right->generation) return left->generation < right->generation ? -1 : 1;
    const uint32_t size = left->key_size < right->key_size ? left->key_size : right->key_size;
    const int order = memcmp(left->key, right->key, size);
    if (order != 0) return order;
    if (left->key_size != right->key_size) return left->key_size < right->key_size ? -1 : 1;
    if (left->sequence == right->sequence) return 0;
    return left->sequence > right->sequence ? -1 : 1;
}

static bool same_key(const struct found *a, const struct found *b)
{
    return a->generation == b->generation && a->key_size == b->key_size &&
           memcmp(a->key, b->key, a->key_size) == 0;
}

static void print_hex(FILE *out, const uint8_t *bytes, uint32_t size)
{
    if (size == 0)
        (void)fputs(" -", out);
    else
        (void)fputc(' ', out);
    for (uint32_t index = 0; index < size; index++) (void)fprintf(out, "%02x", bytes[index]);
}

static void print_current(const struct reader *reader, const struct found *record, uint64_t now_ms, FILE *out)
{
    if (record->kind == TOMBSTONE || record->expiry <= now_ms) return;
    for (uint32_t space = 0; space < SPACE_COUNT; space++) {
        if (reader->generations[space] != record->generation) continue;
        (void)fprintf(out, "%" PRIu32, space);
        print_hex(out, record->key, record->key_size);
        print_hex(out, record->value, record->value_size);
        (void)fputc('\n', out);
    }
}

int tiny_reader_print(const char *directory, uint64_t now_ms, FILE *out,
                      char ret_problem[TINY_READER_PROBLEM_SIZE])
{
    struct reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) return -1;
    reader->directory = directory;
    reader->problem = ret_problem;

    const bool done = read_manifest(reader) && read_segments(reader);
    if (done && reader->found_count > 0)
        qsort(reader->found, reader->found_count, sizeof(*reader->found), compare);
    for (size_t index = 0; done && index < reader->found_count; index++)
        if (index == 0 || !same_key(&reader->found[index - 1], &reader->found[index]))
            print_current(reader, &reader->found[index], now_ms, out);

    for (size_t index = 0; index < reader->file_count; index++) free(reader->files[index].data);
    free(reader->segments);
    free(reader->found);
    free(reader);
    return done ? 0 : -1;
}
