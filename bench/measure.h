/* SPDX-License-Identifier: MIT */
/* What the system says: time, memory of this process, bytes of a directory. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>

double measure_seconds(void);

struct measure_memory {
    uint64_t private_size; /* resident, anonymous or shared memory without a file */
    uint64_t mapped_size;  /* resident pages of mapped files: the page cache's, given back under pressure */
};

void measure_memory(struct measure_memory *ret_memory);
/* Allocated bytes (st_blocks) of the files below `path`. */
uint64_t measure_disk(const char *path);
uint64_t measure_disk_free(const char *path);
/* Removes `path` and all below it. */
void measure_remove(const char *path);

#endif
