/* SPDX-License-Identifier: MIT */
/*
 * Opening and closing a store.
 *
 *   O1  A directory is taken for a new store only if it is empty, or holds nothing but what a crash while one
 *       was made there leaves.
 *   O2  The lock is held before anything is written, and until everything is.
 *   O3  A call that fails leaves no descriptor, mapping, thread or lock behind.
 */
#include <limits.h>
#include <string.h>

#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "store/background.h"
#include "store/checkpoint_image.h"
#include "store/checkpointing.h"
#include "store/compaction.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/options.h"
#include "store/recovery.h"
#include "store/refresh.h"
#include "store/reserve.h"
#include "store/segments.h"
#include "store/writer.h"
#include "store/writing.h"

#define SLOTS_SIZE (MANIFEST_SLOT_MAX * sizeof(struct segment *))
#define QUARANTINE_SIZE (MANIFEST_SLOT_MAX * sizeof(uint32_t))
#define FIRST_GENERATION STAVE_SPACE_COUNT_MAX
#define CLOSE_CHECKPOINT_SIZE (UINT64_C(4) << 20) /* bytes of log whose replay costs more than a checkpoint */
#define CREATE_ATTEMPTS 4

/* ------------------------------------------------------------------ the object */

struct lock_of {
    struct mutex *mutexes[8];
    struct condition *conditions[5];
};

static struct lock_of locks_of(struct store *store)
{
    return (struct lock_of){
        {&store->write_lock, &store->sync_lock, &store->manifest_lock, &store->upkeep_lock,
         &store->thread_lock, &store->error_lock, &store->load_lock, &store->reserve_lock},
        {&store->roll_done, &store->sync_done, &store->preparer_wake, &store->syncer_wake,
         &store->worker_wake},
    };
}

static enum stave_status init_locks(struct store *store)
{
    const struct lock_of locks = locks_of(store);
    for (size_t i = 0; i < sizeof(locks.mutexes) / sizeof(locks.mutexes[0]); i++)
        if (mutex_init(locks.mutexes[i]) != STAVE_OK) return STAVE_NO_MEMORY;
    for (size_t i = 0; i < sizeof(locks.conditions) / sizeof(locks.conditions[0]); i++)
        if (condition_init(locks.conditions[i]) != STAVE_OK) return STAVE_NO_MEMORY;
    return STAVE_OK;
}

static void free_locks(struct store *store)
{
    const struct lock_of locks = locks_of(store);
    for (size_t i = 0; i < sizeof(locks.mutexes) / sizeof(locks.mutexes[0]); i++)
        mutex_free(locks.mutexes[i]);
    for (size_t i = 0; i < sizeof(locks.conditions) / sizeof(locks.conditions[0]); i++)
        condition_free(locks.conditions[i]);
}

static void free_tables(struct store *store)
{
    for (size_t i = 0; i < store->segment_count; i++) segment_free(store, store->segments[i]);
    for (size_t i = 0; i < store->retired_count; i++) segment_free(store, store->retired[i]);
    memory_free(store->segments);
    memory_free(store->retired);
    memory_free(store->unsynced_large);
    keydir_free(&store->keydir);
    checkpoint_image_drop(store);
    if (store->slots != NULL) pages_free((void *)store->slots, SLOTS_SIZE);
    if (store->slot_quarantine != NULL) pages_free(store->slot_quarantine, QUARANTINE_SIZE);
    store->segments = NULL;
    store->segment_count = 0;
    store->retired = NULL;
    store->retired_count = 0;
    store->slots = NULL;
    store->slot_quarantine = NULL;
}

/* Locks of a child are left as they are: a thread of its parent may hold them. */
static void store_free(struct store *store, bool is_ours)
{
    if (store == NULL) return;
    free_tables(store);
    event_free(&store->durable_event);
    dir_unlock(&store->lock);
    dir_close(&store->dir);
    if (store->fork_mark != NULL) pages_free(store->fork_mark, MAP_PAGE_SIZE);
    if (is_ours) free_locks(store);
    memory_free(store);
}

