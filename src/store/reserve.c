/* SPDX-License-Identifier: MIT */
/* RESERVE: blocks that are kept for a full disk. */
#include "store/reserve.h"

#include "base/bytes.h"
#include "store/segments.h"

#define RESERVE_FILE_NAME "RESERVE"

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

/* reserve_lock. RESERVE_EXTRA comes back last, and at once: deletes go before it. */
static enum stave_status enlarge(struct store *store, uint64_t wanted, struct error *error)
{
    struct file file = FILE_NONE;
    uint64_t size = 0;
    enum stave_status status = open_reserve(store, &file, &size, error);
    const uint64_t goal = wanted - RESERVE_EXTRA;
    if (status == STAVE_OK && size < wanted) {
        status = file_allocate(&file, size, wanted - size, error);
        if (status == STAVE_OK) size = wanted;
        if (status == STAVE_FULL && size < goal) (void)allocate_up_to(&file, goal, &size, NULL);
    }
    if (status == STAVE_OK || status == STAVE_FULL) atomic_store(&store->reserve_size, size);
    (void)file_close(&file, NULL);
    return status;
}

enum stave_status reserve_cover(struct store *store, uint64_t size)
{
    const uint64_t goal = atomic_load(&store->reserve_goal);
    if (goal > size) size = goal;
    if (size == 0) return STAVE_OK;
    const uint64_t wanted = align_up(size, MAP_PAGE_SIZE) + RESERVE_EXTRA;
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
    mutex_unlock(&store->write_lock);
    return reserve_cover(store, 0);
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
    mutex_lock(&store->reserve_lock);
    if (dir_exists(&store->dir, RESERVE_FILE_NAME, NULL) == STAVE_NOT_FOUND)
        (void)dir_rename(&store->dir, name, RESERVE_FILE_NAME, NULL);
    else
        (void)dir_unlink(&store->dir, name, NULL);
    mutex_unlock(&store->reserve_lock);
}

bool reserve_give(struct store *store, uint64_t size)
{
    struct file file = FILE_NONE;
    uint64_t has = 0;
    bool is_given = false;
    mutex_lock(&store->reserve_lock);
    if (file_open(&store->dir, RESERVE_FILE_NAME, true, &file, NULL) == STAVE_OK &&
        file_size(&file, &has, NULL) == STAVE_OK && has > 0) {
        const uint64_t left = has > size ? has - size : 0;
        is_given = file_truncate(&file, left, NULL) == STAVE_OK;
        if (is_given) atomic_store(&store->reserve_size, left);
    }
    (void)file_close(&file, NULL);
    mutex_unlock(&store->reserve_lock);
    return is_given;
}
