/* SPDX-License-Identifier: MIT */
/*
 * Segments scanned in parallel into the index.
 *
 *   B1  At most CHUNK_COUNT chunks exist; a scanner waits for an empty one. (P11)
 *   B2  The first failure stops all; every chunk and thread is taken back before rebuild_run returns.
 */
#include "store/rebuild.h"

#include "os/map.h"
#include "store/lookahead.h"

enum {
    CHUNK_ITEMS = 512,
    THREAD_COUNT_MAX = 16,
    CHUNK_COUNT = 2 * THREAD_COUNT_MAX,
};

#define PARALLEL_SIZE_MIN (UINT64_C(8) << 20) /* bytes of log from which threads pay */

struct chunk {
    struct chunk *next;
    size_t count;
    struct replay_item items[CHUNK_ITEMS];
};

struct rebuild {
    struct store *store;
    const struct rebuild_job *jobs;
    size_t job_count;
    const struct replay_generations *generations;
    _Atomic size_t next_job;

    struct mutex lock;
    struct condition changed;
    struct chunk *empty; /* lock */
    struct chunk *full;  /* lock; newest first: the order does not matter */
    size_t running;      /* lock; scanners */
    bool stopped;        /* lock */
    struct error error;  /* lock; the first one */
};

struct scanner {
    struct rebuild *rebuild;
    struct chunk *chunk;
    struct replay *replay; /* without threads: applied at once */
    const struct rebuild_job *job;
    struct thread thread;
};

/* ------------------------------------------------------------------ one segment */

static enum stave_status pass_over_damage(struct store *store, struct scan *scan, enum stave_status status)
{
    if (scan->damage == SCAN_PAYLOAD_DAMAGED) return STAVE_OK; /* R4: not looked for here */
    if (!store->options.accept_damage || (status != STAVE_CORRUPT && status != STAVE_IO)) return status;
    uint64_t skipped = 0;
    const enum stave_status resumed = scan_resume(scan, &skipped);
    return resumed == STAVE_OK || resumed == STAVE_END ? resumed : status;
}

enum stave_status rebuild_scan(struct store *store, const struct rebuild_job *job, rebuild_visit visit,
                               void *context, struct error *error)
{
    struct scan scan = SCAN_NONE;
    const struct scan_expect expect = {
        .identity = job->segment->identity,
        .start = job->start,
        .end = atomic_load(&job->segment->end),
        .id = job->segment->id,
    };
    enum stave_status status = scan_open(&store->dir, &expect, &scan, error);
    if (status != STAVE_OK) return status == STAVE_NOT_FOUND ? STAVE_CORRUPT : status;
    struct lookahead ahead = lookahead_begin(store, job->segment, job->after);
    while (status == STAVE_OK) {
        struct scan_record record;
        lookahead_reach(&ahead, scan.next);
        status = scan_next(&scan, &record, error);
        if (status == STAVE_OK)
            status = visit(context, &scan, &record, error);
        else if (status != STAVE_END)
            status = pass_over_damage(store, &scan, status);
    }
    lookahead_end(&ahead);
    scan_close(&scan);
    return status == STAVE_END ? STAVE_OK : status;
}

/* ------------------------------------------------------------------ chunks */

static struct chunk *take_empty(struct rebuild *rebuild)
{
    mutex_lock(&rebuild->lock);
    while (rebuild->empty == NULL && !rebuild->stopped) condition_wait(&rebuild->changed, &rebuild->lock);
    struct chunk *chunk = rebuild->stopped ? NULL : rebuild->empty;
    if (chunk != NULL) rebuild->empty = chunk->next;
    mutex_unlock(&rebuild->lock);
    if (chunk != NULL) chunk->count = 0;
    return chunk;
}

static void give(struct rebuild *rebuild, struct chunk **list, struct chunk *chunk)
{
    mutex_lock(&rebuild->lock);
    chunk->next = *list;
    *list = chunk;
    condition_broadcast(&rebuild->changed);
    mutex_unlock(&rebuild->lock);
}

