/* SPDX-License-Identifier: MIT */
/*
 * Which segments are compacted next.
 *
 * In this order: those wholly dead, which cost nothing; those past dead_ratio_percent; when the disk's ratio
 * is nearly reached, the emptiest; the oldest, when tombstones that it keeps alive take too much; small ones,
 * so that the number of files stays bounded. What expired by now counts as dead, estimated from the span of
 * expiries.
 */
#include "store/compaction.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/memory.h"
#include "os/clock.h"
#include "store/pressure.h"
#include "store/reserve.h"
#include "store/segments.h"

enum {
    SMALL_COUNT_MAX = 8,                                  /* small segments that are left alone */
    MERGE_HARDER_COUNT = STAVE_SEGMENT_COUNT_MAX / 4 * 3, /* segments; from here on halves are merged too */
    MERGE_LARGE_COUNT = 1024,     /* segments; from here on large values share files */
    TOMBSTONE_SHARE_PERCENT = 10, /* of live bytes */
};

struct candidate {
    struct segment *segment;
    uint64_t size;   /* of its records */
    uint64_t live;   /* bytes to be copied, tombstones included */
    uint64_t dead;   /* bytes that come back, expired ones included */
    uint64_t oldest; /* oldest_record() */
    bool is_small;
    bool is_dropped; /* no space has a key in it, and no tombstone in it is needed */
};

struct survey {
    struct candidate *candidates;
    size_t count;
    uint64_t live_size;       /* of all segments */
    uint64_t kept_tombstones; /* bytes of tombstones that cannot be dropped yet */
    uint64_t oldest;          /* of all segments */
    uint64_t output_size;     /* of one output */
    uint32_t linked_id;       /* one that was passed over for its second name; 0: none */
};

/* ------------------------------------------------------------------ what is older than what */

/* No record in it is older than this, of those that a tombstone could have to hide. */
static uint64_t oldest_record(const struct segment *segment)
{
    switch (segment->kind) {
    case SEGMENT_LOG: return (uint64_t)segment->incarnation << SEQUENCE_BITS;
    case SEGMENT_LARGE: return segment->last_sequence;
    default: return segment->horizon;
    }
}

uint64_t segments_oldest(const struct store *store, const struct segment *except)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        if (segment->victim || segment == except) continue;
        if (oldest_record(segment) < oldest) oldest = oldest_record(segment);
    }
    return oldest;
}

/* ------------------------------------------------------------------ who may be taken (C1) */

static bool log_is_open(const struct segment *log, uint32_t incarnation)
{
    return log != NULL && !log->sealed && log->incarnation == incarnation;
}

static bool is_eligible(const struct store *store, const struct segment *segment, uint32_t feed_incarnation)
{
    if (!segment->sealed || !segment->listed || segment->damaged || segment->victim) return false;
    if (segment == store->tail || segment == store->sealing || segment == store->spare) return false;
    if (segment->kind == SEGMENT_OUTPUT) return true;
    if (segment->kind == SEGMENT_LOG) return segment->incarnation < feed_incarnation;
    const uint32_t incarnation = sequence_incarnation(segment->last_sequence);
    return incarnation < feed_incarnation && !log_is_open(store->tail, incarnation) &&
           !log_is_open(store->sealing, incarnation);
}

static int compare_incarnations_down(const void *a, const void *b)
{
    const struct segment *first = *(struct segment *const *)a;
    const struct segment *second = *(struct segment *const *)b;
    return (first->incarnation < second->incarnation) - (first->incarnation > second->incarnation);
}

/* The incarnation from which on segments are left for feeds: feed_retention_size newest bytes of log. */
static uint32_t retained_incarnation(const struct store *store)
{
    uint64_t left = store->options.feed_retention_size;
    if (left == 0) return UINT32_MAX;
    struct segment **logs = memory_alloc(store->segment_count * sizeof(struct segment *));
    if (logs == NULL) return 0; /* nothing is taken then */
    size_t count = 0;
    for (size_t i = 0; i < store->segment_count; i++)
        if (store->segments[i]->kind == SEGMENT_LOG) logs[count++] = store->segments[i];
    qsort(logs, count, sizeof(struct segment *), compare_incarnations_down);
    uint32_t incarnation = UINT32_MAX;
    for (size_t i = 0; i < count && left > 0; i++) {
        const uint64_t size = atomic_load(&logs[i]->end);
        incarnation = logs[i]->incarnation;
        left = size < left ? left - size : 0;
    }
    memory_free(logs);
    return incarnation;
}

