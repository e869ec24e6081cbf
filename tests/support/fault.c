/* SPDX-License-Identifier: MIT */
/*
 * Counts calls and says which of them fails. One plan for the process; calls come from any thread.
 */
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

enum { HOLD_PATIENCE_S = 300 };

enum fault_plan { PLAN_NONE, PLAN_ONCE, PLAN_FROM, PLAN_SHORT, PLAN_CRASH_BEFORE, PLAN_CRASH_AFTER };

static struct {
    pthread_mutex_t lock;
    uint32_t kinds;
    enum fault_plan plan;
    uint64_t nth;
    uint64_t count;
    int system_error;
    bool fired;
    bool crash_is_due;
    int64_t wall_clock_shift_ms;
    bool wall_clock_shakes;
    bool wall_clock_is_back;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .kinds = FAULT_SYSTEM};

/* A call that is to wait, beside the plan; under the lock of the plan. */
static struct {
    pthread_cond_t changed;
    uint32_t kinds; /* 0: none */
    uint64_t left;  /* calls until it is its turn */
    uint64_t turn;  /* grows with each hold and release: who is held goes on then */
    bool is_held;
} held = {.changed = PTHREAD_COND_INITIALIZER};

static void arm(enum fault_plan plan, uint64_t nth, int system_error)
{
    pthread_mutex_lock(&state.lock);
    state.plan = plan;
    state.nth = nth;
    state.count = 0;
    state.system_error = system_error;
    state.fired = false;
    state.crash_is_due = false;
    pthread_mutex_unlock(&state.lock);
}

void fault_choose(uint32_t kinds)
{
    pthread_mutex_lock(&state.lock);
    state.kinds = kinds;
    pthread_mutex_unlock(&state.lock);
}

void fault_arm(uint64_t nth, int system_error)
{
    arm(PLAN_ONCE, nth, system_error);
}

void fault_arm_from(uint64_t nth, int system_error)
{
    arm(PLAN_FROM, nth, system_error);
}

void fault_arm_short(uint64_t nth)
{
    arm(PLAN_SHORT, nth, 0);
}

void fault_arm_crash(uint64_t nth, bool after)
{
    arm(after ? PLAN_CRASH_AFTER : PLAN_CRASH_BEFORE, nth, 0);
}

bool fault_disarm(void)
{
    pthread_mutex_lock(&state.lock);
    const bool fired = state.fired;
    state.plan = PLAN_NONE;
    pthread_mutex_unlock(&state.lock);
    return fired;
}

uint64_t fault_count(void)
{
    pthread_mutex_lock(&state.lock);
    const uint64_t count = state.count;
    pthread_mutex_unlock(&state.lock);
    return count;
}

static _Thread_local bool is_marked;

void fault_mark_thread(void)
{
    is_marked = true;
}

void fault_hold(uint32_t kinds, uint64_t nth)
{
    pthread_mutex_lock(&state.lock);
    held.kinds = kinds;
    held.left = nth;
    held.turn++;
    held.is_held = false;
    pthread_cond_broadcast(&held.changed);
    pthread_mutex_unlock(&state.lock);
}

void fault_release(void)
{
    fault_hold(0, 0);
}

bool fault_await_held(void)
{
    struct timespec until;
    int error = clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HOLD_PATIENCE_S;
    pthread_mutex_lock(&state.lock);
    while (!held.is_held && error == 0) error = pthread_cond_timedwait(&held.changed, &state.lock, &until);
    const bool is_held = held.is_held;
    pthread_mutex_unlock(&state.lock);
    return is_held;
}

/* Holds the lock, but not while it waits. */
static void hold_if_due(enum fault_kind kind)
{
    if ((held.kinds & (uint32_t)kind) == 0 || held.is_held) return;
    if ((held.kinds & FAULT_MARKED) != 0 && !is_marked) return;
    if (--held.left > 0) return;
    const uint64_t turn = held.turn;
    held.is_held = true;
    pthread_cond_broadcast(&held.changed);
    while (held.turn == turn) pthread_cond_wait(&held.changed, &state.lock);
}

/* What the plan has for the call just counted. Holds the lock. */
static enum fault_action planned_action(void)
{
    const bool is_nth = state.count == state.nth;
    switch (state.plan) {
    case PLAN_NONE: return FAULT_NONE;
    case PLAN_ONCE: return is_nth ? FAULT_FAIL : FAULT_NONE;
    case PLAN_FROM: return state.count >= state.nth ? FAULT_FAIL : FAULT_NONE;
    case PLAN_SHORT: return is_nth ? FAULT_SHORT : FAULT_NONE;
    case PLAN_CRASH_BEFORE:
        if (is_nth) _exit(FAULT_CRASH_EXIT);
        return FAULT_NONE;
    case PLAN_CRASH_AFTER: state.crash_is_due = state.crash_is_due || is_nth; return FAULT_NONE;
    }
    return FAULT_NONE;
}

enum fault_action fault_before(enum fault_kind kind)
{
    enum fault_action action = FAULT_NONE;
    int system_error = 0;
    pthread_mutex_lock(&state.lock);
    hold_if_due(kind);
    if ((state.kinds & (uint32_t)kind) != 0) {
        state.count++;
        action = planned_action();
        if (action != FAULT_NONE) state.fired = true;
        system_error = state.system_error;
    }
    pthread_mutex_unlock(&state.lock);
    if (action == FAULT_FAIL) errno = system_error;
    return action;
}

void fault_after(enum fault_kind kind)
{
    pthread_mutex_lock(&state.lock);
    if (state.crash_is_due && (state.kinds & (uint32_t)kind) != 0) _exit(FAULT_CRASH_EXIT);
    pthread_mutex_unlock(&state.lock);
}

static void set_wall_clock(int64_t shift_ms, bool shakes)
{
    pthread_mutex_lock(&state.lock);
    state.wall_clock_shift_ms = shift_ms;
    state.wall_clock_shakes = shakes;
    state.wall_clock_is_back = false;
    pthread_mutex_unlock(&state.lock);
}

void fault_shift_wall_clock(int64_t shift_ms)
{
    set_wall_clock(shift_ms, false);
}

void fault_shake_wall_clock(int64_t shift_ms)
{
    set_wall_clock(shift_ms, true);
}

int64_t fault_wall_clock_shift_ms(void)
{
    pthread_mutex_lock(&state.lock);
    const int64_t shift_ms = state.wall_clock_is_back ? 0 : state.wall_clock_shift_ms;
    state.wall_clock_is_back = state.wall_clock_shakes && !state.wall_clock_is_back;
    pthread_mutex_unlock(&state.lock);
    return shift_ms;
}