static enum stave_status hand_on(struct scanner *scanner, struct error *error)
{
    if (scanner->replay != NULL) {
        const enum stave_status status =
            replay_apply(scanner->replay, scanner->chunk->items, scanner->chunk->count, error);
        scanner->chunk->count = 0;
        return status;
    }
    give(scanner->rebuild, &scanner->rebuild->full, scanner->chunk);
    scanner->chunk = NULL;
    return STAVE_OK;
}

static enum stave_status take_record(void *context, struct scan *scan, const struct scan_record *record,
                                     struct error *error)
{
    struct scanner *scanner = context;
    (void)scan;
    if (!replay_wants(&record->record) || record->record.sequence <= scanner->job->after) return STAVE_OK;
    if (scanner->job->only_tombstones && record->record.kind != RECORD_TOMBSTONE) return STAVE_OK;
    /* rebuild.h says why */
    const bool is_any = scanner->job->segment->kind == SEGMENT_LARGE || scanner->job->only_tombstones;
    if (!is_any && !replay_generations_have(scanner->rebuild->generations, record->record.generation))
        return STAVE_OK;
    if (scanner->chunk == NULL) scanner->chunk = take_empty(scanner->rebuild);
    if (scanner->chunk == NULL) return STAVE_CANCELLED;
    scanner->chunk->items[scanner->chunk->count++] = replay_item_of(scanner->job->segment, record);
    return scanner->chunk->count == CHUNK_ITEMS ? hand_on(scanner, error) : STAVE_OK;
}

static enum stave_status scan_jobs(struct scanner *scanner, struct error *error)
{
    struct rebuild *rebuild = scanner->rebuild;
    for (;;) {
        const size_t next = atomic_fetch_add(&rebuild->next_job, 1);
        if (next >= rebuild->job_count) break;
        scanner->job = &rebuild->jobs[next];
        const enum stave_status status =
            rebuild_scan(rebuild->store, scanner->job, take_record, scanner, error);
        if (status != STAVE_OK) return status;
    }
    return scanner->chunk != NULL && scanner->chunk->count > 0 ? hand_on(scanner, error) : STAVE_OK;
}

/* ------------------------------------------------------------------ threads */

static void stop(struct rebuild *rebuild, const struct error *error)
{
    mutex_lock(&rebuild->lock);
    if (!rebuild->stopped) rebuild->error = *error;
    rebuild->stopped = true;
    condition_broadcast(&rebuild->changed);
    mutex_unlock(&rebuild->lock);
}

static void scanner_run(void *context)
{
    struct scanner *scanner = context;
    struct rebuild *rebuild = scanner->rebuild;
    struct error error = ERROR_NONE;
    const enum stave_status status = scan_jobs(scanner, &error);
    error.status = status;
    if (status != STAVE_OK) stop(rebuild, &error);
    mutex_lock(&rebuild->lock);
    rebuild->running--;
    condition_broadcast(&rebuild->changed);
    mutex_unlock(&rebuild->lock);
}

static enum stave_status apply_all(struct rebuild *rebuild, struct replay *replay, struct error *error)
{
    enum stave_status status = STAVE_OK;
    for (;;) {
        mutex_lock(&rebuild->lock);
        while (rebuild->full == NULL && rebuild->running > 0)
            condition_wait(&rebuild->changed, &rebuild->lock);
        struct chunk *chunk = rebuild->full;
        if (chunk != NULL) rebuild->full = chunk->next;
        mutex_unlock(&rebuild->lock);
        if (chunk == NULL) break;
        if (status == STAVE_OK) {
            struct error failure = ERROR_NONE;
            status = replay_apply(replay, chunk->items, chunk->count, &failure);
            if (status != STAVE_OK) stop(rebuild, &failure);
        }
        give(rebuild, &rebuild->empty, chunk);
    }
    if (rebuild->error.status != STAVE_OK) error_copy(error, &rebuild->error);
    return rebuild->error.status;
}

