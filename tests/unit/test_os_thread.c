/* SPDX-License-Identifier: MIT */
/*
 * os/thread.h (T1, T2), os/event.h, os/clock.h, os/random.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/event.h"
#include "os/random.h"
#include "os/thread.h"

struct shared {
    struct mutex mutex;
    struct condition condition;
    bool is_ready; /* mutex */
    char name[16];
    bool signals_are_blocked;
};

static void report(void *argument)
{
    struct shared *const shared = argument;
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    mutex_lock(&shared->mutex);
    (void)pthread_getname_np(pthread_self(), shared->name, sizeof(shared->name));
    shared->signals_are_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGUSR1) == 1;
    shared->is_ready = true;
    condition_signal(&shared->condition);
    mutex_unlock(&shared->mutex);
}

static void thread_has_its_name_and_no_signals(void **state) /* T1 */
{
    (void)state;
    struct shared shared = {.is_ready = false};
    struct thread thread = THREAD_NONE;
    assert_int_equal(mutex_init(&shared.mutex), STAVE_OK);
    assert_int_equal(condition_init(&shared.condition), STAVE_OK);
    assert_int_equal(thread_start(&thread, "stave-test-of-a-long-name", report, &shared, NULL), STAVE_OK);
    mutex_lock(&shared.mutex);
    while (!shared.is_ready) condition_wait(&shared.condition, &shared.mutex);
    mutex_unlock(&shared.mutex);
    thread_join(&thread);
    thread_join(&thread);
    assert_string_equal(shared.name, "stave-test-of-a");
    assert_true(shared.signals_are_blocked);
    sigset_t blocked;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
    condition_free(&shared.condition);
    mutex_free(&shared.mutex);
}

static void waiting_ends_at_the_deadline(void **state) /* T2 */
{
    (void)state;
    struct mutex mutex;
    struct condition condition;
    assert_int_equal(mutex_init(&mutex), STAVE_OK);
    assert_int_equal(condition_init(&condition), STAVE_OK);
    mutex_lock(&mutex);
    const uint64_t deadline_ns = clock_monotonic_ns() + 2000000;
    while (condition_wait_until(&condition, &mutex, deadline_ns)) continue;
    assert_true(clock_monotonic_ns() >= deadline_ns);
    assert_false(condition_wait_until(&condition, &mutex, 0));
    mutex_unlock(&mutex);
    condition_free(&condition);
    mutex_free(&mutex);
}

static bool is_readable(const struct event *event)
{
    struct pollfd poll_fd = {.fd = event_fd(event), .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void event_is_readable_from_signal_to_read(void **state)
{
    (void)state;
    struct event event = EVENT_NONE;
    assert_int_equal(event_init(&event, NULL), STAVE_OK);
    assert_false(is_readable(&event));
    event_signal(&event);
    event_signal(&event);
    assert_true(is_readable(&event));
    uint64_t count = 0;
    assert_int_equal(read(event_fd(&event), &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 2);
    assert_false(is_readable(&event));
    event_free(&event);
    event_free(&event);
}

static void clocks_and_random_numbers_move(void **state)
{
    (void)state;
    const uint64_t before_ns = clock_monotonic_ns();
    thread_sleep_ns(1000);
    assert_true(clock_monotonic_ns() - before_ns >= 1000);
    assert_true(clock_wall_ms() > UINT64_C(1600000000000));
    uint64_t a = 0;
    uint64_t b = 0;
    assert_int_equal(random_number(&a, NULL), STAVE_OK);
    assert_int_equal(random_number(&b, NULL), STAVE_OK);
    assert_true(a != 0 && b != 0 && a != b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thread_has_its_name_and_no_signals),
        cmocka_unit_test(waiting_ends_at_the_deadline),
        cmocka_unit_test(event_is_readable_from_signal_to_read),
        cmocka_unit_test(clocks_and_random_numbers_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
