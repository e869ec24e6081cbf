/* SPDX-License-Identifier: MIT */
/* The signals that end the server: the first one cleanly, a SIGINT behind it at once, as in Redis. */
#ifndef STAVE_SERVER_SIGNALS_H
#define STAVE_SERVER_SIGNALS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct server;

struct signals {
    struct server *server;
    pthread_t thread;
    bool is_begun;
    _Atomic bool is_ended;
};

/* Before other threads are started: they do not get these signals then. False: no thread could be had. */
bool signals_begin(struct signals *signals, struct server *server);
void signals_end(struct signals *signals);

#endif
