/* SPDX-License-Identifier: MIT */
/* Checkpoints of the index: written, loaded, and repaired from the log. */
#include "store/checkpointing.h"

#include "base/memory.h"
#include "os/clock.h"
#include "store/failure.h"
#include "store/operation.h"
#include "store/rebuild.h"
#include "store/replay.h"
#include "store/reserve.h"
#include "store/segments.h"
#include "store/sync.h"

enum {
    WRITE_BUFFER_SIZE = 128 << 10,
    WRITE_BACK_SIZE = 1 << 20, /* the disk is asked to begin after so many bytes */
    LOAD_TURN_BLOCKS = 64,     /* loaded by one turn of the worker */
};

#define CHECKPOINT_LOG_SIZE_MIN (UINT64_C(64) << 20)

/* ------------------------------------------------------------------ repair of damaged blocks; load_lock */

struct repair {
    struct store *store;
    uint8_t *is_filling; /* a byte a block of the image */
    uint32_t block_count;
    struct replay_generations generations;
    struct replay replay;
    const struct segment *segment;
};

static enum stave_status repair_record(void *context, struct scan *scan, const struct scan_record *record,
                                       struct error *error)
{
    struct repair *repair = context;
    (void)scan;
    if (!replay_wants(&record->record)) return STAVE_OK;
    const uint32_t block = keydir_block_of(&repair->store->keydir, record->record.key_hash);
    if (block >= repair->block_count || !repair->is_filling[block]) return STAVE_OK;
    if (!replay_generations_have(&repair->generations, record->record.generation)) return STAVE_OK;
    const struct replay_item item = replay_item_of(repair->segment, record);
    return replay_apply(&repair->replay, &item, 1, error);
}

static void read_generations(const struct store *store, struct replay_spaces *ret_spaces)
{
    *ret_spaces = (struct replay_spaces){.next_generation = 0};
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++)
        ret_spaces->generation[i] = atomic_load(&store->generation_of[i]);
}

/*
 * Which generations are in use at one moment: read until two readings agree, since no lock may be taken (K4).
 */
static void take_generations(const struct store *store, struct replay_generations *ret_generations)
{
    struct replay_spaces spaces;
    struct replay_spaces again;
    do {
        read_generations(store, &spaces);
        read_generations(store, &again);
    } while (memcmp(spaces.generation, again.generation, sizeof(spaces.generation)) != 0);
    replay_generations_take(&spaces, ret_generations);
}

/*
 * The damaged blocks see nobody but this; a segment found in the slot table stays while the epoch lasts (T3).
 */
static enum stave_status repair_scan(struct repair *repair, struct error *error)
{
    struct store *store = repair->store;
    const uint32_t token = epoch_enter(&store->epoch);
    enum stave_status status = STAVE_OK;
    for (uint32_t slot = 0; slot < MANIFEST_SLOT_MAX && status == STAVE_OK;) {
        struct segment *segment = atomic_load_explicit(&store->slots[slot], memory_order_seq_cst);
        slot += segment != NULL ? segment->slot_count : 1;
        if (segment == NULL) continue;
        const struct rebuild_job job = {.segment = segment};
        repair->segment = segment;
        status = rebuild_scan(store, &job, repair_record, repair, error);
    }
    epoch_leave(&store->epoch, token);
    return status;
}

