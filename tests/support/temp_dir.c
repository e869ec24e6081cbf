/* SPDX-License-Identifier: MIT */
/*
 * An empty directory for a test.
 */
#include "support/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/power_loss.h"

struct temp_dir temp_dir_make(void)
{
    struct temp_dir dir;
    const char *const parent = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    (void)snprintf(dir.path, sizeof(dir.path), "%s/stave-test-XXXXXX", parent);
    power_check(mkdtemp(dir.path) != NULL, "cannot make", dir.path);
    return dir;
}

void temp_dir_remove(struct temp_dir *dir)
{
    power_loss_remove_tree(dir->path);
    dir->path[0] = '\0';
}
