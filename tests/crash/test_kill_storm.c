/* SPDX-License-Identifier: MIT */
/*
 * Writers killed at any moment under all kinds of options, with a reader beside them: what their calls had
 * reported is there (P1), no value comes back (P4), batches are whole (P5), and a reader that refreshes sees
 * states that there were, none older than its refresh.
 *
 * Every operation follows from the seed, the thread and its number, so that a process which outlives the
 * writer knows from two counters in shared memory what has to be there. STAVE_TEST_KILLS makes more rounds
 * than the usual few, STAVE_TEST_SEED repeats a run as far as the machine allows.
 */
#include "support/fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    WRITER_COUNT = 2,
    SPACE_COUNT = 2, /* of one writer's own */
    KEY_COUNT = 60,
    PART_MAX = 6,
    ROUNDS_USUAL = 16,
    ROUNDS_A_STORE = 25,
    VALUE_SIZE_MAX = 5 << 20,
    TROUBLE_SIZE = 400,
};

#define FAR_AWAY_MS UINT64_C(4000000000000)

enum part_kind { PART_PUT, PART_KEEP, PART_DELETE, PART_DROP, PART_SWAP };

struct part {
    enum part_kind kind;
    unsigned space;
    unsigned key;
    bool expires;
    size_t size;
    uint64_t number; /* of the value: what it is filled with */
};

struct operation {
    size_t count; /* of parts; more than one: a batch */
    struct part parts[PART_MAX];
};

struct cell {
    uint64_t number; /* 0: absent */
    size_t size;
    uint64_t expires_at_ms;
};

struct model {
    struct cell cells[SPACE_COUNT][KEY_COUNT];
};

struct shared {
    _Atomic uint64_t begun[WRITER_COUNT]; /* operations */
    _Atomic uint64_t done[WRITER_COUNT];
    _Atomic uint64_t refreshes;
    _Atomic bool has_trouble;
    _Atomic bool reader_stops;
    char trouble[TROUBLE_SIZE];
};

struct storm {
    struct scratch scratch;
    struct shared *shared;
    struct random_source random;
    struct stave_options options;
    uint64_t first_seed;
    uint64_t seed; /* of the operations on this store */
    uint64_t round;
    struct model models[WRITER_COUNT]; /* after `from` operations, while a round runs; else after `done` */
    uint64_t from[WRITER_COUNT];
    uint64_t looks; /* at stores in which something had been reported done */
};

/* The operations. */

static size_t choose_size(struct random_source *random)
{
    if (random_chance(random, 1000)) return STAVE_LARGE_SIZE + 20;
    if (random_chance(random, 60)) return 70000;
    return 16 + (size_t)random_below(random, random_chance(random, 8) ? 8000 : 300);
}

static void choose_part(struct random_source *random, struct part *ret_part)
{
    static const enum part_kind kinds[] = {PART_PUT,  PART_PUT,    PART_PUT,   PART_PUT,
                                           PART_KEEP, PART_DELETE, PART_DELETE};
    *ret_part = (struct part){
        .kind = kinds[random_below(random, sizeof(kinds) / sizeof(kinds[0]))],
        .space = (unsigned)random_below(random, SPACE_COUNT),
        .key = (unsigned)random_below(random, KEY_COUNT),
        .expires = random_chance(random, 3),
        .size = choose_size(random),
    };
    if (random_chance(random, 150)) ret_part->kind = PART_DROP;
    if (random_chance(random, 150)) ret_part->kind = PART_SWAP;
}

