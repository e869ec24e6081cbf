/* SPDX-License-Identifier: MIT */
/* The handler sets a flag; ppoll() lets the signal in. */
#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

static volatile sig_atomic_t interrupted;
static sigset_t mask_while_waiting;
static bool is_installed;

static void note(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void interrupt_install(void)
{
    const struct sigaction action = {.sa_handler = note};
    sigset_t blocked;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &blocked, &mask_while_waiting);
    (void)sigdelset(&mask_while_waiting, SIGINT);
    (void)sigaction(SIGINT, &action, NULL);
    is_installed = true;
}

bool interrupt_taken(void)
{
    const bool taken = interrupted != 0;
    interrupted = 0;
    return taken;
}

int interrupt_wait(struct pollfd *descriptors, nfds_t count, double milliseconds)
{
    const int64_t nanoseconds = (int64_t)(milliseconds * 1e6);
    const struct timespec timeout = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    const int ready = ppoll(descriptors, count, milliseconds < 0 ? NULL : &timeout,
                            is_installed ? &mask_while_waiting : NULL);
    return ready < 0 && errno != EINTR ? 0 : ready;
}
