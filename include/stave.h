/* SPDX-License-Identifier: MIT */
/*
 * Stave: an embedded, crash-safe, log-structured key-value store.
 *
 * Keys and values are any bytes. Records are appended to a log cut into segments; an index in memory (at most
 * 16 bytes a key) gives each key's newest record; compaction rewrites what is still live in the background.
 *
 *     #include <stave.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         struct stave *store = NULL;
 *         struct stave_error error;
 *         if (stave_open("example.stave", NULL, &store, &error) < 0) {
 *             fprintf(stderr, "%s\n", error.message);
 *             return 1;
 *         }
 *         struct stave_value value = {0};
 *         if (stave_put(store, stave_text("city"), stave_text("Bern")) == STAVE_OK &&
 *             stave_get(store, stave_text("city"), &value) == STAVE_OK)
 *             printf("%.*s\n", (int)value.size, (const char *)value.data);
 *         stave_free(value.data);
 *         return stave_close(store) == STAVE_OK ? 0 : 1;
 *     }
 *
 * What is true of every call:
 *
 *   (1) Results. STAVE_OK (0) is done; a positive status is an expected "no" (nothing there, already there);
 *       a negative one is a failure. A call that fails changes nothing, unless its text says otherwise.
 *   (2) Outputs come last, are named `ret_` and are written only on STAVE_OK, unless said otherwise. Outputs
 *       marked optional may be NULL.
 *   (3) Threads. Every function may be called from any thread at any time with the same store, except
 *       stave_close, which must be the last. Cursors, feeds, batches and views are used by one thread at a
 *       time.
 *   (4) Durability. A write that returned survives the end of the process, however it ends. It survives a
 *       loss of power once it is durable: see `sync` in struct stave_options, STAVE_DURABLE and stave_sync.
 *   (5) Sizes are bytes; times are milliseconds, points in time milliseconds since 1970-01-01 UTC.
 *   (6) fork: a child must not use its parent's stores. Every call there returns STAVE_FORKED; stave_close
 *       frees the child's memory and touches no file. The lock file's description is shared with the child
 *       until it calls exec or ends, so a store cannot be opened again while such a child lives and its
 *       parent does not.
 *   (7) Reads map the files of the store by default. A device that fails to read a mapped page raises SIGBUS
 *       in the reading thread; STAVE_READS_COPIED reads with pread instead and returns STAVE_IO.
 *   (8) The library never prints, exits, installs signal handlers or keeps global mutable state.
 *
 * What is where:
 *
 *   1. Open and close        5. Batches      9. Snapshots and the change feed
 *   2. Put, get, delete      6. Spaces      10. Stores opened read-only
 *   3. Reading in detail     7. Cursors     11. Upkeep
 *   4. Writing in detail     8. Durability  12. Damage
 *
 * The files of a store are described in docs/FORMAT.md, what survives which crash in docs/DURABILITY.md.
 */
#ifndef STAVE_H
#define STAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STAVE_API __attribute__((visibility("default")))
#else
#define STAVE_API
#endif

#define STAVE_VERSION_TEXT "0.1.0"

/* Limits. */
#define STAVE_KEY_SIZE_MAX UINT32_C(1073741824)       /* 1 GiB */
#define STAVE_VALUE_SIZE_MAX UINT32_C(1073741824)     /* 1 GiB */
#define STAVE_SPACE_COUNT_MAX UINT32_C(1024)          /* spaces are numbered from 0 */
#define STAVE_SEGMENT_COUNT_MAX UINT32_C(32768)       /* files of one store */
#define STAVE_SEGMENT_SIZE_MIN UINT64_C(65536)        /* 64 KiB */
#define STAVE_SEGMENT_SIZE_MAX UINT64_C(34359738368)  /* 32 GiB */
#define STAVE_STORE_SIZE_MAX UINT64_C(17592186044416) /* 16 TiB */
#define STAVE_BATCH_COUNT_MAX UINT32_C(1048576)       /* writes in one batch */
#define STAVE_BATCH_SIZE_MAX UINT64_C(67108864)       /* 64 MiB, values above STAVE_LARGE_SIZE not counted */
#define STAVE_LARGE_SIZE UINT32_C(4194304)            /* values above it, or 1/4 segment, are files */
#define STAVE_MULTI_GET_COUNT_MAX UINT32_C(1048576)

