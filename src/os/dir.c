/* SPDX-License-Identifier: MIT */
/*
 * A directory: made, listed, changed and made durable.
 */
#include "os/dir.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>

#include "base/memory.h"
#include "os/system.h"

enum { DIR_MODE = 0777, LOCK_MODE = 0666, LIST_BUFFER_SIZE = 16 << 10 };

/* The status of a failed call on `name`, which may also be "not there" or "already there". */
static enum stave_status name_status(int system_error)
{
    if (system_error == ENOENT) return STAVE_NOT_FOUND;
    if (system_error == EEXIST || system_error == ENOTEMPTY) return STAVE_EXISTS;
    return error_status(system_error);
}

static enum stave_status dir_error(const struct dir *dir, const char *name, const char *what,
                                   struct error *error)
{
    const int system_error = errno;
    return error_set(error, name_status(system_error), system_error, "%s/%s: %s", dir->path, name, what);
}

static int open_retrying(int dir_fd, const char *name, int flags, mode_t mode)
{
    int fd;
    do {
        fd = system_open(dir_fd, name, flags, mode);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int fsync_retrying(int fd)
{
    int result;
    do {
        result = system_fsync(fd);
    } while (result < 0 && errno == EINTR); /* interrupted before it began: nothing has been dropped */
    return result;
}

enum stave_status dir_open(const char *path, struct dir *ret_dir, struct error *error)
{
    char *const copy = memory_copy_string(path);
    if (copy == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory", path);

    const int fd = open_retrying(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) {
        const int system_error = errno;
        memory_free(copy);
        return error_set(error, name_status(system_error), system_error, "%s: cannot open the directory",
                         path);
    }
    *ret_dir = (struct dir){.fd = fd, .path = copy};
    return STAVE_OK;
}

void dir_close(struct dir *dir)
{
    if (dir->fd >= 0) (void)system_close(dir->fd);
    memory_free(dir->path);
    *dir = DIR_NONE;
}

enum stave_status dir_sync(const struct dir *dir, struct error *error)
{
    if (fsync_retrying(dir->fd) == 0) return STAVE_OK;
    return error_set(error, error_status(errno), errno, "%s: cannot sync the directory", dir->path);
}

/* Cuts the last component off: "a/b/" becomes "a", "b" becomes ".", "/b" becomes "/". */
static void cut_to_parent(char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    while (length > 0 && path[length - 1] != '/') length--;
    while (length > 1 && path[length - 1] == '/') length--;
    if (length == 0) path[length++] = '.';
    path[length] = '\0';
}

static enum stave_status sync_parent(const char *path, struct error *error)
{
    char *const parent_path = memory_copy_string(path[0] != '\0' ? path : ".");
    if (parent_path == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory", path);
    cut_to_parent(parent_path);

    struct dir parent = DIR_NONE;
    enum stave_status status = dir_open(parent_path, &parent, error);
    if (status == STAVE_OK) status = dir_sync(&parent, error);
    dir_close(&parent);
    memory_free(parent_path);
    return status;
}

enum stave_status dir_create(const char *path, struct error *error)
{
    if (system_mkdir(AT_FDCWD, path, DIR_MODE) == 0) return sync_parent(path, error);
    return error_set(error, name_status(errno), errno, "%s: cannot create the directory", path);
}

enum stave_status dir_remove(const char *path, struct error *error)
{
    if (system_unlink(AT_FDCWD, path, AT_REMOVEDIR) == 0) return STAVE_OK;
    return error_set(error, name_status(errno), errno, "%s: cannot remove the directory", path);
}

static enum stave_status visit_entries(const uint8_t *entries, size_t size, dir_visit visit, void *context)
{
    for (size_t at = 0; at < size;) {
        uint16_t entry_size;
        memcpy(&entry_size, entries + at + offsetof(struct dirent64, d_reclen), sizeof(entry_size));
        const char *const name = (const char *)entries + at + offsetof(struct dirent64, d_name);
        at += entry_size;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        const enum stave_status status = visit(context, name);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

/*
 * A descriptor has one position: a list reads through one of its own, so that lists do not disturb each
 * other.
 */
enum stave_status dir_list(const struct dir *dir, dir_visit visit, void *context, struct error *error)
{
    const int fd = open_retrying(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return error_set(error, error_status(errno), errno, "%s: cannot list the directory", dir->path);
    uint8_t *const entries = memory_alloc(LIST_BUFFER_SIZE);
    enum stave_status status = STAVE_OK;
    if (entries == NULL) status = error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory", dir->path);

    for (ssize_t got = 1; status == STAVE_OK && got > 0;) {
        got = system_getdents(fd, entries, LIST_BUFFER_SIZE);
        if (got > 0) status = visit_entries(entries, (size_t)got, visit, context);
        if (got < 0)
            status = error_set(error, error_status(errno), errno, "%s: cannot list the directory", dir->path);
    }
    memory_free(entries);
    (void)system_close(fd);
    return status;
}

enum stave_status dir_rename(const struct dir *dir, const char *from, const char *to, struct error *error)
{
    if (system_rename(dir->fd, from, dir->fd, to) == 0) return STAVE_OK;
    return dir_error(dir, from, "cannot rename", error);
}

enum stave_status dir_unlink(const struct dir *dir, const char *name, struct error *error)
{
    if (system_unlink(dir->fd, name, 0) == 0) return STAVE_OK;
    return dir_error(dir, name, "cannot remove", error);
}

enum stave_status dir_link(const struct dir *from_dir, const char *from, const struct dir *to_dir,
                           const char *to, struct error *error)
{
    if (system_link(from_dir->fd, from, to_dir->fd, to) == 0) return STAVE_OK;
    return dir_error(to_dir, to, "cannot link", error);
}

enum stave_status dir_link_count(const struct dir *dir, const char *name, uint64_t *ret_count,
                                 struct error *error)
{
    struct stat stat;
    if (system_fstatat(dir->fd, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        return dir_error(dir, name, "cannot look up", error);
    *ret_count = (uint64_t)stat.st_nlink;
    return STAVE_OK;
}

enum stave_status dir_exists(const struct dir *dir, const char *name, struct error *error)
{
    struct stat stat;
    if (system_fstatat(dir->fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0) return STAVE_OK;
    if (errno == ENOENT) return STAVE_NOT_FOUND;
    return dir_error(dir, name, "cannot look up", error);
}

bool file_system_maps_safely(int dir_fd)
{
    struct statfs fs;
    if (system_fstatfs(dir_fd, &fs) != 0) return false;
    return fs.f_type == EXT4_SUPER_MAGIC ||
           fs.f_type == TMPFS_MAGIC; /* ext2 and ext3 share the number of ext4 */
}

enum stave_status dir_lock(const struct dir *dir, const char *name, struct dir_lock *ret_lock,
                           struct error *error)
{
    const int fd = open_retrying(dir->fd, name, O_RDWR | O_CREAT | O_CLOEXEC, LOCK_MODE);
    if (fd < 0) return dir_error(dir, name, "cannot open the lock", error);
    if (system_lock(fd, F_WRLCK) == 0) {
        ret_lock->fd = fd;
        return STAVE_OK;
    }
    const int system_error = errno;
    (void)system_close(fd);
    if (system_error == EAGAIN || system_error == EACCES) {
        return error_set(error, STAVE_LOCKED, 0, "%s/%s: locked: the store is open elsewhere", dir->path,
                         name);
    }
    return error_set(error, error_status(system_error), system_error, "%s/%s: cannot lock", dir->path, name);
}

void dir_unlock(struct dir_lock *lock)
{
    if (lock->fd >= 0) (void)system_close(lock->fd);
    *lock = DIR_LOCK_NONE;
}
