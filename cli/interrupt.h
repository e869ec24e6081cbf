/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C: noted when it comes, and waited for together with descriptors.
 *
 *   I1  The signal is blocked but for interrupt_wait(), so that none is lost between a look and a wait.
 *   I2  A program that has not installed it is ended by the signal, as programs are.
 */
#ifndef STAVE_CLI_INTERRUPT_H
#define STAVE_CLI_INTERRUPT_H

#include <poll.h>
#include <stdbool.h>

void interrupt_install(void);

/* Has it come since the last time that this was asked? */
bool interrupt_taken(void);

/*
 * poll(), in milliseconds, below 0 for ever; how many descriptors are ready, 0 when the time is over, -1
 * when the user has pressed Ctrl-C (take it) or the window has another size.
 */
int interrupt_wait(struct pollfd *descriptors, nfds_t count, double milliseconds);

#endif
