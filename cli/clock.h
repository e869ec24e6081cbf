/* SPDX-License-Identifier: MIT */
/* The time that only goes forward. */
#ifndef STAVE_CLI_CLOCK_H
#define STAVE_CLI_CLOCK_H

#include <time.h>

static inline double clock_now_ms(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

#endif
