/* SPDX-License-Identifier: MIT */
/*
 * What a replay will need from disk, asked for together.
 *
 * Each replayed record is compared with the older one of its key, which stands anywhere in the log. When
 * nothing is in memory, after a loss of power, that is a read of one page for each, one after the other. So
 * the log is read twice: first its records are only looked up in the index, and the pages that they lead to
 * are noted, sorted, and asked for in the order of the disk, near ones in one read. What the replay enters
 * itself needs no such read: it has just been scanned.
 */
#include "store/lookahead.h"

#include <stdlib.h>

#include "log/scan.h"
#include "store/checkpoint_image.h"
#include "store/replay.h"

#define PAGE_UNITS (MAP_PAGE_SIZE / LOCATION_UNIT) /* locations of one page */

static_assert(KEYDIR_LOCATION_MAX / PAGE_UNITS <= UINT32_MAX, "a page of the log has a number of 32 bits");

struct lookahead lookahead_begin(struct store *store, const struct segment *segment, uint64_t after)
{
    return (struct lookahead){
        .store = store,
        .segment = segment,
        .after = after,
        .until = store->recovering ? 0 : UINT64_MAX,
    };
}

void lookahead_end(struct lookahead *ahead)
{
    pages_free(ahead->pages, ahead->capacity * sizeof(*ahead->pages));
    ahead->pages = NULL;
    ahead->until = UINT64_MAX;
}

/* ------------------------------------------------------------------ noting pages */

static size_t page_limit(const struct store *store)
{
    const uint64_t pages = keydir_entry_count(&store->keydir) / LOOKAHEAD_KEYS_A_PAGE;
    if (pages < LOOKAHEAD_PAGES_MIN) return LOOKAHEAD_PAGES_MIN;
    return pages < LOOKAHEAD_PAGES_MAX ? (size_t)pages : LOOKAHEAD_PAGES_MAX;
}

/* The first page that is not in memory: the index and the log are hardly there either. */
static bool begin_asking(struct lookahead *ahead, struct scan *scan)
{
    if (ahead->pages == NULL) {
        ahead->capacity = page_limit(ahead->store);
        ahead->pages = pages_alloc_small(ahead->capacity * sizeof(*ahead->pages));
    }
    if (ahead->pages == NULL) return false;
    checkpoint_image_will_need(ahead->store);
    if (scan->offset < ahead->asked_until) return true;
    file_will_need(&scan->file, scan->offset, LOOKAHEAD_LOG_SIZE);
    ahead->asked_until = scan->offset + LOOKAHEAD_LOG_SIZE;
    return true;
}

/* Without a mapping it cannot be told. */
static bool is_resident(const struct segment *segment, uint64_t offset)
{
    return segment->map.data != NULL && map_resident(&segment->map, offset, 1);
}

/* False: there is no more to be noted at this time. */
static bool note(struct lookahead *ahead, struct scan *scan, uint64_t location, uint32_t key_size)
{
    const struct segment *segment = segment_at(ahead->store, location);
    if (segment == NULL) return true;
    if (ahead->count == 0) {
        if (is_resident(segment, location_offset(segment, location))) return true;
        if (!begin_asking(ahead, scan)) return false;
    }
    const uint64_t first = location / PAGE_UNITS;
    const uint64_t last = (location + (RECORD_HEADER_SIZE_MAX + key_size) / LOCATION_UNIT) / PAGE_UNITS;
    ahead->pages[ahead->count++] = (uint32_t)first;
    if (last != first && ahead->count < ahead->capacity) ahead->pages[ahead->count++] = (uint32_t)last;
    return ahead->count < ahead->capacity;
}

static bool note_older(struct lookahead *ahead, struct scan *scan, const struct record *record)
{
    struct keydir_probe probe;
    uint64_t location;
    if (!replay_wants(record) || record->sequence <= ahead->after) return true;
    if (ahead->count == 0 && ++ahead->sampled_count > LOOKAHEAD_SAMPLE) return false; /* L3 */
    if (keydir_probe_begin(&ahead->store->keydir, record->key_hash, &probe) != STAVE_OK) return false;
    while (keydir_probe_next(&probe, &location))
        if (!note(ahead, scan, location, record->key_size)) return false;
    return true;
}

/* ------------------------------------------------------------------ asking */

static int by_number(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left;
    const uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/* The sorted pages from `at` on that lie in the segment's file. Result: where those end. */
static size_t ask_segment(struct lookahead *ahead, const struct segment *segment, size_t at)
{
    const uint64_t first = ((uint64_t)segment->first_slot << SLOT_SHIFT) / PAGE_UNITS;
    const uint64_t end = first + (uint64_t)segment->slot_count * (SLOT_UNITS / PAGE_UNITS);
    struct file file = FILE_NONE;
    char name[SEGMENT_FILE_NAME_SIZE];
    segment_file_name(segment->id, name);
    (void)file_open(&ahead->store->dir, name, false, &file, NULL);
    while (at < ahead->count && ahead->pages[at] < end) {
        const uint64_t run = ahead->pages[at];
        uint64_t last = run;
        for (; at < ahead->count && ahead->pages[at] < end; at++) {
            if (ahead->pages[at] - last > LOOKAHEAD_GAP_MAX) break;
            last = ahead->pages[at];
        }
        if (file.fd >= 0)
            file_will_need(&file, (run - first) * MAP_PAGE_SIZE, (last + 1 - run) * MAP_PAGE_SIZE);
    }
    (void)file_close(&file, NULL);
    return at;
}

static void ask(struct lookahead *ahead)
{
    if (ahead->count == 0) return;
    qsort(ahead->pages, ahead->count, sizeof(*ahead->pages), by_number);
    for (size_t at = 0; at < ahead->count;) {
        const struct segment *segment = segment_at(ahead->store, (uint64_t)ahead->pages[at] * PAGE_UNITS);
        at = segment != NULL ? ask_segment(ahead, segment, at) : at + 1;
    }
}

/* ------------------------------------------------------------------ the records to come */

/* Where the next look begins, if this one has been at `next`. */
static uint64_t next_look(const struct lookahead *ahead, uint64_t next, bool is_end)
{
    if (is_end) return UINT64_MAX;
    return ahead->count > 0 ? next : next + LOOKAHEAD_WARM_SIZE;
}

void lookahead_run(struct lookahead *ahead, uint64_t offset)
{
    struct scan scan = SCAN_NONE;
    struct scan_record record;
    const struct scan_expect expect = {
        .identity = ahead->segment->identity,
        .start = offset,
        .end = atomic_load(&ahead->segment->end),
        .id = ahead->segment->id,
    };
    enum stave_status status = scan_open(&ahead->store->dir, &expect, &scan, NULL);
    bool goes_on = true;
    ahead->count = 0;
    ahead->sampled_count = 0;
    while (status == STAVE_OK && goes_on && scan.next - offset < LOOKAHEAD_LOG_SIZE) {
        status = scan_next(&scan, &record, NULL);
        if (status == STAVE_OK) goes_on = note_older(ahead, &scan, &record.record);
    }
    ahead->until = next_look(ahead, scan.next, status != STAVE_OK);
    scan_close(&scan);
    ask(ahead);
}