static void make_operation(uint64_t seed, unsigned writer, uint64_t index, struct operation *ret_operation)
{
    struct random_source random = {seed ^ (index * WRITER_COUNT + writer + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    (void)random_next(&random);
    ret_operation->count = random_chance(&random, 5) ? 2 + (size_t)random_below(&random, PART_MAX - 1) : 1;
    for (size_t i = 0; i < ret_operation->count; i++) {
        struct part *part = &ret_operation->parts[i];
        choose_part(&random, part);
        part->number = (index + 1) << 16 | (uint64_t)i << 8 | writer;
        if (ret_operation->count == 1) continue;
        if (part->kind == PART_KEEP) part->kind = PART_PUT; /* a batch cannot keep */
        if (part->size > 70000) part->size = 3000;
    }
}

static uint64_t expiry_of(const struct part *part)
{
    return part->expires ? FAR_AWAY_MS + part->number : 0;
}

/* It names itself, so that a reader knows which one it has met. */
static void make_value(uint8_t *value, const struct part *part)
{
    memcpy(value, &part->number, sizeof(part->number));
    fill_bytes(value + sizeof(part->number), part->size - sizeof(part->number), part->number);
}

static void apply_part(struct model *model, const struct part *part)
{
    struct cell *cell = &model->cells[part->space][part->key];
    struct cell other[KEY_COUNT];
    switch (part->kind) {
    case PART_PUT: *cell = (struct cell){part->number, part->size, expiry_of(part)}; break;
    case PART_KEEP:
        *cell = (struct cell){part->number, part->size, cell->number != 0 ? cell->expires_at_ms : 0};
        break;
    case PART_DELETE: *cell = (struct cell){.number = 0}; break;
    case PART_DROP: memset(model->cells[part->space], 0, sizeof(model->cells[0])); break;
    case PART_SWAP:
        memcpy(other, model->cells[0], sizeof(other));
        memcpy(model->cells[0], model->cells[1], sizeof(other));
        memcpy(model->cells[1], other, sizeof(other));
        break;
    }
}

static void apply(struct model *model, const struct operation *operation)
{
    for (size_t i = 0; i < operation->count; i++) apply_part(model, &operation->parts[i]);
}

static uint32_t space_number(unsigned writer, unsigned space)
{
    return writer * SPACE_COUNT + space;
}

static void key_text(char ret_key[32], unsigned key)
{
    (void)snprintf(ret_key, 32, key % 2 == 0 ? "k%u" : "another key %u", key);
}

/* Processes. */

static void report_trouble(struct shared *shared, const char *what, long a, uint64_t b, struct stave *store)
{
    struct stave_error error = {.status = STAVE_OK};
    if (store != NULL) stave_last_error(store, &error);
    if (!atomic_exchange(&shared->has_trouble, true))
        (void)snprintf(shared->trouble, TROUBLE_SIZE, "%s %ld, %llu: %.250s", what, a, (unsigned long long)b,
                       error.message);
    _exit(1);
}

struct writer {
    struct storm *storm;
    struct stave *store;
    unsigned number;
    uint8_t *room;
};

static enum stave_status batch_part(struct writer *writer, struct stave_batch *batch, const struct part *part)
{
    char key[32];
    key_text(key, part->key);
    const enum stave_status status = stave_batch_select(batch, space_number(writer->number, part->space));
    if (status != STAVE_OK) return status;
    switch (part->kind) {
    case PART_PUT:
    case PART_KEEP:
        make_value(writer->room, part);
        return stave_batch_put(batch, stave_text(key), stave_bytes(writer->room, part->size),
                               expiry_of(part));
    case PART_DELETE: return stave_batch_delete(batch, stave_text(key));
    case PART_DROP: return stave_batch_drop(batch, space_number(writer->number, part->space));
    case PART_SWAP:
        return stave_batch_swap(batch, space_number(writer->number, 0), space_number(writer->number, 1));
    }
    return STAVE_INVALID;
}

static enum stave_status carry_out_batch(struct writer *writer, const struct operation *operation)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(writer->store, &batch);
    for (size_t i = 0; i < operation->count && status == STAVE_OK; i++)
        status = batch_part(writer, batch, &operation->parts[i]);
    if (status == STAVE_OK) status = stave_batch_commit(batch, NULL, NULL);
    stave_batch_free(batch);
    return status;
}

static enum stave_status carry_out(struct writer *writer, const struct operation *operation)
{
    const struct part *part = &operation->parts[0];
    struct stave *space = stave_space(writer->store, space_number(writer->number, part->space));
    struct stave_write write = {.expires_at_ms = expiry_of(part)};
    char key[32];
    if (operation->count > 1) return carry_out_batch(writer, operation);
    key_text(key, part->key);
    switch (part->kind) {
    case PART_KEEP:
        write = (struct stave_write){.flags = STAVE_KEEP_EXPIRY};
        /* fall through */
    case PART_PUT:
        make_value(writer->room, part);
        return stave_put_with(space, stave_text(key), stave_bytes(writer->room, part->size), &write, NULL);
    case PART_DELETE: return stave_delete(space, stave_text(key));
    case PART_DROP: return stave_drop(space, NULL, NULL);
    case PART_SWAP:
        return stave_swap(writer->store, space_number(writer->number, 0), space_number(writer->number, 1),
                          NULL, NULL);
    }
    return STAVE_INVALID;
}

static enum stave_status keep_up(struct writer *writer, uint64_t index)
{
    struct random_source random = {writer->storm->seed + index * 31 + writer->number};
    (void)random_next(&random);
    switch (random_below(&random, 1500)) {
    case 0: return stave_compact(writer->store, 0, NULL, NULL);
    case 1: return stave_compact(writer->store, STAVE_COMPACT_ALL, NULL, NULL);
    case 2:
    case 3: return stave_checkpoint(writer->store);
    case 4:
    case 5: return stave_sync(writer->store);
    default: return STAVE_OK;
    }
}

static void *write_on(void *context)
{
    struct writer *writer = context;
    struct shared *shared = writer->storm->shared;
    for (uint64_t index = atomic_load(&shared->begun[writer->number]);; index++) {
        struct operation operation;
        make_operation(writer->storm->seed, writer->number, index, &operation);
        atomic_store(&shared->begun[writer->number], index + 1);
        enum stave_status status = carry_out(writer, &operation);
        if (status < 0) report_trouble(shared, "a write failed", (long)status, index, writer->store);
        atomic_store(&shared->done[writer->number], index + 1);
        status = keep_up(writer, index);
        if (status < 0) report_trouble(shared, "upkeep failed", (long)status, index, writer->store);
    }
    return NULL;
}

static void run_writers(struct storm *storm)
{
    static struct writer writers[WRITER_COUNT];
    struct stave *store = NULL;
    struct stave_error error = {.status = STAVE_OK};
    pthread_t threads[WRITER_COUNT];
    const enum stave_status status = stave_open(storm->scratch.store, &storm->options, &store, &error);
    if (status != STAVE_OK) {
        (void)fprintf(stderr, "open: %s\n", error.message);
        report_trouble(storm->shared, "the writer's open failed", (long)status, 0, NULL);
    }
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        writers[i] = (struct writer){storm, store, i, malloc(VALUE_SIZE_MAX)};
        if (writers[i].room == NULL || pthread_create(&threads[i], NULL, write_on, &writers[i]) != 0)
            report_trouble(storm->shared, "no thread", 0, 0, NULL);
    }
    for (;;) (void)pause();
}

