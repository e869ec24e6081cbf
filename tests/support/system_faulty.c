/* SPDX-License-Identifier: MIT */
/*
 * os/system.h with failures: ld --wrap sends every call here, and __real_ names the original.
 */
#include "os/system.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/fault.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { MS_PER_SECOND = 1000, SPARSE_SIZE_MIN = 64 << 10, BLOCK_SIZE = 4096 };

int __real_system_open(int dir_fd, const char *name, int flags, mode_t mode);
int __wrap_system_open(int dir_fd, const char *name, int flags, mode_t mode);
int __real_system_close(int fd);
int __wrap_system_close(int fd);
ssize_t __real_system_write(int fd, const void *data, size_t size);
ssize_t __wrap_system_write(int fd, const void *data, size_t size);
ssize_t __real_system_pread(int fd, void *data, size_t size, uint64_t offset);
ssize_t __wrap_system_pread(int fd, void *data, size_t size, uint64_t offset);
ssize_t __real_system_pwrite(int fd, const void *data, size_t size, uint64_t offset);
ssize_t __wrap_system_pwrite(int fd, const void *data, size_t size, uint64_t offset);
ssize_t __real_system_preadv_nowait(int fd, const struct iovec *vectors, int count, uint64_t offset);
ssize_t __wrap_system_preadv_nowait(int fd, const struct iovec *vectors, int count, uint64_t offset);
int __real_system_fallocate(int fd, int mode, uint64_t offset, uint64_t size);
int __wrap_system_fallocate(int fd, int mode, uint64_t offset, uint64_t size);
int __real_system_fadvise(int fd, uint64_t offset, uint64_t size, int advice);
int __wrap_system_fadvise(int fd, uint64_t offset, uint64_t size, int advice);
int __real_system_ftruncate(int fd, uint64_t size);
int __wrap_system_ftruncate(int fd, uint64_t size);
int __real_system_fdatasync(int fd);
int __wrap_system_fdatasync(int fd);
int __real_system_fsync(int fd);
int __wrap_system_fsync(int fd);
int __real_system_sync_range(int fd, uint64_t offset, uint64_t size, unsigned flags);
int __wrap_system_sync_range(int fd, uint64_t offset, uint64_t size, unsigned flags);
int __real_system_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int __wrap_system_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int __real_system_unlink(int dir_fd, const char *name, int flags);
int __wrap_system_unlink(int dir_fd, const char *name, int flags);
int __real_system_link(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int __wrap_system_link(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int __real_system_mkdir(int dir_fd, const char *name, mode_t mode);
int __wrap_system_mkdir(int dir_fd, const char *name, mode_t mode);
ssize_t __real_system_getdents(int dir_fd, void *data, size_t size);
ssize_t __wrap_system_getdents(int dir_fd, void *data, size_t size);
int __real_system_fstat(int fd, struct stat *ret_stat);
int __wrap_system_fstat(int fd, struct stat *ret_stat);
int __real_system_fstatat(int dir_fd, const char *name, struct stat *ret_stat, int flags);
int __wrap_system_fstatat(int dir_fd, const char *name, struct stat *ret_stat, int flags);
int __real_system_fstatfs(int fd, struct statfs *ret_statfs);
int __wrap_system_fstatfs(int fd, struct statfs *ret_statfs);
int __real_system_lock(int fd, short type);
int __wrap_system_lock(int fd, short type);
void *__real_system_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset);
void *__wrap_system_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset);
int __real_system_munmap(void *address, size_t size);
int __wrap_system_munmap(void *address, size_t size);
int __real_system_madvise(void *address, size_t size, int advice);
int __wrap_system_madvise(void *address, size_t size, int advice);
int __real_system_mincore(void *address, size_t size, unsigned char *ret_resident);
int __wrap_system_mincore(void *address, size_t size, unsigned char *ret_resident);
ssize_t __real_system_getrandom(void *data, size_t size);
ssize_t __wrap_system_getrandom(void *data, size_t size);
int __real_system_eventfd(void);
int __wrap_system_eventfd(void);
int __real_system_clock(clockid_t clock, struct timespec *ret_time);
int __wrap_system_clock(clockid_t clock, struct timespec *ret_time);
int __real_system_thread_create(pthread_t *ret_thread, void *(*run)(void *), void *argument);
int __wrap_system_thread_create(pthread_t *ret_thread, void *(*run)(void *), void *argument);