static enum stave_status start_scanners(struct rebuild *rebuild, struct scanner *scanners, size_t count,
                                        struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        scanners[i] = (struct scanner){.rebuild = rebuild, .thread = THREAD_NONE};
        mutex_lock(&rebuild->lock);
        rebuild->running++;
        mutex_unlock(&rebuild->lock);
        const enum stave_status status =
            thread_start(&scanners[i].thread, "stave-rebuild", scanner_run, &scanners[i], error);
        if (status == STAVE_OK) continue;
        mutex_lock(&rebuild->lock);
        rebuild->running--;
        mutex_unlock(&rebuild->lock);
        if (i > 0) break; /* the others do the work */
        return status;
    }
    return STAVE_OK;
}

static enum stave_status run_threads(struct rebuild *rebuild, struct replay *replay, size_t thread_count,
                                     struct error *error)
{
    struct scanner scanners[THREAD_COUNT_MAX] = {{.rebuild = NULL}};
    enum stave_status status = start_scanners(rebuild, scanners, thread_count, error);
    if (status == STAVE_OK) status = apply_all(rebuild, replay, error);
    for (size_t i = 0; i < thread_count; i++) {
        thread_join(&scanners[i].thread);
        pages_free(scanners[i].chunk, sizeof(struct chunk));
    }
    return status;
}

static enum stave_status run_alone(struct rebuild *rebuild, struct replay *replay, struct error *error)
{
    struct scanner scanner = {.rebuild = rebuild, .replay = replay, .thread = THREAD_NONE};
    const enum stave_status status = scan_jobs(&scanner, error);
    pages_free(scanner.chunk, sizeof(struct chunk));
    return status;
}

static enum stave_status make_chunks(struct rebuild *rebuild, size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct chunk *chunk = pages_alloc_small(sizeof(*chunk));
        if (chunk == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "no memory to rebuild the index");
        chunk->count = 0;
        chunk->next = rebuild->empty;
        rebuild->empty = chunk;
    }
    return STAVE_OK;
}

static void free_chunks(struct chunk *list)
{
    while (list != NULL) {
        struct chunk *next = list->next;
        pages_free(list, sizeof(*list));
        list = next;
    }
}

static size_t threads_for(const struct store *store, const struct rebuild_job *jobs, size_t job_count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < job_count; i++) size += atomic_load(&jobs[i].segment->end) - jobs[i].start;
    if (size < PARALLEL_SIZE_MIN || job_count < 2) return 0;
    size_t count = store->options.rebuild_thread_count;
    if (count > THREAD_COUNT_MAX) count = THREAD_COUNT_MAX;
    return count < job_count ? count : job_count;
}

enum stave_status rebuild_run(struct replay *replay, const struct rebuild_job *jobs, size_t job_count,
                              const struct replay_generations *generations, struct error *error)
{
    struct rebuild rebuild = {
        .store = replay->store,
        .jobs = jobs,
        .job_count = job_count,
        .generations = generations,
        .error = ERROR_NONE,
    };
    if (job_count == 0) return STAVE_OK;
    if (mutex_init(&rebuild.lock) != STAVE_OK || condition_init(&rebuild.changed) != STAVE_OK)
        return error_set(error, STAVE_NO_MEMORY, 0, "no memory to rebuild the index");
    const size_t thread_count = threads_for(replay->store, jobs, job_count);
    enum stave_status status = make_chunks(&rebuild, thread_count == 0 ? 1 : 2 * thread_count, error);
    if (status == STAVE_OK)
        status = thread_count == 0 ? run_alone(&rebuild, replay, error)
                                   : run_threads(&rebuild, replay, thread_count, error);
    free_chunks(rebuild.empty);
    free_chunks(rebuild.full);
    condition_free(&rebuild.changed);
    mutex_free(&rebuild.lock);
    return status;
}