/* What is there. */

struct seen {
    struct cell cell;
    enum stave_status status;
    bool is_whole;
};

static void see_key(struct stave *space, unsigned key, struct seen *ret_seen)
{
    char text[32];
    struct stave_value value = {0};
    key_text(text, key);
    *ret_seen = (struct seen){.status = stave_get(space, stave_text(text), &value), .is_whole = true};
    if (ret_seen->status != STAVE_OK) return;
    struct cell *cell = &ret_seen->cell;
    *cell = (struct cell){.size = value.size, .expires_at_ms = value.expires_at_ms};
    ret_seen->is_whole = value.size >= sizeof(cell->number);
    if (ret_seen->is_whole) {
        memcpy(&cell->number, value.data, sizeof(cell->number));
        ret_seen->is_whole = bytes_are((const uint8_t *)value.data + sizeof(cell->number),
                                       value.size - sizeof(cell->number), cell->number);
    }
    stave_free(value.data);
}

static bool agrees(const struct seen *seen, const struct cell *cell)
{
    return seen->status >= 0 && seen->is_whole && seen->cell.number == cell->number &&
           seen->cell.size == cell->size && seen->cell.expires_at_ms == cell->expires_at_ms;
}

struct sight {
    struct seen seen[SPACE_COUNT][KEY_COUNT];
    uint64_t counts[SPACE_COUNT];
};

