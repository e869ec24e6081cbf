/* SPDX-License-Identifier: MIT */
/*
 * Records of the log that are about to be read back into the index: what they will be compared with is asked
 * of the disk before.
 *
 *   L1  A hint and nothing else: no entry is changed, and what fails here is met, and told, by the replay.
 *   L2  Memory: a scan's, and for each page asked for at a time 8 bytes while they are sorted; pages are a
 *       LOOKAHEAD_KEYS_A_PAGE-th of the index's entries, LOOKAHEAD_PAGES_MAX at most. (P8, P11)
 *   L3  While what is needed is in memory already, a look at LOOKAHEAD_SAMPLE of the records of each
 *       LOOKAHEAD_WARM_SIZE bytes of log is all that it costs.
 */
#ifndef STAVE_STORE_LOOKAHEAD_H
#define STAVE_STORE_LOOKAHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum {
    LOOKAHEAD_SAMPLE = 128,
    LOOKAHEAD_WARM_SIZE = 16 << 20,
    LOOKAHEAD_LOG_SIZE = 64 << 20, /* of log that is looked at, and asked for, at a time */
    LOOKAHEAD_KEYS_A_PAGE = 64,
    LOOKAHEAD_PAGES_MIN = 1 << 10,
    LOOKAHEAD_PAGES_MAX = 256 << 10, /* of 4 KiB */
    LOOKAHEAD_GAP_MAX = 16,          /* pages that nobody needs, between two that are read at once */
};

struct lookahead {
    struct store *store;
    const struct segment *segment;
    uint64_t after;       /* records up to this sequence are not replayed */
    uint64_t until;       /* offset: what comes before it has been looked at; UINT64_MAX: all, or not to be */
    uint64_t asked_until; /* offset: the segment itself has been asked for up to there */
    uint32_t *pages;
    size_t capacity;
    size_t count;
    uint32_t sampled_count; /* records, as long as nothing that they lead to was missing */
};

/* For the records of `segment` above `after`. Looks only while the store is being recovered. */
struct lookahead lookahead_begin(struct store *store, const struct segment *segment, uint64_t after);

void lookahead_end(struct lookahead *ahead);

/* Looks at the records from `offset` on, and asks for what those need. */
void lookahead_run(struct lookahead *ahead, uint64_t offset);

/* Before the record at `offset` is replayed. */
static inline void lookahead_reach(struct lookahead *ahead, uint64_t offset)
{
    if (offset >= ahead->until) lookahead_run(ahead, offset);
}

#endif
