/* SPDX-License-Identifier: MIT */
/* Jobs for the pool: keys with their bytes, a walk, or bytes that are to be sent. */
#include "server/cold.h"

#include <string.h>
#include <sys/mman.h>

#include "base/memory.h"
#include "server/clock.h"
#include "server/coldness.h"
#include "server/loop.h"
#include "server/output.h"
#include "server/transaction.h"

#define WALK_US UINT64_C(5000) /* for which a walk is read ahead */
#define PAGE_SIZE ((size_t)4096)
#define PAGES_AT_ONCE ((size_t)32) /* Linux takes no more than a device's read-ahead from one hint */

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

static void touch(const void *data, size_t size)
{
    const volatile uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += PAGE_SIZE) (void)bytes[at];
    if (size > 0) (void)bytes[size - 1];
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
    /* A view that was not verified has not been read yet. */
    if (key->is_held) touch(key->view.data, key->view.size);
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

/* ------------------------------------------------------------------ bytes that are to be sent */

struct send_job {
    uv_work_t work;
    struct loop *loop;
    void (*done)(void *context);
    void *context;
    int count;
    struct iovec pieces[OUTPUT_PIECE_COUNT_MAX];
};

/* Calls for the pages of a piece, some at a time, until the call says false; then that is the result. */
static bool call_for_pages(const struct iovec *piece, bool (*call)(void *pages, size_t size))
{
    uint8_t *begin = piece->iov_base;
    uint8_t *const end = begin + piece->iov_len;
    begin -= (uintptr_t)begin % PAGE_SIZE;
    while (begin < end) {
        const size_t left = (size_t)(end - begin);
        const size_t size = left < PAGES_AT_ONCE * PAGE_SIZE ? left : PAGES_AT_ONCE * PAGE_SIZE;
        if (!call(begin, size)) return false;
        begin += size;
    }
    return true;
}

/* Source: mincore(2). What it cannot tell is not worth a thread. */
static bool are_resident(void *pages, size_t size)
{
    unsigned char states[PAGES_AT_ONCE];
    if (mincore(pages, size, states) != 0) return true;
    for (size_t i = 0; i * PAGE_SIZE < size; i++) {
        if ((states[i] & 1) == 0) return false;
    }
    return true;
}

/* A mapping's pages are read one by one where they are touched, unless they have been asked for. */
static bool ask_for(void *pages, size_t size)
{
    if (!are_resident(pages, size)) (void)madvise(pages, size, MADV_WILLNEED);
    return true;
}

bool cold_is_resident(const struct iovec *pieces, int count)
{
    for (int i = 0; i < count; i++) {
        if (!call_for_pages(&pieces[i], are_resident)) return false;
    }
    return true;
}

static void read_pieces(uv_work_t *work)
{
    const struct send_job *job = work->data;
    for (int i = 0; i < job->count; i++) (void)call_for_pages(&job->pieces[i], ask_for);
    for (int i = 0; i < job->count; i++) touch(job->pieces[i].iov_base, job->pieces[i].iov_len);
}

static void on_pieces_read(uv_work_t *work, int status)
{
    (void)status;
    struct send_job *job = work->data;
    struct loop *loop = job->loop;
    coldness_met(loop->server);
    gate_enter(&loop->server->gate, loop->index);
    loop->dispatcher.stats.cold_reads++;
    job->done(job->context);
    memory_free(job);
    gate_leave(&loop->server->gate, loop->index);
}

bool cold_bring(struct loop *loop, const struct iovec *pieces, int count, void (*done)(void *context),
                void *context)
{
    struct send_job *job = memory_alloc(sizeof *job);
    if (job == NULL) return false;
    *job =
        (struct send_job){.work.data = job, .loop = loop, .done = done, .context = context, .count = count};
    memcpy(job->pieces, pieces, (size_t)count * sizeof *pieces);
    if (uv_queue_work(&loop->uv, &job->work, read_pieces, on_pieces_read) != 0) {
        memory_free(job);
        return false;
    }
    return true;
}