static void see_all(struct stave *store, unsigned writer, struct sight *ret_sight)
{
    for (unsigned space = 0; space < SPACE_COUNT; space++) {
        struct stave *handle = stave_space(store, space_number(writer, space));
        ret_sight->counts[space] = stave_count(handle);
        for (unsigned key = 0; key < KEY_COUNT; key++) see_key(handle, key, &ret_sight->seen[space][key]);
    }
}

/* The first thing that differs; false: nothing does. */
static bool differs(const struct sight *sight, const struct model *model, char ret_text[200])
{
    for (unsigned space = 0; space < SPACE_COUNT; space++) {
        uint64_t count = 0;
        for (unsigned key = 0; key < KEY_COUNT; key++) {
            const struct cell *cell = &model->cells[space][key];
            const struct seen *seen = &sight->seen[space][key];
            count += cell->number != 0 ? 1 : 0;
            if (agrees(seen, cell)) continue;
            (void)snprintf(
                ret_text, 200,
                "space %u key %u: status %d, %s%llx of %zu, expiry %llu; not %llx of %zu, expiry %llu", space,
                key, (int)seen->status, seen->is_whole ? "" : "broken ",
                (unsigned long long)seen->cell.number, seen->cell.size,
                (unsigned long long)seen->cell.expires_at_ms, (unsigned long long)cell->number, cell->size,
                (unsigned long long)cell->expires_at_ms);
            return true;
        }
        if (count == sight->counts[space]) continue;
        (void)snprintf(ret_text, 200, "space %u has %llu keys by its count, not %llu", space,
                       (unsigned long long)sight->counts[space], (unsigned long long)count);
        return true;
    }
    return false;
}

/* The reader. */

struct watch {
    struct storm *storm;
    struct stave *store;
    struct model models[WRITER_COUNT]; /* after `upto` operations */
    uint64_t upto[WRITER_COUNT];
};

static void match(const struct sight *sight, const struct model *model, bool matched[SPACE_COUNT][KEY_COUNT])
{
    for (unsigned space = 0; space < SPACE_COUNT; space++)
        for (unsigned key = 0; key < KEY_COUNT; key++)
            matched[space][key] |= agrees(&sight->seen[space][key], &model->cells[space][key]);
}

/* Each key was as it is seen at some moment between the beginning of the refresh and now. */
static void expect_moment(struct watch *watch, unsigned writer, const struct sight *sight, uint64_t begun)
{
    const struct storm *storm = watch->storm;
    bool matched[SPACE_COUNT][KEY_COUNT] = {{false}};
    struct model model = watch->models[writer];
    struct operation operation;
    match(sight, &model, matched);
    for (uint64_t index = watch->upto[writer]; index < begun; index++) {
        make_operation(storm->seed, writer, index, &operation);
        apply(&model, &operation);
        match(sight, &model, matched);
    }
    for (unsigned space = 0; space < SPACE_COUNT; space++)
        for (unsigned key = 0; key < KEY_COUNT; key++) {
            const struct seen *seen = &sight->seen[space][key];
            if (matched[space][key]) continue;
            const uint64_t number = seen->status < 0 ? 0 : seen->cell.number;
            char text[100];
            (void)snprintf(text, sizeof(text), "writer %u space %u key %u: after %llu to %llu: %s", writer,
                           space, key, (unsigned long long)watch->upto[writer], (unsigned long long)begun,
                           seen->is_whole ? "status, number >> 16" : "broken value");
            report_trouble(storm->shared, text, (long)seen->status, number >> 16, watch->store);
        }
}

