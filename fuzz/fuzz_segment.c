/* SPDX-License-Identifier: MIT */
/*
 * A segment of any bytes, scanned as recovery, check and salvage do: it ends, what is handed out lies within
 * the file and checks out (C1, C2), and it moves forward only.
 *
 * Bits of an input's first byte choose how it is read; the rest stands behind a valid header.
 */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "log/scan.h"
#include "log/segment.h"

enum { MEND = 1, VERIFY = 2, BATCHES = 4, SEALED = 8, OUTPUT = 16, RECORDS_MAX = 4096 };

static const struct segment_header header_log = {.store_id = 1,
                                                 .identity = 7,
                                                 .hash_seed = 9,
                                                 .horizon = UINT64_C(5) << 32,
                                                 .kind = SEGMENT_LOG,
                                                 .id = 1,
                                                 .incarnation = 5};
static const struct segment_header header_output = {.store_id = 1,
                                                    .identity = 7,
                                                    .hash_seed = 9,
                                                    .horizon = UINT64_C(6) << 32,
                                                    .kind = SEGMENT_OUTPUT,
                                                    .id = 1};

/* The record at `offset` gets the checksums that fit it. Its size, 0 if it does not fit the file. */
static size_t mend_record(uint8_t *bytes, size_t size, size_t offset)
{
    struct record record;
    if (size - offset < RECORD_HEADER_SIZE_MAX) return 0;
    uint8_t *at = bytes + offset;
    at[RECORD_FLAGS_AT] &= RECORD_HAS_EXPIRY | RECORD_HAS_SUPERSEDED | RECORD_INSERT | RECORD_IN_BATCH;
    store_le16(at + RECORD_RESERVED_AT, 0);
    record_peek(at, &record);
    if (record.key_size > size || record.value_size > size || record_size(&record) > size - offset) return 0;
    uint8_t *key = at + record_header_size(record.flags);
    if (record_has_key(record.kind))
        record.key_hash = record_key_hash(header_log.hash_seed, record.generation, key, record.key_size);
    record.payload_checksum =
        record_payload_checksum(record.key_hash, key + record.key_size, record.value_size);
    record_encode_header(&record, header_log.identity, offset, at);
    return (size_t)record_size(&record);
}

static void mend(uint8_t *bytes, size_t size)
{
    size_t offset = SEGMENT_HEADER_SIZE;
    for (size_t step = 1; step > 0 && offset < size; offset += step) step = mend_record(bytes, size, offset);
}

static enum stave_status take_value(void *context, const uint8_t *bytes, size_t size)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < size; i++) *sum += bytes[i];
    return STAVE_OK;
}

static void look_at(struct scan *scan, const struct scan_record *found, size_t size, unsigned mode)
{
    struct error error = ERROR_NONE;
    uint64_t sum = 0;
    const struct record *record = &found->record;
    fuzz_expect(found->offset >= SEGMENT_HEADER_SIZE && found->offset % RECORD_ALIGNMENT == 0,
                "a record's place");
    fuzz_expect(record_size(record) <= size - found->offset, "a record lies within the file");
    fuzz_expect(record_is_sane(record), "a record is sane");
    if (mode & VERIFY && record_has_key(record->kind))
        fuzz_expect(record->key_hash == record_key_hash(header_log.hash_seed, record->generation, found->key,
                                                        record->key_size),
                    "a verified key");
    fuzz_expect(scan_value(scan, take_value, &sum, &error) == STAVE_OK, "a value is read");
    if (mode & VERIFY)
        fuzz_expect(scan_verify(scan, &error) == STAVE_OK, "what was verified is verified again");
}

