/* SPDX-License-Identifier: MIT */
/* From files to an open store. */
#include "store/recovery.h"

#include <inttypes.h>

#include "base/memory.h"
#include "os/clock.h"
#include "store/account.h"
#include "store/checkpointing.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/reading.h"
#include "store/segments.h"

enum { LOG_ITEMS = 1024 };

static enum stave_status no_memory(const struct store *store, struct error *error)
{
    return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory to open the store", store->dir.path);
}

/* ------------------------------------------------------------------ the manifest's numbers */

void recovery_take_manifest(struct store *store, const struct manifest *manifest)
{
    store->store_id = manifest->store_id;
    /* Never another one while the store is open, and readers look at it without a lock. */
    if (store->hash_seed != manifest->hash_seed) store->hash_seed = manifest->hash_seed;
    store->incarnation = manifest->incarnation;
    store->next_segment_id = manifest->next_segment_id;
    store->next_slot = manifest->next_slot;
    store->next_generation = manifest->next_generation;
    store->swept_generation = manifest->swept_generation;
    store->feed_floor = manifest->feed_floor;
    store->listed_floor = manifest->feed_floor;
}

void recovery_take_spaces(const struct manifest *manifest, struct replay_spaces *ret_spaces)
{
    ret_spaces->next_generation = manifest->next_generation;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) {
        ret_spaces->generation[i] = i;
        ret_spaces->count[i] = 0;
    }
    for (size_t i = 0; i < manifest->space_count; i++) {
        const struct manifest_space *space = &manifest->spaces[i];
        ret_spaces->generation[space->number] = space->generation;
        ret_spaces->count[space->number] = space->count;
    }
}

void recovery_publish_spaces(struct store *store, const struct replay_spaces *spaces)
{
    store->spaces_version++;
    store->next_generation = spaces->next_generation;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) {
        atomic_store_explicit(&store->generation_of[i], spaces->generation[i], memory_order_release);
        store->count_of[i] = spaces->count[i];
        store->generation_since[i] = 0;
    }
}

/* ------------------------------------------------------------------ unlisted files (V1) */

static enum stave_status keep_file(struct recovery *recovery, const struct recovery_file *file,
                                   struct error *error)
{
    if (recovery->file_count == recovery->file_capacity) {
        const size_t capacity = recovery->file_capacity == 0 ? 64 : recovery->file_capacity * 2;
        void *larger = memory_realloc(recovery->files, capacity * sizeof(*recovery->files));
        if (larger == NULL) return no_memory(recovery->store, error);
        recovery->files = larger;
        recovery->file_capacity = capacity;
    }
    recovery->files[recovery->file_count++] = *file;
    return STAVE_OK;
}

static enum stave_status judge_file(struct recovery *recovery, const struct file *file, uint32_t id,
                                    struct error *error)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE] = {0};
    size_t size = 0;
    struct segment_header header = {.kind = 0};
    enum stave_status status = file_read_some(file, bytes, sizeof(bytes), 0, &size, error);
    if (status != STAVE_OK) return status;
    status = segment_decode_header(bytes, sizeof(bytes), &header);
    if (status == STAVE_NOT_A_STORE || status == STAVE_VERSION)
        return file_error(file, error, status, 0, "is no segment of this store");
    const bool is_ours =
        header.store_id == recovery->manifest->store_id || header.hash_seed == recovery->manifest->hash_seed;
    if (status == STAVE_OK && !is_ours)
        return file_error(file, error, STAVE_NOT_A_STORE, 0, "belongs to another store");
    const struct recovery_file kept = {.id = id, .kind = header.kind, .identity = header.identity};
    return keep_file(recovery, &kept, error);
}

struct visit {
    struct recovery *recovery;
    struct error *error;
};

static enum stave_status visit_file(void *context, const char *name)
{
    const struct visit *visit = context;
    struct recovery *recovery = visit->recovery;
    struct file file = FILE_NONE;
    uint32_t id = 0;
    if (!segment_file_name_parse(name, &id) || manifest_find_segment(recovery->manifest, id) != NULL)
        return STAVE_OK;
    enum stave_status status = file_open(&recovery->store->dir, name, false, &file, visit->error);
    if (status == STAVE_NOT_FOUND) return STAVE_OK; /* read-only: a writer removed it */
    if (status == STAVE_OK) status = judge_file(recovery, &file, id, visit->error);
    (void)file_close(&file, NULL);
    return status;
}