static void advance(struct watch *watch, unsigned writer, uint64_t done)
{
    struct operation operation;
    for (; watch->upto[writer] < done; watch->upto[writer]++) {
        make_operation(watch->storm->seed, writer, watch->upto[writer], &operation);
        apply(&watch->models[writer], &operation);
    }
}

static void look_once(struct watch *watch)
{
    static struct sight sights[WRITER_COUNT];
    struct shared *shared = watch->storm->shared;
    for (unsigned i = 0; i < WRITER_COUNT; i++) advance(watch, i, atomic_load(&shared->done[i]));
    const enum stave_status status = stave_refresh(watch->store);
    struct stave_error error = {.status = STAVE_OK};
    if (status < 0) stave_last_error(watch->store, &error);
    if (status == STAVE_IO && strstr(error.message, "faster") != NULL) return;
    if (status < 0) report_trouble(shared, "refresh failed", (long)status, 0, watch->store);
    for (unsigned i = 0; i < WRITER_COUNT; i++) see_all(watch->store, i, &sights[i]);
    for (unsigned i = 0; i < WRITER_COUNT; i++)
        expect_moment(watch, i, &sights[i], atomic_load(&shared->begun[i]));
    atomic_fetch_add(&shared->refreshes, 1);
}

static void run_reader(struct storm *storm)
{
    static struct watch watch;
    struct shared *shared = storm->shared;
    struct stave_options options = {.size = sizeof(options), .read_only = true};
    struct stave_error error = {.status = STAVE_OK};
    watch.storm = storm;
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        watch.models[i] = storm->models[i];
        watch.upto[i] = storm->from[i]; /* the writer may have begun already */
    }
    enum stave_status status = STAVE_NOT_FOUND;
    while (!atomic_load(&shared->reader_stops)) {
        if (status != STAVE_OK) {
            status = stave_open(storm->scratch.store, &options, &watch.store, &error);
            const bool is_early = status == STAVE_NOT_FOUND || strstr(error.message, "faster") != NULL;
            if (status < 0 && !is_early) {
                (void)fprintf(stderr, "the reader's open: %s\n", error.message);
                report_trouble(shared, "the reader's open failed", (long)status, 0, NULL);
            }
        }
        if (status == STAVE_OK) look_once(&watch);
        if (random_chance(&storm->random, 3)) (void)usleep((useconds_t)random_below(&storm->random, 3000));
    }
    (void)stave_close(watch.store);
    _exit(0);
}

/* A round. */

static void choose_options(struct storm *storm)
{
    static const uint64_t segment_sizes[] = {STAVE_SEGMENT_SIZE_MIN, STAVE_SEGMENT_SIZE_MIN,
                                             UINT64_C(1) << 18, UINT64_C(1) << 20, 0};
    static const uint64_t checkpoint_sizes[] = {UINT64_C(1) << 16, UINT64_C(1) << 18, UINT64_C(1) << 20, 0};
    static const uint64_t ages[] = {0, 0, 2, 20};
    static const uint32_t ratios[] = {0, 120, 200};
    struct random_source *random = &storm->random;
    storm->options = (struct stave_options){
        .size = sizeof(struct stave_options),
        .sync = (enum stave_sync)random_below(random, 3),
        .sync_interval_ms = 1 + (uint32_t)random_below(random, 20),
        .tail = random_chance(random, 3) ? STAVE_TAIL_WRITTEN : STAVE_TAIL_AUTO,
        .reads = random_chance(random, 4) ? STAVE_READS_COPIED : STAVE_READS_MAPPED,
        .segment_size = segment_sizes[random_below(random, 5)],
        .segment_age_ms = ages[random_below(random, 4)],
        .checkpoint_size = checkpoint_sizes[random_below(random, 4)],
        .disk_ratio_percent = ratios[random_below(random, 3)],
        .dead_ratio_percent = random_chance(random, 2) ? 0 : 10,
        .manual_compaction = random_chance(random, 4),
    };
}

static void expect_no_trouble(const struct storm *storm, const char *who)
{
    const struct shared *shared = storm->shared;
    if (!atomic_load(&shared->has_trouble)) return;
    fail_msg("seed %llu, round %llu, %s: %s; %s", (unsigned long long)storm->first_seed,
             (unsigned long long)storm->round, who, shared->trouble, storm->scratch.store);
}

