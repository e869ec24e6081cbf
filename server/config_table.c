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

static const struct directive_word oom_words[] = {
    {"no", 0}, {"yes", 1}, {"relative", 2}, {"absolute", 3}, {NULL, 0}};
static const struct directive_word channel_words[] = {{"allchannels", 0}, {"resetchannels", 1}, {NULL, 0}};
static const struct directive_word propagation_words[] = {
    {"ignore", 0}, {"panic", 1}, {"panic-on-replicas", 2}, {NULL, 0}};
static const struct directive_word sanitize_words[] = {{"no", 0}, {"yes", 1}, {"clients", 2}, {NULL, 0}};
static const struct directive_word shutdown_words[] = {{"default", 0}, {"save", 1},  {"nosave", 2},
                                                       {"now", 3},     {"force", 4}, {NULL, 0}};
static const struct directive_word facility_words[] = {
    {"user", 0},   {"local0", 1}, {"local1", 2}, {"local2", 3}, {"local3", 4},
    {"local4", 5}, {"local5", 6}, {"local6", 7}, {"local7", 8}, {NULL, 0}};
static const struct directive_word load_words[] = {
    {"disabled", 0}, {"on-empty-db", 1}, {"swapdb", 2}, {NULL, 0}};
static const struct directive_word endpoint_words[] = {
    {"ip", 0}, {"hostname", 1}, {"unknown-endpoint", 2}, {NULL, 0}};
static const struct directive_word tls_words[] = {{"no", 0}, {"yes", 1}, {"optional", 2}, {NULL, 0}};
static const struct directive_word supervised_words[] = {
    {"upstart", 0}, {"systemd", 1}, {"auto", 2}, {"no", 3}, {NULL, 0}};

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
/* What has no effect is checked as Redis checks it, so that a typing error does not pass (F3). */
#define IGNORED(name, alias, type, flags, min, max, text, words)                                             \
    {                                                                                                        \
        name, alias, type, DIRECTIVE_IGNORED | (flags), 0, min, max, text, words, 0                          \
    }
#define IGNORED_BOOLEAN(name, alias, flags, text)                                                            \
    IGNORED(name, alias, DIRECTIVE_BOOLEAN, flags, 0, 1, text, NULL)
#define IGNORED_INTEGER(name, alias, flags, min, max, text)                                                  \
    IGNORED(name, alias, DIRECTIVE_INTEGER, flags, min, max, text, NULL)
#define IGNORED_MEMORY(name, alias, min, text)                                                               \
    IGNORED(name, alias, DIRECTIVE_MEMORY, 0, min, INT64_MAX, text, NULL)
#define IGNORED_WORDS(name, alias, flags, words, text)                                                       \
    IGNORED(name, alias, DIRECTIVE_ENUM, flags, 0, 0, text, words)
#define IGNORED_SEVERAL(name, alias, flags, words, text)                                                     \
    IGNORED(name, alias, DIRECTIVE_ENUMS, flags, 0, 0, text, words)
#define IGNORED_STRING(name, alias, flags, text)                                                             \
    IGNORED(name, alias, DIRECTIVE_STRING, flags, 0, 0, text, NULL)
