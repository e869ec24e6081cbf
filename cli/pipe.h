/* SPDX-License-Identifier: MIT */
/*
 * --pipe: standard input is sent as it is, replies are counted.
 *
 *   P1  Memory is bounded by one part of the input and one reply: no more is read than the server takes.
 */
#ifndef STAVE_CLI_PIPE_H
#define STAVE_CLI_PIPE_H

#include "cli/session.h"

enum cli_exit pipe_run(struct session *session);

#endif