/* ------------------------------------------------------------------ dropped spaces */

void living_take(const struct store *store, struct living *ret_living)
{
    for (size_t i = 0; i < 64; i++) ret_living->since[i] = UINT64_MAX;
    for (size_t i = 0; i < STAVE_SPACE_COUNT_MAX; i++) {
        if (store->count_of[i] == 0) continue;
        uint64_t *since = &ret_living->since[atomic_load(&store->generation_of[i]) & 63];
        if (store->generation_since[i] < *since) *since = store->generation_since[i];
    }
}

bool living_may_be_in(const struct living *living, const struct segment *segment)
{
    if (segment->spaces_mask == 0) return segment->live_count > 0;
    for (size_t i = 0; i < 64; i++)
        if (segment->spaces_mask >> i & 1 && living->since[i] <= segment->last_sequence) return true;
    return false;
}

/* ------------------------------------------------------------------ the survey */

/* Of the live bytes, how many have expired by now, if expiries are spread evenly. */
static uint64_t expired_size(const struct segment *segment, uint64_t size, uint64_t now_ms)
{
    if (segment->expiring_size == 0 || now_ms <= segment->expires_first_ms || size == 0) return 0;
    double share = 1;
    if (now_ms < segment->expires_last_ms)
        share = (double)(now_ms - segment->expires_first_ms) /
                (double)(segment->expires_last_ms - segment->expires_first_ms);
    const double expiring = (double)segment->expiring_size * (double)segment->live_size / (double)size;
    const uint64_t expired = (uint64_t)(expiring * share);
    return expired < segment->live_size ? expired : segment->live_size;
}

uint64_t compaction_move_max(const struct store *store)
{
    const uint64_t share = keydir_entry_count(&store->keydir) / 8;
    if (share < COMPACTION_MOVE_MIN) return COMPACTION_MOVE_MIN;
    return share < COMPACTION_MOVE_MAX ? share : COMPACTION_MOVE_MAX;
}

/* Less than half of what an output takes, of bytes and of records: a full one is not merged once more. */
static bool is_small_segment(const struct store *store, const struct segment *segment, uint64_t size)
{
    if (segment->kind == SEGMENT_LARGE && store->segment_count < MERGE_LARGE_COUNT) return false;
    return size < store->options.segment_size / 2 && segment->record_count < compaction_move_max(store) / 2;
}

static struct candidate candidate_of(const struct store *store, struct segment *segment,
                                     const struct living *living, uint64_t others_oldest, uint64_t now_ms)
{
    const uint64_t size = atomic_load(&segment->end) - SEGMENT_HEADER_SIZE;
    const uint64_t kept = segment->last_sequence < others_oldest ? 0 : segment->tombstone_size;
    uint64_t live = segment->live_size - expired_size(segment, size, now_ms) + kept;
    if (live > size) live = size;
    const bool is_small = is_small_segment(store, segment, size);
    const bool is_dropped = kept == 0 && segment->sealed && !living_may_be_in(living, segment);
    return (struct candidate){segment, size, live, size - live, oldest_record(segment), is_small, is_dropped};
}

/* The lowest oldest_record() of the segments but one, for each: the lowest two do. */
static void two_oldest(const struct store *store, uint64_t *ret_first, uint64_t *ret_second)
{
    *ret_first = UINT64_MAX;
    *ret_second = UINT64_MAX;
    for (size_t i = 0; i < store->segment_count; i++) {
        const uint64_t oldest = oldest_record(store->segments[i]);
        if (oldest < *ret_first) {
            *ret_second = *ret_first;
            *ret_first = oldest;
        } else if (oldest < *ret_second) {
            *ret_second = oldest;
        }
    }
}

