/* SPDX-License-Identifier: MIT */
/* The segments of an open store. */
#include "store/segments.h"

#include <assert.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/random.h"
#include "store/failure.h"
#include "store/reserve.h"

#define SEGMENT_COUNT_RESERVED 1024         /* of STAVE_SEGMENT_COUNT_MAX, for compaction and for opening */
#define MANIFEST_GROWTH (UINT64_C(8) << 10) /* bytes that the next manifest may be larger */
#define PREPARED_NAP_NS UINT64_C(20000)
#define SLOT_TAKEN UINT32_MAX /* in slot_quarantine: given out, not in the slot table yet */

/* ------------------------------------------------------------------ errors */

bool store_explain_full(struct store *store)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    const uint32_t id = atomic_load(&store->linked_id);
    if (id == 0 || !segment_is_linked(store, id)) return false;
    segment_file_name(id, name);
    (void)store_error(store, STAVE_FULL,
                      "%s/%s: the disk is full, and a snapshot that shares this file keeps the blocks that "
                      "compaction would free: remove the snapshot",
                      store->dir.path, name);
    return true;
}

/* ------------------------------------------------------------------ slots; write_lock */

static bool slot_is_free(const struct store *store, uint32_t slot)
{
    const uint32_t quarantine = store->slot_quarantine[slot];
    if (quarantine != 0 && (quarantine == SLOT_TAKEN || store->checkpoint_installed < quarantine))
        return false;
    return atomic_load_explicit(&store->slots[slot], memory_order_relaxed) == NULL;
}

/* Next fit, once around. Slot 0 is never given out, so that no location is 0. */
static enum stave_status slots_take(struct store *store, uint32_t count, uint32_t *ret_first)
{
    if (store->next_slot == 0) store->next_slot = 1;
    uint32_t at = store->next_slot;
    uint32_t run = 0;
    for (uint64_t looked = 0; looked < (uint64_t)MANIFEST_SLOT_MAX + count; looked++) {
        if (at == MANIFEST_SLOT_MAX) {
            at = 1;
            run = 0;
        }
        run = slot_is_free(store, at) ? run + 1 : 0;
        at++;
        if (run < count) continue;
        *ret_first = at - count;
        for (uint32_t i = 0; i < count; i++) store->slot_quarantine[*ret_first + i] = SLOT_TAKEN;
        store->next_slot = at;
        return STAVE_OK;
    }
    return STAVE_LIMIT;
}

static void slots_return(struct store *store, const struct segment *segment)
{
    for (uint32_t i = 0; i < segment->slot_count; i++)
        if (store->slot_quarantine[segment->first_slot + i] == SLOT_TAKEN)
            store->slot_quarantine[segment->first_slot + i] = 0;
}

/* ------------------------------------------------------------------ making one */

/*
 * Writers stop short of the limit, so that compaction has room to merge, and a store that has reached it can
 * be opened (its first segment) and closed again and again.
 */
static size_t count_limit(const struct store *store, const struct segment *segment)
{
    if (segment->kind == SEGMENT_OUTPUT || store->tail == NULL) return STAVE_SEGMENT_COUNT_MAX - 2;
    return STAVE_SEGMENT_COUNT_MAX - SEGMENT_COUNT_RESERVED;
}

static enum stave_status take_identity(struct store *store, struct segment *segment, struct error *error)
{
    mutex_lock(&store->write_lock);
    enum stave_status status = STAVE_OK;
    if (store->segment_count >= count_limit(store, segment) || store->next_segment_id == UINT32_MAX)
        status = error_set(error, STAVE_LIMIT, 0,
                           "%s: %zu segments, more are not allowed; with a larger segment_size compaction "
                           "makes fewer of them",
                           store->dir.path, store->segment_count);
    else if (slots_take(store, segment->slot_count, &segment->first_slot) != STAVE_OK)
        status = error_set(error, STAVE_LIMIT, 0, "%s: no address space left for a segment of %llu bytes",
                           store->dir.path, (unsigned long long)segment->capacity);
    else
        segment->id = store->next_segment_id++;
    mutex_unlock(&store->write_lock);
    return status;
}

