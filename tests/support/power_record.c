/* SPDX-License-Identifier: MIT */
/*
 * Records in the shadow directory what each sync makes durable.
 *
 * The content is copied before the sync begins, since only what was written by then is promised, and put in
 * place after it succeeded. One sync at a time, so that an older copy never replaces a newer one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/fault.h"
#include "support/power_loss.h"

enum { COPY_SIZE = 64 << 10, WALK_DIRS_MAX = 64 };

static struct {
    pthread_mutex_t lock;
    char shadow[POWER_PATH_SIZE]; /* "" for off */
    int skips;                    /* nothing is asked of the disk */
} record = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int shadow_open(const char *name)
{
    char path[POWER_PATH_SIZE];
    power_join(path, record.shadow, "/", name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    power_check(fd >= 0, "cannot make", path);
    return fd;
}

static void save_file(int fd, const char *name)
{
    static const char zeroes[COPY_SIZE];
    static char block[COPY_SIZE]; /* lock */
    struct stat stat;
    power_check(fstat(fd, &stat) == 0, "cannot look up", name);
    const int copy = shadow_open(name);
    for (off_t at = 0; at < stat.st_size;) {
        const ssize_t got = pread(fd, block, sizeof(block), at);
        if (got <= 0) break;
        const int is_zero = memcmp(block, zeroes, (size_t)got) == 0;
        power_check(is_zero || pwrite(copy, block, (size_t)got, at) == got, "cannot copy to", name);
        at += got;
    }
    power_check(ftruncate(copy, stat.st_size) == 0, "cannot copy to", name);
    close(copy);
}

static void save_dir(const char *path, const char *name)
{
    struct power_list list = power_list_live(path);
    const int copy = shadow_open(name);
    for (int i = 0; i < list.count; i++) {
        const struct power_entry *const entry = &list.entries[i];
        power_check(dprintf(copy, "%s %c %s\n", entry->identity, entry->kind, entry->name) > 0,
                    "cannot write", name);
    }
    close(copy);
    power_list_free(&list);
}

/* Saves what the path holds under a temporary name, and returns the name it gets in the shadow. */
static void save_pending(const char *path, char ret_final[POWER_PATH_SIZE])
{
    char identity[POWER_IDENTITY_SIZE];
    struct stat stat;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    power_check(fd >= 0 && fstat(fd, &stat) == 0, "cannot open", path);
    power_identity(fd, identity);
    power_join(ret_final, S_ISDIR(stat.st_mode) ? "d" : "f", "-", identity);
    if (S_ISDIR(stat.st_mode))
        save_dir(path, "pending");
    else
        save_file(fd, "pending");
    close(fd);
}

static void keep_pending(const char *final)
{
    char from[POWER_PATH_SIZE];
    char to[POWER_PATH_SIZE];
    power_join(from, record.shadow, "/", "pending");
    power_join(to, record.shadow, "/", final);
    if (record.skips)
        (void)unlink(to); /* no kill comes here then; a rename over it would wait for the disk */
    power_check(rename(from, to) == 0, "cannot rename to", to);
}

int power_recorded_sync(int fd, int (*sync)(int fd))
{
    pthread_mutex_lock(&record.lock);
    const int is_on = record.shadow[0] != '\0';
    char final[POWER_PATH_SIZE];
    if (is_on) {
        char path[POWER_PATH_SIZE];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        save_pending(path, final);
    }
    const int result = record.skips ? 0 : sync(fd);
    const int system_error = errno;
    if (is_on && result == 0) keep_pending(final);
    pthread_mutex_unlock(&record.lock);
    errno = system_error;
    return result;
}

/* Saves one directory and its files; appends its directories to the walk. */
static int save_level(const char *path, char walk[][POWER_PATH_SIZE], int count)
{
    char final[POWER_PATH_SIZE];
    save_pending(path, final);
    keep_pending(final);
    struct power_list list = power_list_live(path);
    for (int i = 0; i < list.count; i++) {
        char child[POWER_PATH_SIZE];
        power_join(child, path, "/", list.entries[i].name);
        if (list.entries[i].kind == 'd') {
            power_check(count < WALK_DIRS_MAX, "too many directories in", path);
            memcpy(walk[count++], child, sizeof(child));
            continue;
        }
        save_pending(child, final);
        keep_pending(final);
    }
    power_list_free(&list);
    return count;
}

void fault_power_begin(const char *dir, const char *shadow)
{
    static char walk[WALK_DIRS_MAX][POWER_PATH_SIZE]; /* lock */
    pthread_mutex_lock(&record.lock);
    snprintf(record.shadow, sizeof(record.shadow), "%s", shadow);
    snprintf(walk[0], sizeof(walk[0]), "%s", dir);
    int count = 1;
    for (int i = 0; i < count; i++) count = save_level(walk[i], walk, count);
    pthread_mutex_unlock(&record.lock);
}

void fault_skip_syncs(void)
{
    pthread_mutex_lock(&record.lock);
    record.skips = 1;
    pthread_mutex_unlock(&record.lock);
}

void fault_power_end(void)
{
    pthread_mutex_lock(&record.lock);
    record.shadow[0] = '\0';
    pthread_mutex_unlock(&record.lock);
}
