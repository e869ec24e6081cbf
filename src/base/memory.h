/* SPDX-License-Identifier: MIT */
/*
 * Memory from the C library: the only place that asks for it, so that a test can make any request fail.
 *
 * Every function returns NULL when there is no memory; nothing aborts. A size of 0 gives a pointer that can
 * be freed.
 */
#ifndef STAVE_BASE_MEMORY_H
#define STAVE_BASE_MEMORY_H

#include <stddef.h>

/* Bytes of undefined content. */
void *memory_alloc(size_t size);

/* `count` zeroed objects of `size` bytes; NULL also if the product does not fit. */
void *memory_alloc_zero(size_t count, size_t size);

/* Zeroed bytes on an `alignment` that is a power of two; released with memory_free(). */
void *memory_alloc_aligned(size_t alignment, size_t size);

/* As realloc(): on NULL the old block is still there. */
void *memory_realloc(void *block, size_t size);

/* A copy of `size` bytes. */
void *memory_copy(const void *data, size_t size);

/* A copy of a string with its final zero. */
char *memory_copy_string(const char *string);

/* Accepts NULL. */
void memory_free(void *block);

#endif