/* The blocks of RESERVE become the file's, which found no others (D2). */
static enum stave_status take_reserve(struct store *store, struct segment *segment, const char *name,
                                      uint64_t allocate, struct error *error)
{
    (void)file_close(&segment->file, NULL);
    (void)dir_unlink(&store->dir, name, NULL);
    if (reserve_take(store, name) != STAVE_OK) return STAVE_FULL;
    enum stave_status status = file_open(&store->dir, name, true, &segment->file, error);
    if (status == STAVE_OK) status = file_allocate(&segment->file, 0, allocate, error);
    if (status == STAVE_OK) return status;
    (void)file_close(&segment->file, NULL);
    reserve_return(store, name);
    return status;
}

/* D1, D5 */
static bool reserve_allows(struct store *store, const struct segment *segment, uint64_t allocate,
                           enum reserve_use use)
{
    if (segment->kind == SEGMENT_LARGE) return reserve_cover(store, 0) == STAVE_OK;
    return use != RESERVE_STAYS_WHOLE || reserve_cover(store, allocate) == STAVE_OK;
}

static enum stave_status make_file(struct store *store, struct segment *segment, uint64_t allocate,
                                   enum reserve_use use, struct error *error)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment->id, name);
    if (!reserve_allows(store, segment, allocate, use))
        return error_set(error, STAVE_FULL, 0, "%s: the disk is full", store->dir.path);
    enum stave_status status = file_create_over(&store->dir, name, &segment->file, error);
    if (status == STAVE_OK) status = file_allocate(&segment->file, 0, allocate, error);
    if (status != STAVE_FULL) return status;
    atomic_store(&store->disk_is_full, true);
    if (use == RESERVE_FOR_OUTPUT) return take_reserve(store, segment, name, allocate, error);
    return reserve_give(store, allocate, use) ? file_allocate(&segment->file, 0, allocate, error) : status;
}

static enum stave_status write_header(struct store *store, struct segment *segment, struct error *error)
{
    const struct segment_header header = {
        .store_id = store->store_id,
        .identity = segment->identity,
        .hash_seed = store->hash_seed,
        .horizon = segment->horizon,
        .kind = segment->kind,
        .id = segment->id,
        .incarnation = segment->incarnation,
    };
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_encode_header(&header, bytes);
    return file_write_at(&segment->file, bytes, sizeof(bytes), 0, error);
}

static bool wants_written_tail(const struct store *store)
{
    if (store->options.tail == STAVE_TAIL_AUTO) return !store->maps_safely;
    return store->options.tail == STAVE_TAIL_WRITTEN;
}

static enum stave_status map_segment(struct store *store, struct segment *segment, struct error *error)
{
    const bool is_log = segment->kind == SEGMENT_LOG;
    segment->written = !is_log || wants_written_tail(store);
    if (store->options.reads == STAVE_READS_COPIED && segment->written) return STAVE_OK;
    const uint64_t size = align_up(segment->capacity, MAP_PAGE_SIZE);
    const enum stave_status status =
        map_file(&segment->file, (size_t)size, !segment->written, &segment->map, error);
    if (status != STAVE_OK) return status;
    map_advise_random(&segment->map);
    if (!segment->written) segment_advise(store, segment);
    return STAVE_OK;
}

void segment_advise(const struct store *store, struct segment *segment)
{
    const bool large = atomic_load(&store->sync_mode) != STAVE_SYNC_ALWAYS &&
                       atomic_load_explicit(&store->durable_rolls, memory_order_relaxed) == 0;
    if (large == segment->large_pages) return;
    segment->large_pages = large;
    (large ? map_advise_filling : map_advise_filled)(&segment->map);
}

/* It is out of the preparer's sight: neither tail nor spare any more. */
static void wait_until_prepared(const struct segment *segment)
{
    while (atomic_load(&segment->preparing)) thread_sleep_ns(PREPARED_NAP_NS);
}