static enum stave_status make_tables(struct store *store, struct error *error)
{
    store->slots = pages_alloc_small(SLOTS_SIZE);
    store->slot_quarantine = pages_alloc_small(QUARANTINE_SIZE);
    if (store->slots != NULL && store->slot_quarantine != NULL) return STAVE_OK;
    return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a store");
}

static enum stave_status store_make(const struct stave_options *options, struct store **ret_store,
                                    struct error *error)
{
    struct store *store = memory_alloc_aligned(_Alignof(struct store), sizeof(*store));
    if (store == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a store");
    if (init_locks(store) != STAVE_OK) {
        memory_free(store);
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a store");
    }
    store->dir = DIR_NONE;
    store->lock = DIR_LOCK_NONE;
    store->durable_event = EVENT_NONE;
    store->options = *options;
    options_publish(store);
    store->counter = 1;
    store->last_error = ERROR_NONE;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) store->handles[i] = (struct stave){store, i};
    store->fork_mark = pages_alloc_fork_wiped();
    if (store->fork_mark == NULL) {
        store_free(store, true);
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a store");
    }
    *store->fork_mark = 1;
    *ret_store = store;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ the directory */

static enum stave_status visit_new(void *context, const char *name)
{
    static const char *const allowed[] = {
        LOCK_FILE_NAME,           RESERVE_FILE_NAME,         MANIFEST_TEMP_FILE_NAME,
        MANIFEST_SPARE_FILE_NAME, CHECKPOINT_TEMP_FILE_NAME, "lost+found"};
    char *found = context;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (strcmp(name, allowed[i]) == 0) return STAVE_OK;
    strncpy(found, name, NAME_MAX);
    uint32_t id;
    return segment_file_name_parse(name, &id) || strcmp(name, CHECKPOINT_FILE_NAME) == 0 ? STAVE_CORRUPT
                                                                                         : STAVE_NOT_A_STORE;
}

/* O1 */
static enum stave_status check_new(const struct dir *dir, struct error *error)
{
    char found[NAME_MAX + 1] = {0};
    const enum stave_status status = dir_list(dir, visit_new, found, error);
    if (status == STAVE_CORRUPT)
        return error_set(error, status, 0,
                         "%s/" MANIFEST_FILE_NAME ": missing beside %s; stave_salvage copies what is left",
                         dir->path, found);
    if (status == STAVE_NOT_A_STORE)
        return error_set(error, status, 0, "%s: not a store: there is %s, and no " MANIFEST_FILE_NAME,
                         dir->path, found);
    return status;
}

static enum stave_status open_dir(struct store *store, const char *path, bool *ret_made, struct error *error)
{
    const bool may_make = !store->options.read_only && !store->options.must_exist;
    enum stave_status status = dir_open(path, &store->dir, error);
    for (int attempt = 0; status == STAVE_NOT_FOUND && may_make && attempt < CREATE_ATTEMPTS; attempt++) {
        status = dir_create(path, error);
        if (status == STAVE_NOT_FOUND) return STAVE_IO; /* the parent is missing: *error says so */
        if (status == STAVE_OK) *ret_made = true;
        if (status == STAVE_OK || status == STAVE_EXISTS) status = dir_open(path, &store->dir, error);
    }
    return status;
}

/* Whether there may be a new store. What has no manifest at first may be a store that is just being made. */
static enum stave_status find_manifest(const struct dir *dir, bool *ret_is_new, struct error *error)
{
    enum stave_status status = dir_exists(dir, MANIFEST_FILE_NAME, error);
    *ret_is_new = false;
    if (status != STAVE_NOT_FOUND) return status;
    const enum stave_status checked = check_new(dir, error);
    if (checked != STAVE_OK && dir_exists(dir, MANIFEST_FILE_NAME, NULL) == STAVE_OK) return STAVE_OK;
    *ret_is_new = checked == STAVE_OK;
    return checked;
}

/* STAVE_OK: there is a manifest, or there may be a new store (*ret_is_new). */
static enum stave_status look_at_dir(struct store *store, bool *ret_is_new, struct error *error)
{
    const enum stave_status status = find_manifest(&store->dir, ret_is_new, error);
    if (status != STAVE_OK) return status;
    if (!*ret_is_new && store->options.must_not_exist)
        return error_set(error, STAVE_EXISTS, 0, "%s: there is a store already", store->dir.path);
    if (*ret_is_new && (store->options.read_only || store->options.must_exist))
        return error_set(error, STAVE_NOT_FOUND, 0, "%s: there is no store", store->dir.path);
    return STAVE_OK;
}

/* ------------------------------------------------------------------ for writing */

/* The manifest comes first, so that no segment is ever without one. */
static enum stave_status make_new(struct store *store, struct error *error)
{
    struct manifest manifest = {
        .next_segment_id = 1,
        .next_slot = 1,
        .next_generation = FIRST_GENERATION,
        .swept_generation = FIRST_GENERATION,
    };
    enum stave_status status = random_number(&manifest.store_id, error);
    if (status == STAVE_OK) status = random_number(&manifest.hash_seed, error);
    if (status == STAVE_OK) status = manifest_write(&store->dir, &manifest, error);
    manifest_free(&manifest);
    return status == STAVE_FAILED ? STAVE_IO : status;
}

/* A snapshot that is written to becomes a store of its own. */
static enum stave_status take_identity(struct store *store, const struct manifest *manifest,
                                       struct error *error)
{
    if (!(manifest->flags & MANIFEST_SNAPSHOT)) return STAVE_OK;
    return random_number(&store->store_id, error);
}

/* On a full disk the files that recovery does without go first; a manifest without them must stand then. */
static enum stave_status start_writer(struct store *store, struct recovery *recovery, struct error *error)
{
    enum stave_status status = writing_begin(store, false, error);
    if (status == STAVE_FULL) {
        status = manifest_install(store, error);
        if (status == STAVE_OK) recovery_clean(recovery);
        if (status == STAVE_OK) status = writing_begin(store, true, error);
        while (status == STAVE_FULL && compaction_relieve(store)) status = writing_begin(store, true, error);
        if (status == STAVE_FULL && store_explain_full(store)) store_last_error(store, error);
    } else if (status == STAVE_OK) {
        recovery_clean(recovery);
    }
    return status;
}

static enum stave_status start_writing(struct store *store, const struct manifest *manifest,
                                       struct error *error)
{
    struct recovery *recovery = memory_alloc_zero(1, sizeof(*recovery));
    if (recovery == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory to open the store", store->dir.path);
    enum stave_status status = recovery_run(store, manifest, false, recovery, error);
    if (status == STAVE_OK) status = take_identity(store, manifest, error);
    if (status == STAVE_OK) status = start_writer(store, recovery, error);
    recovery_free(recovery);
    memory_free(recovery);
    if (status != STAVE_OK) return status;
    (void)reserve_keep(store);
    return background_start(store, error);
}

static enum stave_status open_for_writing(struct store *store, bool is_new, struct error *error)
{
    struct manifest manifest = MANIFEST_NONE;
    enum stave_status status = dir_lock(&store->dir, LOCK_FILE_NAME, &store->lock, error);
    if (status != STAVE_OK) return status;
    store->maps_safely = file_system_maps_safely(store->dir.fd);
    recovery_remove_temporary(store);
    status = manifest_read(&store->dir, &manifest, error);
    if (status == STAVE_NOT_FOUND && is_new) {
        status = make_new(store, error);
        if (status == STAVE_OK) status = manifest_read(&store->dir, &manifest, error);
    }
    if (status == STAVE_OK) status = start_writing(store, &manifest, error);
    manifest_free(&manifest);
    return status == STAVE_NOT_FOUND ? STAVE_CORRUPT : status;
}

/* ------------------------------------------------------------------ stave_open */

/* What a failed creation made. */
static void remove_made(const struct dir *dir)
{
    static const char *const names[] = {LOCK_FILE_NAME, MANIFEST_TEMP_FILE_NAME, MANIFEST_SPARE_FILE_NAME};
    if (dir->fd < 0 || dir_exists(dir, MANIFEST_FILE_NAME, NULL) != STAVE_NOT_FOUND) return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) (void)dir_unlink(dir, names[i], NULL);
    (void)dir_remove(dir->path, NULL);
}

static enum stave_status open_store(struct store *store, const char *path, struct error *error)
{
    bool is_new = false;
    bool is_made = false;
    enum stave_status status = open_dir(store, path, &is_made, error);
    if (status == STAVE_OK) status = look_at_dir(store, &is_new, error);
    if (status == STAVE_OK)
        status =
            store->options.read_only ? refresh_open(store, error) : open_for_writing(store, is_new, error);
    if (status != STAVE_OK && is_made) remove_made(&store->dir);
    return status;
}

static enum stave_status open_once(const char *path, const struct stave_options *options,
                                   bool ignores_checkpoint, struct store **ret_store, struct error *error)
{
    enum stave_status status = store_make(options, ret_store, error);
    if (status != STAVE_OK) return status;
    (*ret_store)->ignores_checkpoint = ignores_checkpoint;
    status = make_tables(*ret_store, error);
    return status == STAVE_OK ? open_store(*ret_store, path, error) : status;
}

/*
 * A block of the checkpoint that is found damaged while the log is replayed cannot be repaired alone: the
 * records behind the image are not all applied yet. So all is done again without the checkpoint.
 */
static enum stave_status open_or_again(const char *path, const struct stave_options *options,
                                       struct store **ret_store, struct error *error)
{
    struct store *store = NULL;
    enum stave_status status = open_once(path, options, false, &store, error);
    if (status == STAVE_CORRUPT && store != NULL && store->image_is_damaged) {
        store_free(store, true);
        store = NULL;
        status = open_once(path, options, true, &store, error);
    }
    if (status == STAVE_OK)
        *ret_store = store;
    else
        store_free(store, true);
    return status;
}

enum stave_status stave_open(const char *path, const struct stave_options *options, struct stave **ret_store,
                             struct stave_error *ret_error)
{
    struct error error = ERROR_NONE;
    struct stave_options complete;
    struct store *store = NULL;
    const uint64_t began = clock_monotonic_ns();
    enum stave_status status = STAVE_OK;
    if (path == NULL || ret_store == NULL)
        status = error_set(&error, STAVE_INVALID, 0, "%s is NULL", path == NULL ? "path" : "ret_store");
    if (status == STAVE_OK) status = options_complete(options, &complete, &error);
    if (status == STAVE_OK) status = open_or_again(path, &complete, &store, &error);
    if (status != STAVE_OK) {
        error_hand_out(&error, status, ret_error);
        return status;
    }
    store->open_time_us = (clock_monotonic_ns() - began) / 1000;
    *ret_store = &store->handles[0];
    return STAVE_OK;
}

/* ------------------------------------------------------------------ stave_close */

static bool checkpoint_pays(struct store *store)
{
    mutex_lock(&store->write_lock);
    const uint64_t log_size = store->log_since_checkpoint;
    mutex_unlock(&store->write_lock);
    return log_size > CLOSE_CHECKPOINT_SIZE && atomic_load(&store->failed) == STAVE_OK;
}

/* A checkpoint that fails costs the next open time, and nothing else. */
static enum stave_status finish_writing(struct store *store)
{
    struct error error = ERROR_NONE;
    mutex_lock(&store->write_lock);
    store->closing = true;
    mutex_unlock(&store->write_lock);
    background_stop(store);
    if (checkpoint_pays(store)) (void)checkpoint_write(store, false, &error);
    const enum stave_status status = writing_end(store, &error);
    mutex_lock(&store->upkeep_lock);
    segments_reap(store);
    mutex_unlock(&store->upkeep_lock);
    return status;
}

enum stave_status stave_close(struct stave *handle)
{
    if (handle == NULL) return STAVE_OK;
    struct store *store = handle->store;
    const bool is_ours = store_is_ours(store);
    enum stave_status status = STAVE_OK;
    if (is_ours && !store->options.read_only) status = finish_writing(store);
    store_free(store, is_ours);
    return status;
}
