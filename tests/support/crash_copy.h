/* SPDX-License-Identifier: MIT */
/* Copies of a store's files taken while it is open, as kill -9 would leave them, and changes to them. */
#ifndef STAVE_TESTS_CRASH_COPY_H
#define STAVE_TESTS_CRASH_COPY_H

#include "support/fixture.h"

#include <fcntl.h>
#include <unistd.h>

#include "log/record.h"
#include "store/store.h"

/* A store that syncs only when asked to, in one large segment unless `segment_size` says otherwise. */
static inline struct stave_options crash_options(uint64_t segment_size)
{
    struct stave_options options = small_options();
    options.sync = STAVE_SYNC_NONE;
    options.segment_size = segment_size;
    options.manual_compaction = true;
    options.checkpoint_size = UINT64_C(1) << 40;
    return options;
}

static inline void crash_start(struct fixture *fixture, uint64_t segment_size)
{
    fixture_close(fixture);
    scratch_remove_tree(fixture->scratch.store);
    fixture->options = crash_options(segment_size);
    fixture->store = store_open(fixture->scratch.store, &fixture->options);
}

/* Waits until the background has made and sealed what it has to: files do not change while they are
    copied. */
static inline void crash_wait_until_quiet(struct stave *handle)
{
    struct store *store = handle->store;
    for (bool is_quiet = false; !is_quiet;) {
        mutex_lock(&store->write_lock);
        is_quiet = store->sealing == NULL && store->spare != NULL;
        mutex_unlock(&store->write_lock);
        if (!is_quiet) usleep(1000);
    }
}

/* The files as kill -9 would leave them now. */
static inline void crash_take(const struct fixture *fixture, char ret_path[SCRATCH_PATH_SIZE])
{
    crash_wait_until_quiet(fixture->store);
    scratch_path(&fixture->scratch, "crash", ret_path);
    scratch_remove_tree(ret_path);
    scratch_copy(fixture->scratch.store, ret_path);
}

static inline enum stave_status crash_try_open(const char *path, const struct stave_options *options,
                                               struct stave_error *error)
{
    struct stave *store = NULL;
    const enum stave_status status = stave_open(path, options, &store, error);
    if (status == STAVE_OK) store_close(store);
    return status;
}

static inline void crash_flip_in(const char *path, const char *text)
{
    char name[64];
    uint64_t offset = 0;
    assert_true(scratch_find_segment(path, stave_text(text), name, &offset));
    scratch_flip(path, name, offset);
}

static inline void crash_overwrite(const char *dir, const char *name, uint64_t offset, const void *bytes,
                                   size_t size)
{
    char path[SCRATCH_PATH_SIZE + 100];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), (ssize_t)size);
    close(fd);
}

static inline void crash_put_sized(struct stave *store, const char *key, size_t size)
{
    uint8_t *value = calloc(1, size);
    assert_non_null(value);
    assert_int_equal(stave_put(store, stave_text(key), stave_bytes(value, size)), STAVE_OK);
    free(value);
}

/* From the record of `text` on: `size` zeroes. */
static inline void crash_zero_from(const char *path, const char *text, uint64_t size)
{
    char name[64];
    uint64_t offset = 0;
    assert_true(scratch_find_segment(path, stave_text(text), name, &offset));
    uint8_t *zeroes = calloc(1, size);
    assert_non_null(zeroes);
    crash_overwrite(path, name, offset - RECORD_HEADER_SIZE, zeroes, size);
    free(zeroes);
}

static inline uint64_t crash_live_size(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    return stats.live_size;
}

static inline bool crash_from_checkpoint(struct stave *store)
{
    struct stave_stats stats = {.size = sizeof(stats)};
    assert_int_equal(stave_stats(store, &stats), STAVE_OK);
    return stats.open_from_checkpoint;
}

#endif
