/* SPDX-License-Identifier: MIT */
/* Snapshots and compactions on demand, on threads of the pool. */
#include "server/snapshot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/log.h"
#include "server/server.h"

#define PATH_SIZE 4096

/* The process has one store. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct snapshot_state state;

static uint64_t now_s(void)
{
    return (uint64_t)time(NULL);
}

void snapshot_begin(void)
{
    state = (struct snapshot_state){.last_save_s = now_s(), .last_duration_s = -1, .last_compaction_s = -1};
}

void snapshot_state(struct snapshot_state *ret_state)
{
    pthread_mutex_lock(&mutex);
    *ret_state = state;
    pthread_mutex_unlock(&mutex);
}

/* ------------------------------------------------------------------ directories */

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A store's directory holds files alone. */
static void remove_store(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) return;
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (!is_dot(entry->d_name)) unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    if (rmdir(path) != 0)
        log_write(LOG_WARNING, "Cannot remove the old snapshot %s: %s", path, strerror(errno));
}

static bool sync_directory(const char *path)
{
    const int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool done = fsync(descriptor) == 0;
    close(descriptor);
    return done;
}

/* Puts `fresh` into the place of `path`; what was there is removed after (SN1). */
static bool install(const char *fresh, const char *path)
{
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        const bool done = sync_directory(".");
        remove_store(fresh);
        return done;
    }
    return errno == ENOENT && rename(fresh, path) == 0 && sync_directory(".");
}

/* ------------------------------------------------------------------ snapshots */

/*
 * What stands in the snapshot's place goes: it has to be one, and not the store that is being served (SN3).
 */
static bool may_replace(const struct server *server, const char *path, struct stave_error *ret_error)
{
    struct stat present = {.st_mode = 0};
    struct stat store;
    char manifest[PATH_SIZE + 16];
    snprintf(manifest, sizeof(manifest), "%s/MANIFEST", path);
    if (lstat(path, &present) != 0 && errno == ENOENT) return true;
    const bool is_store = S_ISDIR(present.st_mode) && access(manifest, F_OK) == 0;
    const bool is_served = is_store && stat(server->store_path, &store) == 0 &&
                           store.st_dev == present.st_dev && store.st_ino == present.st_ino;
    if (is_store && !is_served) return true;
    *ret_error = (struct stave_error){.status = STAVE_INVALID};
    snprintf(ret_error->message, sizeof(ret_error->message), "'%.200s' is %s: dbfilename has to name another",
             path, is_served ? "the store itself" : "there and is no snapshot");
    return false;
}

/* Of the save under way: written by begin_save(), and read by who makes it. */
static char target[PATH_SIZE];

static enum stave_status make_snapshot(struct server *server, struct stave_error *ret_error)
{
    char fresh[PATH_SIZE + 32];
    const char *path = target;
    if (!may_replace(server, path, ret_error)) return STAVE_INVALID;
    snprintf(fresh, sizeof(fresh), "temp-%d-%s", (int)getpid(), path);
    remove_store(fresh);
    const enum stave_status status = stave_snapshot(server->store, fresh, ret_error);
    if (status != STAVE_OK) return status;
    if (install(fresh, path)) return STAVE_OK;
    *ret_error = (struct stave_error){.status = STAVE_IO, .system_error = errno};
    snprintf(ret_error->message, sizeof(ret_error->message),
             "cannot put the snapshot %.200s into its place: %s", path, strerror(errno));
    return STAVE_IO;
}

/* Inside the gate: the name is copied, since CONFIG SET may change it while the snapshot is made. */
static bool begin_save(const struct server *server)
{
    pthread_mutex_lock(&mutex);
    const bool begun = !state.in_progress;
    if (begun) {
        snprintf(target, sizeof(target), "%s", server->config.dbfilename);
        state.in_progress = true;
        state.save_scheduled = false;
        state.started_s = now_s();
    }
    pthread_mutex_unlock(&mutex);
    return begun;
}

static void end_save(struct server *server, enum stave_status status, uint64_t dirty_before,
                     const struct stave_error *error)
{
    char name[PATH_SIZE];
    pthread_mutex_lock(&mutex);
    memcpy(name, target, sizeof(name));
    state.in_progress = false;
    state.last_failed = status != STAVE_OK;
    state.last_duration_s = (int64_t)(now_s() - state.started_s);
    if (status == STAVE_OK) {
        state.last_save_s = now_s();
        state.save_count++;
    }
    pthread_mutex_unlock(&mutex);
    if (status == STAVE_OK) {
        atomic_fetch_sub(&server->dirty, dirty_before);
        log_write(LOG_NOTICE, "Snapshot saved: %s", name);
    } else {
        log_write(LOG_WARNING, "Snapshot failed: %s", error->message);
    }
}

