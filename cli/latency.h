/* SPDX-License-Identifier: MIT */
/* --latency and --latency-history: how long PING takes. */
#ifndef STAVE_CLI_LATENCY_H
#define STAVE_CLI_LATENCY_H

#include "cli/session.h"

enum cli_exit latency_run(struct session *session);

#endif
