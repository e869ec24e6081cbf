/* SPDX-License-Identifier: MIT */
/*
 * The inside of a transaction, shared by its reads (transaction.c), its walks over databases
 * (transaction_walking.c), its staged writes (transaction_staging.c) and its commit (transaction_commit.c).
 *
 *   TS1  A database that was flushed or swapped in the transaction is seen through its `mapping`: which space
 *        its unstaged keys come from (or none), and a number of its own under which writes are staged.
 *   TS2  `staged` is in the order of the commands. A key has at most one entry for each mapping number; a
 *        later change replaces an earlier one where it stands.
 */
#ifndef STAVE_SERVER_TRANSACTION_STATE_H
#define STAVE_SERVER_TRANSACTION_STATE_H

#include "server/arena.h"
#include "server/server.h"
#include "server/transaction.h"
#include "stave.h"

#define TRANSACTION_EXPIRED_COUNT_MAX ((size_t)1024) /* more are left to the cycle of expiry.h */
#define TRANSACTION_WANTED_COUNT_MAX ((size_t)16384)

enum staged_kind { STAGED_PUT, STAGED_DELETE, STAGED_EXPIRE, STAGED_FLUSH, STAGED_SWAP };

struct staged {
    enum staged_kind kind;
    uint32_t database;
    uint32_t other;  /* of a swap */
    uint32_t number; /* of the mapping */
    uint64_t hash;
    struct stave_bytes key;
    struct stave_bytes value;
    uint64_t expires_at_ms;
};

struct mapping {
    uint32_t number;
    uint32_t space;
    bool is_flushed; /* no unstaged keys */
};

/* What a command has seen of a key. */
struct read_note {
    uint32_t database;
    struct stave_bytes key;
    uint64_t sequence; /* 0: absent */
};

struct held_view {
    struct stave *store;
    struct stave_view view;
    bool is_taken; /* by a reply */
};

struct transaction {
    struct server *server;
    struct transaction_mode mode;
    uint64_t seen_sequence; /* kept by transaction_reset() */
    bool is_looking;        /* transaction_look() */
    bool counts_reads;      /* transaction_count_reads() */
    uint64_t hit_count, miss_count;

    struct read_note *notes;
    size_t note_count, note_capacity;
    struct read_note *expired; /* met, to be removed; `database` is the space's number */
    size_t expired_count, expired_capacity;
    struct held_view *views;
    size_t view_count, view_capacity;
    struct staged *staged;
    size_t staged_count, staged_capacity;
    uint32_t *slots; /* hash index of `staged`, index + 1; NULL while there are few */
    size_t slot_count;
    struct mapping *mappings; /* of all databases; NULL: as they are */
    uint32_t next_number;
    struct transaction_key *wanted;
    size_t wanted_count, wanted_capacity;
    struct transaction_walk walk; /* wanted from disk */
    struct stave_value random;    /* brought from disk, kept over a reset; data NULL: none */
    uint32_t random_space;
    struct arena arena; /* of transaction_alloc() */
    struct stave_batch *batch;
};

/* How the transaction sees a database. */
struct mapping transaction_mapping(const struct transaction *transaction, uint32_t database);
/* The staged entry of a key, or NULL. */
struct staged *transaction_find_staged(const struct transaction *transaction, uint32_t number,
                                       struct stave_bytes key);
/* T4 */
bool transaction_is_expired(const struct transaction *transaction, uint64_t expires_at_ms);
/* What a staged put shows; nothing if it is a delete or has expired. */
struct item transaction_staged_item(const struct transaction *transaction, const struct staged *staged);
/* Room for one more element; false: no memory. */
bool transaction_reserve(void **array, size_t count, size_t *capacity, size_t element_size);

#endif
