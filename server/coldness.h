/* SPDX-License-Identifier: MIT */
/*
 * Whether reads may meet the disk. A loop that waits for it holds up all of its clients, so reads must not
 * wait then (cold.c), which costs each of them a question to the kernel; where all is in memory that is
 * saved.
 *
 *   Q1  Cold is a store larger than half of the machine's memory.
 *   Q2  Cold for COLDNESS_MS is a store of which something was read from disk: by a loop, which then waited
 *       once, or by the pool. So a restarted machine, a container with little memory and neighbours who need
 *       theirs are noticed by the first command that has waited, and the next does not.
 */
#ifndef STAVE_SERVER_COLDNESS_H
#define STAVE_SERVER_COLDNESS_H

#include <stdint.h>

struct server;

#define COLDNESS_MS UINT64_C(10000)
#define COLDNESS_WAIT_US UINT64_C(50) /* a command that took this long may have waited for a disk */

/* Sets server->is_cold. From time to time, on the main thread. */
void coldness_tick(struct server *server);

/* On a loop: has its thread read from disk since `*read_count` was noted here? At first it is 0. */
void coldness_look(struct server *server, uint64_t *read_count);

/* Something was read from disk just now. Any thread. */
void coldness_met(struct server *server);

#endif