/* The operation that had begun and not returned counts as a whole or not at all. */
static void expect_writer(struct storm *storm, struct stave *store, unsigned writer)
{
    static struct sight sight;
    struct shared *shared = storm->shared;
    const uint64_t begun = atomic_load(&shared->begun[writer]);
    const uint64_t done = atomic_load(&shared->done[writer]);
    char text[200];
    char text_after[200];
    struct model after = storm->models[writer];
    struct operation operation;
    see_all(store, writer, &sight);
    if (!differs(&sight, &storm->models[writer], text)) return;
    if (begun > done) {
        make_operation(storm->seed, writer, done, &operation);
        apply(&after, &operation);
        storm->models[writer] = after;
        if (!differs(&sight, &after, text_after)) return;
    } else
        (void)snprintf(text_after, sizeof(text_after), "no other had begun");
    fail_msg("seed %llu, round %llu, writer %u, %s:\nafter %llu operations: %s\nafter %llu: %s",
             (unsigned long long)storm->first_seed, (unsigned long long)storm->round, writer,
             storm->scratch.store, (unsigned long long)done, text, (unsigned long long)begun, text_after);
}

static uint64_t count_done(const struct storm *storm)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < WRITER_COUNT; i++) count += atomic_load(&storm->shared->done[i]);
    return count;
}

/* A reader looks before the writer that recovers; now and then it is the only one. */
static void look_after(struct storm *storm)
{
    const bool read_only = random_chance(&storm->random, 3);
    struct stave *store = NULL;
    struct stave_error error = {.status = STAVE_OK};
    struct stave_options options = storm->options;
    options.read_only = read_only;
    const enum stave_status status = stave_open(storm->scratch.store, &options, &store, &error);
    if (status == STAVE_NOT_FOUND && read_only && count_done(storm) == 0)
        return; /* killed before there was a store */
    if (status != STAVE_OK)
        fail_msg("seed %llu, round %llu: %s", (unsigned long long)storm->first_seed,
                 (unsigned long long)storm->round, error.message);
    for (unsigned i = 0; i < WRITER_COUNT; i++) expect_writer(storm, store, i);
    if (count_done(storm) > 0) storm->looks++;
    store_close(store);
    if (random_chance(&storm->random, 3) && scratch_has(storm->scratch.store, "CHECKPOINT"))
        scratch_unlink(storm->scratch.store, "CHECKPOINT");
    if (random_chance(&storm->random, 5))
        assert_int_equal(stave_check(storm->scratch.store, NULL, NULL, NULL, NULL), STAVE_OK);
}

/* The models follow what the writers had reported. */
static void follow(struct storm *storm)
{
    for (unsigned i = 0; i < WRITER_COUNT; i++)
        for (uint64_t index = storm->from[i]; index < atomic_load(&storm->shared->done[i]); index++) {
            struct operation operation;
            make_operation(storm->seed, i, index, &operation);
            apply(&storm->models[i], &operation);
        }
}

static pid_t start(struct storm *storm, void (*run)(struct storm *storm))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run(storm);
        _exit(1);
    }
    return child;
}

/* On a slow machine most writers would be killed before they have opened the store. */
static void await_an_operation(const struct storm *storm)
{
    const uint64_t began_ns = test_clock_ns();
    uint64_t before = 0;
    for (unsigned i = 0; i < WRITER_COUNT; i++) before += storm->from[i];
    while (count_done(storm) == before && !atomic_load(&storm->shared->has_trouble))
        assert_true(test_nap(began_ns));
}

