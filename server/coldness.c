/* SPDX-License-Identifier: MIT */
/* Reads from disk are counted by the system, for each thread. */
#include "server/coldness.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/clock.h"
#include "server/server.h"

/* "yes" or "no" instead of Q1 and Q2: for tests, as if memory were small, or large. */
static const char *forced(void)
{
    return getenv("STAVE_COLD_READS");
}

static bool is_larger_than_memory(uint64_t disk_size)
{
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    return disk_size > memory / 2;
}

void coldness_tick(struct server *server)
{
    const uint64_t met_ms = atomic_load(&server->disk_met_ms);
    const bool was_met = met_ms != 0 && clock_now_ms() < met_ms + COLDNESS_MS;
    const char *as_told = forced();
    atomic_store(&server->is_cold, as_told != NULL
                                       ? strcmp(as_told, "yes") == 0
                                       : was_met || is_larger_than_memory(atomic_load(&server->disk_size)));
}

/* Source: getrusage(2): faults that waited for input, and blocks that this thread had read in. */
void coldness_look(struct server *server, uint64_t *read_count)
{
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return;
    const uint64_t count = (uint64_t)usage.ru_majflt + (uint64_t)usage.ru_inblock;
    if (count == *read_count) return;
    *read_count = count;
    coldness_met(server);
}

void coldness_met(struct server *server)
{
    atomic_store(&server->disk_met_ms, clock_now_ms());
    if (forced() == NULL) atomic_store(&server->is_cold, true);
}
