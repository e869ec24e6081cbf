/* SPDX-License-Identifier: MIT */
/*
 * Little-endian integers in byte arrays, and arithmetic on sizes that cannot wrap unseen.
 *
 * The loads and stores go byte by byte, so they work at any alignment and on any machine; the compiler makes
 * one instruction of each.
 */
#ifndef STAVE_BASE_BYTES_H
#define STAVE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline uint16_t load_le16(const uint8_t *at)
{
    return (uint16_t)(at[0] | (unsigned)at[1] << 8);
}

static inline uint32_t load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t load_le64(const uint8_t *at)
{
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
}

static inline void store_le16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static inline void store_le32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
}

static inline void store_le64(uint8_t *at, uint64_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
    at[2] = (uint8_t)(value >> 16);
    at[3] = (uint8_t)(value >> 24);
    at[4] = (uint8_t)(value >> 32);
    at[5] = (uint8_t)(value >> 40);
    at[6] = (uint8_t)(value >> 48);
    at[7] = (uint8_t)(value >> 56);
}

static inline bool bytes_are_zero(const uint8_t *at, size_t size)
{
    uint8_t seen = 0;
    for (size_t index = 0; index < size; index++) seen |= at[index];
    return seen == 0;
}

/* The checked helpers answer whether the result fits; *ret_result is written only if it does. */

static inline bool add_fits(uint64_t a, uint64_t b, uint64_t *ret_result)
{
    if (b > UINT64_MAX - a) return false;
    *ret_result = a + b;
    return true;
}

static inline bool multiply_fits(uint64_t a, uint64_t b, uint64_t *ret_result)
{
    if (b != 0 && a > UINT64_MAX / b) return false;
    *ret_result = a * b;
    return true;
}

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* The least multiple of `alignment` (a power of two) that is not below `value`. */
static inline bool align_up_fits(uint64_t value, uint64_t alignment, uint64_t *ret_result)
{
    uint64_t sum;
    if (!add_fits(value, alignment - 1, &sum)) return false;
    *ret_result = sum & ~(alignment - 1);
    return true;
}

/* The same for values known to lie far below the end of the range; wraps otherwise. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + (alignment - 1)) & ~(alignment - 1);
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

#endif