enum stave_status {
    STAVE_OK = 0,

    STAVE_NOT_FOUND = 1,   /* the key is not there, or has expired */
    STAVE_EXISTS = 2,      /* the key is there, and was to be absent */
    STAVE_CONFLICT = 3,    /* the sequence is not the expected one */
    STAVE_WOULD_BLOCK = 4, /* answering takes a read from disk */
    STAVE_END = 5,         /* a cursor or feed has no more */
    STAVE_GONE = 6,        /* the feed no longer holds that sequence */
    STAVE_STEP = 7,        /* a cursor has come to the end of a step, and can go on */

    STAVE_INVALID = -1, /* an argument is null, out of its range, or contradicts another */
    STAVE_IO = -2,      /* the operating system reported an error */
    STAVE_CORRUPT = -3, /* bytes on disk are not what was written */
    STAVE_NO_MEMORY = -4,
    STAVE_FULL = -5,        /* the disk, or a quota on it, is full */
    STAVE_LOCKED = -6,      /* another process, or another handle, has the store open for writing */
    STAVE_NOT_A_STORE = -7, /* the directory is something else, or its files belong to another store */
    STAVE_VERSION = -8,     /* written by a newer version */
    STAVE_LIMIT = -9,       /* a size or count is above its named limit */
    STAVE_READ_ONLY = -10,  /* the store was opened read-only */
    STAVE_FORKED = -11,     /* called in a child of the process that opened the store */
    STAVE_CANCELLED = -12,  /* a callback asked to stop */
    STAVE_PERMISSION = -13, /* the operating system refused access */
    STAVE_FAILED = -14,     /* an earlier sync failed: no more writes until the store is reopened */
};

/* A sentence for a status; never NULL. */
STAVE_API const char *stave_status_text(enum stave_status status);

/* Bytes that belong to the caller. `data` may be NULL when `size` is 0. */
struct stave_bytes {
    const void *data;
    size_t size;
};

static inline struct stave_bytes stave_bytes(const void *data, size_t size)
{
    struct stave_bytes bytes = {data, size};
    return bytes;
}

/* The bytes of a string, without its final zero. */
static inline struct stave_bytes stave_text(const char *text)
{
    return stave_bytes(text, strlen(text));
}

/* A value handed out as a copy: the caller frees `data` with stave_free. */
struct stave_value {
    void *data; /* never NULL after STAVE_OK; one zero byte follows the value */
    size_t size;
    uint64_t sequence;      /* version of the value, for compare-and-set */
    uint64_t expires_at_ms; /* 0: never */
};

/* Why a call failed. `message` names file and offset, option or argument, and the system's reason. */
struct stave_error {
    enum stave_status status;
    int system_error; /* errno, or 0 */
    char message[512];
};

/* 1. Open and close. */

enum stave_sync {
    STAVE_SYNC_INTERVAL = 0, /* every sync_interval_ms */
    STAVE_SYNC_ALWAYS = 1,   /* before a write returns; concurrent writers share a sync (group commit) */
    STAVE_SYNC_NONE = 2,     /* only when a segment is full, at stave_sync and at close */
};

enum stave_reads {
    STAVE_READS_MAPPED = 0,
    STAVE_READS_COPIED = 1, /* pread, one open a read: slower; a bad sector is STAVE_IO instead of SIGBUS */
};

enum stave_tail {
    STAVE_TAIL_AUTO = 0, /* mapped on ext4 and tmpfs, written elsewhere */
    STAVE_TAIL_MAPPED = 1,
    STAVE_TAIL_WRITTEN = 2,
};

/*
 * How to open a store: zeroes are the defaults.
 *
 * `size` is sizeof(struct stave_options), so that the struct can grow; a smaller one means an older caller.
 *
 * Files take at most `disk_ratio_percent` of the live bytes (110 at least), four times segment_size, 2 MiB,
 * 20 bytes a key and 5 KiB a segment: writes wait for compaction before they take more. Live bytes are those
 * of whole records (stats: live_size), values that are being written included. Not counted is what compaction
 * may not take: what feed_retention_size keeps, damaged segments, files that a view or a feed still uses; nor
 * what snapshots share with the store, whose blocks come back only when they are removed; and after deletes
 * it takes as long as compaction needs (P9).
 */
