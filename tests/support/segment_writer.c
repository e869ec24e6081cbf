/* SPDX-License-Identifier: MIT */
/* Segments for tests, and directories to put them in. */
#include "support/segment_writer.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

enum { PATH_SIZE = 512 };

static void reserve(struct segment_writer *writer, size_t more)
{
    if (writer->size + more <= writer->capacity) return;
    writer->capacity = (writer->size + more) * 2;
    writer->bytes = realloc(writer->bytes, writer->capacity);
    assert_non_null(writer->bytes);
}

void segment_writer_begin(struct segment_writer *writer, enum segment_kind kind, uint32_t id)
{
    *writer = (struct segment_writer){
        .header =
            {
                .store_id = 0x5354415645ull,
                .identity = id * 0x9E3779B97F4A7C15ull,
                .hash_seed = 0x1234567890ABCDEFull,
                .kind = kind,
                .id = id,
                .incarnation = kind == SEGMENT_LOG ? id : 0,
            },
    };
    reserve(writer, SEGMENT_HEADER_SIZE);
    segment_encode_header(&writer->header, writer->bytes);
    writer->size = SEGMENT_HEADER_SIZE;
}

void segment_writer_free(struct segment_writer *writer)
{
    free(writer->bytes);
    *writer = (struct segment_writer){.bytes = NULL};
}

size_t segment_writer_add(struct segment_writer *writer, struct record record, const void *key,
                          size_t key_size, const void *value, size_t value_size)
{
    const size_t offset = writer->size;
    if (record.sequence == 0)
        record.sequence = (uint64_t)writer->header.incarnation << 32 | ++writer->counter;
    record.key_size = (uint32_t)key_size;
    record.value_size = (uint32_t)value_size;
    if (record_has_key(record.kind))
        record.key_hash = record_key_hash(writer->header.hash_seed, record.generation, key, key_size);
    record.payload_checksum = record_payload_checksum(record.key_hash, value, value_size);

    reserve(writer, (size_t)record_size(&record));
    uint8_t *at = writer->bytes + offset;
    memset(at, 0, (size_t)record_size(&record));
    record_encode_header(&record, writer->header.identity, offset, at);
    at += record_header_size(record.flags);
    if (key_size > 0) memcpy(at, key, key_size);
    if (value_size > 0) memcpy(at + key_size, value, value_size);
    writer->size += (size_t)record_size(&record);
    return offset;
}

size_t segment_writer_put(struct segment_writer *writer, const char *key, const char *value)
{
    const struct record record = {.kind = RECORD_PUT};
    return segment_writer_add(writer, record, key, strlen(key), value, strlen(value));
}

size_t segment_writer_delete(struct segment_writer *writer, const char *key)
{
    const struct record record = {.kind = RECORD_TOMBSTONE};
    return segment_writer_add(writer, record, key, strlen(key), NULL, 0);
}

size_t segment_writer_mark(struct segment_writer *writer, uint64_t durable_end, uint64_t durable_sequence)
{
    const struct record record = {.kind = RECORD_MARK};
    const struct record_mark mark = {.durable_end = durable_end, .durable_sequence = durable_sequence};
    uint8_t value[RECORD_MARK_SIZE];
    record_encode_mark(&mark, value);
    return segment_writer_add(writer, record, NULL, 0, value, sizeof(value));
}

size_t segment_writer_batch(struct segment_writer *writer, uint32_t count, uint64_t size)
{
    const struct record record = {.kind = RECORD_BATCH};
    const struct record_batch batch = {.count = count, .size = size};
    uint8_t value[RECORD_BATCH_SIZE];
    record_encode_batch(&batch, value);
    return segment_writer_add(writer, record, NULL, 0, value, sizeof(value));
}

size_t segment_writer_put_in_batch(struct segment_writer *writer, const char *key, const char *value)
{
    const struct record record = {.kind = RECORD_PUT, .flags = RECORD_IN_BATCH};
    return segment_writer_add(writer, record, key, strlen(key), value, strlen(value));
}

void segment_writer_save(const struct segment_writer *writer, const char *directory, size_t size)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(writer->header.id, name);
    uint8_t *bytes = calloc(size + 1, 1);
    assert_non_null(bytes);
    memcpy(bytes, writer->bytes, size < writer->size ? size : writer->size);
    test_file_write(directory, name, bytes, size);
    free(bytes);
}

char *test_directory_make(void)
{
    const char *parent = getenv("TMPDIR");
    char *path = malloc(PATH_SIZE);
    assert_non_null(path);
    (void)snprintf(path, PATH_SIZE, "%s/stave-test-XXXXXX", parent != NULL ? parent : "/tmp");
    assert_non_null(mkdtemp(path));
    return path;
}

static void join(const char *directory, const char *name, char ret_path[PATH_SIZE])
{
    assert_true(snprintf(ret_path, PATH_SIZE, "%s/%s", directory, name) < PATH_SIZE);
}

void test_directory_remove(char *directory)
{
    char path[PATH_SIZE];
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        join(directory, entry->d_name, path);
        assert_int_equal(unlink(path), 0);
    }
    (void)closedir(listing);
    assert_int_equal(rmdir(directory), 0);
    free(directory);
}

void test_file_write(const char *directory, const char *name, const void *bytes, size_t size)
{
    char path[PATH_SIZE];
    join(directory, name, path);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void *test_file_read(const char *directory, const char *name, size_t *ret_size)
{
    char path[PATH_SIZE];
    join(directory, name, path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const size_t size = (size_t)ftell(file);
    void *bytes = malloc(size + 1);
    assert_non_null(bytes);
    rewind(file);
    assert_int_equal(fread(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    *ret_size = size;
    return bytes;
}