int __wrap_system_open(int dir_fd, const char *name, int flags, mode_t mode)
{
    if (fault_before(FAULT_OPEN) == FAULT_FAIL) return -1;
    const int result = __real_system_open(dir_fd, name, flags, mode);
    fault_after(FAULT_OPEN);
    return result;
}

/* A close that fails has closed all the same. */
int __wrap_system_close(int fd)
{
    const enum fault_action action = fault_before(FAULT_CLOSE);
    const int system_error = errno;
    const int result = __real_system_close(fd);
    if (action == FAULT_FAIL) {
        errno = system_error;
        return -1;
    }
    fault_after(FAULT_CLOSE);
    return result;
}

ssize_t __wrap_system_write(int fd, const void *data, size_t size)
{
    if (fault_before(FAULT_HINT) == FAULT_FAIL) return -1;
    const ssize_t result = __real_system_write(fd, data, size);
    fault_after(FAULT_HINT);
    return result;
}

static _Atomic bool files_are_sparse;

void fault_sparse_files(bool sparse)
{
    atomic_store(&files_are_sparse, sparse);
}

/* Extends the file if need be; what is read there is zeroes. Mode 0: FALLOC_FL_KEEP_SIZE is not used. */
static int reach(int fd, uint64_t end)
{
    struct stat stat;
    if (__real_system_fstat(fd, &stat) != 0) return -1;
    return (uint64_t)stat.st_size >= end ? 0 : __real_system_ftruncate(fd, end);
}

/* No block of the file has data from `offset` on. */
static bool is_empty(int fd, uint64_t offset, uint64_t size)
{
    const off_t next = lseek(fd, (off_t)offset, SEEK_DATA);
    return next < 0 ? errno == ENXIO : (uint64_t)next >= offset + size;
}

/* Zeroes for whole blocks that are not there: the file is as it would be, and takes no room. */
static bool is_hole(int fd, const void *data, size_t size, uint64_t offset)
{
    const char *bytes = data;
    if (!atomic_load(&files_are_sparse) || size < SPARSE_SIZE_MIN || offset % BLOCK_SIZE != 0) return false;
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0 && is_empty(fd, offset, size);
}

/* A large transfer begins with what leads to the next block, so that the rest can be a hole. */
static size_t first_part(size_t size, uint64_t offset)
{
    const bool splits = atomic_load(&files_are_sparse) && size > SPARSE_SIZE_MIN && offset % BLOCK_SIZE != 0;
    return splits ? (size_t)(BLOCK_SIZE - offset % BLOCK_SIZE) : size;
}

/* Zeroes that the kernel would bring page by page; -1: there may be data. */
static ssize_t read_hole(int fd, void *data, size_t size, uint64_t offset)
{
    struct stat stat;
    if (!atomic_load(&files_are_sparse) || __real_system_fstat(fd, &stat) != 0) return -1;
    const uint64_t end = (uint64_t)stat.st_size;
    if (end <= offset || !is_empty(fd, offset, size)) return -1;
    const size_t count = end - offset < size ? (size_t)(end - offset) : size;
    memset(data, 0, count);
    return (ssize_t)count;
}

ssize_t __wrap_system_pread(int fd, void *data, size_t size, uint64_t offset)
{
    const enum fault_action action = fault_before(FAULT_READ);
    if (action == FAULT_FAIL) return -1;
    const ssize_t zeroes = read_hole(fd, data, size, offset);
    if (zeroes >= 0) return zeroes;
    const ssize_t result = __real_system_pread(
        fd, data, action == FAULT_SHORT ? (size + 1) / 2 : first_part(size, offset), offset);
    fault_after(FAULT_READ);
    return result;
}

