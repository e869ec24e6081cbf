/* SPDX-License-Identifier: MIT */
/*
 * What a directory holds after a power cut: composed from what it holds now and what was durable.
 *
 *   1. The parent makes `dir` and `shadow` (empty) and forks.
 *   2. The child calls fault_power_begin(dir, shadow) (support/fault.h), works, and is killed or crashes
 *      anywhere.
 *   3. The parent calls power_loss_compose(dir, shadow, image, seed) for as many seeds as it likes, each with
 *      a new `image`, and opens what it finds there.
 *
 * The rules are the letter of POSIX, which no file system is worse than:
 *
 *   L1  A page of a file changed since its last completed sync began is kept, lost, or torn in sectors of 512
 *       bytes.
 *   L2  A size changed since is kept or lost. A file never synced has size 0 and no content to fall back on.
 *   L3  A name made, removed or moved since the directory's last fsync is kept or lost, each file's for
 *       itself; a rename is not taken apart.
 *   L4  The same seed gives the same image. How much is kept differs from seed to seed, from all to nothing.
 */
#ifndef STAVE_TESTS_SUPPORT_POWER_LOSS_H
#define STAVE_TESTS_SUPPORT_POWER_LOSS_H

#include <stdint.h>

/*
 * Makes `image`, which must not exist. A failure of the test's own machinery ends the program with a message.
 */
void power_loss_compose(const char *dir, const char *shadow, const char *image, uint64_t seed);

/* Removes a directory and all in it, for images no longer needed; one that is not there is fine. */
void power_loss_remove_tree(const char *path);

enum { POWER_IDENTITY_SIZE = 48, POWER_PATH_SIZE = 1024 };

/*
 * Shared with the recorder. An identity is inode and generation, since inode numbers are given out again. The
 * shadow holds "f-<identity>", a file's durable content, and "d-<identity>", a directory's durable names, one
 * a line: identity, 'f' or 'd', name.
 */
struct power_entry {
    char identity[POWER_IDENTITY_SIZE]; /* "" for none */
    char kind;                          /* 'f' or 'd' */
    char name[256];
};

struct power_list {
    struct power_entry *entries;
    int count;
};

void power_identity(int fd, char ret_identity[POWER_IDENTITY_SIZE]);
struct power_list power_list_live(const char *path);
void power_list_free(struct power_list *list);
void power_join(char ret_path[POWER_PATH_SIZE], const char *left, const char *separator, const char *right);
void power_check(int ok, const char *what, const char *path);

#endif
