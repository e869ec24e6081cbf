/* SPDX-License-Identifier: MIT */
/* Slices of a walk with a cursor that removes what has expired. */
#include "server/expiry.h"

#include "base/memory.h"
#include "server/clock.h"
#include "server/server.h"

#define SLICE_US UINT64_C(1000)
#define SLICES_FOR_MANY 250 /* a second: a quarter of the time */
#define SLICES_FOR_FEW 50   /* where less has expired than GO_ON_ONE_IN, of all databases together */
#define STEPS_PER_LOOK 16   /* at the clock */
#define GO_ON_ONE_IN 10     /* of the keys with an expiry have expired */
#define DAMAGE_COUNT_MAX 16 /* damaged records passed in one slice */

struct slice {
    struct server *server;
    uint32_t database;
    uint64_t position;
    uint64_t expiring_count; /* keys with an expiry that is to come */
    uint64_t expired_count;
    uint64_t first_ms; /* the first of those expiries */
    uint64_t duration_us;
    enum stave_status status;
};

static void note_entry(struct slice *slice, const struct stave_entry *entry)
{
    if (entry->expires_at_ms == 0) return;
    slice->expiring_count++;
    if (slice->first_ms == 0 || entry->expires_at_ms < slice->first_ms)
        slice->first_ms = entry->expires_at_ms;
}

/* Steps until the time is over or the database is at its end; STAVE_STEP: it is not to go on. */
static enum stave_status run_steps(struct slice *slice, struct stave_cursor *cursor)
{
    const uint64_t end_us = clock_monotonic_us() + SLICE_US;
    uint32_t step_count = 0;
    uint32_t damage_count = 0;
    while (atomic_load_explicit(&slice->server->active_expire, memory_order_relaxed)) {
        struct stave_entry entry;
        const enum stave_status status = stave_cursor_next(cursor, &entry);
        if (status == STAVE_OK) note_entry(slice, &entry);
        if (status == STAVE_END) return STAVE_OK;
        if (status < 0 && (status != STAVE_CORRUPT || ++damage_count == DAMAGE_COUNT_MAX)) return status;
        if (status == STAVE_STEP && ++step_count % STEPS_PER_LOOK == 0 && clock_monotonic_us() >= end_us)
            return STAVE_OK;
    }
    return STAVE_STEP;
}

static void walk_slice(struct slice *slice)
{
    struct stave_cursor *cursor = NULL;
    slice->status =
        stave_cursor_open(slice->server->databases[slice->database], slice->position, stave_bytes(NULL, 0),
                          STAVE_CURSOR_EXPIRE | STAVE_CURSOR_KEYS | STAVE_CURSOR_STEPS, &cursor);
    if (slice->status != STAVE_OK) return;
    slice->status = run_steps(slice, cursor);
    slice->position = stave_cursor_position(cursor);
    slice->expired_count = stave_cursor_expired(cursor);
    stave_cursor_close(cursor);
}

static void run_slice(void *context)
{
    struct slice *slice = context;
    const uint64_t begin_us = clock_monotonic_us();
    walk_slice(slice);
    slice->duration_us = clock_monotonic_us() - begin_us;
}

/* ------------------------------------------------------------------ the round */

/* X5. False: there is none, or none that has many. */
static bool choose_database(struct server *server, bool has_many)
{
    struct expiry *expiry = server->expiry;
    for (uint32_t i = 1; i <= server->database_count; i++) {
        const uint32_t next = (expiry->database + i) % server->database_count;
        if (expiry->walks[next].is_over || (has_many && !expiry->walks[next].has_many)) continue;
        expiry->database = next;
        return true;
    }
    return false;
}

static void begin_round(struct server *server, bool is_due)
{
    struct expiry *expiry = server->expiry;
    for (uint32_t i = 0; i < server->database_count; i++) {
        const bool is_empty = stave_count(server->databases[i]) == 0;
        expiry->walks[i] = (struct expiry_walk){.is_over = is_empty, .has_many = expiry->walks[i].has_many};
    }
    expiry->first_ms = 0;
    expiry->had_found = expiry->has_found;
    expiry->has_found = is_due;
    expiry->is_resting = !choose_database(server, false);
    expiry->began_sequence = stave_sequence(server->store);
}

/* X2. A removal is a write, so that what has removed something is followed by another round. */
static bool is_resting(struct server *server)
{
    struct expiry *expiry = server->expiry;
    if (!expiry->is_resting && expiry->began_sequence != 0) return false;
    const bool is_due = expiry->first_ms != 0 && expiry->first_ms <= clock_now_ms();
    if (is_due || stave_sequence(server->store) != expiry->began_sequence) begin_round(server, is_due);
    return expiry->is_resting;
}

static struct slice next_slice(struct server *server)
{
    const struct expiry *expiry = server->expiry;
    return (struct slice){
        .server = server, .database = expiry->database, .position = expiry->walks[expiry->database].position};
}

/* Takes over where the slice ended. */
static void end_slice(struct server *server, const struct slice *slice)
{
    struct expiry *expiry = server->expiry;
    atomic_fetch_add(&expiry->spent_us, slice->duration_us);
    if (slice->status == STAVE_STEP) return; /* the same again, some time */
    if (slice->status == STAVE_OK) atomic_store(&server->leaves_expired, false);
    if (slice->first_ms != 0 && (expiry->first_ms == 0 || slice->first_ms < expiry->first_ms))
        expiry->first_ms = slice->first_ms;
    if (slice->expired_count > 0) expiry->has_found = true;
    struct expiry_walk *walk = &expiry->walks[slice->database];
    walk->position = slice->position;
    walk->is_over = slice->position == 0;
    walk->has_many = slice->expired_count > 0 &&
                     slice->expired_count * GO_ON_ONE_IN >= slice->expired_count + slice->expiring_count;
    if (!choose_database(server, false)) expiry->is_resting = true;
}

/* ------------------------------------------------------------------ on the pool */

static void end_cold_slice(void *context)
{
    struct slice *slice = context;
    slice->server->expiry->is_running = false;
    end_slice(slice->server, slice);
    memory_free(slice);
}

static void start_cold_slice(struct server *server)
{
    struct slice *slice = memory_alloc(sizeof *slice);
    if (slice == NULL) return;
    *slice = next_slice(server);
    server->expiry->is_running = server_background(server, run_slice, end_cold_slice, slice);
    if (!server->expiry->is_running) memory_free(slice);
}

/* ------------------------------------------------------------------ in the gate */

static enum stave_status take_slice(struct server *server)
{
    struct slice slice = next_slice(server);
    gate_enter(&server->gate, server->loop_count);
    run_slice(&slice);
    gate_leave(&server->gate, server->loop_count);
    end_slice(server, &slice);
    return slice.status;
}

/* X1, X5 */
static void take_slices(struct server *server, uint64_t period_ms)
{
    const struct expiry *expiry = server->expiry;
    for (uint64_t taken = 1; take_slice(server) == STAVE_OK; taken++) {
        const bool is_extra = taken * 1000 >= SLICES_FOR_FEW * period_ms;
        if (taken * 1000 >= SLICES_FOR_MANY * period_ms || expiry->is_resting) return;
        if (!expiry->has_found && !expiry->had_found) return;
        if (is_extra && !choose_database(server, true)) return;
    }
}

void expiry_tick(struct server *server, uint64_t period_ms)
{
    if (!atomic_load(&server->active_expire) || atomic_load(&server->sync_failed)) return;
    if (server->expiry->is_running || is_resting(server)) return;
    if (atomic_load(&server->is_cold))
        start_cold_slice(server);
    else
        take_slices(server, period_ms);
}
