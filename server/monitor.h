/* SPDX-License-Identifier: MIT */
/* MONITOR: each command, as a line, to the clients that asked for it. */
#ifndef STAVE_SERVER_MONITOR_H
#define STAVE_SERVER_MONITOR_H

struct call;

/*
 * Before a command runs, from its loop. Leaves the loop's place in the gate and takes it again, having had
 * the whole gate in between: a monitor sees commands in one order.
 */
void monitor_feed(struct call *call);

#endif
