/* SPDX-License-Identifier: MIT */
/* Records read back into the index. */
#include "store/replay.h"

#include "base/memory.h"
#include "store/account.h"
#include "store/reading.h"

enum {
    PREFETCH_BUCKET_AHEAD = 24,
    PREFETCH_RECORD_AHEAD = 12,
};

/* ------------------------------------------------------------------ generations */

static uint32_t generation_place(uint32_t generation)
{
    return (uint32_t)(generation * UINT32_C(0x9E3779B9)) >> 20;
}

void replay_generations_take(const struct replay_spaces *spaces, struct replay_generations *ret_generations)
{
    *ret_generations = (struct replay_generations){.places = {0}};
    for (uint32_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) {
        const uint32_t generation = spaces->generation[i];
        uint32_t at = generation_place(generation);
        while (ret_generations->places[at] != 0) at = (at + 1) % REPLAY_GENERATION_PLACES;
        ret_generations->places[at] = generation + 1;
    }
}

bool replay_generations_have(const struct replay_generations *generations, uint32_t generation)
{
    uint32_t at = generation_place(generation);
    for (; generations->places[at] != 0; at = (at + 1) % REPLAY_GENERATION_PLACES)
        if (generations->places[at] == generation + 1) return true;
    return false;
}

/* ------------------------------------------------------------------ the older record of the same key */

struct older {
    bool found;
    uint64_t location;
    uint64_t stale; /* an entry that leads to no segment, and so belongs to nobody; 0: none */
    uint64_t sequence;
    uint64_t size;
    uint32_t segment_id;
    uint8_t kind;
};

static bool same_key(const struct reading *a, const struct reading *b)
{
    if (a->record.generation != b->record.generation || a->record.key_size != b->record.key_size)
        return false;
    return a->record.key_size == 0 || memcmp(a->key, b->key, a->record.key_size) == 0;
}

/* What is damaged or gone is no record of this key: it stays what it is, and reads say so. */
static bool is_passed_over(enum stave_status status)
{
    return status == STAVE_NOT_FOUND || status == STAVE_CORRUPT;
}

/* Whether what cannot be read at `location` is older than the item, by where it stands. */
static bool stands_before(const struct store *store, uint64_t location, const struct replay_item *item)
{
    const struct segment *segment = segment_at(store, location);
    if (segment == NULL) return false;
    if (segment->id == item->segment_id) return location < item->location;
    return segment->last_sequence < item->sequence;
}

/* Compares the record at `location` with the item; *ret_same only says so if both can be read. */
static enum stave_status compare_at(struct store *store, const struct replay_item *item, uint64_t location,
                                    struct older *ret_older, bool *ret_unreadable)
{
    struct reading old = READING_NONE;
    struct reading new = READING_NONE;
    enum stave_status status = reading_begin(store, location, 0, &old);
    *ret_unreadable = status == STAVE_CORRUPT;
    if (status != STAVE_OK) return is_passed_over(status) ? STAVE_OK : status;
    if (old.record.key_hash != item->hash || !record_has_key(old.record.kind)) goto done;
    status = reading_begin(store, item->location, 0, &new);
    if (status != STAVE_OK || !same_key(&old, &new)) goto done;
    *ret_older = (struct older){
        .found = true,
        .location = location,
        .sequence = old.record.sequence,
        .size = record_size(&old.record),
        .segment_id = old.segment->id,
        .kind = old.record.kind,
    };
done:
    reading_end(&old);
    reading_end(&new);
    return status < 0 && !is_passed_over(status) ? status : STAVE_OK;
}

static enum stave_status begin_probe(const struct replay *replay, uint64_t hash,
                                     struct keydir_probe *ret_probe)
{
    struct keydir *keydir = &replay->store->keydir;
    if (replay->is_filling == NULL) return keydir_probe_begin(keydir, hash, ret_probe);
    keydir_fill_probe(keydir, keydir_block_of(keydir, hash), hash, ret_probe);
    return STAVE_OK;
}

static enum stave_status find_older(const struct replay *replay, const struct replay_item *item,
                                    struct older *ret_older)
{
    struct store *store = replay->store;
    struct keydir_probe probe;
    enum stave_status status = begin_probe(replay, item->hash, &probe);
    if (status != STAVE_OK) return status;
    uint64_t location = 0;
    uint64_t stale = 0;
    uint64_t unreadable = 0; /* R4 */
    while (keydir_probe_next(&probe, &location)) {
        if (location == item->location) {
            *ret_older = (struct older){.found = true, .location = location};
            return STAVE_OK;
        }
        if (segment_at(store, location) == NULL) {
            stale = location;
            continue;
        }
        bool is_unreadable = false;
        status = compare_at(store, item, location, ret_older, &is_unreadable);
        if (status != STAVE_OK || ret_older->found) return status;
        if (is_unreadable && item->follows && stands_before(store, location, item)) unreadable = location;
    }
    *ret_older = (struct older){.found = unreadable != 0, .location = unreadable, .stale = stale};
    return STAVE_OK;
}

/* ------------------------------------------------------------------ the rule */

