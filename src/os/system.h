/* SPDX-License-Identifier: MIT */
/*
 * Every call that Stave makes to the operating system, and nothing else.
 *
 * Each function is the call of its name: results and errno as the manual pages say, one line each in
 * system_linux.c. Retrying EINTR and short transfers is the business of the layer above (file.h, dir.h,
 * map.h). Tests put tests/support/system_faulty.c before it and can make any of them fail.
 */
#ifndef STAVE_OS_SYSTEM_H
#define STAVE_OS_SYSTEM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

int system_open(int dir_fd, const char *name, int flags, mode_t mode);
int system_close(int fd);
ssize_t system_write(int fd, const void *data, size_t size);
ssize_t system_pread(int fd, void *data, size_t size, uint64_t offset);
ssize_t system_pwrite(int fd, const void *data, size_t size, uint64_t offset);
ssize_t system_preadv_nowait(int fd, const struct iovec *vectors, int count,
                             uint64_t offset); /* RWF_NOWAIT */
int system_fallocate(int fd, int mode, uint64_t offset, uint64_t size);
int system_fadvise(int fd, uint64_t offset, uint64_t size, int advice);
int system_ftruncate(int fd, uint64_t size);
int system_fdatasync(int fd);
int system_fsync(int fd);
int system_sync_range(int fd, uint64_t offset, uint64_t size, unsigned flags);
int system_rename(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int system_unlink(int dir_fd, const char *name, int flags);
int system_link(int from_dir_fd, const char *from, int to_dir_fd, const char *to);
int system_mkdir(int dir_fd, const char *name, mode_t mode);
ssize_t system_getdents(int dir_fd, void *data, size_t size);
int system_fstat(int fd, struct stat *ret_stat);
int system_fstatat(int dir_fd, const char *name, struct stat *ret_stat, int flags);
int system_fstatfs(int fd, struct statfs *ret_statfs);
int system_lock(int fd, short type); /* F_OFD_SETLK on the whole file: F_WRLCK, F_RDLCK, F_UNLCK */
void *system_mmap(void *address, size_t size, int protection, int flags, int fd, uint64_t offset);
int system_munmap(void *address, size_t size);
int system_madvise(void *address, size_t size, int advice);
int system_mincore(void *address, size_t size, unsigned char *ret_resident);
ssize_t system_getrandom(void *data, size_t size);
int system_eventfd(void); /* non-blocking, close-on-exec */
int system_clock(clockid_t clock, struct timespec *ret_time);
int system_thread_create(pthread_t *ret_thread, void *(*run)(void *), void *argument);

#endif
