/* SPDX-License-Identifier: MIT */
/*
 * One record as readers see it, through a mapping or as a copy. The caller is inside an epoch, or holds a
 * reference.
 */
#ifndef STAVE_STORE_READING_H
#define STAVE_STORE_READING_H

#include "store/store.h"

struct reading {
    struct segment *segment;
    uint64_t offset;
    struct record record;
    const uint8_t *key;   /* until reading_value() */
    const uint8_t *value; /* NULL: not copied with the key */
    void *copy;           /* memory_free; NULL when mapped */
};

#define READING_NONE ((struct reading){.segment = NULL})

/* Inside an epoch: brings the lines of header and key towards the processor. */
void reading_prefetch(const struct store *store, uint64_t location);

/*
 * Header and key of the record at `location`, the header checked (unless skip_verify). Result STAVE_OK;
 * STAVE_NOT_FOUND if the location is stale (its slot has no segment); STAVE_CORRUPT; STAVE_IO;
 * STAVE_NO_MEMORY; STAVE_WOULD_BLOCK with STAVE_READ_NO_WAIT.
 */
enum stave_status reading_begin(struct store *store, uint64_t location, uint32_t flags,
                                struct reading *ret_reading);
/* Of a large value: the only record of its segment, and mapped. */
bool reading_is_large(const struct reading *reading);
/*
 * The part of the value, which lies within it; the whole is checked against the checksum, a part is not, nor
 * a large value of which a view that was checked is held.
 */
enum stave_status reading_value(struct store *store, struct reading *reading, uint64_t from, size_t size,
                                uint32_t flags, struct stave_bytes *ret_part);
void reading_end(struct reading *reading);

struct found {
    uint64_t location;
    struct reading reading;
};

/*
 * The newest record of a key: probes the index and compares keys in the log. Inside an epoch, no lock (P7).
 * Result STAVE_OK; STAVE_NOT_FOUND (no entry; expiry is not looked at); STAVE_CORRUPT when a record that may
 * be the key's is damaged (P6); STAVE_WOULD_BLOCK with STAVE_READ_NO_WAIT, also for the index's own block;
 * ...
 */
enum stave_status find_key(struct store *store, uint64_t hash, uint32_t generation, struct stave_bytes key,
                           uint32_t flags, struct found *ret_found);

static inline bool record_is_expired(const struct record *record, uint64_t now_ms)
{
    return record->expires_at_ms != 0 && record->expires_at_ms <= now_ms;
}

#endif