struct stave_options {
    size_t size;

    bool read_only;      /* open beside a writer: see stave_refresh */
    bool must_exist;     /* STAVE_NOT_FOUND instead of making a store */
    bool must_not_exist; /* STAVE_EXISTS instead of opening one */
    bool accept_damage;  /* open although records that were durable cannot be read (P6); needs read_only */
    bool skip_verify;    /* gets verify no checksums of what they read */

    enum stave_sync sync;
    uint32_t sync_interval_ms; /* default 1000 */
    enum stave_reads reads;
    enum stave_tail tail;

    uint64_t segment_size;   /* a segment is closed at this size; default 64 MiB */
    uint64_t segment_age_ms; /* and at this age; 0: at none */

    uint32_t disk_ratio_percent;  /* of disk to live bytes; default 200 */
    uint32_t dead_ratio_percent;  /* a segment is compacted from this share of dead bytes on; default 40 */
    uint64_t compaction_io_per_s; /* bytes a second that compaction may read and write; 0: no limit */
    bool manual_compaction;       /* only stave_compact compacts */

    uint64_t feed_retention_size;  /* newest bytes of the log that compaction leaves for feeds; default 0 */
    uint64_t checkpoint_size;      /* a checkpoint after so many bytes of log; default: as suits the index */
    uint32_t rebuild_thread_count; /* threads that scan when the index is rebuilt; default 2, most 16 */
};

struct stave;

/*
 * Opens the store in directory `path`, making it (and the directory, but not its parents) if need be.
 *
 * `options` may be NULL. Output *ret_store is the handle of space 0, closed with stave_close; *ret_error
 * (optional) is written on failure. Result STAVE_OK; STAVE_NOT_FOUND, STAVE_EXISTS as the options ask; or a
 * failure.
 */
STAVE_API enum stave_status stave_open(const char *path, const struct stave_options *options,
                                       struct stave **ret_store, struct stave_error *ret_error);

/*
 * Makes everything durable, writes a checkpoint if the next open would profit, and releases the store; NULL
 * is accepted. Release views, and close cursors, feeds and batches before: the handle and all that came from
 * it are invalid afterwards, whatever the result. After a failure, what was not durable before may not
 * survive a loss of power.
 */
STAVE_API enum stave_status stave_close(struct stave *store);

/* The last failure of any thread's call on this store, or of its work in the background; STAVE_OK if none. */
STAVE_API void stave_last_error(struct stave *store, struct stave_error *ret_error);

/* Frees what the library handed out. NULL is accepted. */
STAVE_API void stave_free(void *data);

/* 2. Put, get, delete. */

/*
 * Stores `value` under `key`, whatever was there; an expiry that it had is gone.
 *
 * STAVE_CORRUPT, for every write of the key and for a delete too: the header or the key of the record that it
 * may have is damaged. Nobody can tell any more whose record that is, and what a write supersedes has to be
 * known (P4, P6). stave_salvage makes a store without it. A key of which only the value is damaged is written
 * and deleted like any other.
 */
STAVE_API enum stave_status stave_put(struct stave *store, struct stave_bytes key, struct stave_bytes value);

/* Copies the newest value of `key`; STAVE_NOT_FOUND if there is none. Waits for no writer (P7). */
STAVE_API enum stave_status stave_get(struct stave *store, struct stave_bytes key,
                                      struct stave_value *ret_value);

/* Removes `key`; STAVE_NOT_FOUND if there was nothing, and nothing is written then. */
STAVE_API enum stave_status stave_delete(struct stave *store, struct stave_bytes key);

/* STAVE_OK if the key is there, else STAVE_NOT_FOUND. */
STAVE_API enum stave_status stave_exists(struct stave *store, struct stave_bytes key);

