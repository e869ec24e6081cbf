/* SPDX-License-Identifier: MIT */
/*
 * Threads share the positions of a phase in equal parts, start at a barrier, and stop at their first failure.
 */
#include "phase.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure.h"

struct worker {
    const struct phase *phase;
    pthread_barrier_t *start;
    pthread_t thread;
    uint64_t first;
    uint64_t end;
    uint8_t *value; /* ENGINE_BATCH_COUNT_MAX values */
    uint8_t keys[ENGINE_BATCH_COUNT_MAX][WORKLOAD_KEY_SIZE_MAX];
    bool failed;
    double ended_at;
};

static bool complain(const struct phase *phase, uint64_t number, const char *what)
{
    fprintf(stderr, "%s: key %" PRIu64 ": %s\n", phase->engine->name, number, what);
    return false;
}

static bool put_one(struct worker *worker, void *session, uint64_t number)
{
    const struct phase *phase = worker->phase;
    workload_value(phase->workload, number, phase->version, worker->value);
    if (phase->engine->put(session, worker->keys[0], worker->value) == ENGINE_FOUND) return true;
    return complain(phase, number, "put failed");
}

static bool get_one(struct worker *worker, void *session, uint64_t number, bool expected)
{
    const struct phase *phase = worker->phase;
    size_t size = 0;
    const int found =
        phase->engine->get(session, worker->keys[0], worker->value, phase->workload->value_size, &size);
    if (found < 0) return complain(phase, number, "get failed");
    if ((found == ENGINE_FOUND) != expected)
        return complain(phase, number, expected ? "is not there" : "is there, and should not be");
    if (expected && !workload_value_is(phase->workload, number, phase->version, worker->value, size))
        return complain(phase, number, "has a wrong value");
    return true;
}

static bool do_one(struct worker *worker, void *session, uint64_t position)
{
    const struct phase *phase = worker->phase;
    const uint64_t ordered = workload_order(phase->workload, phase->seed, position);
    const uint64_t number = phase->kind == PHASE_GET_MISSING ? ordered + phase->workload->key_count : ordered;
    workload_key(phase->workload, number, worker->keys[0]);
    switch (phase->kind) {
    case PHASE_PUT: return put_one(worker, session, number);
    case PHASE_GET: return get_one(worker, session, number, true);
    case PHASE_GET_MISSING: return get_one(worker, session, number, false);
    case PHASE_GET_DELETED: return get_one(worker, session, number, false);
    case PHASE_DELETE:
        if (phase->engine->delete (session, worker->keys[0]) == ENGINE_FOUND) return true;
        return complain(phase, number, "delete failed");
    case PHASE_BATCH: break;
    }
    return complain(phase, number, "no such phase");
}

static bool do_batch(struct worker *worker, void *session, uint64_t position, size_t count)
{
    const struct phase *phase = worker->phase;
    struct engine_write writes[ENGINE_BATCH_COUNT_MAX];
    for (size_t i = 0; i < count; i++) {
        const uint64_t number = workload_order(phase->workload, phase->seed, position + i);
        uint8_t *value = worker->value + i * phase->workload->value_size;
        workload_key(phase->workload, number, worker->keys[i]);
        workload_value(phase->workload, number, phase->version, value);
        writes[i] = (struct engine_write){worker->keys[i], value};
    }
    if (phase->engine->batch(session, writes, count) == ENGINE_FOUND) return true;
    return complain(phase, position, "batch failed");
}

static bool do_all(struct worker *worker, void *session)
{
    if (worker->phase->kind != PHASE_BATCH) {
        for (uint64_t at = worker->first; at < worker->end; at++)
            if (!do_one(worker, session, at)) return false;
        return true;
    }
    for (uint64_t at = worker->first; at < worker->end; at += ENGINE_BATCH_COUNT_MAX) {
        const uint64_t left = worker->end - at;
        const size_t count = left < ENGINE_BATCH_COUNT_MAX ? (size_t)left : ENGINE_BATCH_COUNT_MAX;
        if (!do_batch(worker, session, at, count)) return false;
    }
    return true;
}

static void *worker_main(void *opaque)
{
    struct worker *worker = opaque;
    const struct engine *engine = worker->phase->engine;
    void *session = NULL;
    const bool begun = engine->begin(worker->phase->store, &session) == ENGINE_FOUND;
    (void)pthread_barrier_wait(worker->start);
    worker->failed = !begun || !do_all(worker, session);
    worker->ended_at = measure_seconds();
    if (begun) engine->end(session);
    return NULL;
}

static void workers_init(struct worker *workers, const struct phase *phase, pthread_barrier_t *start)
{
    for (unsigned i = 0; i < phase->thread_count; i++) {
        workers[i].phase = phase;
        workers[i].start = start;
        workers[i].first = phase->first + phase->count * i / phase->thread_count;
        workers[i].end = phase->first + phase->count * (i + 1) / phase->thread_count;
        workers[i].value = calloc(ENGINE_BATCH_COUNT_MAX, phase->workload->value_size);
        if (workers[i].value == NULL ||
            pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) != 0)
            abort(); /* a process of its own, which counts as failed */
    }
}

bool phase_run(const struct phase *phase, double *ret_seconds)
{
    pthread_barrier_t start;
    struct worker *workers = calloc(phase->thread_count, sizeof *workers);
    if (workers == NULL) return false;
    (void)pthread_barrier_init(&start, NULL, phase->thread_count + 1);
    workers_init(workers, phase, &start);

    (void)pthread_barrier_wait(&start);
    const double started_at = measure_seconds();
    double ended_at = started_at;
    bool failed = false;
    for (unsigned i = 0; i < phase->thread_count; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        failed = failed || workers[i].failed;
        if (workers[i].ended_at > ended_at) ended_at = workers[i].ended_at;
        free(workers[i].value);
    }
    (void)pthread_barrier_destroy(&start);
    free(workers);
    *ret_seconds = ended_at - started_at;
    return !failed;
}
