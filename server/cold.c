/* SPDX-License-Identifier: MIT */
/* Jobs for the pool: keys with their bytes, or a walk. */
#include "server/cold.h"

#include <string.h>

#include "base/memory.h"
#include "server/clock.h"
#include "server/coldness.h"
#include "server/loop.h"
#include "server/transaction.h"

#define WALK_US UINT64_C(5000) /* for which a walk is read ahead */
#define PAGE_SIZE ((size_t)4096)

struct cold_key {
    struct stave *store;
    struct stave_bytes key;
    struct stave_view view;
    struct transaction_part part;
    bool is_held;
};

struct cold_job {
    uv_work_t work;
    struct loop *loop;
    void (*done)(void *context);
    void *context;
    struct transaction_walk walk;
    struct stave *walk_store;
    struct stave_value random;
    size_t count;
    struct cold_key keys[]; /* their bytes behind them */
};

/* The keys that the walk meets next. */
static void read_walk(const struct cold_job *job)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    if (stave_cursor_open(job->walk_store, job->walk.position, stave_bytes(NULL, 0),
                          STAVE_CURSOR_KEYS | STAVE_CURSOR_STEPS, &cursor) != STAVE_OK)
        return;
    const uint64_t end_us = clock_monotonic_us() + WALK_US;
    enum stave_status status;
    do {
        status = stave_cursor_next(cursor, &entry);
    } while (status == STAVE_OK || (status == STAVE_STEP && clock_monotonic_us() < end_us));
    stave_cursor_close(cursor);
}

/* A view that was not verified has not been read yet. */
static void touch(const struct stave_view *view)
{
    const volatile uint8_t *bytes = view->data;
    for (size_t at = 0; at < view->size; at += PAGE_SIZE) (void)bytes[at];
    if (view->size > 0) (void)bytes[view->size - 1];
}

static void read_key(struct cold_key *key)
{
    const struct stave_read read = {
        .offset = key->part.offset, .size = key->part.size, .now_ms = EXPIRED_TOO};
    struct stave_info info;
    if (key->part.is_wanted)
        key->is_held = stave_view(key->store, key->key, &read, &key->view) == STAVE_OK;
    else
        (void)stave_info_with(key->store, key->key, &read, &info);
    if (key->is_held) touch(&key->view);
}

static void read_keys(uv_work_t *work)
{
    struct cold_job *job = work->data;
    for (size_t i = 0; i < job->count; i++) read_key(&job->keys[i]);
    if (!job->walk.is_wanted) return;
    if (!job->walk.is_random)
        read_walk(job);
    else if (stave_random_key(job->walk_store, &job->random) != STAVE_OK)
        job->random.data = NULL;
}

static void free_job(struct cold_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        if (job->keys[i].is_held) stave_view_release(job->keys[i].store, &job->keys[i].view);
    }
    stave_free(job->random.data);
    memory_free(job);
}

static void on_read(uv_work_t *work, int status)
{
    (void)status;
    struct cold_job *job = work->data;
    struct loop *loop = job->loop;
    coldness_met(loop->server);
    gate_enter(&loop->server->gate, loop->index);
    loop->dispatcher.stats.cold_reads += job->count + (job->walk.is_wanted ? 1 : 0);
    if (job->random.data != NULL)
        transaction_bring_random(loop->dispatcher.transaction, job->walk.space, &job->random);
    job->done(job->context);
    free_job(job);
    gate_leave(&loop->server->gate, loop->index);
}

static struct cold_job *make_job(const struct server *server, const struct transaction_key *wanted,
                                 size_t count)
{
    size_t size = sizeof(struct cold_job) + count * sizeof(struct cold_key);
    for (size_t i = 0; i < count; i++) size += wanted[i].key.size;
    struct cold_job *job = memory_alloc(size);
    if (job == NULL) return NULL;
    memset(job, 0, sizeof *job + count * sizeof job->keys[0]);
    job->count = count;
    uint8_t *at = (uint8_t *)(job->keys + count);
    for (size_t i = 0; i < count; i++) {
        job->keys[i].store = server->databases[wanted[i].database];
        job->keys[i].part = wanted[i].part;
        job->keys[i].key = stave_bytes(at, wanted[i].key.size);
        if (wanted[i].key.size > 0) memcpy(at, wanted[i].key.data, wanted[i].key.size);
        at += wanted[i].key.size;
    }
    return job;
}

bool cold_start(struct loop *loop, void (*done)(void *context), void *context)
{
    size_t count;
    const struct transaction_key *wanted = transaction_wanted(loop->dispatcher.transaction, &count);
    const struct transaction_walk walk = transaction_wanted_walk(loop->dispatcher.transaction);
    if (count == 0 && !walk.is_wanted) return false;
    struct cold_job *job = make_job(loop->server, wanted, count);
    if (job == NULL) return false;
    job->loop = loop;
    job->done = done;
    job->context = context;
    job->walk = walk;
    if (walk.is_wanted) job->walk_store = loop->server->databases[walk.space];
    job->work.data = job;
    if (uv_queue_work(&loop->uv, &job->work, read_keys, on_read) != 0) {
        memory_free(job);
        return false;
    }
    return true;
}