enum stave_status segment_create(struct store *store, uint32_t kind, uint64_t capacity, uint64_t allocate,
                                 uint64_t horizon, enum reserve_use use, struct segment **ret_segment,
                                 struct error *error)
{
    struct segment *segment = memory_alloc_zero(1, sizeof(*segment));
    if (segment == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory for a segment", store->dir.path);
    segment->file = FILE_NONE;
    segment->map = MAP_NONE;
    segment->kind = kind;
    segment->capacity = capacity;
    segment->horizon = horizon;
    segment->slot_count = (uint32_t)((capacity + MANIFEST_SLOT_SIZE - 1) / MANIFEST_SLOT_SIZE);
    segment->created_ms = clock_wall_ms();
    atomic_store(&segment->end, SEGMENT_HEADER_SIZE);
    atomic_store(&segment->allocated, allocate);

    enum stave_status status = random_number(&segment->identity, error);
    if (status != STAVE_OK) goto failed;
    if (kind == SEGMENT_LOG) {
        mutex_lock(&store->write_lock);
        segment->incarnation = ++store->incarnation;
        mutex_unlock(&store->write_lock);
        segment->horizon = (uint64_t)segment->incarnation << SEQUENCE_BITS;
        segment->start_spaces = memory_alloc_zero(STAVE_SPACE_COUNT_MAX, sizeof(*segment->start_spaces));
        status = segment->start_spaces == NULL
                     ? error_set(error, STAVE_NO_MEMORY, 0, "no memory for a segment")
                     : STAVE_OK;
        if (status != STAVE_OK) goto failed;
    }
    status = take_identity(store, segment, error);
    if (status != STAVE_OK) goto failed;
    status = make_file(store, segment, allocate, use, error);
    if (status == STAVE_OK) status = write_header(store, segment, error);
    if (status == STAVE_OK) status = map_segment(store, segment, error);
    if (status == STAVE_OK && kind != SEGMENT_LARGE) /* of those, the next sync of the log does it */
        status = dir_sync(&store->dir, error);
    if (status == STAVE_OK) {
        *ret_segment = segment;
        return STAVE_OK;
    }
failed:
    segment_discard(store, segment);
    return status;
}

/* No lock held. Whether the manifest on disk lists the segment, or cannot be read. */
static bool may_be_listed(struct store *store, uint32_t id)
{
    struct manifest manifest = MANIFEST_NONE;
    mutex_lock(&store->manifest_lock);
    const bool is_read = manifest_read(&store->dir, &manifest, NULL) == STAVE_OK;
    mutex_unlock(&store->manifest_lock);
    const bool may_list = !is_read || manifest_find_segment(&manifest, id) != NULL;
    manifest_free(&manifest);
    return may_list;
}

void segment_discard(struct store *store, struct segment *segment)
{
    if (segment == NULL) return;
    wait_until_prepared(segment);
    if (segment->id != 0) {
        char name[SEGMENT_FILE_NAME_SIZE];
        segment_file_name(segment->id, name);
        const bool is_safe = atomic_load(&store->failed) == STAVE_OK &&
                             !(segment->was_listed && may_be_listed(store, segment->id));
        if (is_safe) (void)dir_unlink(&store->dir, name, NULL); /* else the next open removes it */
        mutex_lock(&store->write_lock);
        slots_return(store, segment);
        mutex_unlock(&store->write_lock);
    }
    segment_free(store, segment);
}

/* ------------------------------------------------------------------ opening one */

static void take_listed(struct segment *segment, const struct manifest_segment *listed)
{
    segment->id = listed->id;
    segment->kind = listed->kind;
    segment->incarnation = listed->incarnation;
    segment->first_slot = listed->first_slot;
    segment->slot_count = listed->slot_count;
    segment->identity = listed->identity;
    segment->horizon = listed->horizon;
    segment->created_ms = listed->created_at_ms;
    segment->last_sequence = listed->last_sequence;
    segment->record_count = listed->record_count;
    segment->tombstone_size = listed->tombstone_bytes;
    segment->expiring_size = listed->expiring_bytes;
    segment->expires_first_ms = listed->earliest_expiry_ms;
    segment->expires_last_ms = listed->latest_expiry_ms;
    segment->spaces_mask = listed->spaces_mask;
    segment->sealed = listed->state == MANIFEST_SEGMENT_SEALED;
    segment->corrupt = listed->flags & MANIFEST_SEGMENT_DAMAGED;
    segment->damaged = segment->corrupt;
    segment->copied = listed->flags & MANIFEST_SEGMENT_COPIED;
    segment->listed = true;
}

static enum stave_status check_header(struct store *store, struct segment *segment, struct error *error)
{
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    struct segment_header header;
    enum stave_status status = file_read_at(&segment->file, bytes, sizeof(bytes), 0, error);
    if (status != STAVE_OK) return status;
    status = segment_decode_header(bytes, sizeof(bytes), &header);
    if (status < 0)
        return file_error(&segment->file, error, status, 0, "the header of the segment is damaged");
    if (status > 0 || header.id != segment->id || header.identity != segment->identity)
        return file_error(&segment->file, error, STAVE_CORRUPT, 0,
                          "the segment is not the one that the manifest of %s lists", store->dir.path);
    return STAVE_OK;
}

enum stave_status segment_open(struct store *store, const struct manifest_segment *listed, uint64_t length,
                               struct segment **ret_segment, struct error *error)
{
    struct segment *segment = memory_alloc_zero(1, sizeof(*segment));
    if (segment == NULL)
        return error_set(error, STAVE_NO_MEMORY, 0, "%s: no memory for a segment", store->dir.path);
    segment->file = FILE_NONE;
    segment->map = MAP_NONE;
    take_listed(segment, listed);
    segment->capacity = length;
    segment->written = true;
    atomic_store(&segment->end, length);
    atomic_store(&segment->allocated, length);

    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(listed->id, name);
    uint64_t size = 0;
    enum stave_status status = file_open(&store->dir, name, false, &segment->file, error);
    if (status == STAVE_NOT_FOUND)
        status =
            error_set(error, STAVE_CORRUPT, 0, "%s/%s: the manifest lists this segment, but it is missing",
                      store->dir.path, name);
    if (status == STAVE_OK) status = file_size(&segment->file, &size, error);
    if (status == STAVE_OK && size < length)
        status =
            file_error(&segment->file, error, STAVE_CORRUPT, 0, "the file ends at %llu, the segment at %llu",
                       (unsigned long long)size, (unsigned long long)length);
    segment->is_long = size > length;
    if (status == STAVE_OK) status = check_header(store, segment, error);
    if (status == STAVE_OK && store->options.reads == STAVE_READS_MAPPED) {
        status = map_file(&segment->file, (size_t)length, false, &segment->map, error);
        map_advise_random(&segment->map);
    }
    (void)file_close(&segment->file, NULL);
    if (status == STAVE_OK)
        *ret_segment = segment;
    else
        segment_free(store, segment);
    return status;
}

void segment_free(struct store *store, struct segment *segment)
{
    (void)store;
    if (segment == NULL) return;
    map_free(&segment->map);
    (void)file_close(&segment->file, NULL);
    memory_free(segment->start_spaces);
    memory_free(segment);
}

/* ------------------------------------------------------------------ the tables; write_lock */

enum stave_status segment_publish(struct store *store, struct segment *segment)
{
    if (store->segment_count == store->segment_capacity) {
        const size_t capacity = store->segment_capacity == 0 ? 64 : store->segment_capacity * 2;
        struct segment **larger = memory_realloc(store->segments, capacity * sizeof(struct segment *));
        if (larger == NULL) return STAVE_NO_MEMORY;
        store->segments = larger;
        store->segment_capacity = capacity;
    }
    size_t at = store->segment_count++;
    for (; at > 0 && store->segments[at - 1]->id > segment->id; at--)
        store->segments[at] = store->segments[at - 1];
    store->segments[at] = segment;
    segment->was_listed = true;
    for (uint32_t i = 0; i < segment->slot_count; i++) {
        store->slot_quarantine[segment->first_slot + i] = 0;
        atomic_store_explicit(&store->slots[segment->first_slot + i], segment, memory_order_release);
    }
    return STAVE_OK;
}

void segment_withdraw(struct store *store, struct segment *segment)
{
    for (uint32_t i = 0; i < segment->slot_count; i++) {
        store->slot_quarantine[segment->first_slot + i] = store->checkpoint_number + 1;
        atomic_store_explicit(&store->slots[segment->first_slot + i], NULL, memory_order_release);
    }
    size_t at = 0;
    while (at < store->segment_count && store->segments[at] != segment) at++;
    assert(at < store->segment_count);
    for (; at + 1 < store->segment_count; at++) store->segments[at] = store->segments[at + 1];
    store->segment_count--;
    segment->listed = false;
}

bool location_leads_nowhere(void *context, uint64_t location)
{
    return segment_at(context, location) == NULL;
}

struct segment *segment_by_id(const struct store *store, uint32_t id)
{
    size_t low = 0;
    size_t high = store->segment_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (store->segments[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < store->segment_count && store->segments[low]->id == id ? store->segments[low] : NULL;
}

/* ------------------------------------------------------------------ the end of one */

static void remove_retired(struct store *store, struct segment *segment)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    struct error error = {.status = STAVE_OK};
    segment_file_name(segment->id, name);
    if (segment->remove && dir_unlink(&store->dir, name, &error) < 0) (void)store_note_error(store, &error);
    segment_free(store, segment);
}

static void keep_retired(struct store *store, struct segment *segment)
{
    if (store->retired_count == store->retired_capacity) {
        const size_t capacity = store->retired_capacity == 0 ? 16 : store->retired_capacity * 2;
        struct segment **larger = memory_realloc(store->retired, capacity * sizeof(struct segment *));
        if (larger == NULL) return; /* no memory: it stays mapped, and its file is removed at the next open */
        store->retired = larger;
        store->retired_capacity = capacity;
    }
    store->retired[store->retired_count++] = segment;
}

void segments_retire(struct store *store, struct segment **segments, size_t count, bool remove_files)
{
    epoch_wait(&store->epoch);
    for (size_t i = 0; i < count; i++) {
        segments[i]->remove = remove_files;
        if (atomic_load(&segments[i]->references) == 0)
            remove_retired(store, segments[i]);
        else
            keep_retired(store, segments[i]);
    }
}

void segments_reap(struct store *store)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->retired_count; i++) {
        if (atomic_load(&store->retired[i]->references) == 0)
            remove_retired(store, store->retired[i]);
        else
            store->retired[kept++] = store->retired[i];
    }
    store->retired_count = kept;
}

