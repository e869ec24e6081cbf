/* SPDX-License-Identifier: MIT */
/*
 * Reads and staged writes of a command, or of all commands of an EXEC, on the store.
 *
 *   T1  Nothing reaches the store before transaction_commit(), which applies all of it or nothing.
 *   T2  Reads see the transaction's own staged writes first.
 *   T3  What a writing command has read is required to be unchanged at the commit; otherwise the commit is
 *       STAVE_CONFLICT, and the command is run again. An EXEC holds the gate exclusively and cannot conflict.
 *   T4  An expired value is absent; "now" is the transaction's time and stands still. Where others may come
 *       between (T3), what has expired by the commit is a conflict as well.
 *   T5  Every change of a key touches its watchers (watch.h) before the commit returns.
 *
 * Every call returns STAVE_OK; STAVE_WOULD_BLOCK when the value is on disk and the transaction may not wait
 * (the key to be brought is noted for the dispatcher); or a failure of the store. Keys and values given to it
 * must stay valid until the commit or transaction_reset().
 */
#ifndef STAVE_SERVER_TRANSACTION_H
#define STAVE_SERVER_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

#define EXPIRED_TOO UINT64_C(1) /* a moment at which nothing had expired, for a look at the store itself */

struct transaction;

struct item {
    bool found;
    struct stave_bytes value; /* valid until the transaction is committed or reset; empty from _info() */
    size_t value_size;
    uint64_t sequence;      /* 0 if staged in this transaction */
    uint64_t expires_at_ms; /* 0: never */
};

enum stave_status transaction_get(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                  struct item *ret_item);
/* Size, expiry and presence without the value. */
enum stave_status transaction_info(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                   struct item *ret_item);
/*
 * A part of the value, for GETRANGE, GETBIT and the like on large ones; value_size is the whole's. `whole` is
 * what transaction_info() has just said of it, or NULL: it is asked for.
 */
enum stave_status transaction_get_range(struct transaction *transaction, uint32_t database,
                                        struct stave_bytes key, const struct item *whole, uint64_t offset,
                                        size_t size, struct item *ret_item);
/* Many keys at one moment: no batch is seen in part. */
enum stave_status transaction_get_many(struct transaction *transaction, uint32_t database,
                                       const struct stave_bytes *keys, size_t count, struct item *ret_items);

enum stave_status transaction_put(struct transaction *transaction, uint32_t database, struct stave_bytes key,
                                  struct stave_bytes value, uint64_t expires_at_ms);
/* Of a key that is not there it writes nothing, but touches its watchers. */
enum stave_status transaction_delete(struct transaction *transaction, uint32_t database,
                                     struct stave_bytes key);
/* The expiry alone (0: never) of a key that is there. */
enum stave_status transaction_expire(struct transaction *transaction, uint32_t database,
                                     struct stave_bytes key, uint64_t expires_at_ms);
/* Empties a database; exchanges two. For commands that are COMMAND_EXCLUSIVE. */
enum stave_status transaction_flush(struct transaction *transaction, uint32_t database);
enum stave_status transaction_swap(struct transaction *transaction, uint32_t database_a, uint32_t database_b);

/* Keys of a database as the transaction sees it. */
enum stave_status transaction_count(struct transaction *transaction, uint32_t database, uint64_t *ret_count);

/*
 * Walking the keys, staged changes included: Redis' guarantee of SCAN. `*cursor` 0 at the start and the end.
 * A call ends after `count_wanted` keys and a few more, or after a stretch of the index that has none; a walk
 * that nobody writes beside is given each key once.
 */
typedef enum stave_status (*transaction_key_call)(void *context, struct stave_bytes key,
                                                  const struct item *item);
enum stave_status transaction_scan(struct transaction *transaction, uint32_t database, uint64_t *cursor,
                                   size_t count_wanted, transaction_key_call call, void *context);
enum stave_status transaction_random_key(struct transaction *transaction, uint32_t database,
                                         struct stave_value *ret_key);

