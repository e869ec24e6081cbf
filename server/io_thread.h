/* SPDX-License-Identifier: MIT */
/*
 * The thread of a loop: it reads, runs and answers for the clients that live there, hears of syncs, looks at
 * the clock.
 *
 *   IT1  A sync is asked for at the end of a turn, where all who wait are gathered. The only loop syncs by
 *        itself for its only client, which spares three wake-ups; else the store's thread does. Who comes
 *        meanwhile waits for one sync.
 */
#ifndef STAVE_SERVER_IO_THREAD_H
#define STAVE_SERVER_IO_THREAD_H

#include <stddef.h>

#include "server/loop.h"

/* A new loop, which runs. NULL: no memory, or no thread. */
struct loop *io_thread_start(struct server *server, size_t index);

/* Closes all clients and ends the thread; other loops may still look at this one until it is freed. */
void io_thread_end(struct loop *loop);

#endif
