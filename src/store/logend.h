/* SPDX-License-Identifier: MIT */
/*
 * Where the log ends: the open LOG segments read from their beginnings.
 *
 *   E1  A record that does not check out is the end, unless a MARK vouches that it was durable: then it is
 *       corruption. (P3, P6)
 *   E2  The counters of a log go on from one segment to the next, so that a segment whose last records are
 *       missing is told from one that is whole: what follows a gap is discarded. (P3)
 *   E3  A LINK counts only if the record it publishes is there; else it is a record that does not check out.
 *   E4  A batch of which a part does not count does not count at all.                                   (P5)
 *
 * Nothing is written here.
 */
#ifndef STAVE_STORE_LOGEND_H
#define STAVE_STORE_LOGEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum { LOGEND_OPEN_MAX = 16 }; /* open LOG segments of one manifest */

struct logend_segment {
    const struct manifest_segment *listed;
    uint64_t end;            /* of the records that count; SEGMENT_HEADER_SIZE: there is none */
    uint64_t first_sequence; /* 0: no record */
    uint64_t last_sequence;
    bool is_cut; /* something behind `end` was discarded */
};

/* A LINK that counts, and the record that it publishes. */
struct logend_link {
    struct record record; /* of the LARGE segment */
    uint32_t segment_id;
    uint32_t log;    /* index of the LOG segment */
    uint64_t offset; /* of the LINK in it */
    uint64_t identity;
    uint64_t length; /* of the LARGE segment */
};

struct logend {
    struct store *store;
    struct logend_segment logs[LOGEND_OPEN_MAX]; /* by incarnation */
    size_t log_count;
    struct logend_link *links;
    size_t link_count;
    size_t link_capacity;
};

#define LOGEND_NONE ((struct logend){.store = NULL})

/*
 * Result STAVE_OK; STAVE_CORRUPT naming file and offset (E1), unless the store was opened with accept_damage;
 *          STAVE_WOULD_BLOCK, with `may_retry`: a writer may have been at work meanwhile; STAVE_IO,
 *          STAVE_NO_MEMORY.
 * Output   *ret_logend, also on failure; freed with logend_free().
 */
enum stave_status logend_find(struct store *store, const struct manifest *manifest, bool may_retry,
                              struct logend *ret_logend, struct error *error);
void logend_free(struct logend *logend);

/* NULL if no LINK that counts names it. */
const struct logend_link *logend_find_link(const struct logend *logend, uint32_t segment_id,
                                           uint64_t identity);

#endif