struct stave_info {
    uint64_t sequence;
    uint64_t expires_at_ms; /* 0: never */
    size_t value_size;
    uint64_t disk_size; /* of the record */
};

/* What is known of a value without reading it. */
STAVE_API enum stave_status stave_info(struct stave *store, struct stave_bytes key,
                                       struct stave_info *ret_info);

/* 3. Reading in detail. */

enum stave_read_flags {
    STAVE_READ_NO_WAIT = 1, /* STAVE_WOULD_BLOCK instead of waiting for the disk */
};

struct stave_read {
    uint32_t flags;
    uint64_t offset; /* of the part wanted; past the end: an empty value */
    size_t size;     /* at most this much; 0: to the end */
    uint64_t now_ms; /* what expires later is there, what expires by then is not; 0: the clock decides */
};

/*
 * As stave_get, for a part of the value (its checksum is not verified), without waiting for the disk, or with
 * expiry as of a moment: several reads as of one moment see no key expire between them (stave_hold_expiry
 * says how long that holds).
 */
STAVE_API enum stave_status stave_get_with(struct stave *store, struct stave_bytes key,
                                           const struct stave_read *read, struct stave_value *ret_value);

/* As stave_info, without waiting for the disk, or with expiry as of a moment. `read` may be NULL. */
STAVE_API enum stave_status stave_info_with(struct stave *store, struct stave_bytes key,
                                            const struct stave_read *read, struct stave_info *ret_info);

/* A value read in place. */
struct stave_view {
    const void *data;
    size_t size;
    uint64_t sequence;
    uint64_t expires_at_ms; /* 0: never */
    void *owner;            /* the library's */
};

/*
 * As stave_get_with, without a copy (with STAVE_READS_COPIED it is one). `read` may be NULL. The view is
 * valid until it is released, whatever happens to the key meanwhile, and keeps one segment's file and mapping
 * alive. While it is held, other reads do not verify the same bytes again if the value is a file of its own
 * (STAVE_LARGE_SIZE) and the view is the whole of it.
 */
STAVE_API enum stave_status stave_view(struct stave *store, struct stave_bytes key,
                                       const struct stave_read *read, struct stave_view *ret_view);

/* Ends a view, which is empty afterwards. */
STAVE_API void stave_view_release(struct stave *store, struct stave_view *view);

/*
 * Reads `count` keys at once: no batch is seen in part (P5); single writes made meanwhile may be seen or not,
 * each for itself. `read` (may be NULL) is for each of them. ret_statuses[i] is the result for keys[i], and
 * ret_views[i], where that is STAVE_OK, a view that the caller releases.
 */
STAVE_API enum stave_status stave_multi_get(struct stave *store, const struct stave_bytes *keys, size_t count,
                                            const struct stave_read *read, struct stave_view *ret_views,
                                            enum stave_status *ret_statuses);

/* Begins to bring what the next reads of these keys need; never fails, never waits. */
STAVE_API void stave_prefetch(struct stave *store, const struct stave_bytes *keys, size_t count);

/*
 * From now on, what has not expired at `now_ms` is not removed, so that reads as of that moment find it
 * however long they take; it is absent to all others as ever. What has expired before the call may be gone: a
 * moment taken after it is one that no removal divides. A later call takes the place of an earlier one;
 * `now_ms` 0 ends it.
 */
STAVE_API enum stave_status stave_hold_expiry(struct stave *store, uint64_t now_ms);

/* 4. Writing in detail. */

enum stave_write_flags {
    STAVE_IF_ABSENT = 1,    /* STAVE_EXISTS unless the key is absent (or expired) */
    STAVE_IF_PRESENT = 2,   /* STAVE_NOT_FOUND unless it is there */
    STAVE_IF_SEQUENCE = 4,  /* STAVE_CONFLICT unless its sequence is `if_sequence`; 0 stands for absent */
    STAVE_KEEP_EXPIRY = 8,  /* the new value takes over the expiry of the old */
    STAVE_DURABLE = 16,     /* returns when the write is durable, whatever the sync mode */
    STAVE_NOT_DURABLE = 32, /* returns at once, whatever the sync mode: see stave_durable_event */
};

