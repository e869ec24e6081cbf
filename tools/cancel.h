/* SPDX-License-Identifier: MIT */
/* The first SIGINT or SIGTERM asks the running command to stop, a second one ends the process. */
#ifndef STAVE_TOOLS_CANCEL_H
#define STAVE_TOOLS_CANCEL_H

#include <stdbool.h>

/* System calls that wait are interrupted, too. */
void cancel_install(void);
bool cancel_requested(void);

#endif