/* Imports what is sound, and begins to fill what is not. */
static enum stave_status repair_begin(struct repair *repair)
{
    struct store *store = repair->store;
    for (uint32_t block = 0; block < repair->block_count; block++) {
        if (keydir_block_is_loaded(&store->keydir, block)) continue;
        enum stave_status status = checkpoint_image_load(store, block);
        if (status == STAVE_CORRUPT) {
            status = keydir_import_begin(&store->keydir, block);
            repair->is_filling[block] = status == STAVE_OK;
        }
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

static void repair_finish(struct repair *repair, bool succeeded)
{
    if (succeeded) replay_end(&repair->replay);
    for (uint32_t block = 0; block < repair->block_count; block++) {
        if (!repair->is_filling[block]) continue;
        if (succeeded)
            keydir_import_end(&repair->store->keydir, block);
        else
            keydir_import_cancel(&repair->store->keydir, block);
    }
}

/* All damaged blocks at once: one pass over the log serves them. */
static enum stave_status repair_blocks(struct store *store)
{
    struct error error = ERROR_NONE;
    struct repair repair = {
        .store = store,
        .block_count =
            (uint32_t)((store->keydir.image_bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS),
    };
    repair.is_filling = memory_alloc_zero(repair.block_count, 1);
    if (repair.is_filling == NULL) return STAVE_NO_MEMORY;
    repair.replay = (struct replay){.store = store, .is_filling = repair.is_filling};
    take_generations(store, &repair.generations);
    enum stave_status status = repair_begin(&repair);
    if (status == STAVE_OK) status = repair_scan(&repair, &error);
    repair_finish(&repair, status == STAVE_OK);
    replay_free(&repair.replay);
    memory_free(repair.is_filling);
    if (status == STAVE_OK)
        (void)store_error(store, STAVE_CORRUPT,
                          "%s/" CHECKPOINT_FILE_NAME
                          ": damaged blocks of the index were rebuilt from the log",
                          store->dir.path);
    else if (error.status != STAVE_OK)
        (void)store_note_error(store, &error);
    return status;
}

static enum stave_status load_block(void *context, uint32_t block)
{
    struct store *store = context;
    enum stave_status status = STAVE_OK;
    mutex_lock(&store->load_lock);
    if (!keydir_block_is_loaded(&store->keydir, block)) {
        status = checkpoint_image_load(store, block);
        if (status == STAVE_CORRUPT && !store->recovering) status = repair_blocks(store);
    }
    mutex_unlock(&store->load_lock);
    return status;
}

/* ------------------------------------------------------------------ the index at open */

static void *map_pages(void *context, size_t size)
{
    (void)context;
    return pages_alloc(size);
}

static void unmap_pages(void *context, void *at, size_t size)
{
    (void)context;
    pages_free(at, size);
}

static const struct keydir_memory index_memory = {.context = NULL, .map = map_pages, .unmap = unmap_pages};

static enum stave_status index_error(const struct store *store, enum stave_status status, struct error *error)
{
    if (status == STAVE_OK) return STAVE_OK;
    return error_set(error, status, 0, "%s: no memory for the index", store->dir.path);
}

enum stave_status checkpoint_start_empty(struct store *store, struct error *error)
{
    return index_error(store, keydir_init(&store->keydir, index_memory), error);
}

enum stave_status checkpoint_image_use(struct store *store, struct checkpoint_image *image,
                                       struct error *error)
{
    const struct keydir_loader loader = {.context = store, .load = load_block};
    const struct checkpoint_contents *contents = &image->contents;
    const uint64_t blocks = (contents->bucket_count + KEYDIR_BLOCK_BUCKETS - 1) / KEYDIR_BLOCK_BUCKETS;
    if (blocks != image->source->footer.block_count)
        return checkpoint_image_refuse(image, error, "its numbers contradict each other");
    const enum stave_status status = keydir_init_image(&store->keydir, index_memory, contents->bucket_count,
                                                       contents->entry_count, loader);
    if (status != STAVE_OK) return index_error(store, status, error);
    store->checkpoint_source = image->source;
    image->source = NULL;
    return STAVE_OK;
}

/* ------------------------------------------------------------------ writing: blocks */

struct checkpointing {
    struct store *store;
    struct file file;
    uint64_t written;      /* bytes in the file */
    uint64_t written_back; /* of these, on their way to the disk */
    uint8_t *buffer;
    size_t buffered;
    uint8_t *block; /* one block being exported */
    size_t block_capacity;
    uint8_t *directory;
    uint32_t block_count;
    uint64_t log_size; /* log_since_checkpoint when it began */
    struct checkpoint_contents contents;
    struct checkpoint_segment *segments;
    bool in_background;
};

static enum stave_status flush(struct checkpointing *writing, struct error *error)
{
    if (writing->buffered == 0) return STAVE_OK;
    const enum stave_status status =
        file_write_at(&writing->file, writing->buffer, writing->buffered, writing->written, error);
    if (status != STAVE_OK) return status;
    writing->written += writing->buffered;
    writing->buffered = 0;
    const uint64_t waiting = writing->written - writing->written_back;
    if (waiting < WRITE_BACK_SIZE) return STAVE_OK;
    file_write_back(&writing->file, writing->written_back, waiting);
    writing->written_back = writing->written;
    return STAVE_OK;
}

static enum stave_status put_bytes(struct checkpointing *writing, const uint8_t *bytes, size_t size,
                                   struct error *error)
{
    while (size > 0) {
        const size_t room = WRITE_BUFFER_SIZE - writing->buffered;
        const size_t part = size < room ? size : room;
        memcpy(writing->buffer + writing->buffered, bytes, part);
        writing->buffered += part;
        bytes += part;
        size -= part;
        if (writing->buffered < WRITE_BUFFER_SIZE) continue;
        const enum stave_status status = flush(writing, error);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

static uint64_t put_offset(const struct checkpointing *writing)
{
    return writing->written + writing->buffered;
}

/*
 * Takes write_lock, with what it is going to look at in the processor's caches. The block as it is now, stale
 * entries removed (K3): there are no new ones, since victims are removed under upkeep_lock. Grows the buffer
 * until it fits.
 */
static enum stave_status export_block(struct checkpointing *writing, uint32_t block, size_t *ret_size)
{
    struct store *store = writing->store;
    const enum stave_status status = keydir_load_block(&store->keydir, block);
    if (status != STAVE_OK) return status;
    const bool has_stale = keydir_block_has_stale(&store->keydir, block, location_leads_nowhere, store);
    for (;;) {
        uint64_t dropped = 0;
        mutex_lock(&store->write_lock);
        if (has_stale) keydir_sweep_block(&store->keydir, block, location_leads_nowhere, store, &dropped);
        const size_t size =
            keydir_export_block(&store->keydir, block, writing->block, writing->block_capacity);
        if (size <= writing->block_capacity) store->checkpoint_position = block + 1;
        mutex_unlock(&store->write_lock);
        *ret_size = size;
        if (size <= writing->block_capacity) return STAVE_OK;
        uint8_t *larger = pages_alloc_small(size + KEYDIR_EXPORT_SIZE);
        if (larger == NULL) return STAVE_NO_MEMORY;
        pages_free(writing->block, writing->block_capacity);
        writing->block = larger;
        writing->block_capacity = size + KEYDIR_EXPORT_SIZE;
    }
}

static enum stave_status write_block(struct checkpointing *writing, uint32_t block, struct error *error)
{
    size_t size = 0;
    const enum stave_status status = export_block(writing, block, &size);
    if (status != STAVE_OK)
        return error_set(error, status, 0, "%s: the index cannot be written", writing->store->dir.path);
    if (size > CHECKPOINT_BLOCK_SIZE_MAX)
        return error_set(error, STAVE_LIMIT, 0, "%s: a block of the index is too large",
                         writing->store->dir.path);
    const struct checkpoint_block place = {
        .offset = put_offset(writing),
        .size = (uint32_t)size,
        .checksum = checkpoint_block_checksum(writing->store->store_id, block, writing->block, size),
    };
    checkpoint_encode_block(writing->directory, block, &place);
    writing->contents.entry_count += keydir_exported_count(writing->block, size);
    return put_bytes(writing, writing->block, size, error);
}

static bool is_to_stop(const struct checkpointing *writing)
{
    struct store *store = writing->store;
    if (!writing->in_background) return false;
    mutex_lock(&store->thread_lock);
    const bool stopping = store->stopping;
    mutex_unlock(&store->thread_lock);
    return stopping;
}

static enum stave_status write_blocks(struct checkpointing *writing, struct error *error)
{
    uint8_t prelude[CHECKPOINT_PRELUDE_SIZE];
    checkpoint_encode_prelude(prelude);
    enum stave_status status = put_bytes(writing, prelude, sizeof(prelude), error);
    for (uint32_t block = 0; block < writing->block_count && status == STAVE_OK; block++) {
        if (is_to_stop(writing)) return STAVE_CANCELLED;
        status = write_block(writing, block, error);
    }
    return status;
}

/* ------------------------------------------------------------------ writing: begin and end */

/* write_lock */
static void begin_image(struct checkpointing *writing)
{
    struct store *store = writing->store;
    const struct segment *tail = store->tail;
    for (size_t i = 0; i < store->segment_count; i++) {
        store->segments[i]->image_live_size = store->segments[i]->live_size;
        store->segments[i]->image_live_count = store->segments[i]->live_count;
    }
    writing->contents = (struct checkpoint_contents){
        .sequence = atomic_load(&store->sequence),
        .segment_id = tail != NULL ? tail->id : 0,
        .segment_offset = tail != NULL ? atomic_load(&tail->end) : 0,
        .bucket_count = keydir_bucket_count(&store->keydir),
        .swept_generation = store->swept_generation,
    };
    writing->log_size = store->log_since_checkpoint;
    writing->block_count = keydir_block_count(&store->keydir);
    store->checkpoint_number++;
    store->checkpoint_position = 0;
    store->checkpoint_running = true;
    keydir_freeze(&store->keydir);
}

/* write_lock. Every segment that any block can lead to, and what of it is live by the image. */
static enum stave_status take_table(struct checkpointing *writing)
{
    struct store *store = writing->store;
    writing->contents.sequence_last = atomic_load(&store->sequence);
    writing->contents.segment_count = 0;
    writing->segments = memory_alloc_zero(store->segment_count, sizeof(*writing->segments));
    if (writing->segments == NULL) return STAVE_NO_MEMORY;
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        writing->segments[writing->contents.segment_count++] = (struct checkpoint_segment){
            .id = segment->id,
            .first_slot = segment->first_slot,
            .slot_count = segment->slot_count,
            .identity = segment->identity,
            .live_size = segment->image_live_size,
            .live_count = segment->image_live_count,
        };
    }
    return STAVE_OK;
}

static enum stave_status end_image(struct checkpointing *writing, bool succeeded)
{
    struct store *store = writing->store;
    mutex_lock(&store->write_lock);
    const enum stave_status status = succeeded ? take_table(writing) : STAVE_OK;
    store->checkpoint_running = false;
    keydir_thaw(&store->keydir);
    mutex_unlock(&store->write_lock);
    return status;
}

static enum stave_status write_ends(struct checkpointing *writing, struct error *error)
{
    const uint64_t store_id = writing->store->store_id;
    const size_t directory_size = checkpoint_directory_size(writing->block_count);
    const size_t contents_size = checkpoint_contents_size(writing->contents.segment_count);
    uint8_t footer_bytes[CHECKPOINT_FOOTER_SIZE];
    uint8_t *bytes = memory_alloc(contents_size);
    if (bytes == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a checkpoint");
    checkpoint_encode_contents(bytes, store_id, &writing->contents, writing->segments);

    struct checkpoint_footer footer = {
        .store_id = store_id,
        .block_count = writing->block_count,
        .directory_offset = put_offset(writing),
        .directory_checksum =
            checkpoint_directory_checksum(store_id, writing->directory, writing->block_count),
        .contents_size = (uint32_t)contents_size,
    };
    enum stave_status status = put_bytes(writing, writing->directory, directory_size, error);
    footer.contents_offset = put_offset(writing);
    if (status == STAVE_OK) status = put_bytes(writing, bytes, contents_size, error);
    checkpoint_encode_footer(footer_bytes, &footer);
    if (status == STAVE_OK) status = put_bytes(writing, footer_bytes, sizeof(footer_bytes), error);
    if (status == STAVE_OK) status = flush(writing, error);
    memory_free(bytes);
    return status;
}

/* K1 */
static enum stave_status install(struct checkpointing *writing, struct error *error)
{
    struct store *store = writing->store;
    enum stave_status status = sync_to(store, writing->contents.sequence_last);
    if (status != STAVE_OK)
        return error_set(error, status, 0, "%s: the log cannot be synced", store->dir.path);
    status = manifest_install(store, error);
    if (status == STAVE_OK) status = write_ends(writing, error);
    if (status == STAVE_OK) status = file_sync(&writing->file, error);
    if (status == STAVE_OK) status = file_close(&writing->file, error);
    if (status == STAVE_OK)
        status = dir_rename(&store->dir, CHECKPOINT_TEMP_FILE_NAME, CHECKPOINT_FILE_NAME, error);
    if (status == STAVE_OK) status = dir_sync(&store->dir, error);
    return status == STAVE_NOT_FOUND ? STAVE_IO : status;
}

static enum stave_status prepare(struct checkpointing *writing, struct error *error)
{
    writing->buffer = pages_alloc_small(WRITE_BUFFER_SIZE);
    writing->block = pages_alloc_small(KEYDIR_EXPORT_SIZE);
    writing->block_capacity = KEYDIR_EXPORT_SIZE;
    if (writing->buffer == NULL || writing->block == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory for a checkpoint");
    return file_create_over(&writing->store->dir, CHECKPOINT_TEMP_FILE_NAME, &writing->file, error);
}

static enum stave_status take_image(struct checkpointing *writing, struct error *error)
{
    struct store *store = writing->store;
    mutex_lock(&store->write_lock);
    begin_image(writing);
    mutex_unlock(&store->write_lock);
    writing->directory = pages_alloc_small(checkpoint_directory_size(writing->block_count));
    enum stave_status status = STAVE_NO_MEMORY;
    if (writing->directory != NULL)
        status = write_blocks(writing, error);
    else
        error_set(error, status, 0, "no memory for a checkpoint");
    const enum stave_status ended = end_image(writing, status == STAVE_OK);
    if (status == STAVE_OK && ended != STAVE_OK)
        status = error_set(error, ended, 0, "no memory for a checkpoint");
    return status;
}

static void account_end(struct checkpointing *writing, enum stave_status status)
{
    struct store *store = writing->store;
    mutex_lock(&store->write_lock);
    if (status != STAVE_CANCELLED)
        store->log_since_checkpoint -= writing->log_size; /* a failed one is not tried at once */
    if (status == STAVE_OK) store->checkpoint_installed = store->checkpoint_number;
    mutex_unlock(&store->write_lock);
    if (status != STAVE_OK) return;
    atomic_fetch_add(&store->counters.checkpoints, 1);
    atomic_fetch_add(&store->counters.checkpoint_written, writing->written);
}

static void finish(struct checkpointing *writing, enum stave_status status)
{
    (void)file_close(&writing->file, NULL);
    if (status != STAVE_OK) (void)dir_unlink(&writing->store->dir, CHECKPOINT_TEMP_FILE_NAME, NULL);
    pages_free(writing->buffer, WRITE_BUFFER_SIZE);
    pages_free(writing->block, writing->block_capacity);
    pages_free(writing->directory, checkpoint_directory_size(writing->block_count));
    memory_free(writing->segments);
}

enum stave_status checkpoint_write(struct store *store, bool in_background, struct error *error)
{
    struct checkpointing writing = {.store = store, .file = FILE_NONE, .in_background = in_background};
    if (reserve_cover(store, 0) != STAVE_OK) /* D1 */
        return error_set(error, STAVE_FULL, 0, "%s: the disk is full", store->dir.path);
    mutex_lock(&store->upkeep_lock);
    enum stave_status status = prepare(&writing, error);
    if (status == STAVE_OK) status = take_image(&writing, error);
    if (status == STAVE_OK) status = install(&writing, error);
    account_end(&writing, status);
    finish(&writing, status);
    mutex_unlock(&store->upkeep_lock);
    return status;
}

/* ------------------------------------------------------------------ in the background, and on demand */

static bool is_due(struct store *store)
{
    struct keydir_stats stats;
    mutex_lock(&store->write_lock);
    const uint64_t log_size = store->log_since_checkpoint;
    uint64_t limit = store->options.checkpoint_size;
    mutex_unlock(&store->write_lock);
    if (limit == 0) {
        keydir_stat(&store->keydir, &stats);
        limit = stats.memory_size > CHECKPOINT_LOG_SIZE_MIN ? stats.memory_size : CHECKPOINT_LOG_SIZE_MIN;
    }
    return log_size > limit && atomic_load(&store->failed) == STAVE_OK;
}

/*
 * Loads some of the blocks that nobody has asked for yet; when all are there the file is closed. True: there
 * are more.
 */
static bool load_some(struct store *store)
{
    uint32_t loaded = 0;
    mutex_lock(&store->load_lock);
    const bool has_source = store->checkpoint_source != NULL;
    const uint32_t block_count = has_source ? store->checkpoint_source->footer.block_count : 0;
    mutex_unlock(&store->load_lock);
    if (!has_source) return false;
    for (uint32_t block = 0; block < block_count; block++) {
        if (keydir_block_is_loaded(&store->keydir, block)) continue;
        if (loaded++ == LOAD_TURN_BLOCKS) return true;
        if (keydir_load_block(&store->keydir, block) != STAVE_OK) return false;
    }
    mutex_lock(&store->load_lock);
    checkpoint_image_drop(store);
    mutex_unlock(&store->load_lock);
    return false;
}

bool checkpoint_turn(struct store *store)
{
    if (load_some(store)) return true;
    if (!is_due(store)) return false;
    struct error error = ERROR_NONE;
    const enum stave_status status = checkpoint_write(store, true, &error);
    if (status < 0 && status != STAVE_CANCELLED) (void)store_note_error(store, &error);
    return false;
}

enum stave_status stave_checkpoint(struct stave *handle)
{
    struct error error = ERROR_NONE;
    const enum stave_status guarded = guard_writable(handle);
    if (guarded != STAVE_OK) return guarded;
    const enum stave_status status = checkpoint_write(handle->store, false, &error);
    return status < 0 ? store_note_error(handle->store, &error) : status;
}
