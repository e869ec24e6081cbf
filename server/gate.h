/* SPDX-License-Identifier: MIT */
/*
 * Who may run commands: every loop at once beside the others, or one thread while all others wait.
 *
 *   G1  A loop runs commands, and touches its clients, only while it holds its own place in the gate.
 *   G2  Who holds the gate exclusively holds every place: no command runs elsewhere, and the clients of all
 *       loops, the configuration and the counters may be read and changed.
 *   G3  A place is never waited for while another is held, except in the order of the loops: no deadlock.
 *       Between leaving one's own place and having all, others may have run; the caller looks again.
 *   G4  Nothing that waits for a client or a disk sync is done inside.
 */
#ifndef STAVE_SERVER_GATE_H
#define STAVE_SERVER_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define GATE_PLACE_COUNT_MAX ((size_t)128)
/* For a thread that is no loop: the main thread. */
#define GATE_NO_PLACE ((size_t)-1)

struct gate_place {
    _Alignas(64) pthread_mutex_t mutex;
};

struct gate {
    struct gate_place places[GATE_PLACE_COUNT_MAX];
    size_t count;
    pthread_mutex_t turn;  /* taken before the places by who wants all of them */
    _Atomic size_t wanted; /* how many do */
};

void gate_init(struct gate *gate, size_t place_count);
void gate_free(struct gate *gate);

/* Around a slice of commands of one loop. */
void gate_enter(struct gate *gate, size_t place);
void gate_leave(struct gate *gate, size_t place);

/* From one's own place (or none, GATE_NO_PLACE) to all of them, and back. */
void gate_exclude(struct gate *gate, size_t place);
void gate_admit(struct gate *gate, size_t place);

#endif
