/* SPDX-License-Identifier: MIT */
/* Events that took longer than `latency-monitor-threshold`, by name, with their latest samples. */
#ifndef STAVE_SERVER_LATENCY_H
#define STAVE_SERVER_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

#define LATENCY_EVENT_COUNT_MAX ((size_t)32)
#define LATENCY_SAMPLE_COUNT ((size_t)160)
#define LATENCY_NAME_SIZE ((size_t)32)

struct latency_sample {
    uint64_t time_s; /* since 1970 */
    uint64_t latency_ms;
};

struct latency_event {
    char name[LATENCY_NAME_SIZE];
    uint64_t latency_max_ms;
    struct latency_sample samples[LATENCY_SAMPLE_COUNT]; /* a ring */
    size_t sample_count;
    size_t next;
};

/* Any thread. Of several samples in one second, the longest is kept. */
void latency_add(const char *name, uint64_t latency_ms);
/* Forgets one event (true: it was there) or, for an empty name, all; returns how many. */
size_t latency_reset(struct stave_bytes name);

/* Copies events, at most `capacity`; returns how many there are. */
size_t latency_events(struct latency_event *ret_events, size_t capacity);

#endif
