/* SPDX-License-Identifier: MIT */
/*
 * A directory: made, listed, changed and made durable.
 *
 *   D1  A directory made by dir_create() is durable when the call returns: its parent has been synced.
 *   D2  Creations, renames, links and unlinks in a directory are durable after the next dir_sync() of it, not
 *       before.
 *
 * Results of every call: STAVE_OK, or STAVE_FULL, STAVE_PERMISSION, STAVE_NO_MEMORY, STAVE_IO with *error
 * filled; where a call also answers STAVE_NOT_FOUND or STAVE_EXISTS (positive: test for != STAVE_OK) it says
 * so, and fills *error too.
 */
#ifndef STAVE_OS_DIR_H
#define STAVE_OS_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "stave.h"

struct dir {
    int fd;
    char *path; /* as given to dir_open(), for messages */
};

#define DIR_NONE ((struct dir){-1, NULL})

/* Opens an existing directory. Also STAVE_NOT_FOUND. */
enum stave_status dir_open(const char *path, struct dir *ret_dir, struct error *error);

/* Accepts an empty directory, and leaves one. */
void dir_close(struct dir *dir);

/*
 * Makes one directory (not its parents) and syncs its parent (D1). Also STAVE_EXISTS, STAVE_NOT_FOUND (the
 * parent).
 */
enum stave_status dir_create(const char *path, struct error *error);

/* Makes what is there of entries durable (D2). */
enum stave_status dir_sync(const struct dir *dir, struct error *error);

/*
 * Calls `visit` for each entry but "." and ".."; stops early when it returns something other than STAVE_OK,
 * and returns that. Entries made or removed meanwhile may be seen or not.
 */
typedef enum stave_status (*dir_visit)(void *context, const char *name);
enum stave_status dir_list(const struct dir *dir, dir_visit visit, void *context, struct error *error);

/* Replaces `to` if it exists. Also STAVE_NOT_FOUND. */
enum stave_status dir_rename(const struct dir *dir, const char *from, const char *to, struct error *error);

/* Removes a file. Also STAVE_NOT_FOUND. */
enum stave_status dir_unlink(const struct dir *dir, const char *name, struct error *error);

/* Removes an empty directory given by path. Also STAVE_NOT_FOUND. */
enum stave_status dir_remove(const char *path, struct error *error);

/* A second name for a file. Also STAVE_NOT_FOUND, STAVE_EXISTS. */
enum stave_status dir_link(const struct dir *from_dir, const char *from, const struct dir *to_dir,
                           const char *to, struct error *error);

/* How many names the file `name` has; above 1, a snapshot shares it. Also STAVE_NOT_FOUND. */
enum stave_status dir_link_count(const struct dir *dir, const char *name, uint64_t *ret_count,
                                 struct error *error);

/* Whether `name` is there; STAVE_OK or STAVE_NOT_FOUND (then *error is left alone), else as above. */
enum stave_status dir_exists(const struct dir *dir, const char *name, struct error *error);

/*
 * Whether a page that was allocated and synced can be written through a mapping for good: true on ext2/3/4
 * and tmpfs. On a copy-on-write file system such a store can raise SIGBUS when the disk is full; anything
 * unknown counts as one.
 */
bool file_system_maps_safely(int dir_fd);

/*
 * An exclusive lock on the file `name` of a directory, which is created if need be. It belongs to the open
 * file, not to the process: it excludes another open of the same store in this process too, and goes when it
 * is closed or the process ends. A child made by fork shares it.
 */
struct dir_lock {
    int fd;
};

#define DIR_LOCK_NONE ((struct dir_lock){-1})

/* Also STAVE_LOCKED, when another holds it; never waits. */
enum stave_status dir_lock(const struct dir *dir, const char *name, struct dir_lock *ret_lock,
                           struct error *error);

/* Accepts an empty lock, and leaves one. The file stays. */
void dir_unlock(struct dir_lock *lock);

#endif