struct stave_write {
    uint32_t flags;
    uint64_t if_sequence;
    uint64_t expires_at_ms; /* 0: never */
    uint64_t now_ms;        /* as of which what is there has expired or not; 0: the clock decides */
};

/* As stave_put, under conditions. *ret_sequence (optional) is the version of the new value. */
STAVE_API enum stave_status stave_put_with(struct stave *store, struct stave_bytes key,
                                           struct stave_bytes value, const struct stave_write *write,
                                           uint64_t *ret_sequence);

/* As stave_delete, under conditions (not STAVE_IF_ABSENT). *ret_sequence (optional): of the deletion. */
STAVE_API enum stave_status stave_delete_with(struct stave *store, struct stave_bytes key,
                                              const struct stave_write *write, uint64_t *ret_sequence);

/* Sets the expiry alone, to `write->expires_at_ms` (`write` NULL: never); the value is written again. */
STAVE_API enum stave_status stave_expire(struct stave *store, struct stave_bytes key,
                                         const struct stave_write *write, uint64_t *ret_sequence);

enum stave_update_action {
    STAVE_UPDATE_KEEP = 0, /* leave it as it is */
    STAVE_UPDATE_PUT = 1,
    STAVE_UPDATE_DELETE = 2,
    STAVE_UPDATE_CANCEL = 3, /* stave_update returns STAVE_CANCELLED */
};

/* What the callback sees, and the last two what it fills in for STAVE_UPDATE_PUT. */
struct stave_update {
    bool found;
    struct stave_bytes old_value; /* valid during the callback */
    uint64_t old_sequence;
    uint64_t old_expires_at_ms;
    struct stave_bytes new_value; /* must stay valid until stave_update returns or calls again */
    uint64_t new_expires_at_ms;   /* is the old one at first */
};

typedef enum stave_update_action (*stave_update_call)(void *context, struct stave_update *update);

/*
 * Reads, changes and writes one key, atomically against everything. `call` runs outside of all locks, and
 * again when another write came between. `write` (may be NULL) says how durable, and as of when.
 */
STAVE_API enum stave_status stave_update(struct stave *store, struct stave_bytes key, stave_update_call call,
                                         void *context, const struct stave_write *write,
                                         uint64_t *ret_sequence);

/* 5. Batches. */

struct stave_batch;

/* Gathers writes that are applied as a whole or not at all (P5). Keys and values are copied. */
STAVE_API enum stave_status stave_batch_begin(struct stave *store, struct stave_batch **ret_batch);

STAVE_API enum stave_status stave_batch_put(struct stave_batch *batch, struct stave_bytes key,
                                            struct stave_bytes value, uint64_t expires_at_ms);

/* A key that is not there then is no failure. */
STAVE_API enum stave_status stave_batch_delete(struct stave_batch *batch, struct stave_bytes key);

/* The batch applies only if the sequence of `key` is `sequence` (0: absent) then; else STAVE_CONFLICT. */
STAVE_API enum stave_status stave_batch_require(struct stave_batch *batch, struct stave_bytes key,
                                                uint64_t sequence);

/* What follows is for this space. A batch begins in the space of the handle that it was made from. */
STAVE_API enum stave_status stave_batch_select(struct stave_batch *batch, uint32_t space);

/* Removes every key of `space`. */
STAVE_API enum stave_status stave_batch_drop(struct stave_batch *batch, uint32_t space);

/* Exchanges the contents of two spaces. */
STAVE_API enum stave_status stave_batch_swap(struct stave_batch *batch, uint32_t space_a, uint32_t space_b);

/* Writes and requirements gathered so far. */
STAVE_API size_t stave_batch_count(const struct stave_batch *batch);

/*
 * Applies the batch, which stays as it is, to be committed again, cleared or freed. `write` (may be NULL)
 * says how durable, and as of when what is required has expired. *ret_sequence (optional) is the version of
 * its last write.
 */
STAVE_API enum stave_status stave_batch_commit(struct stave_batch *batch, const struct stave_write *write,
                                               uint64_t *ret_sequence);

/* Empties the batch for the next writes; the memory of a large one is given back. */
STAVE_API void stave_batch_clear(struct stave_batch *batch);

