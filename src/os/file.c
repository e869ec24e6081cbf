/* SPDX-License-Identifier: MIT */
/*
 * A file of a directory: whole reads and writes at an offset, space, size and durability.
 */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "os/system.h"

enum { FILE_MODE = 0666, STAT_BLOCK_SIZE = 512, TRANSFER_SIZE_MAX = 1 << 30, WILL_NEED_SIZE = 128 << 10 };

static const uint64_t FILE_OFFSET_MAX = INT64_MAX;

enum stave_status file_error(const struct file *file, struct error *error, enum stave_status status,
                             int system_error, const char *format, ...)
{
    char what[ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    if (length < 0) what[0] = '\0';
    const char *const path = file->dir != NULL ? file->dir->path : "";
    return error_set(error, status, system_error, "%s/%s: %s", path, file->name, what);
}

/* The errno of a call that has just failed, as a status and a message. */
static enum stave_status call_failed(const struct file *file, const char *what, uint64_t offset,
                                     struct error *error)
{
    const int system_error = errno;
    return file_error(file, error, error_status(system_error), system_error, "%s at offset %" PRIu64, what,
                      offset);
}

static enum stave_status open_with(const struct dir *dir, const char *name, int flags, struct file *ret_file,
                                   struct error *error)
{
    struct file file = {.fd = -1, .dir = dir};
    if (strlen(name) >= sizeof(file.name)) {
        return error_set(error, STAVE_LIMIT, 0, "%s/%s: the name is too long", dir->path, name);
    }
    memcpy(file.name, name, strlen(name) + 1);

    do {
        file.fd = system_open(dir->fd, name, flags | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    } while (file.fd < 0 && errno == EINTR);
    if (file.fd >= 0) {
        *ret_file = file;
        return STAVE_OK;
    }
    const int system_error = errno;
    enum stave_status status = error_status(system_error);
    if (system_error == ENOENT) status = STAVE_NOT_FOUND;
    if (system_error == EEXIST) status = STAVE_EXISTS;
    return file_error(&file, error, status, system_error, flags & O_CREAT ? "cannot create" : "cannot open");
}

enum stave_status file_open(const struct dir *dir, const char *name, bool writable, struct file *ret_file,
                            struct error *error)
{
    return open_with(dir, name, writable ? O_RDWR : O_RDONLY, ret_file, error);
}

enum stave_status file_create(const struct dir *dir, const char *name, struct file *ret_file,
                              struct error *error)
{
    return open_with(dir, name, O_RDWR | O_CREAT | O_EXCL, ret_file, error);
}

enum stave_status file_create_over(const struct dir *dir, const char *name, struct file *ret_file,
                                   struct error *error)
{
    return open_with(dir, name, O_RDWR | O_CREAT | O_TRUNC, ret_file, error);
}

/* Never retried: on Linux the descriptor is gone whatever the result. */
enum stave_status file_close(struct file *file, struct error *error)
{
    if (file->fd < 0) return STAVE_OK;
    const int result = system_close(file->fd);
    file->fd = -1;
    if (result == 0 || errno == EINTR) return STAVE_OK;
    return file_error(file, error, error_status(errno), errno, "cannot close");
}

static size_t transfer_size(size_t size)
{
    return size < TRANSFER_SIZE_MAX ? size : TRANSFER_SIZE_MAX;
}

enum stave_status file_read_some(const struct file *file, void *data, size_t size, uint64_t offset,
                                 size_t *ret_size, struct error *error)
{
    if (offset > FILE_OFFSET_MAX || size > FILE_OFFSET_MAX - offset) {
        return file_error(file, error, STAVE_LIMIT, 0, "offset %" PRIu64 " is beyond any file", offset);
    }
    uint8_t *const bytes = data;
    size_t done = 0;
    while (done < size) {
        const ssize_t got = system_pread(file->fd, bytes + done, transfer_size(size - done), offset + done);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return call_failed(file, "cannot read", offset + done, error);
        if (got == 0) break;
        done += (size_t)got;
    }
    *ret_size = done;
    return STAVE_OK;
}

enum stave_status file_read_at(const struct file *file, void *data, size_t size, uint64_t offset,
                               struct error *error)
{
    size_t got = 0;
    const enum stave_status status = file_read_some(file, data, size, offset, &got, error);
    if (status < 0) return status;
    if (got == size) return STAVE_OK;
    return file_error(file, error, STAVE_CORRUPT, 0, "ends at offset %" PRIu64 ", %zu bytes short",
                      offset + got, size - got);
}

enum stave_status file_read_resident(const struct file *file, void *data, size_t size, uint64_t offset,
                                     struct error *error)
{
    if (size == 0) return STAVE_OK;
    const struct iovec vector = {.iov_base = data, .iov_len = transfer_size(size)};
    ssize_t got;
    do {
        got = system_preadv_nowait(file->fd, &vector, 1, offset);
    } while (got < 0 && errno == EINTR);
    if (got >= 0 && (size_t)got == size) return STAVE_OK;
    if (got >= 0 || errno == EAGAIN || errno == EOPNOTSUPP) return STAVE_WOULD_BLOCK;
    return call_failed(file, "cannot read", offset, error);
}

enum stave_status file_write_at(const struct file *file, const void *data, size_t size, uint64_t offset,
                                struct error *error)
{
    if (offset > FILE_OFFSET_MAX || size > FILE_OFFSET_MAX - offset) {
        return file_error(file, error, STAVE_LIMIT, 0, "offset %" PRIu64 " is beyond any file", offset);
    }
    const uint8_t *const bytes = data;
    size_t done = 0;
    while (done < size) {
        const ssize_t put = system_pwrite(file->fd, bytes + done, transfer_size(size - done), offset + done);
        if (put < 0 && errno == EINTR) continue;
        if (put == 0) errno = EIO; /* no progress and no reason given */
        if (put <= 0) return call_failed(file, "cannot write", offset + done, error);
        done += (size_t)put;
    }
    return STAVE_OK;
}

enum stave_status file_allocate(const struct file *file, uint64_t offset, uint64_t size, struct error *error)
{
    if (size == 0) return STAVE_OK;
    int result;
    do {
        result = system_fallocate(file->fd, 0, offset, size);
    } while (result < 0 && errno == EINTR);
    if (result == 0) return STAVE_OK;
    return call_failed(file, "cannot allocate space", offset, error);
}

enum stave_status file_truncate(const struct file *file, uint64_t size, struct error *error)
{
    int result;
    do {
        result = system_ftruncate(file->fd, size);
    } while (result < 0 && errno == EINTR);
    if (result == 0) return STAVE_OK;
    return call_failed(file, "cannot set the size: end", size, error);
}

/* Not even EINTR is retried: whether pages were dropped cannot be told (F4). */
enum stave_status file_sync(const struct file *file, struct error *error)
{
    if (system_fdatasync(file->fd) == 0) return STAVE_OK;
    return file_error(file, error, error_status(errno), errno, "cannot sync");
}

void file_write_back(const struct file *file, uint64_t offset, uint64_t size)
{
    (void)system_sync_range(file->fd, offset, size, SYNC_FILE_RANGE_WRITE);
}

static enum stave_status file_stat(const struct file *file, struct stat *ret_stat, struct error *error)
{
    if (system_fstat(file->fd, ret_stat) == 0) return STAVE_OK;
    return file_error(file, error, error_status(errno), errno, "cannot look up");
}

enum stave_status file_size(const struct file *file, uint64_t *ret_size, struct error *error)
{
    struct stat stat;
    const enum stave_status status = file_stat(file, &stat, error);
    if (status == STAVE_OK) *ret_size = (uint64_t)stat.st_size;
    return status;
}

enum stave_status file_link_count(const struct file *file, uint64_t *ret_count, struct error *error)
{
    struct stat stat;
    const enum stave_status status = file_stat(file, &stat, error);
    if (status == STAVE_OK) *ret_count = (uint64_t)stat.st_nlink;
    return status;
}

enum stave_status file_disk_size(const struct file *file, uint64_t *ret_size, struct error *error)
{
    struct stat stat;
    const enum stave_status status = file_stat(file, &stat, error);
    if (status == STAVE_OK) *ret_size = (uint64_t)stat.st_blocks * STAT_BLOCK_SIZE;
    return status;
}

void file_is_sequential(const struct file *file)
{
    (void)system_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

/* One call reads no more than the device's read-ahead, 128 KiB by default, and leaves out the rest. */
void file_will_need(const struct file *file, uint64_t offset, uint64_t size)
{
    for (uint64_t done = 0; done < size; done += WILL_NEED_SIZE) {
        const uint64_t left = size - done;
        const uint64_t step = left < WILL_NEED_SIZE ? left : WILL_NEED_SIZE;
        (void)system_fadvise(file->fd, offset + done, step, POSIX_FADV_WILLNEED);
    }
}
