/* SPDX-License-Identifier: MIT */
/*
 * The table of directives.
 *
 * Defaults are Redis 7.0's, except where that would leave a resource without a bound (maxmemory-clients,
 * client-output-buffer-limit), open the server to the network (bind), or where the store differs.
 */
#include "server/config_table.h"

#include <stddef.h>

#include "net/words.h"

#define AT(field) offsetof(struct config, field)
#define SECONDS_MAX INT64_C(9223372036854775)
#define UINT_MAX_REDIS INT64_C(4294967295)
#define NEVER DIRECTIVE_AT_START

static const struct directive_word fsync_words[] = {
    {"everysec", APPENDFSYNC_EVERYSEC}, {"always", APPENDFSYNC_ALWAYS}, {"no", APPENDFSYNC_NO}, {NULL, 0}};
static const struct directive_word level_words[] = {{"debug", LOGLEVEL_DEBUG},
                                                    {"verbose", LOGLEVEL_VERBOSE},
                                                    {"notice", LOGLEVEL_NOTICE},
                                                    {"warning", LOGLEVEL_WARNING},
                                                    {NULL, 0}};
static const struct directive_word access_words[] = {
    {"no", CONFIG_ACCESS_NO}, {"yes", CONFIG_ACCESS_YES}, {"local", CONFIG_ACCESS_LOCAL}, {NULL, 0}};

#define BOOLEAN(name, flags, field, text)                                                                    \
    {                                                                                                        \
        name, NULL, DIRECTIVE_BOOLEAN, flags, AT(field), 0, 1, text, NULL, 0                                 \
    }
#define INTEGER(name, flags, field, min, max, text, effects)                                                 \
    {                                                                                                        \
        name, NULL, DIRECTIVE_INTEGER, flags, AT(field), min, max, text, NULL, effects                       \
    }
#define MEMORY(name, flags, field, min, max, text, effects)                                                  \
    {                                                                                                        \
        name, NULL, DIRECTIVE_MEMORY, flags, AT(field), min, max, text, NULL, effects                        \
    }
#define STRING(name, flags, field, text, effects)                                                            \
    {                                                                                                        \
        name, NULL, DIRECTIVE_STRING, flags, AT(field), 0, 0, text, NULL, effects                            \
    }
#define WORDS(name, flags, field, words, text, effects)                                                      \
    {                                                                                                        \
        name, NULL, DIRECTIVE_ENUM, flags, AT(field), 0, 0, text, words, effects                             \
    }
#define IGNORED(name, alias, text)                                                                           \
    {                                                                                                        \
        name, alias, DIRECTIVE_IGNORED, 0, 0, 0, 0, text, NULL, 0                                            \
    }
#define QUIET(name, alias, text)                                                                             \
    {                                                                                                        \
        name, alias, DIRECTIVE_IGNORED, DIRECTIVE_QUIET, 0, 0, 0, text, NULL, 0                              \
    }
#define REFUSED(name, alias, flags, text)                                                                    \
    {                                                                                                        \
        name, alias, DIRECTIVE_REFUSED, flags, 0, 0, 0, text, NULL, 0                                        \
    }