static bool survey_take(const struct store *store, uint32_t id_end, struct survey *survey)
{
    *survey = (struct survey){.output_size = store->options.segment_size};
    survey->candidates = memory_alloc((store->segment_count + 1) * sizeof(struct candidate));
    if (survey->candidates == NULL) return false;
    const uint32_t feed_incarnation = retained_incarnation(store);
    const uint64_t now_ms = clock_wall_ms();
    uint64_t first;
    uint64_t second;
    struct living living;
    living_take(store, &living);
    two_oldest(store, &first, &second);
    survey->oldest = first;
    for (size_t i = 0; i < store->segment_count; i++) {
        struct segment *segment = store->segments[i];
        survey->live_size += segment->live_size;
        if (segment->id >= id_end || !is_eligible(store, segment, feed_incarnation)) continue;
        const uint64_t others_oldest = oldest_record(segment) == first ? second : first;
        if (segment->last_sequence >= others_oldest) survey->kept_tombstones += segment->tombstone_size;
        survey->candidates[survey->count++] = candidate_of(store, segment, &living, others_oldest, now_ms);
    }
    return true;
}

uint64_t compaction_total(const struct store *store, uint32_t id_end)
{
    const uint32_t feed_incarnation = retained_incarnation(store);
    uint64_t total = 0;
    for (size_t i = 0; i < store->segment_count; i++) {
        const struct segment *segment = store->segments[i];
        if (segment->id < id_end && is_eligible(store, segment, feed_incarnation))
            total += atomic_load(&segment->end);
    }
    return total;
}

/* ------------------------------------------------------------------ orders */

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int by_emptiness(const void *a, const void *b)
{
    const struct candidate *first = a;
    const struct candidate *second = b;
    const double first_share = (double)first->live / (double)(first->size + 1);
    const double second_share = (double)second->live / (double)(second->size + 1);
    if (first_share != second_share) return first_share < second_share ? -1 : 1;
    return compare(first->oldest, second->oldest);
}

static int by_age(const void *a, const void *b)
{
    const struct candidate *first = a;
    const struct candidate *second = b;
    if (first->oldest != second->oldest) return compare(first->oldest, second->oldest);
    return compare(first->segment->id, second->segment->id);
}

static int by_live_size(const void *a, const void *b)
{
    const struct candidate *first = a;
    const struct candidate *second = b;
    if (first->live != second->live) return compare(first->live, second->live);
    return compare(first->oldest, second->oldest);
}

static void order(struct survey *survey, int (*compare_two)(const void *, const void *))
{
    qsort(survey->candidates, survey->count, sizeof(struct candidate), compare_two);
}

/* ------------------------------------------------------------------ the rules */

typedef bool (*rule)(const struct store *store, const struct survey *survey,
                     const struct candidate *candidate);

static bool is_wholly_dead(const struct candidate *candidate)
{
    if (candidate->is_dropped) return true; /* its entries lead nowhere then, and are swept */
    return candidate->live == 0 && candidate->segment->live_size == 0 && candidate->segment->live_count == 0;
}

static bool is_past_dead_ratio(const struct store *store, const struct survey *survey,
                               const struct candidate *candidate)
{
    (void)survey;
    return candidate->dead > 0 &&
           candidate->dead >= candidate->size / 100 * store->options.dead_ratio_percent;
}

/* Half of the dead share that a store just at its disk ratio has: below it, another one is emptier. */
static bool relieves_the_disk(const struct store *store, const struct survey *survey,
                              const struct candidate *candidate)
{
    (void)survey;
    const uint64_t ratio = store->options.disk_ratio_percent;
    return candidate->dead > 0 && candidate->dead >= candidate->size / 200 * (ratio - 100) * 100 / ratio;
}

static bool is_small(const struct store *store, const struct survey *survey,
                     const struct candidate *candidate)
{
    (void)store;
    (void)survey;
    return candidate->is_small;
}

static bool is_half_empty(const struct store *store, const struct survey *survey,
                          const struct candidate *candidate)
{
    (void)store;
    return candidate->live < survey->output_size / 2;
}

static bool is_any(const struct store *store, const struct survey *survey, const struct candidate *candidate)
{
    (void)store;
    (void)survey;
    (void)candidate;
    return true;
}

