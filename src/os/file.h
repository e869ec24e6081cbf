/* SPDX-License-Identifier: MIT */
/*
 * A file of a directory: whole reads and writes at an offset, space, size and durability.
 *
 *   F1  A read or write moves all its bytes or fails; only a read may stop early, at the file's end, and says
 *       so.
 *   F2  After file_allocate() a write in that range does not fail for want of space (on file systems that
 *       keep to it).
 *   F3  file_sync() makes content and size durable; the name is the directory's business (dir_sync).
 *   F4  A failed sync is never repeated here, and never reported as success.
 *
 * Results of every call: STAVE_OK, or STAVE_FULL, STAVE_PERMISSION, STAVE_NO_MEMORY, STAVE_IO with path and
 * offset in *error; where a call also answers STAVE_NOT_FOUND or STAVE_EXISTS (positive: test for !=
 * STAVE_OK) it says so.
 */
#ifndef STAVE_OS_FILE_H
#define STAVE_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "os/dir.h"
#include "stave.h"

enum { FILE_NAME_SIZE_MAX = 64 };

struct file {
    int fd;
    const struct dir *dir;         /* outlives the file; for messages */
    char name[FILE_NAME_SIZE_MAX]; /* in that directory; for messages */
};

#define FILE_NONE ((struct file){.fd = -1})

static inline bool file_is_open(const struct file *file)
{
    return file->fd >= 0;
}

/* Opens for reading only, or for reading and writing. Also STAVE_NOT_FOUND. */
enum stave_status file_open(const struct dir *dir, const char *name, bool writable, struct file *ret_file,
                            struct error *error);

/* Makes a new file, empty, open for reading and writing. Also STAVE_EXISTS. */
enum stave_status file_create(const struct dir *dir, const char *name, struct file *ret_file,
                              struct error *error);

/* As file_create(), but empties a file that is already there: for temporary files left by a crash. */
enum stave_status file_create_over(const struct dir *dir, const char *name, struct file *ret_file,
                                   struct error *error);

/* Closes; leaves an empty file also on failure, and accepts one. Matters for written files only. */
enum stave_status file_close(struct file *file, struct error *error);

/* Reads exactly `size` bytes; STAVE_CORRUPT with the offset where the file ended, if it ends before. */
enum stave_status file_read_at(const struct file *file, void *data, size_t size, uint64_t offset,
                               struct error *error);

/* Reads up to `size` bytes; fewer only at the file's end (F1). */
enum stave_status file_read_some(const struct file *file, void *data, size_t size, uint64_t offset,
                                 size_t *ret_size, struct error *error);

/* Reads what is in memory already, without waiting for a disk: STAVE_WOULD_BLOCK when not all of it is. */
enum stave_status file_read_resident(const struct file *file, void *data, size_t size, uint64_t offset,
                                     struct error *error);

enum stave_status file_write_at(const struct file *file, const void *data, size_t size, uint64_t offset,
                                struct error *error);

/*
 * Gives the range real disk space (F2), reading as zeroes where it was not written; the file grows to hold
 * it.
 */
enum stave_status file_allocate(const struct file *file, uint64_t offset, uint64_t size, struct error *error);

enum stave_status file_truncate(const struct file *file, uint64_t size, struct error *error);

/* fdatasync (F3, F4). */
enum stave_status file_sync(const struct file *file, struct error *error);

/* Starts writing the range to the disk and does not wait: says nothing about durability. */
void file_write_back(const struct file *file, uint64_t offset, uint64_t size);

enum stave_status file_size(const struct file *file, uint64_t *ret_size, struct error *error);

/* How many names the file has; above 1, a snapshot shares it. */
enum stave_status file_link_count(const struct file *file, uint64_t *ret_count, struct error *error);

/* Bytes of disk the file takes, which differ from its size by holes and by preallocation. */
enum stave_status file_disk_size(const struct file *file, uint64_t *ret_size, struct error *error);

/* A hint: it is read in order. */
void file_is_sequential(const struct file *file);

/* A hint: begins to read what of the range is not in memory, and does not wait for it. */
void file_will_need(const struct file *file, uint64_t offset, uint64_t size);

/* Fills *error with `format`, prefixed by the file's path: for layers above, so that messages look alike. */
enum stave_status file_error(const struct file *file, struct error *error, enum stave_status status,
                             int system_error, const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
