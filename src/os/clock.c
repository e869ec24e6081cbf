/* SPDX-License-Identifier: MIT */
/*
 * The two clocks.
 */
#include "os/clock.h"

#include <assert.h>
#include <time.h>

#include "os/system.h"

enum { MS_PER_SECOND = 1000, NS_PER_MS = 1000000, NS_PER_SECOND = 1000000000 };

static struct timespec clock_read(clockid_t clock)
{
    struct timespec time;
    const int result = system_clock(clock, &time);
    assert(result == 0); /* both clocks exist on every Linux */
    return time;
}

uint64_t clock_wall_ms(void)
{
    const struct timespec time = clock_read(CLOCK_REALTIME);
    return (uint64_t)time.tv_sec * MS_PER_SECOND + (uint64_t)time.tv_nsec / NS_PER_MS;
}

uint64_t clock_monotonic_ns(void)
{
    const struct timespec time = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}
