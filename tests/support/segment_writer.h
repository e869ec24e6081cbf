/* SPDX-License-Identifier: MIT */
/*
 * Small segments made in memory, byte for byte as the store writes them, to be damaged and read back by
 * tests.
 *
 * Directories are made below TMPDIR or /tmp. Everything here fails the running test when it cannot be done.
 */
#ifndef STAVE_TESTS_SEGMENT_WRITER_H
#define STAVE_TESTS_SEGMENT_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "log/record.h"
#include "log/segment.h"

struct segment_writer {
    struct segment_header header;
    uint8_t *bytes;
    size_t size;
    size_t capacity;
    uint32_t counter; /* of the last sequence given out */
};

/* Identity, store id and hash seed are fixed functions of `id`; a LOG's incarnation is its id. */
void segment_writer_begin(struct segment_writer *writer, enum segment_kind kind, uint32_t id);
void segment_writer_free(struct segment_writer *writer);

/*
 * Appends a record of key and value. Of `record` the kind, flags, generation and expiry are taken, and the
 * sequence unless it is 0: then the next one of the segment. Returns its offset.
 */
size_t segment_writer_add(struct segment_writer *writer, struct record record, const void *key,
                          size_t key_size, const void *value, size_t value_size);

size_t segment_writer_put(struct segment_writer *writer, const char *key, const char *value);
size_t segment_writer_delete(struct segment_writer *writer, const char *key);
size_t segment_writer_mark(struct segment_writer *writer, uint64_t durable_end, uint64_t durable_sequence);

/* `count` records, `size` bytes together, are to follow. */
size_t segment_writer_batch(struct segment_writer *writer, uint32_t count, uint64_t size);
size_t segment_writer_put_in_batch(struct segment_writer *writer, const char *key, const char *value);

/* Writes the first `size` bytes, and zeroes where there are fewer, as the segment's file. */
void segment_writer_save(const struct segment_writer *writer, const char *directory, size_t size);

char *test_directory_make(void);             /* its path; freed by test_directory_remove() */
void test_directory_remove(char *directory); /* with the files in it */
void test_file_write(const char *directory, const char *name, const void *bytes, size_t size);
void *test_file_read(const char *directory, const char *name,
                     size_t *ret_size); /* freed by the caller, with free() */

#endif
