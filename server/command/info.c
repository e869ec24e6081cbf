/* SPDX-License-Identifier: MIT */
/* INFO: which sections, and those about the process. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "net/words.h"
#include "server/client.h"
#include "server/clock.h"
#include "server/command/server.h"
#include "server/connection.h"
#include "server/loop.h"
#include "server/server.h"

/* ------------------------------------------------------------------ the process */

static enum stave_status info_server(struct server *server, struct buffer *out)
{
    struct utsname system;
    const uint64_t uptime_s = (clock_monotonic_us() - server->started_monotonic_us) / 1000000;
    struct timeval now;
    gettimeofday(&now, NULL);
    const uint64_t now_s = (uint64_t)now.tv_sec;
    if (uname(&system) != 0) memset(&system, 0, sizeof(system));
    return buffer_append_format(
        out,
        "redis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_build_id:0\r\n"
        "redis_mode:standalone\r\nstave_version:%s\r\nos:%s %s %s\r\narch_bits:%d\r\n"
        "monotonic_clock:POSIX clock_gettime\r\nmultiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\n"
        "gcc_version:%d.%d.%d\r\nprocess_id:%d\r\nprocess_supervised:%s\r\nrun_id:%s\r\ntcp_port:%" PRId64
        "\r\nserver_time_usec:%" PRIu64 "\r\nuptime_in_seconds:%" PRIu64 "\r\nuptime_in_days:%" PRIu64
        "\r\nhz:%" PRId64 "\r\nconfigured_hz:%" PRId64 "\r\nlru_clock:%" PRIu64
        "\r\nexecutable:%s\r\nconfig_file:%s\r\nio_threads_active:%d\r\n",
        STAVE_VERSION_TEXT, system.sysname, system.release, system.machine, (int)sizeof(void *) * 8, __GNUC__,
        __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(),
        getenv("NOTIFY_SOCKET") != NULL ? "systemd" : "no", server->run_id, server->config.port,
        now_s * 1000000 + (uint64_t)now.tv_usec, uptime_s, uptime_s / 86400, server->config.hz,
        server->config.hz, now_s & 0xffffff, server->executable,
        server->config.file != NULL ? server->config.file : "", server->loop_count > 1);
}

static enum stave_status info_clients(struct server *server, struct buffer *out)
{
    size_t input_max = 0;
    size_t output_max = 0;
    for (struct client *client = loop_next_client(server, NULL); client != NULL;
         client = loop_next_client(server, client)) {
        struct connection_figures figures;
        connection_figures(client, &figures);
        if (figures.query_buffer > input_max) input_max = figures.query_buffer;
        if (figures.output_list_memory > output_max) output_max = figures.output_list_memory;
    }
    return buffer_append_format(
        out,
        "connected_clients:%" PRIu64 "\r\ncluster_connections:0\r\nmaxclients:%" PRId64
        "\r\nclient_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%zu\r\n"
        "blocked_clients:0\r\ntracking_clients:0\r\nclients_in_timeout_table:0\r\nmonitor_clients:%u\r\n",
        atomic_load(&server->client_count), server->config.maxclients, input_max, output_max,
        atomic_load(&server->monitor_count));
}

static enum stave_status info_replication(struct server *server, struct buffer *out)
{
    return buffer_append_format(
        out,
        "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\nmaster_replid:%s\r\n"
        "master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:0\r\n"
        "second_repl_offset:-1\r\nrepl_backlog_active:0\r\nrepl_backlog_size:1048576\r\n"
        "repl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n",
        server->run_id);
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static enum stave_status info_cpu(struct server *server, struct buffer *out)
{
    struct rusage self;
    struct rusage children;
    struct rusage thread;
    (void)server;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    getrusage(RUSAGE_THREAD, &thread);
    return buffer_append_format(out,
                                "used_cpu_sys:%.6f\r\nused_cpu_user:%.6f\r\nused_cpu_sys_children:%.6f\r\n"
                                "used_cpu_user_children:%.6f\r\nused_cpu_sys_main_thread:%.6f\r\n"
                                "used_cpu_user_main_thread:%.6f\r\n",
                                seconds_of(self.ru_stime), seconds_of(self.ru_utime),
                                seconds_of(children.ru_stime), seconds_of(children.ru_utime),
                                seconds_of(thread.ru_stime), seconds_of(thread.ru_utime));
}

/* ------------------------------------------------------------------ INFO */

struct section {
    const char *name;
    const char *heading;
    enum stave_status (*append)(struct server *server, struct buffer *out);
    bool is_default;
};

static enum stave_status info_nothing(struct server *server, struct buffer *out)
{
    (void)server;
    (void)out;
    return STAVE_OK;
}

static enum stave_status info_cluster(struct server *server, struct buffer *out)
{
    (void)server;
    return buffer_append_format(out, "cluster_enabled:0\r\n");
}

static const struct section sections[] = {
    {"server", "Server", info_server, true},
    {"clients", "Clients", info_clients, true},
    {"memory", "Memory", info_memory, true},
    {"persistence", "Persistence", info_persistence, true},
    {"stats", "Stats", info_stats, true},
    {"replication", "Replication", info_replication, true},
    {"cpu", "CPU", info_cpu, true},
    {"modules", "Modules", info_nothing, true},
    {"commandstats", "Commandstats", info_commandstats, false},
    {"errorstats", "Errorstats", info_errorstats, true},
    {"latencystats", "Latencystats", info_latencystats, false},
    {"cluster", "Cluster", info_cluster, true},
    {"keyspace", "Keyspace", info_keyspace, true},
    {"store", "Store", info_store, true},
};
#define SECTION_COUNT (sizeof(sections) / sizeof(sections[0]))

static bool is_wanted(const struct call *call, const struct section *section)
{
    if (call->argument_count == 1) return section->is_default;
    for (size_t i = 1; i < call->argument_count; i++) {
        const struct stave_bytes name = call->arguments[i];
        if (words_is(name, section->name) || words_is(name, "all") || words_is(name, "everything"))
            return true;
        if (words_is(name, "default") && section->is_default) return true;
    }
    return false;
}

enum stave_status info_command(struct call *call)
{
    struct buffer out = {0};
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < SECTION_COUNT && status == STAVE_OK; i++) {
        if (!is_wanted(call, &sections[i])) continue;
        status = buffer_append_format(&out, "%s# %s\r\n", out.size > 0 ? "\r\n" : "", sections[i].heading);
        if (status == STAVE_OK) status = sections[i].append(call->server, &out);
    }
    if (status == STAVE_OK) reply_verbatim(call->reply, "txt", buffer_bytes(&out));
    buffer_free(&out);
    return status;
}