const struct directive config_directives[] = {
    /* Network. */
    {"bind", NULL, DIRECTIVE_ADDRESSES, 0, AT(bind), 0, 0, "127.0.0.1 -::1", NULL, CONFIG_EFFECT_LISTEN},
    INTEGER("port", 0, port, 0, 65535, "6379", CONFIG_EFFECT_LISTEN),
    STRING("unixsocket", NEVER, unixsocket, "", 0),
    {"unixsocketperm", NULL, DIRECTIVE_OCTAL, NEVER, AT(unixsocketperm), 0, 0777, "0", NULL, 0},
    BOOLEAN("protected-mode", 0, protected_mode, "yes"),
    INTEGER("tcp-backlog", NEVER, tcp_backlog, 0, INT32_MAX, "511", 0),
    INTEGER("timeout", 0, timeout, 0, INT32_MAX, "0", 0),
    INTEGER("tcp-keepalive", 0, tcp_keepalive, 0, INT32_MAX, "300", 0),
    INTEGER("maxclients", 0, maxclients, 1, UINT_MAX_REDIS, "10000", CONFIG_EFFECT_CLIENTS),
    INTEGER("io-threads", NEVER, io_threads, 1, 128, "1", 0),

    /* Bounds. */
    MEMORY("maxmemory", 0, maxmemory, 0, INT64_MAX, "0", 0),
    {"maxmemory-policy", NULL, DIRECTIVE_POLICY, 0, 0, 0, 0, "noeviction", NULL, 0},
    {"maxmemory-clients", NULL, DIRECTIVE_MEMORY_OR_PERCENT, 0, AT(maxmemory_clients), 0, INT64_MAX,
     "1073741824", NULL, 0},
    MEMORY("max-disk", 0, max_disk, 0, INT64_MAX, "0", 0),
    MEMORY("client-query-buffer-limit", 0, client_query_buffer_limit, 1048576, INT64_MAX, "1073741824", 0),
    MEMORY("proto-max-bulk-len", 0, proto_max_bulk_len, 1048576, INT64_C(1073741824), "536870912", 0),
    {"client-output-buffer-limit", NULL, DIRECTIVE_OUTPUT_LIMITS, 0, AT(output_limits), 0, 0,
     "normal 1073741824 268435456 60 slave 268435456 67108864 60 pubsub 33554432 8388608 60", NULL, 0},

    /* Access. */
    STRING("requirepass", DIRECTIVE_SECRET, requirepass, "", 0),
    WORDS("enable-debug-command", NEVER, enable_debug_command, access_words, "no", 0),
    WORDS("enable-protected-configs", NEVER, enable_protected_configs, access_words, "no", 0),

    /* The store. */
    STRING("dir", DIRECTIVE_PROTECTED, dir, ".", CONFIG_EFFECT_DIR),
    STRING("store", NEVER, store, "stave-data", 0),
    INTEGER("databases", NEVER, databases, 1, STAVE_SPACE_COUNT_MAX, "16", 0),
    WORDS("appendfsync", 0, appendfsync, fsync_words, "everysec", CONFIG_EFFECT_SYNC),
    MEMORY("segment-size", 0, segment_size, (int64_t)STAVE_SEGMENT_SIZE_MIN, (int64_t)STAVE_SEGMENT_SIZE_MAX,
           "67108864", CONFIG_EFFECT_STORE),
    INTEGER("segment-age", 0, segment_age, 0, SECONDS_MAX, "0", CONFIG_EFFECT_STORE),
    INTEGER("disk-ratio", 0, disk_ratio, 110, 10000, "200", CONFIG_EFFECT_STORE),
    INTEGER("dead-ratio", 0, dead_ratio, 1, 100, "40", CONFIG_EFFECT_STORE),
    MEMORY("compaction-io", 0, compaction_io, 0, INT64_MAX, "0", CONFIG_EFFECT_STORE),
    MEMORY("checkpoint-size", 0, checkpoint_size, 0, INT64_MAX, "0", CONFIG_EFFECT_STORE),
    BOOLEAN("read-copied", NEVER, read_copied, "no"),
    STRING("dbfilename", DIRECTIVE_PROTECTED | DIRECTIVE_NAME, dbfilename, "stave-snapshot", 0),
    {"save", NULL, DIRECTIVE_PERIODS, 0, AT(periods), 0, 0, "", NULL, 0},

    /* Process and log. */
    BOOLEAN("daemonize", NEVER, daemonize, "no"),
    STRING("pidfile", NEVER, pidfile, "", 0),
    STRING("logfile", NEVER, logfile, "", 0),
    WORDS("loglevel", 0, loglevel, level_words, "notice", CONFIG_EFFECT_LOG),
    INTEGER("slowlog-log-slower-than", 0, slowlog_log_slower_than, -1, INT64_MAX, "10000", 0),
    INTEGER("slowlog-max-len", 0, slowlog_max_len, 0, 1000000, "128", 0),
    INTEGER("latency-monitor-threshold", 0, latency_monitor_threshold, 0, INT64_MAX, "0", 0),
    INTEGER("hz", 0, hz, 1, 500, "10", 0),
    {"busy-reply-threshold", "lua-time-limit", DIRECTIVE_INTEGER, 0, AT(busy_reply_threshold), 0, INT64_MAX,
     "5000", NULL, 0},

    /* What Stave does in any case, or has another way for. */
    QUIET("appendonly", NULL, "yes"),
    QUIET("appendfilename", NULL, "appendonly.aof"),
    QUIET("appenddirname", NULL, "appendonlydir"),
    QUIET("always-show-logo", NULL, "no"),
    QUIET("aof-load-truncated", NULL, "yes"),
    QUIET("aof-use-rdb-preamble", NULL, "yes"),
    QUIET("supervised", NULL, "auto"),
    QUIET("enable-module-command", NULL, "no"),
    QUIET("lazyfree-lazy-eviction", NULL, "no"),
    QUIET("lazyfree-lazy-expire", NULL, "no"),
    QUIET("lazyfree-lazy-server-del", NULL, "no"),
    QUIET("lazyfree-lazy-user-del", NULL, "no"),
    QUIET("lazyfree-lazy-user-flush", NULL, "no"),
    QUIET("dynamic-hz", NULL, "yes"),
    QUIET("activerehashing", NULL, "yes"),
    QUIET("latency-tracking", NULL, "yes"),
    QUIET("io-threads-do-reads", NULL, "yes"),
    QUIET("stop-writes-on-bgsave-error", NULL, "yes"),

    /* What has no meaning here (F3). */
    IGNORED("acl-pubsub-default", NULL, "resetchannels"),
    IGNORED("acllog-max-len", NULL, "128"),
    IGNORED("active-defrag-cycle-max", NULL, "25"),
    IGNORED("active-defrag-cycle-min", NULL, "1"),
    IGNORED("active-defrag-ignore-bytes", NULL, "104857600"),
    IGNORED("active-defrag-max-scan-fields", NULL, "1000"),
    IGNORED("active-defrag-threshold-lower", NULL, "10"),
    IGNORED("active-defrag-threshold-upper", NULL, "100"),
    IGNORED("active-expire-effort", NULL, "1"),
    IGNORED("activedefrag", NULL, "no"),
    IGNORED("aof-disable-auto-gc", NULL, "no"),
    IGNORED("aof-rewrite-incremental-fsync", NULL, "yes"),
    IGNORED("aof-timestamp-enabled", NULL, "no"),
    IGNORED("aof_rewrite_cpulist", NULL, ""),
    IGNORED("auto-aof-rewrite-min-size", NULL, "67108864"),
    IGNORED("auto-aof-rewrite-percentage", NULL, "100"),
    IGNORED("bgsave_cpulist", NULL, ""),
    IGNORED("bind-source-addr", NULL, ""),
    IGNORED("bio_cpulist", NULL, ""),
    IGNORED("crash-log-enabled", NULL, "yes"),
    IGNORED("crash-memcheck-enabled", NULL, "yes"),
    IGNORED("disable-thp", NULL, "yes"),
    IGNORED("hash-max-listpack-entries", "hash-max-ziplist-entries", "512"),
    IGNORED("hash-max-listpack-value", "hash-max-ziplist-value", "64"),
    IGNORED("hll-sparse-max-bytes", NULL, "3000"),
    IGNORED("ignore-warnings", NULL, ""),
    IGNORED("jemalloc-bg-thread", NULL, "yes"),
    IGNORED("latency-tracking-info-percentiles", NULL, "50 99 99.9"),
    IGNORED("lfu-decay-time", NULL, "1"),
    IGNORED("lfu-log-factor", NULL, "10"),
    IGNORED("list-compress-depth", NULL, "0"),
    IGNORED("list-max-listpack-size", "list-max-ziplist-size", "-2"),
    IGNORED("maxmemory-eviction-tenacity", NULL, "10"),
    IGNORED("maxmemory-samples", NULL, "5"),
    IGNORED("no-appendfsync-on-rewrite", NULL, "no"),
    IGNORED("notify-keyspace-events", NULL, ""),
    IGNORED("oom-score-adj", NULL, "no"),
    IGNORED("oom-score-adj-values", NULL, "0 200 800"),
    IGNORED("proc-title-template", NULL, "{title} {listen-addr} {server-mode}"),
    IGNORED("propagation-error-behavior", NULL, "ignore"),
    IGNORED("rdb-del-sync-files", NULL, "no"),
    IGNORED("rdb-save-incremental-fsync", NULL, "yes"),
    IGNORED("rdbchecksum", NULL, "yes"),
    IGNORED("rdbcompression", NULL, "yes"),
    IGNORED("sanitize-dump-payload", NULL, "no"),
    IGNORED("server_cpulist", NULL, ""),
    IGNORED("set-max-intset-entries", NULL, "512"),
    IGNORED("set-proc-title", NULL, "yes"),
    IGNORED("shutdown-on-sigint", NULL, "default"),
    IGNORED("shutdown-on-sigterm", NULL, "default"),
    IGNORED("shutdown-timeout", NULL, "10"),
    IGNORED("socket-mark-id", NULL, "0"),
    IGNORED("stream-node-max-bytes", NULL, "4096"),
    IGNORED("stream-node-max-entries", NULL, "100"),
    IGNORED("syslog-enabled", NULL, "no"),
    IGNORED("syslog-facility", NULL, "local0"),
    IGNORED("syslog-ident", NULL, "redis"),
    IGNORED("tracking-table-max-keys", NULL, "1000000"),
    IGNORED("zset-max-listpack-entries", "zset-max-ziplist-entries", "128"),
    IGNORED("zset-max-listpack-value", "zset-max-ziplist-value", "64"),

    /*
     * Replication's settings mean nothing while there is none; asking for a replica or a cluster is refused.
     */
    IGNORED("masterauth", NULL, ""),
    IGNORED("masteruser", NULL, ""),
    IGNORED("min-replicas-max-lag", "min-slaves-max-lag", "10"),
    IGNORED("repl-backlog-size", NULL, "1048576"),
    IGNORED("repl-backlog-ttl", NULL, "3600"),
    IGNORED("repl-disable-tcp-nodelay", NULL, "no"),
    IGNORED("repl-diskless-load", NULL, "disabled"),
    IGNORED("repl-diskless-sync", NULL, "yes"),
    IGNORED("repl-diskless-sync-delay", NULL, "5"),
    IGNORED("repl-diskless-sync-max-replicas", NULL, "0"),
    IGNORED("repl-ping-replica-period", "repl-ping-slave-period", "10"),
    IGNORED("repl-timeout", NULL, "60"),
    IGNORED("replica-announce-ip", "slave-announce-ip", ""),
    IGNORED("replica-announce-port", "slave-announce-port", "0"),
    IGNORED("replica-announced", NULL, "yes"),
    IGNORED("replica-ignore-disk-write-errors", NULL, "no"),
    IGNORED("replica-ignore-maxmemory", "slave-ignore-maxmemory", "yes"),
    IGNORED("replica-lazy-flush", "slave-lazy-flush", "no"),
    IGNORED("replica-priority", "slave-priority", "100"),
    IGNORED("replica-read-only", "slave-read-only", "yes"),
    IGNORED("replica-serve-stale-data", "slave-serve-stale-data", "yes"),
    IGNORED("cluster-allow-pubsubshard-when-down", NULL, "yes"),
    IGNORED("cluster-allow-reads-when-down", NULL, "no"),
    IGNORED("cluster-allow-replica-migration", NULL, "yes"),
    IGNORED("cluster-announce-bus-port", NULL, "0"),
    IGNORED("cluster-announce-hostname", NULL, ""),
    IGNORED("cluster-announce-ip", NULL, ""),
    IGNORED("cluster-announce-port", NULL, "0"),
    IGNORED("cluster-announce-tls-port", NULL, "0"),
    IGNORED("cluster-config-file", NULL, "nodes.conf"),
    IGNORED("cluster-link-sendbuf-limit", NULL, "0"),
    IGNORED("cluster-migration-barrier", NULL, "1"),
    IGNORED("cluster-node-timeout", NULL, "15000"),
    IGNORED("cluster-port", NULL, "0"),
    IGNORED("cluster-preferred-endpoint-type", NULL, "ip"),
    IGNORED("cluster-replica-no-failover", "cluster-slave-no-failover", "no"),
    IGNORED("cluster-replica-validity-factor", "cluster-slave-validity-factor", "10"),
    IGNORED("cluster-require-full-coverage", NULL, "yes"),
    REFUSED("min-replicas-to-write", "min-slaves-to-write", 0, "0"),
    REFUSED("replicaof", "slaveof", NEVER, ""),
    REFUSED("cluster-enabled", NULL, NEVER, "no"),
    REFUSED("aclfile", NULL, NEVER, ""),
    REFUSED("user", NULL, NEVER, ""),
    REFUSED("rename-command", NULL, NEVER, ""),
    REFUSED("loadmodule", NULL, NEVER, ""),
    REFUSED("tls-port", NULL, 0, "0"),
    IGNORED("tls-auth-clients", NULL, "yes"),
    IGNORED("tls-ca-cert-dir", NULL, ""),
    IGNORED("tls-ca-cert-file", NULL, ""),
    IGNORED("tls-cert-file", NULL, ""),
    IGNORED("tls-ciphers", NULL, ""),
    IGNORED("tls-ciphersuites", NULL, ""),
    IGNORED("tls-client-cert-file", NULL, ""),
    IGNORED("tls-client-key-file", NULL, ""),
    IGNORED("tls-client-key-file-pass", NULL, ""),
    IGNORED("tls-cluster", NULL, "no"),
    IGNORED("tls-dh-params-file", NULL, ""),
    IGNORED("tls-key-file", NULL, ""),
    IGNORED("tls-key-file-pass", NULL, ""),
    IGNORED("tls-prefer-server-ciphers", NULL, "no"),
    IGNORED("tls-protocols", NULL, ""),
    IGNORED("tls-replication", NULL, "no"),
    IGNORED("tls-session-cache-size", NULL, "20480"),
    IGNORED("tls-session-cache-timeout", NULL, "300"),
    IGNORED("tls-session-caching", NULL, "yes"),
    {NULL, NULL, DIRECTIVE_IGNORED, 0, 0, 0, 0, NULL, NULL, 0},
};

_Static_assert(sizeof(config_directives) / sizeof(config_directives[0]) <= CONFIG_DIRECTIVE_COUNT_MAX,
               "struct config has room for the text of each");

int config_directive_find(struct stave_bytes name)
{
    for (int i = 0; config_directives[i].name != NULL; i++) {
        const struct directive *directive = &config_directives[i];
        if (words_is(name, directive->name) || (directive->alias != NULL && words_is(name, directive->alias)))
            return i;
    }
    return -1;
}