#define IGNORED_TEXT(name, alias, flags, text) IGNORED(name, alias, DIRECTIVE_TEXT, flags, 0, 0, text, NULL)
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
    IGNORED_BOOLEAN("appendonly", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_STRING("appendfilename", NULL, DIRECTIVE_QUIET | NEVER, "appendonly.aof"),
    IGNORED_STRING("appenddirname", NULL, DIRECTIVE_QUIET | NEVER, "appendonlydir"),
    IGNORED_BOOLEAN("always-show-logo", NULL, DIRECTIVE_QUIET | NEVER, "no"),
    IGNORED_BOOLEAN("aof-load-truncated", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_BOOLEAN("aof-use-rdb-preamble", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_WORDS("supervised", NULL, DIRECTIVE_QUIET | NEVER, supervised_words, "auto"),
    IGNORED_WORDS("enable-module-command", NULL, DIRECTIVE_QUIET | NEVER, access_words, "no"),
    IGNORED_BOOLEAN("lazyfree-lazy-eviction", NULL, DIRECTIVE_QUIET, "no"),
    IGNORED_BOOLEAN("lazyfree-lazy-expire", NULL, DIRECTIVE_QUIET, "no"),
    IGNORED_BOOLEAN("lazyfree-lazy-server-del", NULL, DIRECTIVE_QUIET, "no"),
    IGNORED_BOOLEAN("lazyfree-lazy-user-del", NULL, DIRECTIVE_QUIET, "no"),
    IGNORED_BOOLEAN("lazyfree-lazy-user-flush", NULL, DIRECTIVE_QUIET, "no"),
    IGNORED_BOOLEAN("dynamic-hz", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_BOOLEAN("activerehashing", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_BOOLEAN("latency-tracking", NULL, DIRECTIVE_QUIET, "yes"),
    IGNORED_BOOLEAN("io-threads-do-reads", NULL, DIRECTIVE_QUIET | NEVER, "yes"),
    IGNORED_BOOLEAN("stop-writes-on-bgsave-error", NULL, DIRECTIVE_QUIET, "yes"),

    /* What has no meaning here (F3). */
    IGNORED_WORDS("acl-pubsub-default", NULL, 0, channel_words, "resetchannels"),
    IGNORED_INTEGER("acllog-max-len", NULL, 0, 0, INT64_MAX, "128"),
    IGNORED_INTEGER("active-defrag-cycle-max", NULL, 0, 1, 99, "25"),
    IGNORED_INTEGER("active-defrag-cycle-min", NULL, 0, 1, 99, "1"),
    IGNORED_MEMORY("active-defrag-ignore-bytes", NULL, 1, "104857600"),
    IGNORED_INTEGER("active-defrag-max-scan-fields", NULL, 0, 1, INT64_MAX, "1000"),
    IGNORED_INTEGER("active-defrag-threshold-lower", NULL, 0, 0, 1000, "10"),
    IGNORED_INTEGER("active-defrag-threshold-upper", NULL, 0, 0, 1000, "100"),
    IGNORED_INTEGER("active-expire-effort", NULL, 0, 1, 10, "1"),
    IGNORED_BOOLEAN("activedefrag", NULL, 0, "no"),
    IGNORED_BOOLEAN("aof-disable-auto-gc", NULL, 0, "no"),
    IGNORED_BOOLEAN("aof-rewrite-incremental-fsync", NULL, 0, "yes"),
    IGNORED_BOOLEAN("aof-timestamp-enabled", NULL, 0, "no"),
    IGNORED_STRING("aof_rewrite_cpulist", NULL, NEVER, ""),
    IGNORED_MEMORY("auto-aof-rewrite-min-size", NULL, 0, "67108864"),
    IGNORED_INTEGER("auto-aof-rewrite-percentage", NULL, 0, 0, INT32_MAX, "100"),
    IGNORED_STRING("bgsave_cpulist", NULL, NEVER, ""),
    IGNORED_STRING("bind-source-addr", NULL, 0, ""),
    IGNORED_STRING("bio_cpulist", NULL, NEVER, ""),
    IGNORED_BOOLEAN("crash-log-enabled", NULL, 0, "yes"),
    IGNORED_BOOLEAN("crash-memcheck-enabled", NULL, 0, "yes"),
    IGNORED_BOOLEAN("disable-thp", NULL, NEVER, "yes"),
    IGNORED_INTEGER("hash-max-listpack-entries", "hash-max-ziplist-entries", 0, 0, INT64_MAX, "512"),
    IGNORED_MEMORY("hash-max-listpack-value", "hash-max-ziplist-value", 0, "64"),
    IGNORED_MEMORY("hll-sparse-max-bytes", NULL, 0, "3000"),
    IGNORED_STRING("ignore-warnings", NULL, 0, ""),
    IGNORED_BOOLEAN("jemalloc-bg-thread", NULL, 0, "yes"),
    IGNORED_TEXT("latency-tracking-info-percentiles", NULL, 0, "50 99 99.9"),
    IGNORED_INTEGER("lfu-decay-time", NULL, 0, 0, INT32_MAX, "1"),
    IGNORED_INTEGER("lfu-log-factor", NULL, 0, 0, INT32_MAX, "10"),
    IGNORED_INTEGER("list-compress-depth", NULL, 0, 0, INT32_MAX, "0"),
    IGNORED_INTEGER("list-max-listpack-size", "list-max-ziplist-size", 0, INT32_MIN, INT32_MAX, "-2"),
    IGNORED_INTEGER("maxmemory-eviction-tenacity", NULL, 0, 0, 100, "10"),
    IGNORED_INTEGER("maxmemory-samples", NULL, 0, 1, INT32_MAX, "5"),
    IGNORED_BOOLEAN("no-appendfsync-on-rewrite", NULL, 0, "no"),
    IGNORED_STRING("notify-keyspace-events", NULL, 0, ""),
    IGNORED_WORDS("oom-score-adj", NULL, 0, oom_words, "no"),
    IGNORED_TEXT("oom-score-adj-values", NULL, 0, "0 200 800"),
    IGNORED_STRING("proc-title-template", NULL, 0, "{title} {listen-addr} {server-mode}"),
    IGNORED_WORDS("propagation-error-behavior", NULL, 0, propagation_words, "ignore"),
    IGNORED_BOOLEAN("rdb-del-sync-files", NULL, 0, "no"),
    IGNORED_BOOLEAN("rdb-save-incremental-fsync", NULL, 0, "yes"),
    IGNORED_BOOLEAN("rdbchecksum", NULL, NEVER, "yes"),
    IGNORED_BOOLEAN("rdbcompression", NULL, 0, "yes"),
    IGNORED_WORDS("sanitize-dump-payload", NULL, 0, sanitize_words, "no"),
    IGNORED_STRING("server_cpulist", NULL, NEVER, ""),
    IGNORED_INTEGER("set-max-intset-entries", NULL, 0, 0, INT64_MAX, "512"),
    IGNORED_BOOLEAN("set-proc-title", NULL, NEVER, "yes"),
    IGNORED_SEVERAL("shutdown-on-sigint", NULL, 0, shutdown_words, "default"),
    IGNORED_SEVERAL("shutdown-on-sigterm", NULL, 0, shutdown_words, "default"),
    IGNORED_INTEGER("shutdown-timeout", NULL, 0, 0, INT32_MAX, "10"),
    IGNORED_INTEGER("socket-mark-id", NULL, NEVER, 0, UINT_MAX_REDIS, "0"),
    IGNORED_MEMORY("stream-node-max-bytes", NULL, 0, "4096"),
    IGNORED_INTEGER("stream-node-max-entries", NULL, 0, 0, INT64_MAX, "100"),
    IGNORED_BOOLEAN("syslog-enabled", NULL, NEVER, "no"),
    IGNORED_WORDS("syslog-facility", NULL, NEVER, facility_words, "local0"),
    IGNORED_STRING("syslog-ident", NULL, NEVER, "redis"),
    IGNORED_INTEGER("tracking-table-max-keys", NULL, 0, 0, INT64_MAX, "1000000"),
    IGNORED_INTEGER("zset-max-listpack-entries", "zset-max-ziplist-entries", 0, 0, INT64_MAX, "128"),
    IGNORED_MEMORY("zset-max-listpack-value", "zset-max-ziplist-value", 0, "64"),

    /*
     * Replication's settings mean nothing while there is none; asking for a replica or a cluster is refused.
     */
    IGNORED_STRING("masterauth", NULL, 0, ""),
    IGNORED_STRING("masteruser", NULL, 0, ""),
    IGNORED_INTEGER("min-replicas-max-lag", "min-slaves-max-lag", 0, 0, INT32_MAX, "10"),
    IGNORED_MEMORY("repl-backlog-size", NULL, 1, "1048576"),
    IGNORED_INTEGER("repl-backlog-ttl", NULL, 0, 0, INT64_MAX, "3600"),
    IGNORED_BOOLEAN("repl-disable-tcp-nodelay", NULL, 0, "no"),
    IGNORED_WORDS("repl-diskless-load", NULL, 0, load_words, "disabled"),
    IGNORED_BOOLEAN("repl-diskless-sync", NULL, 0, "yes"),
    IGNORED_INTEGER("repl-diskless-sync-delay", NULL, 0, 0, INT32_MAX, "5"),
    IGNORED_INTEGER("repl-diskless-sync-max-replicas", NULL, 0, 0, INT32_MAX, "0"),
    IGNORED_INTEGER("repl-ping-replica-period", "repl-ping-slave-period", 0, 1, INT32_MAX, "10"),
    IGNORED_INTEGER("repl-timeout", NULL, 0, 1, INT32_MAX, "60"),
    IGNORED_STRING("replica-announce-ip", "slave-announce-ip", 0, ""),
    IGNORED_INTEGER("replica-announce-port", "slave-announce-port", 0, 0, 65535, "0"),
    IGNORED_BOOLEAN("replica-announced", NULL, 0, "yes"),
    IGNORED_BOOLEAN("replica-ignore-disk-write-errors", NULL, 0, "no"),
    IGNORED_BOOLEAN("replica-ignore-maxmemory", "slave-ignore-maxmemory", 0, "yes"),
    IGNORED_BOOLEAN("replica-lazy-flush", "slave-lazy-flush", 0, "no"),
    IGNORED_INTEGER("replica-priority", "slave-priority", 0, 0, INT32_MAX, "100"),
    IGNORED_BOOLEAN("replica-read-only", "slave-read-only", 0, "yes"),
    IGNORED_BOOLEAN("replica-serve-stale-data", "slave-serve-stale-data", 0, "yes"),
    IGNORED_BOOLEAN("cluster-allow-pubsubshard-when-down", NULL, 0, "yes"),
    IGNORED_BOOLEAN("cluster-allow-reads-when-down", NULL, 0, "no"),
    IGNORED_BOOLEAN("cluster-allow-replica-migration", NULL, 0, "yes"),
    IGNORED_INTEGER("cluster-announce-bus-port", NULL, 0, 0, 65535, "0"),
    IGNORED_STRING("cluster-announce-hostname", NULL, 0, ""),
    IGNORED_STRING("cluster-announce-ip", NULL, 0, ""),
    IGNORED_INTEGER("cluster-announce-port", NULL, 0, 0, 65535, "0"),
    IGNORED_INTEGER("cluster-announce-tls-port", NULL, 0, 0, 65535, "0"),
    IGNORED_STRING("cluster-config-file", NULL, NEVER, "nodes.conf"),
    IGNORED_MEMORY("cluster-link-sendbuf-limit", NULL, 0, "0"),
    IGNORED_INTEGER("cluster-migration-barrier", NULL, 0, 0, INT32_MAX, "1"),
    IGNORED_INTEGER("cluster-node-timeout", NULL, 0, 0, INT64_MAX, "15000"),
    IGNORED_INTEGER("cluster-port", NULL, NEVER, 0, 65535, "0"),
    IGNORED_WORDS("cluster-preferred-endpoint-type", NULL, 0, endpoint_words, "ip"),
    IGNORED_BOOLEAN("cluster-replica-no-failover", "cluster-slave-no-failover", 0, "no"),
    IGNORED_INTEGER("cluster-replica-validity-factor", "cluster-slave-validity-factor", 0, 0, INT32_MAX,
                    "10"),
    IGNORED_BOOLEAN("cluster-require-full-coverage", NULL, 0, "yes"),
    REFUSED("min-replicas-to-write", "min-slaves-to-write", 0, "0"),
    REFUSED("replicaof", "slaveof", NEVER, ""),
    REFUSED("cluster-enabled", NULL, NEVER, "no"),
    REFUSED("aclfile", NULL, NEVER, ""),
    REFUSED("user", NULL, NEVER, ""),
    REFUSED("rename-command", NULL, NEVER, ""),
    REFUSED("loadmodule", NULL, NEVER, ""),
    REFUSED("tls-port", NULL, 0, "0"),
    IGNORED_WORDS("tls-auth-clients", NULL, 0, tls_words, "yes"),
    IGNORED_STRING("tls-ca-cert-dir", NULL, 0, ""),
    IGNORED_STRING("tls-ca-cert-file", NULL, 0, ""),
    IGNORED_STRING("tls-cert-file", NULL, 0, ""),
    IGNORED_STRING("tls-ciphers", NULL, 0, ""),
    IGNORED_STRING("tls-ciphersuites", NULL, 0, ""),
    IGNORED_STRING("tls-client-cert-file", NULL, 0, ""),
    IGNORED_STRING("tls-client-key-file", NULL, 0, ""),
    IGNORED_STRING("tls-client-key-file-pass", NULL, 0, ""),
    IGNORED_BOOLEAN("tls-cluster", NULL, 0, "no"),
    IGNORED_STRING("tls-dh-params-file", NULL, 0, ""),
    IGNORED_STRING("tls-key-file", NULL, 0, ""),
    IGNORED_STRING("tls-key-file-pass", NULL, 0, ""),
    IGNORED_BOOLEAN("tls-prefer-server-ciphers", NULL, 0, "no"),
    IGNORED_STRING("tls-protocols", NULL, 0, ""),
    IGNORED_BOOLEAN("tls-replication", NULL, 0, "no"),
    IGNORED_INTEGER("tls-session-cache-size", NULL, 0, 0, INT32_MAX, "20480"),
    IGNORED_INTEGER("tls-session-cache-timeout", NULL, 0, 0, INT32_MAX, "300"),
    IGNORED_BOOLEAN("tls-session-caching", NULL, 0, "yes"),
    {NULL, NULL, DIRECTIVE_TEXT, 0, 0, 0, 0, NULL, NULL, 0},
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
