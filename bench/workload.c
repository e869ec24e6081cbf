/* SPDX-License-Identifier: MIT */
/* Keys, values and orders from bijective mixing functions. */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

#define PATTERN_SIZE ((size_t)1 << 16)

/* The finaliser of splitmix64: a bijection of 64 bits. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

int workload_init(struct workload *workload, uint64_t key_count, size_t key_size, size_t value_size)
{
    uint8_t *pattern = malloc(PATTERN_SIZE + value_size);
    if (pattern == NULL) return -1;
    for (size_t i = 0; i < PATTERN_SIZE + value_size; i++) pattern[i] = (uint8_t)mix(i);

    workload->key_count = key_count;
    workload->key_size = key_size;
    workload->value_size = value_size;
    workload->pattern = pattern;
    return 0;
}

void workload_free(struct workload *workload)
{
    free(workload->pattern);
    workload->pattern = NULL;
}

/*
 * Xor-shifts and odd factors within `bits` bits are bijections of them; numbers past the end go round again
 * (W2).
 */
uint64_t workload_order(const struct workload *workload, uint64_t seed, uint64_t position)
{
    const unsigned bits = 64 - (unsigned)__builtin_clzll(workload->key_count | 1);
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    const unsigned half = bits / 2 + 1;
    const uint64_t salt = mix(seed);
    uint64_t x = position % workload->key_count;
    do {
        x = (x + salt) & mask;
        x = ((x ^ (x >> half)) * UINT64_C(0xBF58476D1CE4E5B9)) & mask;
        x = ((x ^ (x >> half)) * UINT64_C(0x94D049BB133111EB)) & mask;
        x = ((x ^ (x >> half)) * (salt | 1)) & mask;
        x ^= x >> half;
    } while (x >= workload->key_count);
    return x;
}

void workload_key(const struct workload *workload, uint64_t number, uint8_t *ret_key)
{
    uint64_t word = number;
    for (size_t at = 0; at < workload->key_size; at += sizeof word) {
        const size_t left = workload->key_size - at;
        word = mix(word);
        memcpy(ret_key + at, &word, left < sizeof word ? left : sizeof word);
    }
}

static uint64_t stamp_of(uint64_t number, uint32_t version)
{
    return mix(number * 64 + version);
}

void workload_value(const struct workload *workload, uint64_t number, uint32_t version, uint8_t *ret_value)
{
    const uint64_t stamp = stamp_of(number, version);
    memcpy(ret_value, &stamp, sizeof stamp);
    memcpy(ret_value + sizeof stamp, workload->pattern + stamp % PATTERN_SIZE,
           workload->value_size - sizeof stamp);
}

bool workload_value_is(const struct workload *workload, uint64_t number, uint32_t version,
                       const uint8_t *value, size_t size)
{
    const uint64_t stamp = stamp_of(number, version);
    return size == workload->value_size && memcmp(value, &stamp, sizeof stamp) == 0 &&
           memcmp(value + sizeof stamp, workload->pattern + stamp % PATTERN_SIZE, size - sizeof stamp) == 0;
}