/* Ends a batch, committed or not. NULL is accepted. */
STAVE_API void stave_batch_free(struct stave_batch *batch);

/* 6. Spaces. */

/* The handle of space `number`, which belongs to the store and lives as long. NULL: out of range. */
STAVE_API struct stave *stave_space(struct stave *store, uint32_t number);

/* The number of a handle's space. */
STAVE_API uint32_t stave_space_number(const struct stave *store);

/* Keys in this space; one that has expired counts until it has been removed. */
STAVE_API uint64_t stave_count(struct stave *store);

/* Removes every key of this space in constant time; their disk space is given back in the background. */
STAVE_API enum stave_status stave_drop(struct stave *store, const struct stave_write *write,
                                       uint64_t *ret_sequence);

/* Exchanges the contents of two spaces, in constant time. */
STAVE_API enum stave_status stave_swap(struct stave *store, uint32_t space_a, uint32_t space_b,
                                       const struct stave_write *write, uint64_t *ret_sequence);

/* 7. Cursors. */

struct stave_cursor;

enum stave_cursor_flags {
    STAVE_CURSOR_KEYS = 1,    /* values are not read */
    STAVE_CURSOR_STEPS = 2,   /* STAVE_STEP after each short step, at an exact position */
    STAVE_CURSOR_EXPIRE = 4,  /* keys that have expired are removed in passing; STAVE_READ_ONLY */
    STAVE_CURSOR_NO_WAIT = 8, /* STAVE_WOULD_BLOCK instead of waiting for the disk */
};

/* One key; valid until the next call on the cursor. */
struct stave_entry {
    struct stave_bytes key;
    struct stave_bytes value; /* empty with STAVE_CURSOR_KEYS */
    size_t value_size;
    uint64_t sequence;
    uint64_t expires_at_ms; /* 0: never */
};

/*
 * Walks the keys of this space that begin with `prefix`, in no order, from `position` on (0: the beginning).
 * A key that is there throughout is returned at least once, whatever goes on meanwhile, and across a reopen.
 */
STAVE_API enum stave_status stave_cursor_open(struct stave *store, uint64_t position,
                                              struct stave_bytes prefix, uint32_t flags,
                                              struct stave_cursor **ret_cursor);

/*
 * STAVE_OK, STAVE_END, or a failure (of a damaged record: the next call goes on behind it).
 *
 * With STAVE_CURSOR_STEPS also STAVE_STEP, every few keys and after a bounded search that found none: the
 * next call goes on, and so does another cursor from the position, which returns no key once more then
 * (unless the store has been opened anew and its index has shrunk). With STAVE_CURSOR_NO_WAIT also
 * STAVE_WOULD_BLOCK: the next call tries again; a cursor without the flag, from this position, reads from
 * disk what is missing.
 *
 * STAVE_CURSOR_EXPIRE removes what has expired of the space and prefix, never a value that was written since
 * (P4). That a key could not be removed (STAVE_FULL, STAVE_FAILED, ...) is a failure; the next call goes on.
 */
STAVE_API enum stave_status stave_cursor_next(struct stave_cursor *cursor, struct stave_entry *ret_entry);

/* From the next key on, expiry is as of `now_ms`, see struct stave_read; 0: as of the clock, as at first. */
STAVE_API void stave_cursor_as_of(struct stave_cursor *cursor, uint64_t now_ms);

/* Where another cursor can go on; it may return a few keys once more. 0 at the end. */
STAVE_API uint64_t stave_cursor_position(const struct stave_cursor *cursor);

/* How many keys the cursor has removed because they had expired. */
STAVE_API uint64_t stave_cursor_expired(const struct stave_cursor *cursor);

/* NULL is accepted. */
STAVE_API void stave_cursor_close(struct stave_cursor *cursor);

/* Copies a random key of this space, in the place of a value; STAVE_NOT_FOUND if there is none. */
STAVE_API enum stave_status stave_random_key(struct stave *store, struct stave_value *ret_key);

/* 8. Durability. */

/* Makes all that was written before durable. */
STAVE_API enum stave_status stave_sync(struct stave *store);

