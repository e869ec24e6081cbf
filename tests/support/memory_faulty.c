/* SPDX-License-Identifier: MIT */
/*
 * base/memory.h with failures: ld --wrap sends every call from another file here, and __real_ names the
 * original.
 */
#include "base/memory.h"

#include "support/fault.h"

void *__real_memory_alloc(size_t size);
void *__real_memory_alloc_zero(size_t count, size_t size);
void *__real_memory_alloc_aligned(size_t alignment, size_t size);
void *__real_memory_realloc(void *block, size_t size);
void *__real_memory_copy(const void *data, size_t size);
char *__real_memory_copy_string(const char *string);
void __real_memory_free(void *block);

void *__wrap_memory_alloc(size_t size);
void *__wrap_memory_alloc_zero(size_t count, size_t size);
void *__wrap_memory_alloc_aligned(size_t alignment, size_t size);
void *__wrap_memory_realloc(void *block, size_t size);
void *__wrap_memory_copy(const void *data, size_t size);
char *__wrap_memory_copy_string(const char *string);
void __wrap_memory_free(void *block);

static int fails(void)
{
    return fault_before(FAULT_MEMORY) == FAULT_FAIL;
}

void *__wrap_memory_alloc(size_t size)
{
    return fails() ? NULL : __real_memory_alloc(size);
}

void *__wrap_memory_alloc_zero(size_t count, size_t size)
{
    return fails() ? NULL : __real_memory_alloc_zero(count, size);
}

void *__wrap_memory_alloc_aligned(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_memory_alloc_aligned(alignment, size);
}

void *__wrap_memory_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_memory_realloc(block, size);
}

void *__wrap_memory_copy(const void *data, size_t size)
{
    return fails() ? NULL : __real_memory_copy(data, size);
}

char *__wrap_memory_copy_string(const char *string)
{
    return fails() ? NULL : __real_memory_copy_string(string);
}

void __wrap_memory_free(void *block)
{
    __real_memory_free(block);
}