enum stave_status segment_seal(struct store *store, struct segment *segment, struct error *error)
{
    const uint64_t end = atomic_load(&segment->end);
    enum stave_status status = STAVE_OK;
    wait_until_prepared(segment);
    if (file_is_open(&segment->file)) {
        status = file_truncate(&segment->file, end, error);
        if (status == STAVE_OK) status = file_sync(&segment->file, error);
        if (status != STAVE_OK) return status;
        status = file_close(&segment->file, error);
    }
    mutex_lock(&store->write_lock);
    segment->sealed = true;
    atomic_store(&segment->allocated, end);
    memory_free(segment->start_spaces);
    segment->start_spaces = NULL;
    mutex_unlock(&store->write_lock);
    if (segment->large_pages) map_advise_filled(&segment->map);
    if (end < segment->map.size) map_shrink(&segment->map, (size_t)end);
    return status;
}

bool segment_is_linked(const struct store *store, uint32_t id)
{
    char name[SEGMENT_FILE_NAME_SIZE];
    uint64_t count = 0;
    segment_file_name(id, name);
    return dir_link_count(&store->dir, name, &count, NULL) == STAVE_OK && count > 1;
}

/* ------------------------------------------------------------------ manifest */

static uint8_t flags_of(const struct segment *segment)
{
    if (!segment->sealed) return 0;
    return (uint8_t)((segment->corrupt ? MANIFEST_SEGMENT_DAMAGED : 0) |
                     (segment->copied ? MANIFEST_SEGMENT_COPIED : 0));
}