static void run_round(struct storm *storm)
{
    int status = 0;
    choose_options(storm);
    for (unsigned i = 0; i < WRITER_COUNT; i++) storm->from[i] = atomic_load(&storm->shared->done[i]);
    const pid_t reader = start(storm, run_reader);
    const pid_t writer = start(storm, run_writers);
    if (storm->round % 2 == 1) await_an_operation(storm);
    const uint64_t time_max = random_chance(&storm->random, 6) ? 300000 : 60000;
    (void)usleep((useconds_t)random_below(&storm->random, time_max));
    (void)kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    expect_no_trouble(storm, "beside the writer");
    assert_true(WIFSIGNALED(status)); /* it had not ended by itself */
    follow(storm);
    look_after(storm);
    atomic_store(&storm->shared->reader_stops, true);
    assert_int_equal(waitpid(reader, &status, 0), reader);
    expect_no_trouble(storm, "beside recovery");
    assert_int_equal(status, 0);
    atomic_store(&storm->shared->reader_stops, false);
    for (unsigned i = 0; i < WRITER_COUNT; i++)
        atomic_store(&storm->shared->done[i], atomic_load(&storm->shared->begun[i]));
}

static void begin_store(struct storm *storm)
{
    scratch_make(&storm->scratch);
    memset(storm->models, 0, sizeof(storm->models));
    storm->seed = random_next(&storm->random);
    for (unsigned i = 0; i < WRITER_COUNT; i++) {
        atomic_store(&storm->shared->begun[i], 0);
        atomic_store(&storm->shared->done[i], 0);
    }
}

