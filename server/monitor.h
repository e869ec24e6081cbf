/* SPDX-License-Identifier: MIT */
/* MONITOR: each command, as a line, to the clients that asked for it. */
#ifndef STAVE_SERVER_MONITOR_H
#define STAVE_SERVER_MONITOR_H

struct call;

/* When a command has run, under the exclusive gate: monitors see commands in the order of their running. */
void monitor_feed(const struct call *call);

#endif