static struct manifest_segment listing_of(const struct segment *segment)
{
    return (struct manifest_segment){
        .id = segment->id,
        .kind = (uint8_t)segment->kind,
        .state = segment->sealed ? MANIFEST_SEGMENT_SEALED : MANIFEST_SEGMENT_OPEN,
        .flags = flags_of(segment),
        .first_slot = segment->first_slot,
        .slot_count = segment->slot_count,
        .incarnation = segment->incarnation,
        .identity = segment->identity,
        .length = segment->sealed ? atomic_load(&segment->end) : 0,
        .horizon = segment->horizon,
        .last_sequence = segment->sealed ? segment->last_sequence : 0,
        .spaces_mask = segment->spaces_mask,
        .record_count = segment->record_count,
        .tombstone_bytes = segment->tombstone_size,
        .expiring_bytes = segment->expiring_size,
        .earliest_expiry_ms = segment->expires_first_ms,
        .latest_expiry_ms = segment->expires_last_ms,
        .created_at_ms = segment->created_ms,
    };
}

static const struct segment *first_open_log(const struct store *store)
{
    if (store->sealing != NULL && !store->sealing->sealed) return store->sealing;
    return store->tail;
}

static enum stave_status list_spaces(const struct store *store, struct manifest *manifest)
{
    const struct segment *open = first_open_log(store);
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) {
        struct manifest_space space = {i, atomic_load(&store->generation_of[i]), store->count_of[i]};
        if (open != NULL && open->start_spaces != NULL) space = open->start_spaces[i];
        if (space.generation == i && space.count == 0) continue;
        const enum stave_status status = manifest_set_space(manifest, &space);
        if (status != STAVE_OK) return status;
    }
    return STAVE_OK;
}

