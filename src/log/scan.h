/* SPDX-License-Identifier: MIT */
/*
 * A sequential reader of one segment file, for recovery, compaction, check and salvage: all that must meet
 * bad bytes, short files and bad disk sectors as results. It reads with pread through a buffer of its own.
 *
 *   C1  A record is handed out only if its header checks out, lies within the segment's end and fits the
 *       segment (R1, R4; of a LOG its sequence names the segment). (P6)
 *   C2  With SCAN_VERIFY, only if its key and its value check out too.                                (P6)
 *   C3  With SCAN_BATCHES, a BATCH record only if all that belongs to it checks out, header and payload. (P5)
 *   C4  Memory: SCAN_BUFFER_SIZE, and the size of a key that does not fit in it (at most RECORD_KEY_SIZE_MAX,
 *       and never more than the file holds). (P11)
 *
 * What follows a record that does not check out is a torn tail or corruption; the scan does not guess. In a
 * segment whose length is known it is corruption. In an open one, after STAVE_END as well as after
 * STAVE_CORRUPT, the caller asks scan_search_mark: a mark that vouches for more than scan->offset makes it
 * corruption.
 */
#ifndef STAVE_LOG_SCAN_H
#define STAVE_LOG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/record.h"
#include "log/segment.h"
#include "os/dir.h"
#include "os/file.h"
#include "stave.h"

struct error;

#define SCAN_BUFFER_SIZE ((size_t)64 << 10)
#define SCAN_TO_THE_END UINT64_MAX /* for an open segment: until zeroes or the end of the file */

enum scan_flag {
    SCAN_VERIFY = 1,  /* C2 */
    SCAN_BATCHES = 2, /* C3; for open segments */
};

/* After a failure, scan_next goes on at scan->next if that is above scan->offset; else ask scan_resume. */
enum scan_damage {
    SCAN_UNDAMAGED = 0,
    SCAN_HEADER_DAMAGED,
    SCAN_PAYLOAD_DAMAGED, /* scan->current has the header (R5), and the key if it could be read */
    SCAN_BATCH_BROKEN,    /* scan->offset is the BATCH, scan->damage_offset the record of it that failed */
    SCAN_UNREADABLE,      /* the disk's error: STAVE_IO */
};

struct scan_expect {
    uint64_t store_id; /* 0: any; a snapshot's segments keep the id of the store that wrote them */
    uint64_t identity;
    uint64_t start; /* offset of a record; 0: the first */
    uint64_t end;   /* a sealed segment's length, or SCAN_TO_THE_END */
    uint32_t id;
    unsigned flags; /* enum scan_flag */
};

struct scan_record {
    struct record record;
    uint64_t offset;
    const uint8_t *key; /* record.key_size bytes, until the next call on this scan; NULL: not read */
};

struct scan {
    struct segment_header header;
    uint64_t end;           /* records end here at the latest */
    uint64_t next;          /* where scan_next looks */
    uint64_t offset;        /* all before it checked out; start of the record last met */
    uint64_t damage_offset; /* of the record that did not check out */
    const char *problem;    /* what was wrong, a constant text; NULL if nothing was */
    enum scan_damage damage;
    struct scan_record current;

    /* private */
    struct file file;
    unsigned flags;
    bool to_the_end;
    uint64_t batch_end; /* records before it belong to a BATCH that is whole: C2, C3 hold for them */
    uint8_t *buffer;
    uint64_t buffer_offset;
    size_t buffer_size;
    uint8_t *long_key;
};

#define SCAN_NONE ((struct scan){.file = FILE_NONE})

/* Takes a part of a value; anything but STAVE_OK ends the stream and is handed on. */
typedef enum stave_status (*scan_sink)(void *context, const uint8_t *bytes, size_t size);

/*
 * Opens the segment file of `expect->id` in `dir` and checks its header (S1).
 *
 * Result   STAVE_OK; STAVE_NOT_FOUND if its header was never written (zeroes, or an empty file);
 *          STAVE_CORRUPT if it is missing, shorter than `expect->end`, damaged, or not the segment expected;
 *          STAVE_NOT_A_STORE for a foreign file; STAVE_VERSION; STAVE_NO_MEMORY; STAVE_IO, STAVE_PERMISSION.
 *          *error says which file and why.
 * Output   *ret_scan, on STAVE_OK only; closed with scan_close().
 */
enum stave_status scan_open(const struct dir *dir, const struct scan_expect *expect, struct scan *ret_scan,
                            struct error *error);

void scan_close(struct scan *scan);

/*
 * The next record.
 *
 * Result   STAVE_OK; STAVE_END at the end, or in an open segment at zeroes; STAVE_CORRUPT: see scan->damage,
 *          scan->problem, scan->offset and scan->damage_offset (*error has them as text); STAVE_NO_MEMORY;
 *          STAVE_IO. After STAVE_END scan->offset is where the records end.
 */
enum stave_status scan_next(struct scan *scan, struct scan_record *ret_record, struct error *error);

/*
 * A hint of what comes: the key hash of the record at *offset (scan->next, to begin with) as its unchecked
 * header has it, and *offset moved behind that record. False: its header has not been read from the file yet.
 */
bool scan_peek(const struct scan *scan, uint64_t *offset, uint64_t *ret_key_hash);

/*
 * After damage: goes on behind the record where its end is known, and otherwise looks at every aligned offset
 * behind the damage for a record whose header checks out, passing over what cannot be read.
 *
 * Result   STAVE_OK, and the bytes from scan->offset to where scan_next goes on; STAVE_END if no record
 *          follows.
 */
enum stave_status scan_resume(struct scan *scan, uint64_t *ret_skipped);

/*
 * Hands the value area of the record last met to `sink`, in parts of at most SCAN_BUFFER_SIZE; without
 * verifying it. The record's key is not valid any more after it.
 */
enum stave_status scan_value(struct scan *scan, scan_sink sink, void *context, struct error *error);

/* Copies `size` bytes of that value area, from byte `from` on; both must lie within it. */
enum stave_status scan_read_value(struct scan *scan, uint64_t from, size_t size, uint8_t *ret_bytes,
                                  struct error *error);

/* Verifies key and value of the record last met, whatever the flags. Results as scan_next, but STAVE_END. */
enum stave_status scan_verify(struct scan *scan, struct error *error);

/*
 * Looks at every aligned offset from `from` to the end of the file for MARK records that check out, and
 * returns the one that vouches for the most. Does not move the scan, but ends the life of the current key.
 *
 * Result   STAVE_OK; STAVE_NOT_FOUND; STAVE_IO.
 */
enum stave_status scan_search_mark(struct scan *scan, uint64_t from, struct record_mark *ret_mark,
                                   struct error *error);

#endif
