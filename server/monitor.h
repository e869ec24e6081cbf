/* SPDX-License-Identifier: MIT */
/* MONITOR: each command, as a line, to the clients that asked for it. */
#ifndef STAVE_SERVER_MONITOR_H
#define STAVE_SERVER_MONITOR_H

struct call;

/* Before a command runs, under the exclusive gate: monitors see commands in one order. */
void monitor_feed(struct call *call);

#endif
