/* SPDX-License-Identifier: MIT */
/* What happens around commands and ten times a second. */
#include "server/metrics.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "server/call.h"
#include "server/clock.h"
#include "server/latency.h"
#include "server/loop.h"
#include "server/monitor.h"
#include "server/server.h"
#include "server/slowlog.h"
#include "server/snapshot.h"

#define SAMPLE_COUNT 16
#define SAMPLE_INTERVAL_US UINT64_C(100000)

struct sample {
    uint64_t time_us;
    uint64_t commands;
    uint64_t input_size;
    uint64_t output_size;
};

/* The process has one server. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sample samples[SAMPLE_COUNT]; /* a ring */
static size_t sample_count;
static struct metrics metrics;

/* ------------------------------------------------------------------ memory */

/* Source: proc(5), /proc/[pid]/statm: size, resident, of which shared (files and shared memory), in pages. */
static void measure_memory(struct metrics *measured)
{
    char text[256];
    unsigned long long resident = 0;
    unsigned long long shared = 0;
    const int descriptor = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    const ssize_t size = read(descriptor, text, sizeof(text) - 1);
    close(descriptor);
    if (size <= 0) return;
    text[size] = 0;
    if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2) return;
    const uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    measured->resident_size = resident * page_size;
    measured->anonymous_size = (resident > shared ? resident - shared : 0) * page_size;
}

void metrics_get(struct metrics *ret_metrics)
{
    pthread_mutex_lock(&mutex);
    *ret_metrics = metrics;
    pthread_mutex_unlock(&mutex);
    measure_memory(ret_metrics);
}

/* ------------------------------------------------------------------ rates */

static double per_second(uint64_t newer, uint64_t older, uint64_t duration_us)
{
    /* Counters go back at CONFIG RESETSTAT. */
    if (duration_us == 0 || newer < older) return 0;
    return (double)(newer - older) * 1e6 / (double)duration_us;
}

static void take_sample(struct server *server)
{
    struct loop_stats stats = {.commands = NULL};
    gate_exclude(&server->gate, server->loop_count);
    loop_sum_stats(server, &stats);
    gate_admit(&server->gate, server->loop_count);
    const struct sample now = {clock_monotonic_us(), stats.commands_processed, stats.input_size,
                               stats.output_size};

    pthread_mutex_lock(&mutex);
    const struct sample oldest = samples[sample_count < SAMPLE_COUNT ? 0 : sample_count % SAMPLE_COUNT];
    samples[sample_count++ % SAMPLE_COUNT] = now;
    const uint64_t duration_us = now.time_us - oldest.time_us;
    metrics.operations_per_s = (uint64_t)per_second(now.commands, oldest.commands, duration_us);
    metrics.input_kib_per_s = per_second(now.input_size, oldest.input_size, duration_us) / 1024;
    metrics.output_kib_per_s = per_second(now.output_size, oldest.output_size, duration_us) / 1024;
    pthread_mutex_unlock(&mutex);
}

static bool is_sample_due(void)
{
    static uint64_t last_us;
    const uint64_t now_us = clock_monotonic_us();
    if (now_us - last_us < SAMPLE_INTERVAL_US) return false;
    last_us = now_us;
    return true;
}

/* ------------------------------------------------------------------ hooks */

static void after_command(struct call *call, uint64_t duration_us)
{
    const struct config *config = &call->server->config;
    const int64_t threshold_us = config->slowlog_log_slower_than;
    if (threshold_us >= 0 && duration_us >= (uint64_t)threshold_us &&
        !(call->command->flags & COMMAND_SKIP_SLOWLOG))
        slowlog_add(call, duration_us, (size_t)config->slowlog_max_len);
    const uint64_t threshold_ms = (uint64_t)config->latency_monitor_threshold;
    if (threshold_ms > 0 && duration_us / 1000 >= threshold_ms)
        latency_add(call->command->flags & COMMAND_FAST ? "fast-command" : "command", duration_us / 1000);
}

static void each_tick(struct server *server)
{
    if (is_sample_due()) take_sample(server);
    snapshot_cron(server);
}

void metrics_install(struct server *server)
{
    snapshot_begin();
    server->hooks.monitor = monitor_feed;
    server->hooks.executed = after_command;
    server->hooks.cron = each_tick;
}
