/* SPDX-License-Identifier: MIT */
/* The options of a store. */
#include "store/options.h"

#include <string.h>

#define SYNC_INTERVAL_MS 1000
#define SEGMENT_SIZE (UINT64_C(64) << 20)
#define DISK_RATIO_PERCENT 200
#define DISK_RATIO_PERCENT_MIN 110
#define DISK_RATIO_PERCENT_MAX 1000000 /* above it there is as good as none, and sums stay below 2^64 */
#define DEAD_RATIO_PERCENT 40
#define REBUILD_THREAD_COUNT 2
#define REBUILD_THREAD_COUNT_MAX 16

/* A zero is the default, what is above a limit of no meaning the limit. */
static void fill_defaults(struct stave_options *options)
{
    if (options->sync_interval_ms == 0) options->sync_interval_ms = SYNC_INTERVAL_MS;
    if (options->segment_size == 0) options->segment_size = SEGMENT_SIZE;
    if (options->disk_ratio_percent == 0) options->disk_ratio_percent = DISK_RATIO_PERCENT;
    if (options->disk_ratio_percent > DISK_RATIO_PERCENT_MAX)
        options->disk_ratio_percent = DISK_RATIO_PERCENT_MAX;
    if (options->dead_ratio_percent == 0) options->dead_ratio_percent = DEAD_RATIO_PERCENT;
    if (options->rebuild_thread_count == 0) options->rebuild_thread_count = REBUILD_THREAD_COUNT;
}

/* NULL if all is well, else what is not. */
static const char *find_problem(const struct stave_options *options)
{
    if (options->must_exist && options->must_not_exist) return "must_exist contradicts must_not_exist";
    if (options->read_only && options->must_not_exist) return "read_only contradicts must_not_exist";
    if (options->accept_damage && !options->read_only) return "accept_damage needs read_only";
    if ((unsigned)options->sync > STAVE_SYNC_NONE) return "sync is not a sync mode";
    if ((unsigned)options->reads > STAVE_READS_COPIED) return "reads is neither mapped nor copied";
    if ((unsigned)options->tail > STAVE_TAIL_WRITTEN) return "tail is not auto, mapped or written";
    if (options->segment_size < STAVE_SEGMENT_SIZE_MIN) return "segment_size is below 64 KiB";
    if (options->segment_size > STAVE_SEGMENT_SIZE_MAX) return "segment_size is above 32 GiB";
    if (options->disk_ratio_percent < DISK_RATIO_PERCENT_MIN) return "disk_ratio_percent is below 110";
    if (options->dead_ratio_percent > 100) return "dead_ratio_percent is above 100";
    if (options->rebuild_thread_count > REBUILD_THREAD_COUNT_MAX) return "rebuild_thread_count is above 16";
    return NULL;
}

enum stave_status options_complete(const struct stave_options *options, struct stave_options *ret_options,
                                   struct error *error)
{
    struct stave_options complete;
    memset(&complete, 0, sizeof(complete));
    if (options != NULL) {
        if (options->size == 0) return error_set(error, STAVE_INVALID, 0, "option size is not set");
        memcpy(&complete, options, options->size < sizeof(complete) ? options->size : sizeof(complete));
    }
    complete.size = sizeof(complete);
    fill_defaults(&complete);
    const char *problem = find_problem(&complete);
    if (problem != NULL) return error_set(error, STAVE_INVALID, 0, "option %s", problem);
    *ret_options = complete;
    return STAVE_OK;
}

void options_publish(struct store *store)
{
    const uint64_t quarter = store->options.segment_size / 4;
    atomic_store(&store->sync_mode, store->options.sync);
    atomic_store(&store->large_size, quarter < STAVE_LARGE_SIZE ? quarter : STAVE_LARGE_SIZE);
}
