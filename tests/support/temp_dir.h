/* SPDX-License-Identifier: MIT */
/*
 * An empty directory for a test, under TMPDIR or /tmp, removed with all in it at the end.
 */
#ifndef STAVE_TESTS_SUPPORT_TEMP_DIR_H
#define STAVE_TESTS_SUPPORT_TEMP_DIR_H

enum { TEMP_DIR_PATH_SIZE = 512 };

struct temp_dir {
    char path[TEMP_DIR_PATH_SIZE];
};

/* Ends the program with a message if it cannot be made. */
struct temp_dir temp_dir_make(void);
void temp_dir_remove(struct temp_dir *dir);

#endif
