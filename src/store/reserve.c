/* SPDX-License-Identifier: MIT */
/* RESERVE: blocks that are kept for a full disk. */
#include "store/reserve.h"

#include "base/bytes.h"
#include "store/failure.h"

/* The parts of RESERVE beside its goal (D1). */
#define MANIFEST_PART (UINT64_C(32) << 10) /* the one that stands and the next, */
#define LENT_PART (UINT64_C(16) << 10)     /* and what RESERVE has of them while one replaces the other */
#define TAIL_PART (UINT64_C(32) << 10)
#define DELETE_PART (UINT64_C(32) << 10)
#define SEGMENT_PART UINT64_C(4608) /* for each: a page (D4), and its lines in two manifests */

/* What is left for others when a part has been used up. */
static uint64_t floor_of(const struct store *store, enum reserve_use use)
{
    const uint64_t goal = atomic_load(&store->reserve_goal);
    switch (use) {
    case RESERVE_FOR_DELETES: return goal + MANIFEST_PART + LENT_PART + TAIL_PART;
    case RESERVE_FOR_TAIL: return goal + MANIFEST_PART;
    case RESERVE_FOR_OUTPUT:
    case RESERVE_FOR_MANIFEST: return 0;
    default: return UINT64_MAX;
    }
}

static uint64_t whole(const struct store *store, uint64_t goal)
{
    const uint64_t parts = MANIFEST_PART + LENT_PART + TAIL_PART + DELETE_PART;
    const uint64_t segments = atomic_load(&store->reserve_segments) * SEGMENT_PART;
    return align_up(goal + parts + segments, MAP_PAGE_SIZE);
}

static enum stave_status open_reserve(struct store *store, struct file *ret_file, uint64_t *ret_size,
                                      struct error *error)
{
    enum stave_status status = file_open(&store->dir, RESERVE_FILE_NAME, true, ret_file, error);
    if (status == STAVE_NOT_FOUND) status = file_create(&store->dir, RESERVE_FILE_NAME, ret_file, error);
    return status == STAVE_OK ? file_size(ret_file, ret_size, error) : status;
}

/* As much as there is room for. */
static enum stave_status allocate_up_to(const struct file *file, uint64_t wanted, uint64_t *size,
                                        struct error *error)
{
    uint64_t step = align_up(wanted - *size, MAP_PAGE_SIZE);
    enum stave_status status = STAVE_OK;
    while (*size < wanted && step > 0) {
        status = file_allocate(file, *size, step, error);
        if (status == STAVE_OK)
            *size += step;
        else if (status == STAVE_FULL)
            step = align_down(step / 2, MAP_PAGE_SIZE);
        else
            break;
    }
    return status == STAVE_OK && *size < wanted ? STAVE_FULL : status;
}

/* reserve_lock */
static enum stave_status enlarge(struct store *store, uint64_t wanted, struct error *error)
{
    struct file file = FILE_NONE;
    uint64_t size = 0;
    enum stave_status status = open_reserve(store, &file, &size, error);
    if (status == STAVE_OK && size < wanted) status = allocate_up_to(&file, wanted, &size, error);
    if (status == STAVE_OK || status == STAVE_FULL) atomic_store(&store->reserve_size, size);
    (void)file_close(&file, NULL);
    return status;
}

enum stave_status reserve_cover(struct store *store, uint64_t size)
{
    const uint64_t goal = atomic_load(&store->reserve_goal);
    if (goal > size) size = goal;
    if (size == 0) return STAVE_OK;
    const uint64_t wanted = whole(store, size);
    if (atomic_load(&store->reserve_size) >= wanted) return STAVE_OK;
    struct error error = ERROR_NONE;
    mutex_lock(&store->reserve_lock);
    const enum stave_status status =
        atomic_load(&store->reserve_size) >= wanted ? STAVE_OK : enlarge(store, wanted, &error);
    mutex_unlock(&store->reserve_lock);
    if (status == STAVE_OK) return STAVE_OK;
    (void)store_note_error(store, &error);
    if (status != STAVE_FULL) return STAVE_OK;
    atomic_store(&store->disk_is_full, true);
    return STAVE_FULL;
}

enum stave_status reserve_keep(struct store *store)
{
    uint64_t goal = 0;
    mutex_lock(&store->write_lock);
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        if (segment->kind == SEGMENT_LARGE || (!segment->sealed && segment != store->sealing)) continue;
        const uint64_t end = atomic_load(&segment->end);
        if (end > goal) goal = end;
    }
    atomic_store(&store->reserve_goal, goal);
    atomic_store(&store->reserve_segments, store->segment_count);
    mutex_unlock(&store->write_lock);
    return reserve_cover(store, 0);
}

bool reserve_is_whole(const struct store *store)
{
    const uint64_t goal = atomic_load(&store->reserve_goal);
    return goal == 0 || atomic_load(&store->reserve_size) >= whole(store, goal);
}

bool reserve_lets_delete(const struct store *store)
{
    const uint64_t least = floor_of(store, RESERVE_FOR_DELETES);
    return !atomic_load(&store->disk_is_full) || atomic_load(&store->reserve_size) > least;
}

bool reserve_has_tail(struct store *store)
{
    if (reserve_cover(store, 0) == STAVE_OK) return true;
    return atomic_load(&store->reserve_size) >= floor_of(store, RESERVE_FOR_DELETES);
}

uint64_t reserve_room(const struct store *store)
{
    const uint64_t size = atomic_load(&store->reserve_size);
    const uint64_t goal = atomic_load(&store->reserve_goal);
    return size < goal ? size : goal;
}

enum stave_status reserve_take(struct store *store, const char *name)
{
    mutex_lock(&store->reserve_lock);
    const enum stave_status status = dir_rename(&store->dir, RESERVE_FILE_NAME, name, NULL);
    if (status == STAVE_OK) atomic_store(&store->reserve_size, 0);
    mutex_unlock(&store->reserve_lock);
    return status;
}

void reserve_return(struct store *store, const char *name)
{
    struct file file = FILE_NONE;
    uint64_t size = 0;
    mutex_lock(&store->reserve_lock);
    if (dir_exists(&store->dir, RESERVE_FILE_NAME, NULL) == STAVE_NOT_FOUND)
        (void)dir_rename(&store->dir, name, RESERVE_FILE_NAME, NULL);
    else
        (void)dir_unlink(&store->dir, name, NULL);
    if (open_reserve(store, &file, &size, NULL) == STAVE_OK) atomic_store(&store->reserve_size, size);
    (void)file_close(&file, NULL);
    mutex_unlock(&store->reserve_lock);
}

bool reserve_give(struct store *store, uint64_t size, enum reserve_use use)
{
    struct file file = FILE_NONE;
    uint64_t has = 0;
    bool is_given = false;
    const uint64_t least = floor_of(store, use);
    if (least == UINT64_MAX) return false;
    mutex_lock(&store->reserve_lock);
    if (open_reserve(store, &file, &has, NULL) == STAVE_OK && has > least) {
        const uint64_t left = has > size ? has - size : 0;
        is_given = left >= least && file_truncate(&file, left, NULL) == STAVE_OK;
        atomic_store(&store->reserve_size, is_given ? left : has);
    }
    (void)file_close(&file, NULL);
    mutex_unlock(&store->reserve_lock);
    return is_given;
}
