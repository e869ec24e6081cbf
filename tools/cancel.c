/* SPDX-License-Identifier: MIT */
/* The tool's only state outside of main: a flag that the handler sets. */
#include "tools/cancel.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t requested;

static void request(int number)
{
    (void)number;
    requested = 1;
}

void cancel_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = request;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool cancel_requested(void)
{
    return requested != 0;
}