static enum stave_status run_save(struct server *server, struct stave_error *ret_error)
{
    const uint64_t dirty = atomic_load(&server->dirty);
    const enum stave_status status = make_snapshot(server, ret_error);
    end_save(server, status, dirty, ret_error);
    return status;
}

enum stave_status snapshot_save(struct server *server, struct stave_error *ret_error)
{
    if (!begin_save(server)) {
        snprintf(ret_error->message, sizeof(ret_error->message), "Background save already in progress");
        return STAVE_EXISTS;
    }
    return run_save(server, ret_error);
}

static void save_work(void *context)
{
    struct stave_error error = {.status = STAVE_OK};
    run_save(context, &error);
}

static void done_nothing(void *context)
{
    (void)context;
}

bool snapshot_save_start(struct server *server)
{
    if (!begin_save(server)) return false;
    if (server_background(server, save_work, done_nothing, server)) return true;
    pthread_mutex_lock(&mutex);
    state.in_progress = false;
    pthread_mutex_unlock(&mutex);
    return false;
}

bool snapshot_save_schedule(void)
{
    pthread_mutex_lock(&mutex);
    const bool done = !state.in_progress;
    if (done) state.save_scheduled = true;
    pthread_mutex_unlock(&mutex);
    return done;
}

/* ------------------------------------------------------------------ compaction */

static bool is_stopping(void *context, uint64_t done, uint64_t total)
{
    (void)done;
    (void)total;
    return atomic_load(&((struct server *)context)->stopping);
}

static void compact_work(void *context)
{
    struct server *server = context;
    const uint64_t started_s = now_s();
    const enum stave_status status = stave_compact(server->store, STAVE_COMPACT_ALL, is_stopping, server);
    pthread_mutex_lock(&mutex);
    state.compaction_in_progress = false;
    state.last_compaction_failed = status < 0;
    state.last_compaction_s = (int64_t)(now_s() - started_s);
    state.compaction_count++;
    pthread_mutex_unlock(&mutex);
    if (status != STAVE_OK) log_write(LOG_WARNING, "Compaction failed: %s", stave_status_text(status));
}

bool snapshot_compact_start(struct server *server)
{
    pthread_mutex_lock(&mutex);
    const bool begun = !state.compaction_in_progress;
    if (begun) {
        state.compaction_in_progress = true;
        state.compaction_scheduled = false;
    }
    pthread_mutex_unlock(&mutex);
    if (!begun) return false;
    if (server_background(server, compact_work, done_nothing, server)) return true;
    pthread_mutex_lock(&mutex);
    state.compaction_in_progress = false;
    pthread_mutex_unlock(&mutex);
    return false;
}

bool snapshot_compact_schedule(void)
{
    pthread_mutex_lock(&mutex);
    const bool done = !state.compaction_in_progress;
    if (done) state.compaction_scheduled = true;
    pthread_mutex_unlock(&mutex);
    return done;
}

/* ------------------------------------------------------------------ cron */

#define RETRY_AFTER_FAILURE_S 5

static bool is_due(const struct server *server, const struct snapshot_state *now)
{
    const uint64_t dirty = atomic_load(&server->dirty);
    const uint64_t age_s = now_s() - now->last_save_s;
    if (now->in_progress) return false;
    if (now->last_failed && now_s() - now->started_s < RETRY_AFTER_FAILURE_S) return false;
    for (size_t i = 0; i < server->config.period_count; i++) {
        const struct config_period *period = &server->config.periods[i];
        if (dirty >= (uint64_t)period->change_count && dirty > 0 && age_s > (uint64_t)period->seconds)
            return true;
    }
    return false;
}

/* SN4: inside the gate, which an EXEC has to itself until its writes are in the store. */
void snapshot_cron(struct server *server)
{
    struct snapshot_state now;
    snapshot_state(&now);
    if (now.compaction_scheduled) snapshot_compact_start(server);
    if (now.save_scheduled || is_due(server, &now)) snapshot_save_start(server);
}
