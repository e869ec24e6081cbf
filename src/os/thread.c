/* SPDX-License-Identifier: MIT */
/*
 * Threads, mutexes and conditions, on pthreads.
 */
#include "os/thread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/memory.h"
#include "os/system.h"

enum { THREAD_NAME_SIZE = 16, NS_PER_SECOND = 1000000000 };

struct thread_start {
    void (*run)(void *);
    void *argument;
    char name[THREAD_NAME_SIZE];
};

/* Adaptive: what is held for less than a system call takes is worth a short spin. */
enum stave_status mutex_init(struct mutex *mutex)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) return STAVE_NO_MEMORY;
    int result = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    if (result == 0) result = pthread_mutex_init(&mutex->handle, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return result == 0 ? STAVE_OK : STAVE_NO_MEMORY;
}

void mutex_free(struct mutex *mutex)
{
    const int result = pthread_mutex_destroy(&mutex->handle);
    assert(result == 0); /* nobody holds it */
}

void mutex_lock(struct mutex *mutex)
{
    const int result = pthread_mutex_lock(&mutex->handle);
    assert(result == 0);
}

void mutex_unlock(struct mutex *mutex)
{
    const int result = pthread_mutex_unlock(&mutex->handle);
    assert(result == 0);
}

enum stave_status condition_init(struct condition *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return STAVE_NO_MEMORY;
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC); /* T2 */
    if (result == 0) result = pthread_cond_init(&condition->handle, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return result == 0 ? STAVE_OK : STAVE_NO_MEMORY;
}

void condition_free(struct condition *condition)
{
    const int result = pthread_cond_destroy(&condition->handle);
    assert(result == 0); /* nobody waits */
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    const int result = pthread_cond_wait(&condition->handle, &mutex->handle);
    assert(result == 0);
}

bool condition_wait_until(struct condition *condition, struct mutex *mutex, uint64_t deadline_ns)
{
    const struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / NS_PER_SECOND),
                                      .tv_nsec = (long)(deadline_ns % NS_PER_SECOND)};
    const int result = pthread_cond_timedwait(&condition->handle, &mutex->handle, &deadline);
    assert(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void condition_signal(struct condition *condition)
{
    const int result = pthread_cond_signal(&condition->handle);
    assert(result == 0);
}

void condition_broadcast(struct condition *condition)
{
    const int result = pthread_cond_broadcast(&condition->handle);
    assert(result == 0);
}

static void *thread_main(void *argument)
{
    const struct thread_start start = *(const struct thread_start *)argument;
    memory_free(argument);
    (void)pthread_setname_np(pthread_self(), start.name);
    start.run(start.argument);
    return NULL;
}

/* Creates the thread while all signals are blocked, which it inherits (T1). */
static int create_without_signals(pthread_t *ret_thread, struct thread_start *start)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int result = system_thread_create(ret_thread, thread_main, start);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

enum stave_status thread_start(struct thread *ret_thread, const char *name, void (*run)(void *),
                               void *argument, struct error *error)
{
    struct thread_start *const start = memory_alloc(sizeof(*start));
    if (start == NULL) return error_set(error, STAVE_NO_MEMORY, 0, "thread %s: no memory", name);
    *start = (struct thread_start){.run = run, .argument = argument};
    (void)snprintf(start->name, sizeof(start->name), "%s", name);

    const int result = create_without_signals(&ret_thread->handle, start);
    if (result != 0) {
        memory_free(start);
        return error_set(error, result == EAGAIN ? STAVE_NO_MEMORY : error_status(result), result,
                         "thread %s", name);
    }
    ret_thread->running = true;
    return STAVE_OK;
}

void thread_join(struct thread *thread)
{
    if (!thread->running) return;
    const int result = pthread_join(thread->handle, NULL);
    assert(result == 0);
    thread->running = false;
}

void thread_yield(void)
{
    (void)sched_yield();
}

void thread_sleep_ns(uint64_t duration_ns)
{
    struct timespec left = {.tv_sec = (time_t)(duration_ns / NS_PER_SECOND),
                            .tv_nsec = (long)(duration_ns % NS_PER_SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) continue;
}

uint32_t thread_processor(void)
{
    const int processor = sched_getcpu();
    return processor > 0 ? (uint32_t)processor : 0;
}
