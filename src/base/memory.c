/* SPDX-License-Identifier: MIT */
/*
 * Memory from the C library. Nothing else in Stave calls its allocator (style 9.4).
 */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void *memory_alloc(size_t size)
{
    return malloc(size > 0 ? size : 1);
}

void *memory_alloc_zero(size_t count, size_t size)
{
    if (count == 0 || size == 0) return calloc(1, 1);
    return calloc(count, size);
}

void *memory_alloc_aligned(size_t alignment, size_t size)
{
    void *block = NULL;
    if (size == 0) size = 1;
    if (posix_memalign(&block, alignment, size) != 0) return NULL;
    return memset(block, 0, size);
}

void *memory_realloc(void *block, size_t size)
{
    return realloc(block, size > 0 ? size : 1);
}

void *memory_copy(const void *data, size_t size)
{
    void *const copy = memory_alloc(size);
    if (copy != NULL && size > 0) memcpy(copy, data, size);
    return copy;
}

char *memory_copy_string(const char *string)
{
    return memory_copy(string, strlen(string) + 1);
}

void memory_free(void *block)
{
    free(block);
}