static void add(struct pick *pick, const struct candidate *candidate)
{
    pick->victims[pick->count++] = candidate->segment;
    pick->size += candidate->size;
    pick->taken += align_up(atomic_load(&candidate->segment->end), MAP_PAGE_SIZE);
}

/*
 * Those that the rule holds for, in the order they are in, as many as fill one output; at least `count_min`
 * or none.
 */
static bool take(const struct store *store, const struct survey *survey, rule holds, size_t count_min,
                 struct pick *pick)
{
    *pick = (struct pick){.count = 0};
    uint64_t live = SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < survey->count && pick->count < COMPACTION_VICTIM_MAX; i++) {
        const struct candidate *candidate = &survey->candidates[i];
        if (!holds(store, survey, candidate)) continue;
        if (pick->count > 0 && live + candidate->live > survey->output_size) break;
        live += candidate->live;
        add(pick, candidate);
    }
    if (pick->count >= count_min) return pick->count > 0;
    *pick = (struct pick){.count = 0};
    return false;
}

/* C6 */
static bool take_copied(const struct survey *survey, struct pick *pick)
{
    *pick = (struct pick){.is_dead = true};
    for (size_t i = 0; i < survey->count; i++) {
        const struct segment *segment = survey->candidates[i].segment;
        if (!segment->copied) continue;
        if (segment->live_size > 0 || segment->live_count > 0 || pick->count == COMPACTION_VICTIM_MAX)
            return false;
        add(pick, &survey->candidates[i]);
    }
    return pick->count > 0;
}

static bool take_dead(const struct survey *survey, struct pick *pick)
{
    if (take_copied(survey, pick)) return true;
    *pick = (struct pick){.is_dead = true};
    for (size_t i = 0; i < survey->count && pick->count < COMPACTION_VICTIM_MAX; i++)
        if (is_wholly_dead(&survey->candidates[i])) add(pick, &survey->candidates[i]);
    return pick->count > 0;
}

/* The one that keeps others' tombstones alive: the oldest of all, if it may be taken. NULL: they are few. */
static const struct candidate *oldest_of(const struct survey *survey)
{
    if (survey->kept_tombstones <=
        survey->live_size / 100 * TOMBSTONE_SHARE_PERCENT + survey->output_size / 8)
        return NULL;
    for (size_t i = 0; i < survey->count; i++)
        if (survey->candidates[i].oldest == survey->oldest) return &survey->candidates[i];
    return NULL;
}

static bool take_oldest(const struct survey *survey, struct pick *pick)
{
    const struct candidate *oldest = oldest_of(survey);
    *pick = (struct pick){.count = 0};
    if (oldest != NULL) add(pick, oldest);
    return oldest != NULL;
}

static bool take_small(const struct store *store, struct survey *survey, struct pick *pick)
{
    order(survey, by_live_size);
    if (store->segment_count >= MERGE_HARDER_COUNT) return take(store, survey, is_half_empty, 2, pick);
    size_t count = 0;
    for (size_t i = 0; i < survey->count; i++) count += survey->candidates[i].is_small ? 1 : 0;
    return count > SMALL_COUNT_MAX && take(store, survey, is_small, 2, pick);
}

static bool take_due(struct store *store, struct survey *survey, struct pick *pick)
{
    order(survey, by_emptiness);
    if (take_dead(survey, pick) || take(store, survey, is_past_dead_ratio, 1, pick)) return true;
    if (pressure_is_near(store) && take(store, survey, relieves_the_disk, 1, pick)) return true;
    return take_oldest(survey, pick) || take_small(store, survey, pick);
}

/* ------------------------------------------------------------------ a full disk */

/* What compaction of a set of segments needs and gives, in whole pages where the disk counts in them. */
struct relief {
    uint64_t room;    /* for the output at the most: `expected` of the run, and a header */
    uint64_t records; /* likewise */
    uint64_t taken;   /* by the victims */
    uint64_t kept;    /* by the output, as far as can be told */
};

static struct relief relief_with(struct relief relief, const struct candidate *candidate)
{
    const struct segment *segment = candidate->segment;
    relief.room += segment->live_size + segment->tombstone_size;
    relief.records += segment->record_count;
    relief.taken += align_up(atomic_load(&segment->end), MAP_PAGE_SIZE);
    relief.kept += candidate->live;
    return relief;
}