/* The newest sequence. */
STAVE_API uint64_t stave_sequence(struct stave *store);

/* The sequence up to which everything is durable. */
STAVE_API uint64_t stave_durable_sequence(struct stave *store);

/* Asks for a sync in the background up to `sequence`, and returns at once. */
STAVE_API enum stave_status stave_sync_start(struct stave *store, uint64_t sequence);

/*
 * An eventfd, the store's own, that becomes readable when the durable sequence grows or a sync failed: poll
 * it, read 8 bytes, then ask stave_durable_sequence. -1 if none can be had.
 */
STAVE_API int stave_durable_event(struct stave *store);

/* Changes the sync mode while open; `interval_ms` 0 keeps the interval. */
STAVE_API enum stave_status stave_set_sync(struct stave *store, enum stave_sync sync, uint32_t interval_ms);

/*
 * Changes segment_size, segment_age_ms, disk_ratio_percent, dead_ratio_percent, compaction_io_per_s,
 * feed_retention_size and checkpoint_size while open, to the values in `options` or, where these are zero, to
 * the defaults. The other fields have to be valid and change nothing. The next segment has been made ahead: a
 * new segment_size is that of those behind it.
 */
STAVE_API enum stave_status stave_set_options(struct stave *store, const struct stave_options *options);

/* 9. Snapshots and the change feed. */

/*
 * Makes `path`, which must not exist, a store with the contents of this moment, by hard links: on the same
 * file system, without copying. It gets an identity of its own when first opened for writing. While it is
 * there it keeps the blocks of what it shares: on a full disk deletes go on for a while, then they are
 * STAVE_FULL too, and stave_last_error says that the snapshot has to be removed.
 */
STAVE_API enum stave_status stave_snapshot(struct stave *store, const char *path,
                                           struct stave_error *ret_error);

enum stave_change_kind {
    STAVE_CHANGE_PUT = 1,
    STAVE_CHANGE_DELETE = 2,
    STAVE_CHANGE_DROP = 3,
    STAVE_CHANGE_SWAP = 4,
};

struct stave_change {
    enum stave_change_kind kind;
    uint64_t sequence;
    uint32_t space;       /* at the time of the change */
    uint32_t other_space; /* of a swap */
    struct stave_bytes key;
    struct stave_bytes value;
    uint64_t expires_at_ms; /* 0: never */
    bool batch_continues;   /* the next change belongs to the same batch */
};

enum stave_feed_flags {
    STAVE_FEED_NOT_DURABLE = 1, /* also changes that a loss of power could still take */
};

struct stave_feed;

/* Changes with a sequence above `after`, in order. STAVE_GONE if some of them are no longer held. */
STAVE_API enum stave_status stave_feed_open(struct stave *store, uint64_t after, uint32_t flags,
                                            struct stave_feed **ret_feed);

/* STAVE_OK and the next change, valid until the next call; STAVE_END when none came within `timeout_ms`. */
STAVE_API enum stave_status stave_feed_next(struct stave_feed *feed, uint32_t timeout_ms,
                                            struct stave_change *ret_change);

/* NULL is accepted. */
STAVE_API void stave_feed_close(struct stave_feed *feed);

/* 10. Stores opened read-only. */

/* Takes over what the writer has written since the store was opened, or refreshed. */
STAVE_API enum stave_status stave_refresh(struct stave *store);

/* 11. Upkeep. */

/*
 * Long work reports bytes here, at least every 16 MiB (stave_check and stave_salvage: not within a value);
 * true cancels it (STAVE_CANCELLED, nothing lost). The callback may read the store that is being worked on,
 * and not write to it: a write may wait for the work.
 */
typedef bool (*stave_progress_call)(void *context, uint64_t done, uint64_t total);

enum stave_compact_flags {
    STAVE_COMPACT_ALL = 1, /* rewrite every sealed segment, not only those past dead_ratio_percent */
};

/*
 * Compacts in the calling thread. The tail is closed first, so that it takes part, unless the disk is too
 * full for the next one. A segment that cannot be read stays: STAVE_CORRUPT or STAVE_IO, after all others.
 */