ssize_t __wrap_system_pwrite(int fd, const void *data, size_t size, uint64_t offset)
{
    const enum fault_action action = fault_before(FAULT_WRITE);
    if (action == FAULT_FAIL) return -1;
    if (is_hole(fd, data, size, offset)) return reach(fd, offset + size) == 0 ? (ssize_t)size : -1;
    const size_t part = action == FAULT_SHORT ? (size + 1) / 2 : first_part(size, offset);
    const ssize_t result = __real_system_pwrite(fd, data, part, offset);
    fault_after(FAULT_WRITE);
    return result;
}

ssize_t __wrap_system_preadv_nowait(int fd, const struct iovec *vectors, int count, uint64_t offset)
{
    if (fault_before(FAULT_HINT) == FAULT_FAIL) return -1;
    const ssize_t result = __real_system_preadv_nowait(fd, vectors, count, offset);
    fault_after(FAULT_HINT);
    return result;
}

int __wrap_system_fallocate(int fd, int mode, uint64_t offset, uint64_t size)
{
    if (fault_before(FAULT_ALLOCATE) == FAULT_FAIL) return -1;
    if (atomic_load(&files_are_sparse) && mode == 0) return reach(fd, offset + size);
    const int result = __real_system_fallocate(fd, mode, offset, size);
    fault_after(FAULT_ALLOCATE);
    return result;
}

int __wrap_system_fadvise(int fd, uint64_t offset, uint64_t size, int advice)
{
    if (fault_before(FAULT_HINT) == FAULT_FAIL) return -1;
    const int result = __real_system_fadvise(fd, offset, size, advice);
    fault_after(FAULT_HINT);
    return result;
}

int __wrap_system_ftruncate(int fd, uint64_t size)
{
    if (fault_before(FAULT_TRUNCATE) == FAULT_FAIL) return -1;
    const int result = __real_system_ftruncate(fd, size);
    fault_after(FAULT_TRUNCATE);
    return result;
}

int __wrap_system_sync_range(int fd, uint64_t offset, uint64_t size, unsigned flags)
{
    if (fault_before(FAULT_HINT) == FAULT_FAIL) return -1;
    const int result = __real_system_sync_range(fd, offset, size, flags);
    fault_after(FAULT_HINT);
    return result;
}

int __wrap_system_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
    if (fault_before(FAULT_RENAME) == FAULT_FAIL) return -1;
    const int result = __real_system_rename(from_dir_fd, from, to_dir_fd, to);
    fault_after(FAULT_RENAME);
    return result;
}

int __wrap_system_unlink(int dir_fd, const char *name, int flags)
{
    if (fault_before(FAULT_UNLINK) == FAULT_FAIL) return -1;
    const int result = __real_system_unlink(dir_fd, name, flags);
    fault_after(FAULT_UNLINK);
    return result;
}

int __wrap_system_link(int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
    if (fault_before(FAULT_LINK) == FAULT_FAIL) return -1;
    const int result = __real_system_link(from_dir_fd, from, to_dir_fd, to);
    fault_after(FAULT_LINK);
    return result;
}

int __wrap_system_mkdir(int dir_fd, const char *name, mode_t mode)
{
    if (fault_before(FAULT_MKDIR) == FAULT_FAIL) return -1;
    const int result = __real_system_mkdir(dir_fd, name, mode);
    fault_after(FAULT_MKDIR);
    return result;
}

ssize_t __wrap_system_getdents(int dir_fd, void *data, size_t size)
{
    if (fault_before(FAULT_LIST) == FAULT_FAIL) return -1;
    const ssize_t result = __real_system_getdents(dir_fd, data, size);
    fault_after(FAULT_LIST);
    return result;
}

