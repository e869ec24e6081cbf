/* SPDX-License-Identifier: MIT */
/*
 * The two clocks: wall time, which people set, and monotonic time, which only grows.
 */
#ifndef STAVE_OS_CLOCK_H
#define STAVE_OS_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, UTC. */
uint64_t clock_wall_ms(void);

/* Nanoseconds since some fixed moment. */
uint64_t clock_monotonic_ns(void);

#endif
