/* SPDX-License-Identifier: MIT */
/*
 * A workload: keys, values and orders, all computed from numbers, so that nothing is kept and every value can
 * be checked.
 *
 *   W1  Keys of different numbers differ.
 *   W2  An order visits every number below key_count exactly once.
 *   W3  Values of different (number, version) differ in their first 8 bytes.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORKLOAD_KEY_SIZE_MIN = 8,
    WORKLOAD_KEY_SIZE_MAX = 512,
    WORKLOAD_VALUE_SIZE_MIN = 8,
    WORKLOAD_VALUE_SIZE_MAX = 1 << 20,
};

struct workload {
    uint64_t key_count;
    size_t key_size;
    size_t value_size;
    uint8_t *pattern; /* what values are cut from */
};

int workload_init(struct workload *workload, uint64_t key_count, size_t key_size, size_t value_size);
void workload_free(struct workload *workload);

/* The number at `position` of the order called `seed`. Positions past key_count begin again. */
uint64_t workload_order(const struct workload *workload, uint64_t seed, uint64_t position);
/* Numbers from key_count on are keys that are in no store. */
void workload_key(const struct workload *workload, uint64_t number, uint8_t *ret_key);
void workload_value(const struct workload *workload, uint64_t number, uint32_t version, uint8_t *ret_value);
bool workload_value_is(const struct workload *workload, uint64_t number, uint32_t version,
                       const uint8_t *value, size_t size);

#endif