static void killed_writers_lose_nothing_and_readers_see_what_there_was(void **state)
{
    (void)state;
    static struct storm storm;
    storm.first_seed = test_seed();
    storm.random = (struct random_source){storm.first_seed};
    storm.shared =
        mmap(NULL, sizeof(*storm.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(storm.shared != MAP_FAILED);
    const uint64_t rounds = environment_number("STAVE_TEST_KILLS", ROUNDS_USUAL);
    uint64_t operations = 0;
    for (storm.round = 0; storm.round < rounds; storm.round++) {
        if (storm.round % ROUNDS_A_STORE == 0) begin_store(&storm);
        run_round(&storm);
        if (storm.round % ROUNDS_A_STORE != ROUNDS_A_STORE - 1 && storm.round + 1 != rounds) continue;
        operations += count_done(&storm);
        scratch_remove(&storm.scratch);
    }
    print_message("%llu operations, %llu looks, %llu refreshes\n", (unsigned long long)operations,
                  (unsigned long long)storm.looks, (unsigned long long)atomic_load(&storm.shared->refreshes));
    assert_true(storm.looks > 0 || rounds < ROUNDS_USUAL);
    (void)munmap(storm.shared, sizeof(*storm.shared));
}

/* Many writes quickly made. */

enum { QUICK_STEP = 7919, QUICK_VALUE_SIZE_MAX = 1000 };

#define QUICK_SEGMENT_SIZE (UINT64_C(64) << 20) /* as the options have it by default */

struct quick {
    struct scratch scratch;
    _Atomic uint64_t *done;
    uint32_t *versions; /* of each key, as known */
    uint64_t key_count;
    size_t value_size;
    uint64_t roll_at; /* about so many writes fill a segment */
    uint32_t version;
};

static uint64_t quick_order(const struct quick *quick, uint64_t position)
{
    return position * QUICK_STEP % quick->key_count;
}

static void quick_put(const struct quick *quick, struct stave *store, uint64_t number)
{
    char key[32];
    uint8_t value[QUICK_VALUE_SIZE_MAX];
    (void)snprintf(key, sizeof(key), "%016llu", (unsigned long long)number);
    fill_bytes(value, quick->value_size, number << 20 | quick->version);
    if (stave_put(store, stave_text(key), stave_bytes(value, quick->value_size)) != STAVE_OK) _exit(1);
}

static void write_quickly(const struct quick *quick)
{
    struct stave_options options = {.size = sizeof(options), .sync = STAVE_SYNC_NONE};
    struct stave *store = NULL;
    if (stave_open(quick->scratch.store, &options, &store, NULL) != STAVE_OK) _exit(1);
    for (uint64_t position = 0; position < quick->key_count; position++) {
        quick_put(quick, store, quick_order(quick, position));
        atomic_store(quick->done, position + 1);
    }
    if (quick->version == 1) _exit(stave_close(store) == STAVE_OK ? 0 : 1); /* the load ends well */
    for (;;) (void)pause();
}

static uint64_t count_lost(const struct quick *quick, uint64_t done)
{
    struct stave_options options = {.size = sizeof(options)};
    struct stave *store = store_open(quick->scratch.store, &options);
    uint64_t lost = 0;
    for (uint64_t position = 0; position < quick->key_count; position++) {
        const uint64_t number = quick_order(quick, position);
        struct stave_value value = {0};
        char key[32];
        (void)snprintf(key, sizeof(key), "%016llu", (unsigned long long)number);
        const bool is_there =
            stave_get(store, stave_text(key), &value) == STAVE_OK && value.size == quick->value_size;
        const bool is_new = is_there && bytes_are(value.data, value.size, number << 20 | quick->version);
        const bool is_old =
            is_there && bytes_are(value.data, value.size, number << 20 | quick->versions[number]);
        stave_free(value.data);
        if (position < done ? !is_new : position > done ? !is_old : !is_old && !is_new) lost++;
        if (is_new) quick->versions[number] = quick->version;
    }
    store_close(store);
    return lost;
}

static void run_quick_round(struct quick *quick, uint64_t enough)
{
    int status = 0;
    quick->version++;
    atomic_store(quick->done, 0);
    const pid_t child = fork();
    if (child == 0) write_quickly(quick);
    pid_t ended = 0;
    while (ended == 0 && (quick->version == 1 || atomic_load(quick->done) < enough)) {
        (void)usleep(200);
        ended = waitpid(child, &status, WNOHANG);
    }
    if (ended == 0) {
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(quick->version == 1 ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
    const uint64_t done = atomic_load(quick->done);
    const uint64_t lost = count_lost(quick, done);
    if (lost > 0)
        fail_msg("version %u: %llu of %llu writes are not what they were; %s", (unsigned)quick->version,
                 (unsigned long long)lost, (unsigned long long)done, quick->scratch.store);
}

/* The moments behind a roll, when two segments are open, are those that matter. */
static uint64_t choose_moment(const struct quick *quick, struct random_source *random)
{
    const uint64_t least = random_chance(random, 3) || quick->roll_at >= quick->key_count
                               ? quick->key_count / 4
                               : quick->roll_at;
    return least +
           random_below(random, (quick->key_count - least) / (random_chance(random, 2) ? 1 : 10) + 1) / 2;
}

/*
 * P1, with default options. Once the counters of the log began anew with each segment, and the end of the
 * first of two open segments was taken for lost: with it all that had been written since the roll.
 */
static void many_writes_quickly_made_survive_the_end_of_the_process(void **state)
{
    (void)state;
    struct quick quick = {.key_count = environment_number("STAVE_TEST_KILL_KEYS", 80000)};
    struct random_source random = {test_seed()};
    const uint64_t rounds = environment_number("STAVE_TEST_KILLS", ROUNDS_USUAL) / 8;
    quick.value_size = quick.key_count < 500000 ? QUICK_VALUE_SIZE_MAX : QUICK_VALUE_SIZE_MAX / 10;
    quick.roll_at = QUICK_SEGMENT_SIZE / ((40 + 16 + quick.value_size + 15) / 16 * 16);
    quick.done = mmap(NULL, sizeof(*quick.done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    quick.versions = calloc(quick.key_count, sizeof(*quick.versions));
    assert_true(quick.done != MAP_FAILED);
    assert_non_null(quick.versions);
    scratch_make(&quick.scratch);
    run_quick_round(&quick, quick.key_count);
    for (uint64_t round = 0; round < rounds; round++) run_quick_round(&quick, choose_moment(&quick, &random));
    scratch_remove(&quick.scratch);
    free(quick.versions);
    (void)munmap(quick.done, sizeof(*quick.done));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_writers_lose_nothing_and_readers_see_what_there_was),
        cmocka_unit_test(many_writes_quickly_made_survive_the_end_of_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