static void scan_all(const struct dir *dir, size_t size, unsigned mode)
{
    struct scan scan = SCAN_NONE;
    struct scan_record found;
    struct record_mark mark;
    struct error error = ERROR_NONE;
    const struct scan_expect expect = {
        .identity = header_log.identity,
        .id = 1,
        .end = mode & SEALED ? size : SCAN_TO_THE_END,
        .flags = (mode & VERIFY ? SCAN_VERIFY : 0u) | (mode & BATCHES ? SCAN_BATCHES : 0u),
    };
    if (scan_open(dir, &expect, &scan, &error) != STAVE_OK) return;
    uint64_t before = 0;
    for (size_t count = 0; count < RECORDS_MAX; count++) {
        const enum stave_status status = scan_next(&scan, &found, &error);
        if (status == STAVE_END) break;
        fuzz_expect(scan.offset >= before && scan.offset <= size, "a scan moves forward, within the file");
        before = scan.offset;
        if (status == STAVE_OK) {
            look_at(&scan, &found, size, mode);
            continue;
        }
        uint64_t skipped = 0;
        fuzz_expect(status == STAVE_CORRUPT && scan.damage != SCAN_UNDAMAGED, "damage is named");
        (void)scan_search_mark(&scan, scan.offset, &mark, &error);
        if (scan_resume(&scan, &skipped) != STAVE_OK) break;
        fuzz_expect(scan.next > scan.offset, "a scan goes on behind the damage");
    }
    scan_close(&scan);
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_expect(fd >= 0 && write(fd, bytes, size) == (ssize_t)size, "a file is written");
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char path[64];
    char file[96];
    struct dir dir = DIR_NONE;
    if (size < 1) return 0;
    if (path[0] == 0) {
        (void)snprintf(path, sizeof(path), "%s/stave-fuzz-XXXXXX",
                       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        fuzz_expect(mkdtemp(path) != NULL, "a directory is made");
    }
    const unsigned mode = data[0];
    const size_t file_size = SEGMENT_HEADER_SIZE + size - 1;
    uint8_t *bytes = malloc(file_size);
    fuzz_expect(bytes != NULL, "there is memory");
    segment_encode_header(mode & OUTPUT ? &header_output : &header_log, bytes);
    memcpy(bytes + SEGMENT_HEADER_SIZE, data + 1, size - 1);
    if (mode & MEND) mend(bytes, file_size);
    (void)snprintf(file, sizeof(file), "%s/0000000001.seg", path);
    write_file(file, bytes, file_size);
    free(bytes);
    fuzz_expect(dir_open(path, &dir, NULL) == STAVE_OK, "the directory is opened");
    scan_all(&dir, file_size, mode);
    dir_close(&dir);
    return 0;
}

static size_t add(uint8_t *bytes, size_t at, struct record *record, const char *key, const void *value)
{
    record->key_size = (uint32_t)strlen(key);
    record->generation = record->key_size > 0 ? 3 : 0;
    record->key_hash = record->key_size > 0
                           ? record_key_hash(header_log.hash_seed, record->generation, key, record->key_size)
                           : 0;
    record->payload_checksum = record_payload_checksum(record->key_hash, value, record->value_size);
    const size_t offset = SEGMENT_HEADER_SIZE + at;
    const size_t header_size = record_header_size(record->flags);
    record_encode_header(record, header_log.identity, offset, bytes + at);
    memcpy(bytes + at + header_size, key, record->key_size);
    memcpy(bytes + at + header_size + record->key_size, value, record->value_size);
    return at + (size_t)record_size(record);
}

/* A put, a batch of two deletes, a mark, a link and a drop; `number` chooses how they are read. */
size_t fuzz_seed(unsigned number, uint8_t *ret_bytes)
{
    static const unsigned modes[] = {MEND, MEND | VERIFY, MEND | VERIFY | BATCHES, MEND | SEALED,
                                     0,    OUTPUT | MEND};
    uint8_t value[64];
    if (number >= sizeof(modes) / sizeof(modes[0])) return 0;
    memset(ret_bytes, 0, FUZZ_SEED_SIZE);
    ret_bytes[0] = (uint8_t)modes[number];
    uint8_t *bytes = ret_bytes + 1;
    uint64_t sequence = (UINT64_C(5) << 32) + 1;
    struct record put = {.kind = RECORD_PUT,
                         .flags = RECORD_HAS_EXPIRY,
                         .sequence = sequence++,
                         .expires_at_ms = 5,
                         .value_size = 33};
    memset(value, 'v', sizeof(value));
    size_t at = add(bytes, 0, &put, "key", value);
    const struct record_batch batch = {.count = 2, .size = 96};
    struct record begin = {.kind = RECORD_BATCH, .sequence = sequence++, .value_size = RECORD_BATCH_SIZE};
    record_encode_batch(&batch, value);
    at = add(bytes, at, &begin, "", value);
    for (int i = 0; i < 2; i++) {
        struct record gone = {.kind = RECORD_TOMBSTONE, .flags = RECORD_IN_BATCH, .sequence = sequence++};
        at = add(bytes, at, &gone, i == 0 ? "gone" : "away", "");
    }
    const struct record_mark mark = {.durable_end = SEGMENT_HEADER_SIZE, .durable_sequence = put.sequence};
    struct record note = {.kind = RECORD_MARK, .sequence = sequence++, .value_size = RECORD_MARK_SIZE};
    record_encode_mark(&mark, value);
    at = add(bytes, at, &note, "", value);
    const struct record_link link = {
        .segment_id = 4, .value_size = 100, .identity = 5, .payload_checksum = 6};
    struct record pointer = {.kind = RECORD_LINK, .sequence = sequence++, .value_size = RECORD_LINK_SIZE};
    record_encode_link(&link, value);
    at = add(bytes, at, &pointer, "large", value);
    const struct record_spaces drop = {
        .op = RECORD_SPACES_DROP, .a = 3, .generation = 2000, .old_generation = 3};
    struct record spaces = {.kind = RECORD_SPACES, .sequence = sequence, .value_size = RECORD_SPACES_SIZE};
    record_encode_spaces(&drop, value);
    at = add(bytes, at, &spaces, "", value);
    return 1 + at + (number % 2 == 0 ? 0 : 64);
}