int __wrap_system_fstat(int fd, struct stat *ret_stat)
{
    if (fault_before(FAULT_STAT) == FAULT_FAIL) return -1;
    const int result = __real_system_fstat(fd, ret_stat);
    fault_after(FAULT_STAT);
    return result;
}

int __wrap_system_fstatat(int dir_fd, const char *name, struct stat *ret_stat, int flags)
{
    if (fault_before(FAULT_STAT) == FAULT_FAIL) return -1;
    const int result = __real_system_fstatat(dir_fd, name, ret_stat, flags);
    fault_after(FAULT_STAT);
    return result;
}

int __wrap_system_fstatfs(int fd, struct statfs *ret_statfs)
{
    if (fault_before(FAULT_STAT) == FAULT_FAIL) return -1;
    const int result = __real_system_fstatfs(fd, ret_statfs);
    fault_after(FAULT_STAT);
    return result;
}

int __wrap_system_lock(int fd, short type)
{
    if (fault_before(FAULT_LOCK) == FAULT_FAIL) return -1;
    const int result = __real_system_lock(fd, type);
    fault_after(FAULT_LOCK);
    return result;
}

void *__wrap_system_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset)
{
    if (fault_before(FAULT_MAP) == FAULT_FAIL) return MAP_FAILED;
    void *const result = __real_system_mmap(address, size, protection, flags, fd, offset);
    fault_after(FAULT_MAP);
    return result;
}

int __wrap_system_madvise(void *address, size_t size, int advice)
{
    const enum fault_kind kind = advice == MADV_POPULATE_WRITE ? FAULT_POPULATE : FAULT_HINT;
    if (fault_before(kind) == FAULT_FAIL) return -1;
    const int result = __real_system_madvise(address, size, advice);
    fault_after(kind);
    return result;
}

int __wrap_system_mincore(void *address, size_t size, unsigned char *ret_resident)
{
    if (fault_before(FAULT_HINT) == FAULT_FAIL) return -1;
    const int result = __real_system_mincore(address, size, ret_resident);
    fault_after(FAULT_HINT);
    return result;
}

ssize_t __wrap_system_getrandom(void *data, size_t size)
{
    if (fault_before(FAULT_RANDOM) == FAULT_FAIL) return -1;
    const ssize_t result = __real_system_getrandom(data, size);
    fault_after(FAULT_RANDOM);
    return result;
}

int __wrap_system_eventfd(void)
{
    if (fault_before(FAULT_EVENT) == FAULT_FAIL) return -1;
    const int result = __real_system_eventfd();
    fault_after(FAULT_EVENT);
    return result;
}

int __wrap_system_fdatasync(int fd)
{
    if (fault_before(FAULT_SYNC) == FAULT_FAIL) return -1;
    const int result = power_recorded_sync(fd, __real_system_fdatasync);
    fault_after(FAULT_SYNC);
    return result;
}

int __wrap_system_fsync(int fd)
{
    if (fault_before(FAULT_DIR_SYNC) == FAULT_FAIL) return -1;
    const int result = power_recorded_sync(fd, __real_system_fsync);
    fault_after(FAULT_DIR_SYNC);
    return result;
}

int __wrap_system_munmap(void *address, size_t size)
{
    return __real_system_munmap(address, size);
}

int __wrap_system_clock(clockid_t clock, struct timespec *ret_time)
{
    if (clock == CLOCK_REALTIME) (void)fault_before(FAULT_CLOCK);
    const int result = __real_system_clock(clock, ret_time);
    if (result == 0 && clock == CLOCK_REALTIME)
        ret_time->tv_sec += fault_wall_clock_shift_ms() / MS_PER_SECOND;
    return result;
}

/* Returns its error, as pthread_create() does. */
int __wrap_system_thread_create(pthread_t *ret_thread, void *(*run)(void *), void *argument)
{
    if (fault_before(FAULT_THREAD) == FAULT_FAIL) return errno;
    return __real_system_thread_create(ret_thread, run, argument);
}
