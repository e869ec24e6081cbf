/* SPDX-License-Identifier: MIT */
/* A bucket and its overflow chain; see keydir_bucket.h, which argues the order of the stores. */
#include "index/keydir_bucket.h"

static bool add_to(_Atomic uint64_t *entries, uint32_t count, uint64_t entry)
{
    for (uint32_t i = 0; i < count; i++) {
        if (keydir_load(&entries[i]) != 0) continue;
        keydir_store(&entries[i], entry);
        return true;
    }
    return false;
}

/* By K9, room is in the line or in the first area, or nowhere. */
bool keydir_bucket_add(const struct keydir_pool *pool, struct keydir_bucket *bucket, uint64_t entry)
{
    if (add_to(bucket->entries, KEYDIR_BUCKET_ENTRIES, entry)) return true;
    const uint32_t link = (uint32_t)keydir_load(&bucket->word);
    if (link == 0) return false;
    return add_to(keydir_area_at(pool, link)->entries, KEYDIR_AREA_ENTRIES, entry);
}

void keydir_bucket_add_area(const struct keydir_pool *pool, struct keydir_bucket *bucket, uint64_t entry,
                            uint32_t area)
{
    const uint64_t word = keydir_load(&bucket->word);
    struct keydir_area *const at = keydir_area_at(pool, area);
    assert(keydir_load(&at->entries[0]) == 0); /* M2 */
    keydir_store(&at->link, (uint32_t)word);
    keydir_store(&at->entries[0], entry);
    keydir_store(&bucket->word, keydir_word(keydir_word_version(word), area));
}

_Atomic uint64_t *keydir_bucket_find(const struct keydir_pool *pool, struct keydir_bucket *bucket,
                                     uint64_t entry)
{
    struct keydir_places places;
    keydir_places_begin(bucket, &places);
    _Atomic uint64_t *place = keydir_places_next(pool, &places);
    while (place != NULL && keydir_load(place) != entry) place = keydir_places_next(pool, &places);
    return place;
}

uint32_t keydir_bucket_take_out(const struct keydir_pool *pool, struct keydir_bucket *bucket,
                                _Atomic uint64_t *place)
{
    const uint64_t word = keydir_load(&bucket->word);
    const uint32_t link = (uint32_t)word;
    if (link == 0) {
        keydir_store(place, 0);
        return 0;
    }
    struct keydir_area *const area = keydir_area_at(pool, link);
    uint32_t last = KEYDIR_AREA_ENTRIES - 1;
    while (last > 0 && keydir_load(&area->entries[last]) == 0) last--;
    const bool is_emptied = last == 0;
    const uint32_t next = is_emptied ? (uint32_t)keydir_load(&area->link) : link;

    if (place != &area->entries[last]) keydir_store(place, keydir_load(&area->entries[last]));
    keydir_store(&bucket->word, keydir_word(keydir_word_version(word) + 1, next));
    keydir_store(&area->entries[last], 0);
    return is_emptied ? link : 0;
}

/*
 * Takes out of `entries` what the choice accepts; stops early when `area` (0: the line) itself became free.
 */
static uint64_t drop_from(struct keydir_pool *pool, struct keydir_bucket *bucket, _Atomic uint64_t *entries,
                          uint32_t count, uint32_t area, keydir_choice choice, void *context)
{
    uint64_t dropped = 0;
    for (uint32_t i = 0; i < count;) {
        const uint64_t entry = keydir_load(&entries[i]);
        if (entry == 0 || !choice(context, entry)) {
            i++;
            continue;
        }
        const uint32_t freed = keydir_bucket_take_out(pool, bucket, &entries[i]);
        dropped++;
        if (freed != 0) keydir_pool_return(pool, freed);
        if (freed != 0 && freed == area) break;
    }
    return dropped;
}

/*
 * The line first, then the areas in their order. Taking out refills a place from the first area, so a place
 * is looked at again until it stays; an area behind the first is refilled only with what was looked at
 * before.
 */
uint64_t keydir_bucket_drop(struct keydir_pool *pool, struct keydir_bucket *bucket, keydir_choice choice,
                            void *context)
{
    uint64_t dropped = drop_from(pool, bucket, bucket->entries, KEYDIR_BUCKET_ENTRIES, 0, choice, context);
    uint32_t area = (uint32_t)keydir_load(&bucket->word);
    while (area != 0) {
        struct keydir_area *const at = keydir_area_at(pool, area);
        const uint32_t next = (uint32_t)keydir_load(&at->link);
        dropped += drop_from(pool, bucket, at->entries, KEYDIR_AREA_ENTRIES, area, choice, context);
        area = next;
    }
    return dropped;
}