static enum stave_status list_files(struct recovery *recovery, struct error *error)
{
    struct visit visit = {recovery, error};
    const enum stave_status status = dir_list(&recovery->store->dir, visit_file, &visit, error);
    for (size_t i = 0; i < recovery->file_count && status == STAVE_OK; i++)
        if (recovery->files[i].id >= recovery->store->next_segment_id && recovery->files[i].id < UINT32_MAX)
            recovery->store->next_segment_id = recovery->files[i].id + 1;
    return status;
}

static void unlink_segment(struct store *store, uint32_t id)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    struct error error = ERROR_NONE;
    segment_file_name(id, name);
    if (dir_unlink(&store->dir, name, &error) < 0) (void)store_note_error(store, &error);
}

static void unlink_leftovers(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->file_count; i++)
        if (logend_find_link(&recovery->logend, recovery->files[i].id, recovery->files[i].identity) == NULL)
            unlink_segment(recovery->store, recovery->files[i].id);
}

void recovery_remove_temporary(struct store *store)
{
    (void)dir_unlink(&store->dir, MANIFEST_TEMP_FILE_NAME, NULL);
    (void)dir_unlink(&store->dir, CHECKPOINT_TEMP_FILE_NAME, NULL);
}

/* ------------------------------------------------------------------ segments */

void recovery_clear_numbers(struct segment *segment)
{
    segment->last_sequence = 0;
    segment->record_count = 0;
    segment->tombstone_size = 0;
    segment->expiring_size = 0;
    segment->expires_first_ms = 0;
    segment->expires_last_ms = 0;
    segment->spaces_mask = 0;
}

static enum stave_status open_and_publish(struct store *store, const struct manifest_segment *listed,
                                          uint64_t length, struct segment **ret_segment, struct error *error)
{
    struct segment *segment = NULL;
    enum stave_status status = segment_open(store, listed, length, &segment, error);
    if (status != STAVE_OK) return status;
    status = segment_publish(store, segment);
    if (status != STAVE_OK) {
        segment_free(store, segment);
        return no_memory(store, error);
    }
    *ret_segment = segment;
    return STAVE_OK;
}

static void drop(struct recovery *recovery, uint32_t id)
{
    recovery->dropped[recovery->dropped_count++] = id;
}

bool recovery_log_is_open(const struct logend *logend, uint32_t incarnation)
{
    for (size_t i = 0; i < logend->log_count; i++)
        if (logend->logs[i].listed->incarnation == incarnation) return true;
    return false;
}

static enum stave_status open_log(struct recovery *recovery, const struct manifest_segment *listed,
                                  struct error *error)
{
    size_t index = 0;
    while (recovery->logend.logs[index].listed != listed) index++;
    const uint64_t end = recovery->logend.logs[index].end;
    if (end == SEGMENT_HEADER_SIZE) {
        drop(recovery, listed->id);
        return STAVE_OK;
    }
    const enum stave_status status =
        open_and_publish(recovery->store, listed, end, &recovery->opened[index], error);
    if (status == STAVE_OK) recovery_clear_numbers(recovery->opened[index]);
    return status;
}

void recovery_take_link(struct segment *segment, const struct logend_link *link)
{
    recovery_clear_numbers(segment);
    account_record(segment, &link->record);
    segment->horizon = link->record.sequence;
    segment->sealed = true;
}

/* A LARGE segment counts by its LINK, as long as the log that holds that is open. */
static enum stave_status open_large(struct recovery *recovery, const struct manifest_segment *listed,
                                    struct error *error)
{
    const struct logend_link *link = logend_find_link(&recovery->logend, listed->id, listed->identity);
    struct segment *segment = NULL;
    const bool is_sealed = listed->state == MANIFEST_SEGMENT_SEALED;
    if (link == NULL && (!is_sealed || recovery_log_is_open(&recovery->logend,
                                                            sequence_incarnation(listed->last_sequence)))) {
        drop(recovery, listed->id);
        return STAVE_OK;
    }
    const enum stave_status status = open_and_publish(
        recovery->store, listed, link != NULL ? link->length : listed->length, &segment, error);
    if (status == STAVE_OK && link != NULL) recovery_take_link(segment, link);
    return status;
}

