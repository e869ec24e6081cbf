/* SPDX-License-Identifier: MIT */
/*
 * The gate. Who wants it whole takes `turn` first and says so in `wanted`; a loop that comes while it is
 * wanted waits its turn, so that loops which hardly ever leave cannot starve the others.
 */
#include "server/gate.h"

#include <assert.h>

void gate_init(struct gate *gate, size_t place_count)
{
    assert(place_count <= GATE_PLACE_COUNT_MAX);
    gate->count = place_count;
    atomic_init(&gate->wanted, 0);
    (void)pthread_mutex_init(&gate->turn, NULL);
    for (size_t i = 0; i < place_count; i++) (void)pthread_mutex_init(&gate->places[i].mutex, NULL);
}

void gate_free(struct gate *gate)
{
    for (size_t i = 0; i < gate->count; i++) (void)pthread_mutex_destroy(&gate->places[i].mutex);
    (void)pthread_mutex_destroy(&gate->turn);
    gate->count = 0;
}

void gate_enter(struct gate *gate, size_t place)
{
    if (atomic_load_explicit(&gate->wanted, memory_order_relaxed) > 0) {
        (void)pthread_mutex_lock(&gate->turn);
        (void)pthread_mutex_unlock(&gate->turn);
    }
    (void)pthread_mutex_lock(&gate->places[place].mutex);
}

void gate_leave(struct gate *gate, size_t place)
{
    (void)pthread_mutex_unlock(&gate->places[place].mutex);
}

void gate_exclude(struct gate *gate, size_t place)
{
    if (gate->count == 1 && place == 0) return; /* one's own place is all there are */

    (void)atomic_fetch_add(&gate->wanted, 1);
    if (place != GATE_NO_PLACE) gate_leave(gate, place);
    (void)pthread_mutex_lock(&gate->turn);
    for (size_t i = 0; i < gate->count; i++) (void)pthread_mutex_lock(&gate->places[i].mutex);
    (void)atomic_fetch_sub(&gate->wanted, 1);
}

void gate_admit(struct gate *gate, size_t place)
{
    if (gate->count == 1 && place == 0) return;

    for (size_t i = gate->count; i > 0; i--) {
        if (i - 1 != place) (void)pthread_mutex_unlock(&gate->places[i - 1].mutex);
    }
    (void)pthread_mutex_unlock(&gate->turn);
}