static enum stave_status remember_tombstone(struct replay *replay, const struct replay_item *item)
{
    if (replay->tombstone_count == replay->tombstone_capacity) {
        const size_t capacity = replay->tombstone_capacity == 0 ? 256 : replay->tombstone_capacity * 2;
        void *larger = memory_realloc(replay->tombstones, capacity * sizeof(*replay->tombstones));
        if (larger == NULL) return STAVE_NO_MEMORY;
        replay->tombstones = larger;
        replay->tombstone_capacity = capacity;
    }
    replay->tombstones[replay->tombstone_count++] = (struct replay_tombstone){item->hash, item->location};
    return STAVE_OK;
}

/* R1 */
static bool wins(const struct replay_item *item, const struct older *older)
{
    if (item->sequence != older->sequence) return item->sequence > older->sequence;
    return item->segment_id >= older->segment_id;
}

/* A block filled by hand has been accounted for already. */
static enum stave_status fill(struct replay *replay, const struct replay_item *item,
                              const struct older *older)
{
    struct keydir *keydir = &replay->store->keydir;
    const uint32_t block = keydir_block_of(keydir, item->hash);
    if (!older->found) return keydir_fill(keydir, block, item->hash, item->location);
    (void)keydir_fill_replace(keydir, block, item->hash, older->location, item->location);
    return STAVE_OK;
}

static enum stave_status enter(struct replay *replay, const struct replay_item *item,
                               const struct older *older)
{
    struct store *store = replay->store;
    if (!older->found && older->stale != 0) { /* what compaction moved takes no second entry (P8) */
        (void)keydir_replace(&store->keydir, item->hash, older->stale, item->location);
    } else if (!older->found) {
        const enum stave_status status = keydir_reserve(&store->keydir, 1);
        if (status != STAVE_OK) return status;
        keydir_insert(&store->keydir, item->hash, item->location);
    } else {
        const bool is_replaced = keydir_replace(&store->keydir, item->hash, older->location, item->location);
        assert(is_replaced); /* T2 */
        if (older->kind != RECORD_TOMBSTONE) account_dead(store, older->location, item->hash, older->size);
    }
    if (item->kind != RECORD_TOMBSTONE) account_live(store, item->location, item->hash, item->size);
    return STAVE_OK;
}

static enum stave_status apply(struct replay *replay, const struct replay_item *item)
{
    struct older older = {.found = false};
    enum stave_status status = find_older(replay, item, &older);
    if (status != STAVE_OK) return status;
    if (older.found && (older.location == item->location || !wins(item, &older))) return STAVE_OK;
    if (item->kind == RECORD_TOMBSTONE) status = remember_tombstone(replay, item);
    if (status != STAVE_OK) return status;
    return replay->is_filling != NULL ? fill(replay, item, &older) : enter(replay, item, &older);
}

static void prefetch_record(const struct store *store, uint64_t location)
{
    const struct segment *segment = segment_at(store, location);
    if (segment == NULL || segment->map.data == NULL) return;
    const uint8_t *at = segment->map.data + location_offset(segment, location);
    __builtin_prefetch(at);
    __builtin_prefetch(at + RECORD_HEADER_SIZE_MAX);
}

/* Random places of memory: the bucket first, a little later the records that it leads to. */
static void prefetch(const struct replay *replay, const struct replay_item *items, size_t count, size_t at)
{
    struct store *store = replay->store;
    struct keydir_probe probe;
    uint64_t location;
    if (replay->is_filling != NULL) return;
    if (at + PREFETCH_BUCKET_AHEAD < count)
        keydir_prefetch(&store->keydir, items[at + PREFETCH_BUCKET_AHEAD].hash);
    if (at + PREFETCH_RECORD_AHEAD >= count) return;
    const struct replay_item *item = &items[at + PREFETCH_RECORD_AHEAD];
    if (!keydir_block_is_loaded(&store->keydir, keydir_block_of(&store->keydir, item->hash))) return;
    if (keydir_probe_begin(&store->keydir, item->hash, &probe) != STAVE_OK) return;
    if (!keydir_probe_next(&probe, &location)) return;
    prefetch_record(store, location);
    prefetch_record(store, item->location);
}

enum stave_status replay_apply(struct replay *replay, const struct replay_item *items, size_t count,
                               struct error *error)
{
    replay->item_count += count;
    for (size_t i = 0; i < count; i++) {
        prefetch(replay, items, count, i);
        const enum stave_status status = apply(replay, &items[i]);
        if (status == STAVE_OK) continue;
        return error_set(error, status, 0, "%s: the index cannot be rebuilt: %s", replay->store->dir.path,
                         stave_status_text(status));
    }
    return STAVE_OK;
}

void replay_end(struct replay *replay)
{
    for (size_t i = 0; i < replay->tombstone_count; i++) {
        const struct replay_tombstone *tombstone = &replay->tombstones[i];
        struct keydir *keydir = &replay->store->keydir;
        if (replay->is_filling == NULL)
            (void)keydir_remove(keydir, tombstone->hash, tombstone->location);
        else
            (void)keydir_fill_remove(keydir, keydir_block_of(keydir, tombstone->hash), tombstone->hash,
                                     tombstone->location);
    }
    replay->tombstone_count = 0;
}

void replay_free(struct replay *replay)
{
    memory_free(replay->tombstones);
    *replay = REPLAY_NONE;
}
