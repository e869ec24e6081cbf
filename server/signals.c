/* SPDX-License-Identifier: MIT */
/*
 * A thread of its own takes the signals. The main thread waits for the gate while a command has it to itself,
 * and who insists does not wait for that. What was acknowledged is in the store's files, as after kill -9.
 */
#include "server/signals.h"

#include <signal.h>
#include <unistd.h>

#include "server/log.h"
#include "server/server.h"

static sigset_t ending_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return set;
}

static void answer(struct server *server, int number)
{
    if (number == SIGINT && atomic_load(&server->stopping)) {
        log_write(LOG_WARNING, "You insist... exiting now.");
        _exit(1);
    }
    log_write(LOG_WARNING, "Received %s scheduling shutdown...", number == SIGINT ? "SIGINT" : "SIGTERM");
    server_stop(server);
}

static void *wait_for_signals(void *context)
{
    struct signals *signals = context;
    const sigset_t set = ending_signals();
    (void)pthread_setname_np(pthread_self(), "stave-signals");
    for (;;) {
        int number = 0;
        const int error = sigwait(&set, &number);
        if (atomic_load(&signals->is_ended)) return NULL;
        if (error == 0) answer(signals->server, number);
    }
}

bool signals_begin(struct signals *signals, struct server *server)
{
    const sigset_t set = ending_signals();
    signals->server = server;
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    signals->is_begun = pthread_create(&signals->thread, NULL, wait_for_signals, signals) == 0;
    return signals->is_begun;
}

void signals_end(struct signals *signals)
{
    if (!signals->is_begun) return;
    atomic_store(&signals->is_ended, true);
    (void)pthread_kill(signals->thread, SIGTERM);
    (void)pthread_join(signals->thread, NULL);
    signals->is_begun = false;
}
