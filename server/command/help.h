/* SPDX-License-Identifier: MIT */
/* The HELP subcommand of containers. */
#ifndef STAVE_SERVER_COMMAND_HELP_H
#define STAVE_SERVER_COMMAND_HELP_H

#include "server/call.h"

/* Answers with a heading and these lines, of which the last is followed by NULL, and those of HELP itself. */
enum stave_status help_reply(struct call *call, const char *const *lines);

#endif
