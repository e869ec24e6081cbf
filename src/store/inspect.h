/* SPDX-License-Identifier: MIT */
/*
 * A store's files read one after the other without opening it: what check and salvage share.
 *
 *   X1  Nothing in the directory is changed, made or removed; LOCK is held if it is there: no writer begins.
 *   X2  Every damage is reported once, with file, offset and, where it is known, key.  (P6)
 *   X3  Without a manifest the segments are those whose headers name the hash seed that most of them do.
 *   X4  In an open segment, what a MARK vouches for is read like a sealed one; behind it the first record
 *       that does not check out ends the log, and a batch counts as a whole.  (P3, P5)
 */
#ifndef STAVE_STORE_INSPECT_H
#define STAVE_STORE_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "log/manifest.h"
#include "log/scan.h"
#include "os/dir.h"
#include "stave.h"

enum { INSPECTION_SEGMENT_MAX = 4 * MANIFEST_SEGMENT_MAX }; /* files looked at when there is no manifest */

/* A segment to be read. */
struct inspected {
    uint64_t identity;
    uint64_t hash_seed;
    uint64_t length; /* SCAN_TO_THE_END if it is not known */
    uint32_t id;
    uint32_t kind;        /* enum segment_kind */
    uint32_t incarnation; /* LOG */
    bool sealed;          /* the manifest says so */
    bool vouched;         /* open, but a MARK in a later segment vouches for all of it */
};

struct inspection {
    struct dir dir;
    struct dir_lock lock;
    struct manifest manifest; /* empty unless has_manifest */
    bool has_manifest;
    struct inspected *segments; /* by id */
    size_t segment_count;
    size_t segment_capacity;
    stave_damage_call damage;
    stave_progress_call progress;
    void *context;
    uint64_t done; /* bytes read */
    uint64_t reported;
    uint64_t total;
    uint64_t damage_count;
    uint64_t harmful_count; /* of them */
    uint64_t lost_size;
};

#define INSPECTION_NONE ((struct inspection){.dir = DIR_NONE, .lock = DIR_LOCK_NONE})

/* What the caller of stave_check or stave_salvage gave. */
struct inspection_calls {
    stave_damage_call damage;
    stave_progress_call progress;
    void *context;
};

/*
 * Opens and locks the directory, reads its manifest and lists its segments; damage met is reported already.
 *
 * Result   STAVE_OK; STAVE_NOT_FOUND; STAVE_LOCKED; STAVE_NOT_A_STORE; STAVE_VERSION; STAVE_CANCELLED; or a
 *          failure to read.
 */
enum stave_status inspection_begin(struct inspection *inspection, const char *path,
                                   const struct inspection_calls *calls, struct error *error);
/* Accepts an empty inspection. */
void inspection_end(struct inspection *inspection);

/* Reports one damage. STAVE_OK or STAVE_CANCELLED. */
enum stave_status inspection_damage(struct inspection *inspection, const struct stave_damage *damage);

/* A record that checks out; with STAVE_OK the walk goes on, anything else ends it. */
typedef enum stave_status (*inspection_visit)(void *context, const struct inspected *segment,
                                              struct scan *scan, const struct scan_record *record,
                                              struct error *error);
/* A record whose header checks out and whose payload does not (R5). May be NULL. */
typedef void (*inspection_claim)(void *context, const struct record *record);

struct inspection_walk {
    inspection_visit visit; /* may be NULL */
    inspection_claim claim;
    void *context;
    bool quiet; /* reports no damage and verifies no payloads, but for what X4 needs */
};

/* Reads one segment. STAVE_OK, also when there was damage; STAVE_CANCELLED; what `visit` returned;
   STAVE_NO_MEMORY. */
enum stave_status inspection_read(struct inspection *inspection, const struct inspected *segment,
                                  const struct inspection_walk *walk, struct error *error);

/* NULL if it is not one of the store's. */
const struct inspected *inspection_find(const struct inspection *inspection, uint32_t id);

/* Error and status as the public calls hand them out. */
void inspection_hand_out(const struct error *error, enum stave_status status, struct stave_error *ret_error);

#endif
