/* SPDX-License-Identifier: MIT */
/* The table of watched keys: a hash table with chains, its slots shared out among locks. */
#include "server/watch.h"

#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"

/* Chains of eight on the average when the table is full; what is not used of it takes no memory. */
#define SLOT_COUNT ((size_t)1 << 17)
#define LOCK_COUNT ((size_t)64) /* divides SLOT_COUNT */

struct watch_key {
    struct watch_key *next;
    uint64_t hash;
    _Atomic uint64_t version;
    size_t watcher_count; /* the slot's lock */
    uint32_t database;
    size_t size;
    uint8_t bytes[];
};

struct watch_table {
    _Atomic size_t key_count;
    _Atomic size_t size;
    uint64_t seed;
    pthread_mutex_t locks[LOCK_COUNT];
    struct watch_key *slots[SLOT_COUNT]; /* locks[slot % LOCK_COUNT] */
};

struct watch_table *watch_table_new(uint64_t seed)
{
    struct watch_table *table = memory_alloc_zero(1, sizeof *table);
    if (table == NULL) return NULL;
    table->seed = seed;
    for (size_t i = 0; i < LOCK_COUNT; i++) (void)pthread_mutex_init(&table->locks[i], NULL);
    return table;
}

void watch_table_free(struct watch_table *table)
{
    if (table == NULL) return;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        while (table->slots[i] != NULL) {
            struct watch_key *key = table->slots[i];
            table->slots[i] = key->next;
            memory_free(key);
        }
    }
    for (size_t i = 0; i < LOCK_COUNT; i++) (void)pthread_mutex_destroy(&table->locks[i]);
    memory_free(table);
}

static uint64_t key_hash(const struct watch_table *table, uint32_t database, struct stave_bytes key)
{
    return hash_bytes(key.data, key.size, table->seed + database);
}

static bool is_key(const struct watch_key *candidate, uint64_t hash, uint32_t database,
                   struct stave_bytes key)
{
    return candidate->hash == hash && candidate->database == database && candidate->size == key.size &&
           (key.size == 0 || memcmp(candidate->bytes, key.data, key.size) == 0);
}

/* Under the slot's lock. */
static struct watch_key *find(struct watch_table *table, uint64_t hash, uint32_t database,
                              struct stave_bytes key)
{
    struct watch_key *candidate = table->slots[hash % SLOT_COUNT];
    while (candidate != NULL && !is_key(candidate, hash, database, key)) candidate = candidate->next;
    return candidate;
}

static pthread_mutex_t *lock_of(struct watch_table *table, uint64_t hash)
{
    return &table->locks[hash % SLOT_COUNT % LOCK_COUNT];
}

/* A key that nobody has watched so far; under the slot's lock. */
static enum stave_status insert(struct watch_table *table, uint64_t hash, uint32_t database,
                                struct stave_bytes key, struct watch_key **ret_key)
{
    if (atomic_load(&table->key_count) >= WATCH_KEY_COUNT_MAX) return STAVE_LIMIT;
    if (key.size > WATCH_SIZE_MAX - atomic_load(&table->size)) return STAVE_LIMIT;
    struct watch_key *made = memory_alloc(sizeof *made + key.size);
    if (made == NULL) return STAVE_NO_MEMORY;

    made->next = table->slots[hash % SLOT_COUNT];
    made->hash = hash;
    atomic_init(&made->version, 0);
    made->watcher_count = 0;
    made->database = database;
    made->size = key.size;
    if (key.size > 0) memcpy(made->bytes, key.data, key.size);
    table->slots[hash % SLOT_COUNT] = made;
    (void)atomic_fetch_add(&table->key_count, 1);
    (void)atomic_fetch_add(&table->size, key.size);
    *ret_key = made;
    return STAVE_OK;
}

enum stave_status watch_add(struct watch_table *table, uint32_t database, struct stave_bytes key,
                            struct watched *ret_watched)
{
    const uint64_t hash = key_hash(table, database, key);
    enum stave_status status = STAVE_OK;
    (void)pthread_mutex_lock(lock_of(table, hash));
    struct watch_key *entry = find(table, hash, database, key);
    if (entry == NULL) status = insert(table, hash, database, key, &entry);
    if (status == STAVE_OK) {
        entry->watcher_count++;
        *ret_watched = (struct watched){.key = entry, .version = atomic_load(&entry->version)};
    }
    (void)pthread_mutex_unlock(lock_of(table, hash));
    return status;
}

/* Takes it out of its chain; under the slot's lock. */
static void unlink_key(struct watch_table *table, struct watch_key *key)
{
    struct watch_key **link = &table->slots[key->hash % SLOT_COUNT];
    while (*link != key) link = &(*link)->next;
    *link = key->next;
    (void)atomic_fetch_sub(&table->key_count, 1);
    (void)atomic_fetch_sub(&table->size, key->size);
    memory_free(key);
}

void watch_remove(struct watch_table *table, struct watched *watched)
{
    struct watch_key *key = watched->key;
    const uint64_t hash = key->hash;
    (void)pthread_mutex_lock(lock_of(table, hash));
    if (--key->watcher_count == 0) unlink_key(table, key);
    (void)pthread_mutex_unlock(lock_of(table, hash));
    watched->key = NULL;
}

bool watch_is_dirty(const struct watched *watched)
{
    return atomic_load(&watched->key->version) != watched->version;
}

bool watch_is_empty(const struct watch_table *table)
{
    return atomic_load(&table->key_count) == 0;
}

void watch_touch(struct watch_table *table, uint32_t database, struct stave_bytes key)
{
    if (watch_is_empty(table)) return;
    const uint64_t hash = key_hash(table, database, key);
    (void)pthread_mutex_lock(lock_of(table, hash));
    struct watch_key *entry = find(table, hash, database, key);
    if (entry != NULL) (void)atomic_fetch_add(&entry->version, 1);
    (void)pthread_mutex_unlock(lock_of(table, hash));
}

void watch_touch_database(struct watch_table *table, uint32_t database, watch_call call, void *context)
{
    if (watch_is_empty(table)) return;
    for (size_t i = 0; i < SLOT_COUNT; i++) {
        struct watch_key *key = table->slots[i];
        for (; key != NULL; key = key->next) {
            if (key->database != database) continue;
            if (call(context, stave_bytes(key->bytes, key->size))) (void)atomic_fetch_add(&key->version, 1);
        }
    }
}
