/* SPDX-License-Identifier: MIT */
/*
 * Counts calls and says which of them fails. One plan for the process; calls come from any thread.
 */
#include "support/fault.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

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
