/* SPDX-License-Identifier: MIT */
/*
 * What all modules of the server share; its life is run.h. Fields are set before the loops start and constant
 * then, unless a comment says who may change them.
 */
#ifndef STAVE_SERVER_SERVER_H
#define STAVE_SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/config.h"
#include "server/gate.h"
#include "stave.h"

struct call;
struct expiry;
struct idle;
struct loop;
struct main_thread;
struct posts;
struct server;
struct watch_table;

/* CLIENT PAUSE; changed under the exclusive gate. */
struct server_pause {
    uint64_t until_ms; /* 0: none */
    bool writes_only;
};

/* What lower modules have higher ones do. The first three may be NULL. */
struct server_hooks {
    /*
     * After a command, by the dispatcher: `monitor` under the exclusive gate, while monitor_count is not 0.
     */
    void (*monitor)(const struct call *call);
    void (*executed)(struct call *call, uint64_t duration_us);
    /* On the main thread, `config.hz` times a second, inside the gate. */
    void (*cron)(struct server *server);
    /* Listens as the configuration now says. Under the exclusive gate. False: `ret_error` says why. */
    bool (*relisten)(struct server *server, char ret_error[CONFIG_ERROR_SIZE]);
};

/* Odd while the loop commits a batch or a deletion; only it changes it. */
struct commit_version {
    _Alignas(64) _Atomic uint64_t number;
};

struct server {
    struct config config; /* changed under the exclusive gate */
    struct stave *store;
    struct stave **databases; /* handles of the spaces 0..database_count-1 */
    uint32_t database_count;
    char store_path[4096]; /* absolute */
    char run_id[41];
    uint64_t hash_seed; /* random: keys cannot be chosen so that they meet in one place of a table */
    char executable[4096];
    uint64_t started_ms; /* wall clock */
    uint64_t started_monotonic_us;

    struct gate gate;
    struct commit_version *commit_versions; /* one a loop */
    struct loop **loops;
    size_t loop_count;
    struct watch_table *watch;
    struct idle *idle;
    struct server_hooks hooks;

    struct server_pause pause;
    uint64_t stats_reset_ms;
    uint64_t expired_before;    /* keys the store had removed at the last CONFIG RESETSTAT */
    struct expiry *expiry;      /* the main thread's */
    _Atomic bool active_expire; /* DEBUG SET-ACTIVE-EXPIRE */

    _Atomic uint64_t next_client_id;
    _Atomic uint64_t client_count;
    _Atomic uint64_t client_count_peak;
    _Atomic uint64_t client_memory; /* of all clients' buffers */
    uint64_t client_memory_most;    /* seen since memory was given back to the system: the main thread's */
    uint64_t trimmed_us;            /* when that was */
    _Atomic uint64_t rejected_connections;
    _Atomic uint32_t monitor_count;
    _Atomic uint64_t used_memory; /* what the process holds, mapped files left out; measured by cron */
    _Atomic uint64_t used_memory_peak;
    _Atomic uint64_t disk_size;   /* of the store; measured by cron */
    _Atomic uint64_t dirty;       /* changes since the last snapshot */
    _Atomic bool is_cold;         /* reads may meet the disk, and must not wait for it: coldness.h */
    _Atomic uint64_t disk_met_ms; /* when something was last read from disk; 0: never */
    _Atomic bool sync_failed;     /* the store takes no more writes */
    _Atomic bool leaves_expired;  /* a removal of an expired key has failed: commands leave them */
    _Atomic bool stopping;

    struct posts *posts;
    struct main_thread *main_thread; /* run.c's */
};

/*
 * Runs `work` on a thread of the pool, then `done` on the main thread. From any thread. False: no memory,
 * or stopping.
 */
bool server_background(struct server *server, void (*work)(void *context), void (*done)(void *context),
                       void *context);

/* Ends the server cleanly; returns at once. From any thread. */
void server_stop(struct server *server);

#endif
