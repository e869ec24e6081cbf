/* SPDX-License-Identifier: MIT */
/* The two clocks of the server. */
#ifndef STAVE_SERVER_CLOCK_H
#define STAVE_SERVER_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970, by which keys expire. It may be set back. */
uint64_t clock_now_ms(void);

/* Microseconds of a clock that only goes forward: for durations. */
uint64_t clock_monotonic_us(void);

#endif