/*
 * Whether reads from here on count as hits and misses of the keyspace: at first those of commands that only
 * read do. They are counted at the commit.
 */
void transaction_count_reads(struct transaction *transaction, bool counts);

/* What is read from here on is looked at, not used: it stays as idle as it was (idle.h). */
void transaction_look(struct transaction *transaction);
/* A key is used, although neither its value is read nor it is written. */
void transaction_use(struct transaction *transaction, uint32_t database, struct stave_bytes key);

/*
 * Memory that lives as long as the staged writes (in an EXEC: as those that refer to it). NULL when there is
 * none left, or the transaction has too much of it. For values computed.
 */
void *transaction_alloc(struct transaction *transaction, size_t size);

/* ------------------------------------------------------------------ the dispatcher's and the reply's */

struct loop_stats;
struct server;

struct transaction_mode {
    uint64_t now_ms;
    bool may_wait;     /* for the disk */
    bool is_exclusive; /* the gate is held: nothing can come between */
    bool is_writing;   /* what is read is required at the commit (T3) */
    bool counts_reads; /* transaction_count_reads() */
    size_t place;      /* in the gate */
    struct loop_stats *stats;
};

/* A part of a value, as struct stave_read has it; or nothing of it, but what is said of the key. */
struct transaction_part {
    bool is_wanted;
    uint64_t offset;
    size_t size;
};

#define TRANSACTION_NO_VALUE ((struct transaction_part){.is_wanted = false})
#define TRANSACTION_WHOLE_VALUE ((struct transaction_part){.is_wanted = true})

/* A key that must be brought from disk before the command can be run again. */
struct transaction_key {
    uint32_t database;
    struct stave_bytes key;
    struct transaction_part part;
};

/* NULL: no memory. */
struct transaction *transaction_new(struct server *server);
void transaction_free(struct transaction *transaction);

void transaction_begin(struct transaction *transaction, const struct transaction_mode *mode);
/* STAVE_OK, STAVE_CONFLICT, STAVE_WOULD_BLOCK, or a failure; nothing has been written then. */
enum stave_status transaction_commit(struct transaction *transaction);
/* Releases what the transaction holds. */
void transaction_reset(struct transaction *transaction);

/*
 * The newest sequence that the commands since transaction_forget_seen() have read or written; of keys that
 * were not there, and of walks, it is the store's at their end.
 */
uint64_t transaction_seen(const struct transaction *transaction);
void transaction_see_all(struct transaction *transaction);
void transaction_forget_seen(struct transaction *transaction);

/*
 * Between two commands of an EXEC: memory that no staged write refers to is freed once it has become much.
 * Without it, a value that every command changes would be kept once for each of them.
 */
void transaction_collect(struct transaction *transaction);

/* What a walk could not go on without, or that a random key is wanted; of a space's number. */
struct transaction_walk {
    bool is_wanted;
    bool is_random; /* else from `position` on */
    uint32_t space;
    uint64_t position;
};
/* After STAVE_WOULD_BLOCK without a key wanted. */
struct transaction_walk transaction_wanted_walk(const struct transaction *transaction);
/* A random key of a space for the next RANDOMKEY that may not wait; it is taken over. */
void transaction_bring_random(struct transaction *transaction, uint32_t space, struct stave_value *key);
/*
 * Where the transaction may not wait: notes that a key, with this part of its value, is to be brought if it
 * is on disk, whether it has expired or not. STAVE_WOULD_BLOCK: it is.
 */
enum stave_status transaction_seek(struct transaction *transaction, uint32_t space, struct stave_bytes key,
                                   struct transaction_part part);
/* After STAVE_WOULD_BLOCK. */
const struct transaction_key *transaction_wanted(const struct transaction *transaction, size_t *ret_count);
/* Hands over the view that `value` lies in; false: it lies in none. */
bool transaction_take_view(struct transaction *transaction, struct stave_bytes value,
                           struct stave **ret_store, struct stave_view *ret_view);

#endif
