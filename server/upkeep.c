/* SPDX-License-Identifier: MIT */
/* Measures memory and disk, evicts clients, notices failed syncs. */
#include "server/upkeep.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/clock.h"
#include "server/coldness.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/loop.h"

#define TRIM_SIZE (UINT64_C(32) << 20)
#define TRIM_PERIOD_US UINT64_C(2000000)

/* Bytes of this process that are not a file's: anonymous memory, resident or swapped. */
static uint64_t measure_memory(void)
{
    static const char *const lines[] = {"RssAnon:", "VmSwap:"};
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) return 0;
    uint64_t sum = 0;
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
            const size_t size = strlen(lines[i]);
            if (strncmp(line, lines[i], size) == 0) sum += strtoull(line + size, NULL, 10) * 1024;
        }
    }
    (void)fclose(file);
    return sum;
}

static void note_memory(struct server *server)
{
    const uint64_t memory = measure_memory();
    if (memory == 0) return;
    atomic_store(&server->used_memory, memory);
    if (memory > atomic_load(&server->used_memory_peak)) atomic_store(&server->used_memory_peak, memory);
}

static void note_store(struct server *server)
{
    struct stave_stats stats = {.size = sizeof stats};
    if (stave_stats(server->store, &stats) != STAVE_OK) return;
    atomic_store(&server->disk_size, stats.disk_size);
    coldness_tick(server);
    if (stats.failed && !atomic_exchange(&server->sync_failed, true)) {
        log_write(LOG_WARNING,
                  "A sync of the store has failed: no more writes are taken until it is opened again.");
    }
}

void upkeep_check_sync(struct server *server)
{
    if (stave_sync_start(server->store, 0) != STAVE_FAILED) return; /* nothing is asked for, but the answer */
    if (atomic_exchange(&server->sync_failed, true)) return;
    log_write(LOG_WARNING,
              "A sync of the store has failed: no more writes are taken until it is opened again.");
}

/* ------------------------------------------------------------------ clients that take too much */

static uint64_t client_memory_limit(const struct server *server)
{
    const int64_t limit = server->config.maxmemory_clients;
    if (limit >= 0) return (uint64_t)limit;
    return server->config.maxmemory > 0 ? (uint64_t)server->config.maxmemory / 100 * (uint64_t)-limit : 0;
}

struct holder {
    struct client *client;
    size_t memory;
};

static int by_memory(const void *a, const void *b)
{
    const size_t first = ((const struct holder *)a)->memory;
    const size_t second = ((const struct holder *)b)->memory;
    return first < second ? 1 : first > second ? -1 : 0;
}

/* The clients that may go, and what killed ones still hold, until their loops have closed them. */
static struct holder *list_holders(struct server *server, size_t *ret_count, uint64_t *ret_going)
{
    size_t capacity = 0;
    for (size_t i = 0; i < server->loop_count; i++) capacity += server->loops[i]->client_count;
    struct holder *holders = memory_alloc((capacity + 1) * sizeof *holders);
    size_t count = 0;
    uint64_t going = 0;
    for (struct client *client = loop_next_client(server, NULL); client != NULL && holders != NULL;
         client = loop_next_client(server, client)) {
        struct connection_figures figures;
        connection_figures(client, &figures);
        if ((client->flags & CLIENT_KILLED) != 0)
            going += figures.total_memory;
        else if ((client->flags & CLIENT_NO_EVICT) == 0)
            holders[count++] = (struct holder){client, figures.total_memory};
    }
    *ret_count = count;
    *ret_going = going;
    return holders;
}

static void evict(const struct holder *holder)
{
    struct client *client = holder->client;
    log_write(LOG_NOTICE, "Evicting client id=%llu addr=%s: clients hold more than maxmemory-clients",
              (unsigned long long)client->id, client->address);
    client->loop->dispatcher.stats.evicted_clients++;
    connection_kill(client, false);
}

/* The largest first, until the others are within the limit. */
static void evict_clients(struct server *server)
{
    const uint64_t limit = client_memory_limit(server);
    if (limit == 0 || atomic_load(&server->client_memory) <= limit) return;
    gate_exclude(&server->gate, server->loop_count);
    size_t count;
    uint64_t going;
    struct holder *holders = list_holders(server, &count, &going);
    const uint64_t held = atomic_load(&server->client_memory);
    uint64_t memory = held > going ? held - going : 0;
    if (holders != NULL) qsort(holders, count, sizeof *holders, by_memory);
    for (size_t i = 0; i < count && memory > limit; i++) {
        evict(&holders[i]);
        memory = memory > holders[i].memory ? memory - holders[i].memory : 0;
    }
    gate_admit(&server->gate, server->loop_count);
    memory_free(holders);
}

/*
 * What clients have given back goes to the system: of itself the allocator keeps what does not lie at its
 * end, and it would count as used.
 */
static void trim_memory(struct server *server)
{
    const uint64_t held = atomic_load(&server->client_memory);
    const uint64_t now_us = clock_monotonic_us();
    if (held > server->client_memory_most) server->client_memory_most = held;
    if (server->client_memory_most - held < TRIM_SIZE || now_us - server->trimmed_us < TRIM_PERIOD_US) return;
    (void)malloc_trim(0);
    server->client_memory_most = held;
    server->trimmed_us = clock_monotonic_us();
}

void upkeep_begin(struct server *server)
{
    note_memory(server);
    note_store(server);
}

void upkeep_tick(struct server *server)
{
    note_memory(server);
    note_store(server);
    evict_clients(server);
    trim_memory(server);
}
