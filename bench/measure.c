/* SPDX-License-Identifier: MIT */
/* Clock, /proc/self and directory walks. */
#include "measure.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { WALK_HANDLES = 16 };

static uint64_t walk_size; /* nftw passes no context; the program walks in one thread */

double measure_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The sum of the fields called `name`, which are in KiB, in a file of /proc/self. */
static uint64_t field_of(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    char line[256];
    uint64_t total = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long size = 0;
        const size_t name_size = strlen(name);
        if (strncmp(line, name, name_size) == 0 && sscanf(line + name_size, ": %llu", &size) == 1)
            total += size;
    }
    (void)fclose(file);
    return total * 1024;
}

/* smaps_rollup counts pages; the counters of /proc/self/status lag behind by some pages a thread. */
void measure_memory(struct measure_memory *ret_memory)
{
    const uint64_t resident = field_of("/proc/self/smaps_rollup", "Rss");
    const uint64_t private_size = field_of("/proc/self/smaps_rollup", "Anonymous") +
                                  field_of("/proc/self/status", "RssShmem") +
                                  field_of("/proc/self/status", "HugetlbPages");
    ret_memory->private_size = private_size;
    ret_memory->mapped_size = resident > private_size ? resident - private_size : 0;
}

static int add_size(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)path;
    (void)walk;
    if (kind == FTW_F) walk_size += (uint64_t)info->st_blocks * 512;
    return 0;
}

uint64_t measure_disk(const char *path)
{
    walk_size = 0;
    (void)nftw(path, add_size, WALK_HANDLES, FTW_PHYS);
    return walk_size;
}

uint64_t measure_disk_free(const char *path)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0) return 0;
    return (uint64_t)info.f_bavail * info.f_frsize;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    (void)remove(path);
    return 0;
}

void measure_remove(const char *path)
{
    (void)nftw(path, remove_one, WALK_HANDLES, FTW_PHYS | FTW_DEPTH);
}
