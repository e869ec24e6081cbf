/* SPDX-License-Identifier: MIT */
/*
 * Memory from the system: mapped files, and anonymous pages.
 *
 *   M1  A page of a mapped file is stored to only after map_populate_write() has granted it (no SIGBUS).
 *   M2  Anonymous pages start as zeroes.
 *
 * Offsets and sizes need not be page aligned: they are widened to whole pages, within the
 * mapping.
 */
#ifndef STAVE_OS_MAP_H
#define STAVE_OS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "os/file.h"
#include "stave.h"

enum { MAP_PAGE_SIZE = 4096, MAP_HUGE_PAGE_SIZE = 2 << 20 };

struct map {
    uint8_t *data;
    size_t size; /* as asked for; the mapping itself is whole pages */
};

#define MAP_NONE ((struct map){NULL, 0})

/* Maps the first `size` bytes of a file, shared, to read, or to read and write. Size 0 gives an empty map. */
enum stave_status map_file(const struct file *file, size_t size, bool writable, struct map *ret_map,
                           struct error *error);

/* Accepts an empty map, and leaves one. */
void map_free(struct map *map);

/* Gives back the pages wholly above `size`; the address stays. */
void map_shrink(struct map *map, size_t size);

/*
 * Makes the range present and writable, so that storing to it neither faults nor fails: MADV_POPULATE_WRITE.
 * STAVE_FULL or STAVE_IO where a store would have raised SIGBUS; STAVE_NO_MEMORY. On a kernel before 5.14 it
 * answers STAVE_INVALID.
 */
enum stave_status map_populate_write(const struct map *map, uint64_t offset, size_t size,
                                     struct error *error);

/*
 * Hints; failure is harmless and not reported. While a file is being filled, pages come in steps of up to
 * 2 MiB where the file system has pages of that size: a seventh of the cost of single ones, but a sync
 * writes a step as a whole. `filled` ends that for the pages still to come.
 */
void map_advise_filling(const struct map *map);
void map_advise_filled(const struct map *map);
/* Only the pages that are asked for come in. */
void map_advise_random(const struct map *map);
/* Begins to bring what is not in memory. */
void map_read_ahead(const struct map *map, uint64_t offset, size_t size);

/* Whether every page of the range is in memory now; false if it cannot be told. */
bool map_resident(const struct map *map, uint64_t offset, size_t size);

/*
 * Anonymous zeroed memory for large tables (M2): NULL if there is none. From 2 MiB up it is aligned to 2 MiB
 * and asks for huge pages. `size` is rounded up to whole pages; give pages_free() the same size.
 */
void *pages_alloc(size_t size);

/*
 * The same of small pages, whatever the size and the system's setting: only what is touched takes memory, and
 * pages_free() gives it back at once, which free() does not. For tables that are touched here and there, and
 * for buffers that live for a while.
 */
void *pages_alloc_small(size_t size);
void pages_free(void *pages, size_t size);

/* Gives the memory of whole pages in the range back to the system; they read as zeroes after. */
void pages_discard(void *pages, size_t size);

/*
 * One page that a child made by fork finds zeroed, to tell that it is one. NULL if there is none. Freed with
 * pages_free(page, MAP_PAGE_SIZE).
 */
void *pages_alloc_fork_wiped(void);

#endif
