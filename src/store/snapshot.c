/* SPDX-License-Identifier: MIT */
/*
 * A snapshot: a directory of hard links to the sealed segments, and a manifest of its own.
 *
 * The tail is rolled first, so the snapshot ends between two segments: with the last record before a roll,
 * never within a batch (P5). What is linked never changes any more, in either directory.
 */
#include "base/memory.h"
#include "store/compaction.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/segments.h"
#include "store/writer.h"

struct snapshot {
    struct store *store;
    const char *path;
    struct dir dir;
    bool is_made;
    size_t linked; /* segments of the manifest whose links are there */
    bool has_checkpoint;
    struct manifest manifest;
};

/* ------------------------------------------------------------------ the moment */

static bool is_before(const struct manifest_segment *segment, uint32_t open_incarnation)
{
    if (segment->state != MANIFEST_SEGMENT_SEALED) return false;
    return segment->kind != SEGMENT_LARGE || sequence_incarnation(segment->last_sequence) < open_incarnation;
}

/*
 * write_lock. The segments below the first open one of the log; a LARGE one belongs to the log that links it.
 */
static enum stave_status take_moment(struct store *store, struct manifest *ret_manifest)
{
    struct manifest manifest = MANIFEST_NONE;
    const enum stave_status status = manifest_of(store, &manifest);
    if (status != STAVE_OK) return status;
    const bool is_sealing = store->sealing != NULL && !store->sealing->sealed;
    const uint32_t open_incarnation = is_sealing ? store->sealing->incarnation : store->tail->incarnation;
    size_t kept = 0;
    for (size_t i = 0; i < manifest.segment_count; i++)
        if (is_before(&manifest.segments[i], open_incarnation))
            manifest.segments[kept++] = manifest.segments[i];
    manifest.segment_count = kept;
    manifest.flags |= MANIFEST_SNAPSHOT;
    *ret_manifest = manifest;
    return STAVE_OK;
}

/* What is in the log now is in sealed segments after. */
static enum stave_status roll_and_take(struct snapshot *snapshot, struct error *error)
{
    struct store *store = snapshot->store;
    mutex_lock(&store->write_lock);
    enum stave_status status = writer_roll(store);
    if (status == STAVE_OK) status = take_moment(store, &snapshot->manifest);
    mutex_unlock(&store->write_lock);
    if (status == STAVE_OK) return status;
    return error_set(error, status, 0, "%s: the log could not be closed for a snapshot: %s", store->dir.path,
                     stave_status_text(status));
}

/* ------------------------------------------------------------------ the directory */

static enum stave_status link_segments(struct snapshot *snapshot, struct error *error)
{
    for (; snapshot->linked < snapshot->manifest.segment_count; snapshot->linked++) {
        char name[SEGMENT_FILE_NAME_SIZE];
        segment_file_name(snapshot->manifest.segments[snapshot->linked].id, name);
        const enum stave_status status = dir_link(&snapshot->store->dir, name, &snapshot->dir, name, error);
        if (status > 0) return STAVE_IO;
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

/*
 * The checkpoint was installed before the moment, and what it has seen is in the snapshot; without it opening
 * scans.
 */
static enum stave_status link_checkpoint(struct snapshot *snapshot, struct error *error)
{
    const enum stave_status status =
        dir_link(&snapshot->store->dir, CHECKPOINT_FILE_NAME, &snapshot->dir, CHECKPOINT_FILE_NAME, error);
    snapshot->has_checkpoint = status == STAVE_OK;
    return status == STAVE_NOT_FOUND ? STAVE_OK : status;
}

static enum stave_status fill(struct snapshot *snapshot, struct error *error)
{
    enum stave_status status = dir_create(snapshot->path, error);
    if (status != STAVE_OK) return status == STAVE_NOT_FOUND ? STAVE_IO : status;
    snapshot->is_made = true;
    status = dir_open(snapshot->path, &snapshot->dir, error);
    if (status != STAVE_OK) return status > 0 ? STAVE_IO : status;
    status = link_segments(snapshot, error);
    if (status == STAVE_OK) status = link_checkpoint(snapshot, error);
    if (status == STAVE_OK) status = dir_sync(&snapshot->dir, error);
    if (status == STAVE_OK) status = manifest_write(&snapshot->dir, &snapshot->manifest, error);
    return status == STAVE_FAILED ? STAVE_IO : status;
}

static void undo(struct snapshot *snapshot)
{
    if (!snapshot->is_made) return;
    if (snapshot->dir.fd >= 0) {
        (void)dir_unlink(&snapshot->dir, MANIFEST_FILE_NAME, NULL);
        (void)dir_unlink(&snapshot->dir, MANIFEST_TEMP_FILE_NAME, NULL);
        (void)dir_unlink(&snapshot->dir, MANIFEST_SPARE_FILE_NAME, NULL);
        if (snapshot->has_checkpoint) (void)dir_unlink(&snapshot->dir, CHECKPOINT_FILE_NAME, NULL);
    }
    for (size_t i = 0; i < snapshot->linked; i++) {
        char name[SEGMENT_FILE_NAME_SIZE];
        segment_file_name(snapshot->manifest.segments[i].id, name);
        (void)dir_unlink(&snapshot->dir, name, NULL);
    }
    (void)dir_remove(snapshot->path, NULL);
}

static enum stave_status snapshot_make(struct store *store, const char *path, struct error *error)
{
    struct snapshot snapshot = {.store = store, .path = path, .dir = DIR_NONE, .manifest = MANIFEST_NONE};
    mutex_lock(&store->upkeep_lock);
    enum stave_status status = roll_and_take(&snapshot, error);
    if (status == STAVE_OK) status = fill(&snapshot, error);
    if (status != STAVE_OK) undo(&snapshot);
    mutex_unlock(&store->upkeep_lock);
    dir_close(&snapshot.dir);
    manifest_free(&snapshot.manifest);
    return status;
}

enum stave_status stave_snapshot(struct stave *handle, const char *path, struct stave_error *ret_error)
{
    struct error error = ERROR_NONE;
    enum stave_status status = path == NULL ? STAVE_INVALID : guard_writable(handle);
    if (status != STAVE_OK)
        error_set(&error, status, 0, "%s",
                  path == NULL ? "the path of the snapshot is NULL" : stave_status_text(status));
    if (status == STAVE_OK) status = snapshot_make(handle->store, path, &error);
    if (status == STAVE_OK) return STAVE_OK;
    error.status = status;
    if (status < 0 && handle != NULL && status != STAVE_FORKED) (void)store_note_error(handle->store, &error);
    error_hand_out(&error, status, ret_error);
    return status;
}