enum stave_status manifest_of(const struct store *store, struct manifest *ret_manifest)
{
    struct manifest manifest = {
        .incarnation = store->incarnation,
        .store_id = store->store_id,
        .hash_seed = store->hash_seed,
        .next_segment_id = store->next_segment_id,
        .next_slot = store->next_slot,
        .next_generation = store->next_generation,
        .swept_generation = store->swept_generation,
        .feed_floor = store->listed_floor,
    };
    enum stave_status status = list_spaces(store, &manifest);
    for (size_t i = 0; i < store->segment_count && status == STAVE_OK; i++) {
        if (!store->segments[i]->listed) continue;
        const struct manifest_segment listing = listing_of(store->segments[i]);
        status = manifest_add_segment(&manifest, &listing);
    }
    if (status == STAVE_OK)
        *ret_manifest = manifest;
    else
        manifest_free(&manifest);
    return status;
}

enum stave_status manifest_install(struct store *store, struct error *error)
{
    struct manifest manifest = MANIFEST_NONE;
    mutex_lock(&store->manifest_lock);
    mutex_lock(&store->write_lock);
    enum stave_status status = manifest_of(store, &manifest);
    mutex_unlock(&store->write_lock);
    if (status == STAVE_OK)
        status = manifest_write(&store->dir, &manifest, error);
    else
        error_set(error, status, 0, "%s: no memory for the manifest", store->dir.path);
    const uint64_t room = align_up(manifest_size(&manifest) + MANIFEST_GROWTH, MAP_PAGE_SIZE);
    if (status == STAVE_FULL && reserve_give(store, room, RESERVE_FOR_MANIFEST))
        status = manifest_write(&store->dir, &manifest, error);
    const bool is_short = atomic_load(&store->disk_is_full) || !reserve_is_whole(store);
    const bool lacks_spare =
        status == STAVE_OK && is_short && manifest_ensure_spare(&store->dir, &manifest, NULL) == STAVE_FULL;
    if (lacks_spare && reserve_give(store, room, RESERVE_FOR_MANIFEST))
        (void)manifest_ensure_spare(&store->dir, &manifest, NULL);
    manifest_free(&manifest);
    mutex_unlock(&store->manifest_lock);
    if (status != STAVE_FAILED) return status;
    struct error unknown = ERROR_NONE; /* nobody knows which manifest will stand (P13) */
    error_set(&unknown, STAVE_FAILED, 0, "%s: the directory could not be synced behind a new manifest",
              store->dir.path);
    store_fail(store, STAVE_FAILED, &unknown);
    return STAVE_IO;
}
