/* SPDX-License-Identifier: MIT */
/*
 * What the public operations share: guards, conditions, and the path of one write.
 */
#ifndef STAVE_STORE_OPERATION_H
#define STAVE_STORE_OPERATION_H

#include "os/clock.h"
#include "store/change.h"
#include "store/reading.h"
#include "store/store.h"

static inline uint32_t generation_of(const struct store *store, uint32_t space)
{
    return atomic_load_explicit(&store->generation_of[space], memory_order_acquire);
}

/* The moment as of which a call judges expiry: the one it was given, or the clock's. */
static inline uint64_t moment_of(uint64_t now_ms)
{
    return now_ms != 0 ? now_ms : clock_wall_ms();
}

/* Where a call is counted. */
static inline struct call_counters *calls_of(struct store *store)
{
    return &store->counters.calls[thread_processor() % EPOCH_SHARDS];
}

/* The calling process opened the store. */
static inline bool store_is_ours(const struct store *store)
{
    return *(const volatile uint8_t *)store->fork_mark != 0;
}

/* STAVE_OK, STAVE_INVALID, STAVE_FORKED: for every operation with a key. */
enum stave_status guard_key(const struct stave *handle, struct stave_bytes key);
/* The same for writes: also STAVE_READ_ONLY, STAVE_FAILED, STAVE_LIMIT. */
enum stave_status guard_write(const struct stave *handle, struct stave_bytes key, struct stave_bytes value);
/* Without a key. */
enum stave_status guard_store(const struct stave *handle);
enum stave_status guard_writable(const struct stave *handle);

/*
 * Looks the key up without a lock, with change->generation given, and fills the second part. In steps, so
 * that those of other changes can go between them and the processor waits for memory once and not for each.
 * change_prefetch() goes inside an epoch, and may be left out; change_find_hashed() inside none.
 */
void change_hash(struct store *store, struct change *change);
void change_prefetch(struct store *store, const struct change *change);
enum stave_status change_find_hashed(struct store *store, struct change *change);
/*
 * write_lock: whether the entry that was found, or none, is still there, whatever has become of the space.
 * Without an entry, and with another tag like it, the key is compared again.
 */
bool change_entry_still_holds(struct store *store, const struct change *change);
/* Bytes of log that it takes, now that a large value has been prepared: whatever the options say by now. */
uint64_t change_log_size(const struct change *change);
/*
 * write_lock, room made and memory of the index reserved: appends the record, which nobody finds yet. On
 * failure nothing has been appended.
 */
enum stave_status change_append(struct store *store, struct change *change, uint8_t record_flags,
                                uint64_t *ret_sequence);
/*
 * The same lock still held, its record appended: points the index to it, and counts. What was found is the
 * new record then.
 */
void change_enter(struct store *store, struct change *change);

/* Of one write: whether it is to wait on a full disk, and for how many turns of compaction it did in vain. */
struct relief {
    bool may_come;
    unsigned fruitless;
};

/*
 * No lock held. A write that frees has found the disk full: waits for a turn of compaction, for as long as
 * turns promise something and once more. Result STAVE_WOULD_BLOCK: try again.
 */
enum stave_status operation_relief(struct store *store, struct relief *relief);

/* The whole path of one write. */
enum stave_status operation_write(struct store *store, struct change *change, uint64_t *ret_sequence);
/* No lock held: waits for durability as flags and sync mode ask. */
enum stave_status operation_finish(struct store *store, uint32_t write_flags, uint64_t sequence);

#endif
