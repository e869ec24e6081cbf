/* SPDX-License-Identifier: MIT */
/*
 * The calls to Linux, one line each.
 */
#include "os/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

int system_open(int dir_fd, const char *name, int flags, mode_t mode)
{
    return openat(dir_fd, name, flags, mode);
}

int system_close(int fd)
{
    return close(fd);
}

ssize_t system_write(int fd, const void *data, size_t size)
{
    return write(fd, data, size);
}

ssize_t system_pread(int fd, void *data, size_t size, uint64_t offset)
{
    return pread(fd, data, size, (off_t)offset);
}

ssize_t system_pwrite(int fd, const void *data, size_t size, uint64_t offset)
{
    return pwrite(fd, data, size, (off_t)offset);
}

ssize_t system_preadv_nowait(int fd, const struct iovec *vectors, int count, uint64_t offset)
{
    return preadv2(fd, vectors, count, (off_t)offset, RWF_NOWAIT);
}

int system_fallocate(int fd, int mode, uint64_t offset, uint64_t size)
{
    return fallocate(fd, mode, (off_t)offset, (off_t)size);
}

int system_fadvise(int fd, uint64_t offset, uint64_t size, int advice)
{
    return posix_fadvise(fd, (off_t)offset, (off_t)size, advice);
}

int system_ftruncate(int fd, uint64_t size)
{
    return ftruncate(fd, (off_t)size);
}

int system_fdatasync(int fd)
{
    return fdatasync(fd);
}

int system_fsync(int fd)
{
    return fsync(fd);
}

int system_sync_range(int fd, uint64_t offset, uint64_t size, unsigned flags)
{
    return sync_file_range(fd, (off_t)offset, (off_t)size, flags);
}

int system_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
    return renameat(from_dir_fd, from, to_dir_fd, to);
}

int system_unlink(int dir_fd, const char *name, int flags)
{
    return unlinkat(dir_fd, name, flags);
}

int system_link(int from_dir_fd, const char *from, int to_dir_fd, const char *to)
{
    return linkat(from_dir_fd, from, to_dir_fd, to, 0);
}

int system_mkdir(int dir_fd, const char *name, mode_t mode)
{
    return mkdirat(dir_fd, name, mode);
}

ssize_t system_getdents(int dir_fd, void *data, size_t size)
{
    return (ssize_t)syscall(SYS_getdents64, dir_fd, data, size);
}

int system_fstat(int fd, struct stat *ret_stat)
{
    return fstat(fd, ret_stat);
}

int system_fstatat(int dir_fd, const char *name, struct stat *ret_stat, int flags)
{
    return fstatat(dir_fd, name, ret_stat, flags);
}

int system_fstatfs(int fd, struct statfs *ret_statfs)
{
    return fstatfs(fd, ret_statfs);
}

int system_lock(int fd, short type)
{
    return fcntl(fd, F_OFD_SETLK, &(struct flock){.l_type = type, .l_whence = SEEK_SET});
}

void *system_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset)
{
    return mmap(address, size, protection, flags, fd, (off_t)offset);
}

int system_munmap(void *address, size_t size)
{
    return munmap(address, size);
}

int system_madvise(void *address, size_t size, int advice)
{
    return madvise(address, size, advice);
}

int system_mincore(void *address, size_t size, unsigned char *ret_resident)
{
    return mincore(address, size, ret_resident);
}

ssize_t system_getrandom(void *data, size_t size)
{
    return getrandom(data, size, 0);
}

int system_eventfd(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

int system_clock(clockid_t clock, struct timespec *ret_time)
{
    return clock_gettime(clock, ret_time);
}

int system_thread_create(pthread_t *ret_thread, void *(*run)(void *), void *argument)
{
    return pthread_create(ret_thread, NULL, run, argument);
}