STAVE_API enum stave_status stave_compact(struct stave *store, uint32_t flags, stave_progress_call progress,
                                          void *context);

/* Writes a checkpoint of the index now. */
STAVE_API enum stave_status stave_checkpoint(struct stave *store);

struct stave_stats {
    size_t size; /* set by the caller to sizeof(struct stave_stats) */

    uint64_t key_count;  /* of all spaces */
    uint64_t disk_size;  /* of all files, preallocated room included */
    uint64_t log_size;   /* of all records */
    uint64_t live_size;  /* of those that a read can still find */
    uint64_t index_size; /* in memory */
    uint32_t segment_count;

    /* Since the store was opened. */
    uint64_t put_count;
    uint64_t get_count;
    uint64_t delete_count;
    uint64_t sync_count;
    uint64_t sync_time_us; /* microseconds */
    uint64_t compaction_count;
    uint64_t compaction_read;    /* bytes */
    uint64_t compaction_written; /* bytes */
    uint64_t compaction_time_us;
    uint64_t checkpoint_count;
    uint64_t checkpoint_written; /* bytes */
    uint64_t expired_count;      /* keys that were removed because they had expired */

    uint64_t sequence;
    uint64_t durable_sequence;
    uint64_t feed_floor; /* the lowest sequence that a feed can still give */

    uint64_t open_time_us;
    uint64_t open_replayed; /* records of the log that the open had to read */
    bool open_from_checkpoint;
    bool failed; /* a sync failed: writes are refused */
};

STAVE_API enum stave_status stave_stats(struct stave *store, struct stave_stats *ret_stats);

/* One segment: a file of the log. */
struct stave_segment_stats {
    uint32_t id;
    uint32_t kind; /* 1 log, 2 output of compaction, 3 large value */
    bool sealed;
    bool damaged;
    uint64_t size;
    uint64_t live_size;
    uint64_t live_count;
    uint64_t created_ms;
};

/* All segments, in the order of their ids; freed with stave_free. */
STAVE_API enum stave_status stave_segments(struct stave *store, struct stave_segment_stats **ret_segments,
                                           size_t *ret_count);

/* 12. Damage. */

enum stave_damage_kind {
    STAVE_DAMAGE_MANIFEST = 1,
    STAVE_DAMAGE_FILE = 2,       /* missing, too short, or of another store */
    STAVE_DAMAGE_HEADER = 3,     /* of a record: what follows may be unreadable */
    STAVE_DAMAGE_PAYLOAD = 4,    /* a key or value */
    STAVE_DAMAGE_CHECKPOINT = 5, /* harmless: it is rebuilt */
    STAVE_DAMAGE_TORN = 6,       /* harmless: an unfinished write at the end of the log */
};

struct stave_damage {
    enum stave_damage_kind kind;
    const char *file; /* its name within the directory */
    uint64_t offset;
    uint64_t size;          /* bytes that cannot be read; 0 if unknown */
    struct stave_bytes key; /* where it is known */
    const char *message;
};

/* Receives a damage, which is valid during the call; true stops (STAVE_CANCELLED). */
typedef bool (*stave_damage_call)(void *context, const struct stave_damage *damage);

/*
 * Reads every byte of a store that nobody has open for writing, changes nothing, and reports each damage.
 * `damage` and `progress` may be NULL. Result STAVE_OK, STAVE_CORRUPT if there was damage that is not
 * harmless, STAVE_LOCKED if somebody has it open for writing, or a failure to read.
 */
STAVE_API enum stave_status stave_check(const char *path, stave_damage_call damage,
                                        stave_progress_call progress, void *context,
                                        struct stave_error *ret_error);

struct stave_salvage_result {
    uint64_t record_count; /* live keys copied */
    uint64_t damage_count;
    uint64_t lost_size; /* bytes that could not be read */
};

/* Copies what can be read into a new store at `new_path`, which must not exist; the old stays as it is. */
STAVE_API enum stave_status stave_salvage(const char *path, const char *new_path, stave_damage_call damage,
                                          stave_progress_call progress, void *context,
                                          struct stave_salvage_result *ret_result,
                                          struct stave_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