static uint64_t gain_of(const struct relief *relief)
{
    const uint64_t kept = align_up(relief->kept, MAP_PAGE_SIZE);
    return relief->taken > kept ? relief->taken - kept : 0;
}

/* One output, which RESERVE holds. */
static bool can_be_had(const struct store *store, const struct relief *relief)
{
    const uint64_t capacity = store->options.segment_size;
    const uint64_t room = reserve_room(store);
    return relief->room <= (room < capacity ? room : capacity) &&
           relief->records <= compaction_move_max(store);
}

static bool is_mostly_dead(const struct candidate *candidate)
{
    return candidate->live < align_up(atomic_load(&candidate->segment->end), MAP_PAGE_SIZE) / 2;
}

/* D5 */
static bool gives_back(const struct store *store, struct survey *survey, const struct candidate *candidate)
{
    if (!segment_is_linked(store, candidate->segment->id)) return true;
    survey->linked_id = candidate->segment->id;
    return false;
}

/* The emptiest together; they may be small ones of which each for itself has no page to give. */
static bool take_emptiest(const struct store *store, struct survey *survey, struct pick *pick)
{
    struct relief relief = {.room = SEGMENT_HEADER_SIZE, .kept = SEGMENT_HEADER_SIZE};
    *pick = (struct pick){.count = 0};
    for (size_t i = 0; i < survey->count && pick->count < COMPACTION_VICTIM_MAX; i++) {
        const struct candidate *candidate = &survey->candidates[i];
        const struct relief with = relief_with(relief, candidate);
        if (!is_mostly_dead(candidate) || !can_be_had(store, &with)) continue;
        if (!gives_back(store, survey, candidate)) continue;
        relief = with;
        add(pick, candidate);
    }
    return gain_of(&relief) > 0;
}

/* The one that gives most back. */
static bool take_most_dead(const struct store *store, struct survey *survey, struct pick *pick)
{
    const struct relief none = {.room = SEGMENT_HEADER_SIZE, .kept = SEGMENT_HEADER_SIZE};
    uint64_t most = 0;
    *pick = (struct pick){.count = 0};
    for (size_t i = 0; i < survey->count; i++) {
        const struct relief relief = relief_with(none, &survey->candidates[i]);
        if (gain_of(&relief) <= most || !can_be_had(store, &relief)) continue;
        if (!gives_back(store, survey, &survey->candidates[i])) continue;
        most = gain_of(&relief);
        *pick = (struct pick){.count = 0};
        add(pick, &survey->candidates[i]);
    }
    return pick->count > 0;
}

/* D4 */
static void take_relief(const struct store *store, struct survey *survey, struct pick *pick)
{
    order(survey, by_emptiness);
    if (take_dead(survey, pick) || take_emptiest(store, survey, pick) || take_most_dead(store, survey, pick))
        return;
    const struct candidate *oldest = oldest_of(survey); /* gives nothing now, but lets tombstones go */
    const struct relief none = {.room = SEGMENT_HEADER_SIZE, .kept = SEGMENT_HEADER_SIZE};
    const struct relief relief = oldest != NULL ? relief_with(none, oldest) : none;
    *pick = (struct pick){.count = 0};
    if (oldest != NULL && can_be_had(store, &relief) && gives_back(store, survey, oldest)) add(pick, oldest);
}

void compaction_pick(struct store *store, enum pick_mode mode, uint32_t id_end, struct pick *ret_pick)
{
    struct survey survey;
    *ret_pick = (struct pick){.count = 0};
    if (!survey_take(store, id_end, &survey)) return;
    switch (mode) {
    case PICK_DUE: (void)take_due(store, &survey, ret_pick); break;
    case PICK_FULL:
        take_relief(store, &survey, ret_pick);
        atomic_store(&store->linked_id, ret_pick->count == 0 ? survey.linked_id : 0);
        break;
    case PICK_ALL:
        order(&survey, by_age);
        if (!take_dead(&survey, ret_pick)) (void)take(store, &survey, is_any, 1, ret_pick);
        break;
    }
    memory_free(survey.candidates);
}
