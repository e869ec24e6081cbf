/* SPDX-License-Identifier: MIT */
/*
 * Memory from the system: mapped files, and anonymous pages.
 */
#include "os/map.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "os/system.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum { RESIDENT_PAGES_AT_ONCE = 256, PROTECTION_WRITE = PROT_READ | PROT_WRITE };
enum { READ_AHEAD_STEP = 131072 }; /* Linux takes no more than a device's read-ahead from one hint */

enum stave_status map_file(const struct file *file, size_t size, bool writable, struct map *ret_map,
                           struct error *error)
{
    if (size == 0) {
        *ret_map = MAP_NONE;
        return STAVE_OK;
    }
    const int protection = writable ? PROTECTION_WRITE : PROT_READ;
    void *const data = system_mmap(NULL, size, protection, MAP_SHARED, file->fd, 0);
    if (data == MAP_FAILED) {
        return file_error(file, error, error_status(errno), errno, "cannot map %zu bytes", size);
    }
    *ret_map = (struct map){.data = data, .size = size};
    return STAVE_OK;
}

/* A failed unmap of whole mappings means a wrong address, which is our own mistake. */
static void unmap(void *data, size_t size)
{
    if (size == 0) return;
    const int result = system_munmap(data, size);
    assert(result == 0 || errno == ENOMEM);
}

void map_free(struct map *map)
{
    unmap(map->data, map->size);
    *map = MAP_NONE;
}

void map_shrink(struct map *map, size_t size)
{
    assert(size <= map->size);
    const size_t kept = align_up(size, MAP_PAGE_SIZE);
    const size_t had = align_up(map->size, MAP_PAGE_SIZE);
    if (kept < had) unmap(map->data + kept, had - kept);
    __atomic_store_n(&map->size, size, __ATOMIC_RELAXED); /* beside readers of what stays mapped */
    if (size == 0) *map = MAP_NONE;
}

/* The whole pages that a range of a mapping touches. */
struct page_range {
    uint8_t *data;
    size_t size;
};

static struct page_range pages_of(const struct map *map, uint64_t offset, size_t size)
{
    const size_t mapped = align_up(__atomic_load_n(&map->size, __ATOMIC_RELAXED), MAP_PAGE_SIZE);
    if (offset >= mapped || size == 0) return (struct page_range){map->data, 0};
    const size_t begin = align_down(offset, MAP_PAGE_SIZE);
    const size_t left = mapped - (size_t)offset;
    const size_t end = size < left ? align_up(offset + size, MAP_PAGE_SIZE) : mapped;
    return (struct page_range){map->data + begin, end - begin};
}

static enum stave_status populate_status(int system_error)
{
    if (system_error == EINVAL) return STAVE_INVALID; /* a kernel that does not know the call */
    if (system_error == EFAULT) return STAVE_FULL;    /* where a store would have raised SIGBUS */
    return error_status(system_error);
}

enum stave_status map_populate_write(const struct map *map, uint64_t offset, size_t size, struct error *error)
{
    const struct page_range range = pages_of(map, offset, size);
    if (range.size == 0) return STAVE_OK;
    int result;
    do {
        result = system_madvise(range.data, range.size, MADV_POPULATE_WRITE);
    } while (result < 0 && (errno == EINTR || errno == EAGAIN));
    if (result == 0) return STAVE_OK;
    const int system_error = errno;
    return error_set(error, populate_status(system_error), system_error,
                     "cannot make %zu bytes at offset %" PRIu64 " of a mapped file writable", size, offset);
}

void map_advise_filling(const struct map *map)
{
    const struct page_range range = pages_of(map, 0, map->size);
    if (range.size == 0) return;
    (void)system_madvise(range.data, range.size, MADV_NORMAL); /* after MADV_RANDOM it would be slower */
    (void)system_madvise(range.data, range.size, MADV_HUGEPAGE);
}

void map_advise_random(const struct map *map)
{
    const struct page_range range = pages_of(map, 0, map->size);
    if (range.size > 0) (void)system_madvise(range.data, range.size, MADV_RANDOM);
}

