/* SPDX-License-Identifier: MIT */
/*
 * The configuration: redis.conf's syntax and names, from a file, the command line and CONFIG SET.
 * Source: https://redis.io/docs/latest/operate/oss_and_stack/management/config/
 *
 *   F1  A directive is described once, in config_table.c: name, type, bounds, default, what a change affects.
 *   F2  A change is checked as a whole before anything of it is stored; one that fails changes nothing.
 *   F3  Directives of Redis that mean nothing here are accepted with the values that Redis takes, warned
 *       about once, and reported as set. One that would leave the user less safe than believed when passed
 *       over (ACL files, renamed commands, TLS, replication) is an error instead.
 *   F4  Fields are changed only under the exclusive gate, so that a loop may read them while it runs
 *       commands.
 */
#ifndef STAVE_SERVER_CONFIG_H
#define STAVE_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "stave.h"

#define CONFIG_ERROR_SIZE ((size_t)512)
#define CONFIG_INCLUDE_DEPTH_MAX 16
#define CONFIG_FILE_SIZE_MAX ((size_t)16 << 20)
#define CONFIG_DIRECTIVE_COUNT_MAX 256
#define CONFIG_PERIOD_COUNT_MAX 16

/* What the server is to do after a change: a mask. */
enum config_effect {
    CONFIG_EFFECT_SYNC = 1 << 0,    /* appendfsync: stave_set_sync */
    CONFIG_EFFECT_STORE = 1 << 1,   /* stave_set_options */
    CONFIG_EFFECT_LISTEN = 1 << 2,  /* bind, port: listen anew */
    CONFIG_EFFECT_LOG = 1 << 3,     /* loglevel */
    CONFIG_EFFECT_DIR = 1 << 4,     /* chdir */
    CONFIG_EFFECT_CLIENTS = 1 << 5, /* maxclients: descriptors for them */
};

enum config_appendfsync { APPENDFSYNC_EVERYSEC, APPENDFSYNC_ALWAYS, APPENDFSYNC_NO };
enum config_loglevel {
    LOGLEVEL_DEBUG,
    LOGLEVEL_VERBOSE,
    LOGLEVEL_NOTICE,
    LOGLEVEL_WARNING,
};
enum config_access { CONFIG_ACCESS_NO, CONFIG_ACCESS_YES, CONFIG_ACCESS_LOCAL };

/* Of client-output-buffer-limit, bytes and seconds; 0: no limit. */
struct config_output_limit {
    int64_t hard_size;
    int64_t soft_size;
    int64_t soft_seconds;
};
enum config_client_class {
    CLIENT_CLASS_NORMAL,
    CLIENT_CLASS_REPLICA,
    CLIENT_CLASS_PUBSUB,
    CLIENT_CLASS_COUNT
};

/* Of `save`: a snapshot after this many seconds if this many keys have changed. */
struct config_period {
    int64_t seconds;
    int64_t change_count;
};

struct config {
    /* Network. */
    char *bind;             /* addresses, one space between */
    int64_t port;           /* 0: no TCP */
    char *unixsocket;       /* "": none */
    int64_t unixsocketperm; /* 0: by umask */
    bool protected_mode;
    int64_t tcp_backlog;
    int64_t timeout;       /* seconds idle; 0: none */
    int64_t tcp_keepalive; /* seconds; 0: none */
    int64_t maxclients;
    int64_t io_threads;

    /* Bounds, in bytes. */
    int64_t maxmemory;         /* 0: none */
    int64_t maxmemory_clients; /* 0: none; negative: percent of maxmemory */
    int64_t max_disk;          /* 0: none */
    int64_t client_query_buffer_limit;
    int64_t proto_max_bulk_len;
    struct config_output_limit output_limits[CLIENT_CLASS_COUNT];

    /* Access. */
    char *requirepass;            /* "": none */
    int enable_debug_command;     /* enum config_access */
    int enable_protected_configs; /* enum config_access */

    /* The store. */
    char *dir;   /* working directory */
    char *store; /* the store's directory, from dir */
    int64_t databases;
    int appendfsync; /* enum config_appendfsync */
    int64_t segment_size;
    int64_t segment_age;     /* seconds; 0: no age */
    int64_t disk_ratio;      /* percent */
    int64_t dead_ratio;      /* percent */
    int64_t compaction_io;   /* bytes a second; 0: no limit */
    int64_t checkpoint_size; /* 0: the library's choice */
    bool read_copied;
    char *dbfilename; /* of the snapshot directory that SAVE and BGSAVE make, from dir */
    struct config_period periods[CONFIG_PERIOD_COUNT_MAX];
    size_t period_count;

    /* Process and log. */
    bool daemonize;
    char *pidfile;
    char *logfile;                   /* "": standard output */
    int loglevel;                    /* enum config_loglevel */
    int64_t slowlog_log_slower_than; /* microseconds; negative: off */
    int64_t slowlog_max_len;
    int64_t latency_monitor_threshold; /* milliseconds; 0: off */
    int64_t hz;                        /* housekeeping a second */
    int64_t busy_reply_threshold;

    /* The configuration's own. */
    char *file;                              /* absolute path of the file that was read; NULL: none */
    char *texts[CONFIG_DIRECTIVE_COUNT_MAX]; /* of directives without effect, as set; NULL: the default */
};

/* Defaults. Result STAVE_OK or STAVE_NO_MEMORY. */
enum stave_status config_init(struct config *config);
void config_free(struct config *config);
enum stave_status config_copy(const struct config *config, struct config *ret_copy);

/*
 * The command line of stave-server: `[FILE | -] [--name value ...]...`, `-` being standard input. Result
 * STAVE_OK; STAVE_INVALID with an error that names file and line, or the option; STAVE_IO; STAVE_NO_MEMORY.
 * `ret_warnings` gets a line for each directive without effect.
 */
enum stave_status config_load(struct config *config, int argument_count, char **arguments,
                              struct buffer *ret_warnings, char ret_error[CONFIG_ERROR_SIZE]);

/*
 * Names and values that match a glob pattern, in any case; a name without signs of a pattern as it is asked
 * for.
 */
typedef void (*config_call)(void *context, const char *name, const char *value);
enum stave_status config_get(const struct config *config, struct stave_bytes pattern, config_call call,
                             void *context);

/*
 * Sets `count` pairs of name and value, all or none. `*ret_effects` is a mask of enum config_effect. On
 * STAVE_INVALID the error is what CONFIG SET answers behind "ERR ". Who must be able to take a change back
 * (an effect that fails) keeps a config_copy() from before.
 */
enum stave_status config_set(struct config *config, const struct stave_bytes *pairs, size_t count,
                             bool may_set_protected, uint32_t *ret_effects,
                             char ret_error[CONFIG_ERROR_SIZE]);

/*
 * Writes the present state into the configuration file: lines of directives are changed where they stand,
 * comments stay, what is new goes to the end; by a temporary file, synced and renamed.
 */
enum stave_status config_rewrite(const struct config *config, char ret_error[CONFIG_ERROR_SIZE]);

#endif
