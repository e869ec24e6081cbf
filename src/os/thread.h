/* SPDX-License-Identifier: MIT */
/*
 * Threads, mutexes and conditions.
 *
 *   T1  A thread made here receives no signals: they stay with the application's own threads.
 *   T2  Waiting measures monotonic time; a wall clock that is set does not stretch or cut it.
 *
 * Locking and waking cannot fail when used as said; a misuse is our own mistake and asserted.
 */
#ifndef STAVE_OS_THREAD_H
#define STAVE_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "stave.h"

struct mutex {
    pthread_mutex_t handle;
};

struct condition {
    pthread_cond_t handle;
};

struct thread {
    pthread_t handle;
    bool running; /* started, not joined */
};

#define THREAD_NONE ((struct thread){.running = false})

enum stave_status mutex_init(struct mutex *mutex);
void mutex_free(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

enum stave_status condition_init(struct condition *condition);
void condition_free(struct condition *condition);
void condition_wait(struct condition *condition, struct mutex *mutex);

/* Waits until woken or until clock_monotonic_ns() reaches `deadline_ns`; false when the time is over. */
bool condition_wait_until(struct condition *condition, struct mutex *mutex, uint64_t deadline_ns);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/* Starts `run(argument)` under a name of at most 15 characters (T1). */
enum stave_status thread_start(struct thread *ret_thread, const char *name, void (*run)(void *),
                               void *argument, struct error *error);

/* Waits for its end. Accepts an empty thread, and leaves one. */
void thread_join(struct thread *thread);

/* Lets other threads run. */
void thread_yield(void);

/* Sleeps at least that long, signals or not. */
void thread_sleep_ns(uint64_t duration_ns);

/*
 * The number of the processor that the caller runs on, or 0: a hint for spreading load, stale when it
 * arrives.
 */
uint32_t thread_processor(void);

#endif
