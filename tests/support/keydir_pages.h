/* SPDX-License-Identifier: MIT */
/* What tests of the keydir share: pages that are counted and can be refused, hashes, and a whole look-up. */
#ifndef STAVE_TESTS_KEYDIR_PAGES_H
#define STAVE_TESTS_KEYDIR_PAGES_H

#include <stdint.h>
#include <sys/mman.h>

#include "index/keydir.h"

struct keydir_pages {
    uint64_t mapped_size;
    uint64_t map_count;
    uint64_t refuse_from; /* maps that succeed before all are refused; 0: none is refused */
};

static inline void *keydir_pages_map(void *context, size_t size)
{
    struct keydir_pages *const pages = context;
    if (pages->refuse_from != 0 && pages->map_count + 1 >= pages->refuse_from) return NULL;
    const size_t alignment = 2 << 20;
    uint8_t *const at = mmap(NULL, size + alignment, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return NULL;
    const size_t before = (alignment - (uintptr_t)at % alignment) % alignment;
    if (before > 0) (void)munmap(at, before);
    (void)munmap(at + before + size, alignment - before);
    pages->mapped_size += size;
    pages->map_count++;
    return at + before;
}

static inline void keydir_pages_unmap(void *context, void *at, size_t size)
{
    struct keydir_pages *const pages = context;
    pages->mapped_size -= size;
    (void)munmap(at, size);
}

static inline struct keydir_memory keydir_pages_memory(struct keydir_pages *pages)
{
    return (struct keydir_memory){pages, keydir_pages_map, keydir_pages_unmap};
}

/* The hash of key number `key`. */
static inline uint64_t keydir_test_hash(uint64_t key)
{
    uint64_t value = key + UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

/* A key's locations are its number plus 1 in the low 32 bits, and any version above. */
static inline uint64_t keydir_test_location(uint64_t key, uint64_t version)
{
    return (key + 1) | version << 32;
}

/*
 * A look-up as the store does it: the location tells the key. 0: not there, or what loading failed with: not
 * there.
 */
static inline uint64_t keydir_test_find(struct keydir *keydir, uint64_t key)
{
    struct keydir_probe probe;
    do {
        if (keydir_probe_begin(keydir, keydir_test_hash(key), &probe) < 0) return 0;
        uint64_t location;
        while (keydir_probe_next(&probe, &location))
            if ((location & UINT32_MAX) == key + 1) return location;
    } while (keydir_probe_changed(&probe));
    return 0;
}

static inline enum stave_status keydir_test_add(struct keydir *keydir, uint64_t key, uint64_t version)
{
    const enum stave_status status = keydir_reserve(keydir, 1);
    if (status < 0) return status;
    keydir_insert(keydir, keydir_test_hash(key), keydir_test_location(key, version));
    return STAVE_OK;
}

#endif