void map_advise_filled(const struct map *map)
{
    const struct page_range range = pages_of(map, 0, map->size);
    if (range.size > 0) (void)system_madvise(range.data, range.size, MADV_NOHUGEPAGE);
    map_advise_random(map);
}

static bool all_resident(uint8_t *data, size_t size)
{
    unsigned char resident[RESIDENT_PAGES_AT_ONCE];
    if (system_mincore(data, size, resident) != 0) return false;
    for (size_t page = 0; page < size / MAP_PAGE_SIZE; page++) {
        if ((resident[page] & 1) == 0) return false;
    }
    return true;
}

bool map_resident(const struct map *map, uint64_t offset, size_t size)
{
    const size_t step_max = (size_t)RESIDENT_PAGES_AT_ONCE * MAP_PAGE_SIZE;
    const struct page_range range = pages_of(map, offset, size);
    for (size_t at = 0; at < range.size; at += step_max) {
        const size_t left = range.size - at;
        if (!all_resident(range.data + at, left < step_max ? left : step_max)) return false;
    }
    return true;
}

void map_read_ahead(const struct map *map, uint64_t offset, size_t size)
{
    const struct page_range range = pages_of(map, offset, size);
    for (size_t at = 0; at < range.size; at += READ_AHEAD_STEP) {
        const size_t left = range.size - at;
        const size_t step = left < READ_AHEAD_STEP ? left : READ_AHEAD_STEP;
        if (!all_resident(range.data + at, step)) (void)system_madvise(range.data + at, step, MADV_WILLNEED);
    }
}

static void *anonymous(size_t size)
{
    void *const pages = system_mmap(NULL, size, PROTECTION_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages != MAP_FAILED ? pages : NULL;
}

/* Maps a huge page more than asked for and gives back what lies before and after the aligned part. */
static void *anonymous_huge(size_t size)
{
    if (size > SIZE_MAX - MAP_HUGE_PAGE_SIZE) return NULL;
    uint8_t *const all = anonymous(size + MAP_HUGE_PAGE_SIZE);
    if (all == NULL) return NULL;
    const size_t before = (size_t)(align_up((uintptr_t)all, MAP_HUGE_PAGE_SIZE) - (uintptr_t)all);
    unmap(all, before);
    unmap(all + before + size, MAP_HUGE_PAGE_SIZE - before);
    (void)system_madvise(all + before, size, MADV_HUGEPAGE);
    return all + before;
}

void *pages_alloc(size_t size)
{
    uint64_t rounded;
    if (size == 0 || !align_up_fits(size, MAP_PAGE_SIZE, &rounded)) return NULL;
    return rounded < MAP_HUGE_PAGE_SIZE ? anonymous(rounded) : anonymous_huge(rounded);
}

void *pages_alloc_small(size_t size)
{
    uint64_t rounded;
    if (size == 0 || !align_up_fits(size, MAP_PAGE_SIZE, &rounded)) return NULL;
    void *const pages = anonymous(rounded);
    if (pages != NULL) (void)system_madvise(pages, rounded, MADV_NOHUGEPAGE);
    return pages;
}

void pages_free(void *pages, size_t size)
{
    if (pages != NULL) unmap(pages, align_up(size, MAP_PAGE_SIZE));
}

void pages_discard(void *pages, size_t size)
{
    const uint64_t begin = align_up((uintptr_t)pages, MAP_PAGE_SIZE);
    const uint64_t end = align_down((uintptr_t)pages + size, MAP_PAGE_SIZE);
    if (begin >= end) return;
    uint8_t *const first = (uint8_t *)pages + (begin - (uintptr_t)pages);
    (void)system_madvise(first, end - begin, MADV_DONTNEED);
}

void *pages_alloc_fork_wiped(void)
{
    void *const page = anonymous(MAP_PAGE_SIZE);
    if (page == NULL) return NULL;
    if (system_madvise(page, MAP_PAGE_SIZE, MADV_WIPEONFORK) == 0) return page;
    unmap(page, MAP_PAGE_SIZE);
    return NULL;
}