static enum stave_status open_listed(struct recovery *recovery, const struct manifest_segment *listed,
                                     struct error *error)
{
    struct segment *segment = NULL;
    if (listed->kind == SEGMENT_LARGE) return open_large(recovery, listed, error);
    if (listed->state == MANIFEST_SEGMENT_SEALED)
        return open_and_publish(recovery->store, listed, listed->length, &segment, error);
    if (listed->kind == SEGMENT_LOG) return open_log(recovery, listed, error);
    drop(recovery, listed->id); /* of a compaction that did not end */
    return STAVE_OK;
}

static enum stave_status open_all(struct recovery *recovery, struct error *error)
{
    const struct manifest *manifest = recovery->manifest;
    recovery->dropped = memory_alloc_zero(manifest->segment_count, sizeof(*recovery->dropped));
    if (recovery->dropped == NULL) return no_memory(recovery->store, error);
    for (size_t i = 0; i < manifest->segment_count; i++) {
        const enum stave_status status = open_listed(recovery, &manifest->segments[i], error);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

/*
 * ------------------------------------------------------------------ LARGE segments that only the log knows
 */

static bool slot_is_free(const struct store *store, uint32_t slot)
{
    return store->slot_quarantine[slot] == 0 && atomic_load(&store->slots[slot]) == NULL;
}

/* A free run; read-only from the far end, where the writer comes last. */
uint32_t recovery_find_slots(const struct store *store, uint32_t count)
{
    const bool backwards = store->options.read_only;
    uint32_t run = 0;
    uint32_t at = backwards ? MANIFEST_SLOT_MAX - 1 : store->next_slot;
    for (uint32_t looked = 0; looked < MANIFEST_SLOT_MAX; looked++) {
        if (at == 0 || at >= MANIFEST_SLOT_MAX) {
            at = backwards ? MANIFEST_SLOT_MAX - 1 : 1;
            run = 0;
        }
        run = slot_is_free(store, at) ? run + 1 : 0;
        if (run == count) return backwards ? at : at - count + 1;
        at = backwards ? at - 1 : at + 1;
    }
    return 0;
}

struct manifest_segment recovery_large_listing(const struct logend_link *link, uint32_t first_slot)
{
    return (struct manifest_segment){
        .id = link->segment_id,
        .kind = SEGMENT_LARGE,
        .state = MANIFEST_SEGMENT_SEALED,
        .first_slot = first_slot,
        .slot_count = (uint32_t)((link->length + MANIFEST_SLOT_SIZE - 1) / MANIFEST_SLOT_SIZE),
        .identity = link->identity,
        .length = link->length,
        .created_at_ms = clock_wall_ms(),
    };
}

static enum stave_status adopt(struct recovery *recovery, const struct logend_link *link, struct error *error)
{
    struct store *store = recovery->store;
    if (segment_by_id(store, link->segment_id) != NULL) return STAVE_OK;
    struct manifest_segment listing = recovery_large_listing(link, 0);
    listing.first_slot = recovery_find_slots(store, listing.slot_count);
    if (listing.first_slot == 0)
        return error_set(error, STAVE_LIMIT, 0, "%s: no address space left for segment %" PRIu32,
                         store->dir.path, link->segment_id);
    struct segment *segment = NULL;
    const enum stave_status status = open_and_publish(store, &listing, link->length, &segment, error);
    if (status != STAVE_OK) return status;
    recovery_take_link(segment, link);
    if (!store->options.read_only)
        store->next_slot = (listing.first_slot + listing.slot_count) % MANIFEST_SLOT_MAX;
    return STAVE_OK;
}

static enum stave_status adopt_all(struct recovery *recovery, struct error *error)
{
    for (size_t i = 0; i < recovery->logend.link_count; i++) {
        const enum stave_status status = adopt(recovery, &recovery->logend.links[i], error);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

/* ------------------------------------------------------------------ the image */

/* Whether the log has all that the image has seen: only the end of an open segment can have been lost. */
static bool log_reaches(const struct logend *logend, uint64_t sequence)
{
    for (size_t i = 0; i < logend->log_count; i++)
        if (logend->logs[i].listed->incarnation == sequence_incarnation(sequence))
            return logend->logs[i].last_sequence >= sequence;
    return true;
}

/*
 * A segment of the image that is gone leaves stale entries: its slots stay empty until they have been swept.
 */
static bool match_row(struct store *store, const struct checkpoint_segment *row)
{
    const struct segment *segment = segment_by_id(store, row->id);
    if (segment != NULL && segment->identity == row->identity)
        return segment->first_slot == row->first_slot && segment->slot_count == row->slot_count;
    for (uint32_t i = 0; i < row->slot_count; i++) {
        if (atomic_load(&store->slots[row->first_slot + i]) != NULL) return false;
        store->slot_quarantine[row->first_slot + i] = store->checkpoint_number + 1;
    }
    return true;
}

static bool image_fits(struct recovery *recovery)
{
    const struct checkpoint_image *image = &recovery->image;
    if (!log_reaches(&recovery->logend, image->contents.sequence_last)) return false;
    for (uint32_t i = 0; i < image->contents.segment_count; i++) {
        if (image->segments[i].id >= recovery->manifest->next_segment_id)
            return false; /* newer than the manifest */
        if (!match_row(recovery->store, &image->segments[i])) return false;
    }
    return true;
}

static void take_live(struct store *store, const struct checkpoint_image *image)
{
    for (uint32_t i = 0; i < image->contents.segment_count; i++) {
        struct segment *segment = segment_by_id(store, image->segments[i].id);
        if (segment == NULL || segment->identity != image->segments[i].identity) continue;
        segment->live_size = image->segments[i].live_size;
        segment->live_count = image->segments[i].live_count;
    }
}

static void release_slots(struct store *store, const struct checkpoint_image *image)
{
    for (uint32_t i = 0; i < image->contents.segment_count; i++)
        for (uint32_t k = 0; k < image->segments[i].slot_count; k++)
            store->slot_quarantine[image->segments[i].first_slot + k] = 0;
}

/*
 * The index begins as the image, or empty; a void image is removed before the manifest forgets why it is
 * (V3).
 */
static enum stave_status start_index(struct recovery *recovery, struct error *error)
{
    struct store *store = recovery->store;
    struct error reason = ERROR_NONE;
    enum stave_status status = error_set(&reason, STAVE_CORRUPT, 0,
                                         "%s/" CHECKPOINT_FILE_NAME ": a block is damaged", store->dir.path);
    if (!store->ignores_checkpoint)
        status = checkpoint_image_open(store, recovery->manifest->store_id, &recovery->image, &reason);
    if (status == STAVE_OK && image_fits(recovery)) {
        status = checkpoint_image_use(store, &recovery->image, &reason);
        if (status == STAVE_OK) take_live(store, &recovery->image);
        if (status == STAVE_OK && recovery->image.contents.swept_generation < store->swept_generation)
            store->swept_generation = recovery->image.contents.swept_generation; /* swept after the image */
        store->open_from_checkpoint = status == STAVE_OK;
        if (status == STAVE_OK || status == STAVE_NO_MEMORY) {
            error_copy(error, &reason);
            return status;
        }
    }
    if (status == STAVE_NO_MEMORY || status == STAVE_PERMISSION) {
        error_copy(error, &reason);
        return status;
    }
    if (status < 0) (void)store_note_error(store, &reason);
    if (status == STAVE_OK) release_slots(store, &recovery->image);
    checkpoint_image_free(&recovery->image);
    if (!store->options.read_only && status != STAVE_NOT_FOUND) {
        const enum stave_status removed = dir_unlink(&store->dir, CHECKPOINT_FILE_NAME, error);
        if (removed < 0) return removed;
    }
    return checkpoint_start_empty(store, error);
}

/* ------------------------------------------------------------------ replay */

static bool is_open_log(const struct recovery *recovery, const struct segment *segment)
{
    for (size_t i = 0; i < recovery->logend.log_count; i++)
        if (recovery->opened[i] == segment) return true;
    return false;
}

/* What of a sealed segment the image does not hold. False: nothing. */
static bool job_of(const struct recovery *recovery, struct segment *segment, struct rebuild_job *ret_job)
{
    const struct store *store = recovery->store;
    const struct checkpoint_contents *contents = &recovery->image.contents;
    *ret_job = (struct rebuild_job){.segment = segment};
    if (!store->open_from_checkpoint) return true;
    const bool is_known = checkpoint_image_find(&recovery->image, segment->id, segment->identity) != NULL;
    if (segment->kind == SEGMENT_OUTPUT) return !is_known;
    if (is_known && segment->last_sequence <= contents->sequence) return false;
    if (segment->kind == SEGMENT_LARGE) return true;
    ret_job->after = contents->sequence;
    const bool is_position = is_known && segment->id == contents->segment_id &&
                             contents->segment_offset >= SEGMENT_HEADER_SIZE &&
                             contents->segment_offset <= atomic_load(&segment->end);
    if (is_position) ret_job->start = contents->segment_offset;
    return ret_job->start < atomic_load(&segment->end);
}

static enum stave_status replay_sealed(struct recovery *recovery, struct error *error)
{
    struct store *store = recovery->store;
    struct replay_generations *generations = memory_alloc(sizeof(*generations));
    struct rebuild_job *jobs = memory_alloc_zero(store->segment_count, sizeof(*jobs));
    size_t job_count = 0;
    enum stave_status status = STAVE_OK;
    if (generations == NULL || jobs == NULL) {
        status = no_memory(store, error);
        goto done;
    }
    replay_generations_take(&recovery->spaces, generations);
    for (size_t i = 0; i < store->segment_count; i++) {
        if (is_open_log(recovery, store->segments[i])) continue;
        if (!job_of(recovery, store->segments[i], &jobs[job_count])) continue;
        store->log_since_checkpoint += atomic_load(&store->segments[i]->end) - jobs[job_count].start;
        job_count++;
    }
    status = rebuild_run(&recovery->replay, jobs, job_count, generations, error);
done:
    memory_free(generations);
    memory_free(jobs);
    return status;
}

struct log_replay {
    struct replay *replay;
    struct replay_spaces *spaces;
    struct segment *segment;
    uint64_t after;
    uint32_t generation; /* the last one looked up, */
    uint32_t space;      /* and its space; STAVE_SPACE_COUNT_MAX: none */
    size_t count;
    struct replay_item items[LOG_ITEMS];
};

static uint32_t space_of(const struct replay_spaces *spaces, uint32_t generation)
{
    if (generation < STAVE_SPACE_COUNT_MAX && spaces->generation[generation] == generation) return generation;
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        if (spaces->generation[i] == generation) return i;
    return STAVE_SPACE_COUNT_MAX;
}

static void count_record(struct log_replay *log, const struct record *record)
{
    if (!record_has_key(record->kind)) return;
    if (log->space == STAVE_SPACE_COUNT_MAX || log->generation != record->generation) {
        log->generation = record->generation;
        log->space = space_of(log->spaces, record->generation);
    }
    if (log->space == STAVE_SPACE_COUNT_MAX) return;
    uint64_t *count = &log->spaces->count[log->space];
    if (record->kind == RECORD_TOMBSTONE)
        *count -= *count > 0 ? 1 : 0;
    else if (record->flags & RECORD_INSERT)
        ++*count;
}

static void apply_spaces(struct replay_spaces *spaces, const struct record_spaces *change)
{
    const uint32_t a = change->a;
    const uint32_t b = change->b;
    if (a >= STAVE_SPACE_COUNT_MAX || b >= STAVE_SPACE_COUNT_MAX) return;
    if (change->op == RECORD_SPACES_DROP) {
        spaces->generation[a] = change->generation;
        spaces->count[a] = 0;
        if (change->generation >= spaces->next_generation) spaces->next_generation = change->generation + 1;
        return;
    }
    const uint32_t generation = spaces->generation[a];
    const uint64_t count = spaces->count[a];
    spaces->generation[a] = spaces->generation[b];
    spaces->count[a] = spaces->count[b];
    spaces->generation[b] = generation;
    spaces->count[b] = count;
}

static enum stave_status replay_spaces(struct log_replay *log, struct scan *scan, struct error *error)
{
    uint8_t bytes[RECORD_SPACES_SIZE];
    struct record_spaces change;
    const struct record *record = &scan->current.record;
    if (record->value_size != sizeof(bytes)) return STAVE_OK;
    const enum stave_status status = scan_read_value(scan, 0, sizeof(bytes), bytes, error);
    if (status != STAVE_OK) return status;
    log->space = STAVE_SPACE_COUNT_MAX;
    const bool is_whole =
        record_payload_checksum(record->key_hash, bytes, sizeof(bytes)) == record->payload_checksum;
    if (is_whole && record_decode_spaces(bytes, sizeof(bytes), &change) == STAVE_OK)
        apply_spaces(log->spaces, &change); /* else damage was accepted: logend.c has refused it */
    return STAVE_OK;
}

static enum stave_status flush_items(struct log_replay *log, struct error *error)
{
    const enum stave_status status = replay_apply(log->replay, log->items, log->count, error);
    log->count = 0;
    return status;
}

static enum stave_status replay_log_record(void *context, struct scan *scan, const struct scan_record *record,
                                           struct error *error)
{
    struct log_replay *log = context;
    account_record(log->segment, &record->record);
    count_record(log, &record->record);
    if (replay_wants(&record->record) && record->record.sequence > log->after) {
        log->items[log->count++] = replay_item_of(log->segment, record);
        if (log->count == LOG_ITEMS) return flush_items(log, error);
    }
    return record->record.kind == RECORD_SPACES ? replay_spaces(log, scan, error) : STAVE_OK;
}

enum stave_status recovery_replay_log(struct replay *replay, struct replay_spaces *spaces,
                                      struct segment *segment, uint64_t after, struct error *error)
{
    struct log_replay *log = memory_alloc(sizeof(*log));
    if (log == NULL) return no_memory(replay->store, error);
    log->replay = replay;
    log->spaces = spaces;
    log->segment = segment;
    log->after = after;
    log->space = STAVE_SPACE_COUNT_MAX;
    log->count = 0;
    const struct rebuild_job job = {.segment = segment, .after = after};
    enum stave_status status = rebuild_scan(replay->store, &job, replay_log_record, log, error);
    if (status == STAVE_OK) status = flush_items(log, error);
    memory_free(log);
    return status;
}

static enum stave_status replay_open(struct recovery *recovery, struct error *error)
{
    struct store *store = recovery->store;
    const uint64_t after = store->open_from_checkpoint ? recovery->image.contents.sequence : 0;
    for (size_t i = 0; i < recovery->logend.log_count; i++) {
        struct segment *segment = recovery->opened[i];
        if (segment == NULL) continue;
        const enum stave_status status =
            recovery_replay_log(&recovery->replay, &recovery->spaces, segment, after, error);
        if (status != STAVE_OK) return status;
        store->log_since_checkpoint += atomic_load(&segment->end);
    }
    return STAVE_OK;
}

/*
 * A LARGE segment of a dropped space is entered when the index is made from the log alone, as rebuild.h says:
 * then the sweep has to come again.
 */
static enum stave_status look_for_dropped(struct store *store, const struct replay_spaces *spaces,
                                          struct error *error)
{
    struct replay_generations *generations = memory_alloc(sizeof(*generations));
    if (generations == NULL) return no_memory(store, error);
    replay_generations_take(spaces, generations);
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        struct reading reading = READING_NONE;
        if (segment->kind != SEGMENT_LARGE || segment->live_count == 0) continue;
        if (reading_begin(store, location_in(segment, SEGMENT_HEADER_SIZE), 0, &reading) != STAVE_OK)
            continue;
        const uint32_t generation = reading.record.generation;
        reading_end(&reading);
        if (generation >= store->swept_generation || replay_generations_have(generations, generation))
            continue;
        store->swept_generation = generation;
    }
    memory_free(generations);
    return STAVE_OK;
}

static enum stave_status build_index(struct recovery *recovery, struct error *error)
{
    struct store *store = recovery->store;
    recovery->replay = (struct replay){.store = store};
    enum stave_status status = replay_sealed(recovery, error);
    if (status == STAVE_OK) status = replay_open(recovery, error);
    if (status != STAVE_OK) return status;
    replay_end(&recovery->replay);
    recovery_publish_spaces(store, &recovery->spaces);
    store->open_replayed = recovery->replay.item_count;
    return store->open_from_checkpoint ? STAVE_OK : look_for_dropped(store, &recovery->spaces, error);
}

/* ------------------------------------------------------------------ the end */

static enum stave_status sync_segment(struct store *store, uint32_t id, struct error *error)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    struct file file = FILE_NONE;
    segment_file_name(id, name);
    enum stave_status status = file_open(&store->dir, name, false, &file, error);
    if (status == STAVE_OK) status = file_sync(&file, error);
    (void)file_close(&file, NULL);
    return status > 0 ? STAVE_IO : status;
}

/*
 * V2. The LARGE segments first: a LINK may not be durable before what it publishes. Their names become so
 * with that of the new tail, before a manifest lists them.
 */
static enum stave_status seal_all(struct recovery *recovery, struct error *error)
{
    struct store *store = recovery->store;
    enum stave_status status = STAVE_OK;
    for (size_t i = 0; i < recovery->logend.link_count && status == STAVE_OK; i++)
        status = sync_segment(store, recovery->logend.links[i].segment_id, error);
    for (size_t i = 0; i < recovery->logend.log_count && status == STAVE_OK; i++) {
        struct segment *segment = recovery->opened[i];
        if (segment == NULL) continue;
        status = sync_segment(store, segment->id, error);
        if (status == STAVE_OK) status = segment_seal(store, segment, error);
    }
    return status;
}

static void take_sequence(struct recovery *recovery)
{
    struct store *store = recovery->store;
    uint64_t sequence = 0;
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->last_sequence > sequence) sequence = store->segments[i]->last_sequence;
    atomic_store(&store->sequence, sequence);
    atomic_store(&store->durable_sequence, sequence);
    /* The floor of feeds stands behind the last record of every log segment that was removed. */
    store->sequence_floor = store->feed_floor > 0 ? store->feed_floor - 1 : 0;
}

enum stave_status recovery_run(struct store *store, const struct manifest *manifest, bool may_retry,
                               struct recovery *ret_recovery, struct error *error)
{
    struct recovery *recovery = ret_recovery;
    *recovery = (struct recovery){.store = store, .manifest = manifest, .may_retry = may_retry};
    recovery_take_manifest(store, manifest);
    recovery_take_spaces(manifest, &recovery->spaces);
    enum stave_status status = list_files(recovery, error);
    if (status == STAVE_OK) status = logend_find(store, manifest, may_retry, &recovery->logend, error);
    if (status == STAVE_OK) status = open_all(recovery, error);
    if (status == STAVE_OK) status = start_index(recovery, error);
    if (status == STAVE_OK) status = adopt_all(recovery, error);
    store->recovering = true;
    if (status == STAVE_OK) status = build_index(recovery, error);
    store->recovering = false;
    store->image_is_damaged = status == STAVE_CORRUPT && store->open_from_checkpoint;
    if (status == STAVE_OK) take_sequence(recovery);
    if (status != STAVE_OK || store->options.read_only) return status;
    unlink_leftovers(recovery);
    return seal_all(recovery, error);
}

static void trim(struct store *store, const struct segment *segment)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    struct file file = FILE_NONE;
    struct error error = ERROR_NONE;
    uint64_t names = 0;
    segment_file_name(segment->id, name);
    enum stave_status status = file_open(&store->dir, name, true, &file, &error);
    if (status == STAVE_OK) status = file_link_count(&file, &names, &error);
    if (status == STAVE_OK && names == 1) status = file_truncate(&file, atomic_load(&segment->end), &error);
    (void)file_close(&file, NULL);
    if (status != STAVE_OK) (void)store_note_error(store, &error);
}

void recovery_clean(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->dropped_count; i++)
        unlink_segment(recovery->store, recovery->dropped[i]);
    for (size_t i = 0; i < recovery->logend.log_count; i++)
        if (recovery->opened[i] != NULL) trim(recovery->store, recovery->opened[i]);
    for (size_t i = 0; i < recovery->store->segment_count; i++) { /* a crash came before it was trimmed */
        const struct segment *segment = recovery->store->segments[i];
        if (segment->sealed && segment->is_long && !is_open_log(recovery, segment))
            trim(recovery->store, segment);
    }
}

void recovery_free(struct recovery *recovery)
{
    logend_free(&recovery->logend);
    checkpoint_image_free(&recovery->image);
    replay_free(&recovery->replay);
    memory_free(recovery->files);
    memory_free(recovery->dropped);
    *recovery = RECOVERY_NONE;
}
