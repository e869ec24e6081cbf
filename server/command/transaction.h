/* SPDX-License-Identifier: MIT */
/* MULTI, EXEC, DISCARD, WATCH, UNWATCH. */
#ifndef STAVE_SERVER_COMMAND_TRANSACTION_H
#define STAVE_SERVER_COMMAND_TRANSACTION_H

#include "server/call.h"

enum stave_status transaction_multi(struct call *call);
enum stave_status transaction_exec(struct call *call);
enum stave_status transaction_discard(struct call *call);
enum stave_status transaction_watch(struct call *call);
enum stave_status transaction_unwatch(struct call *call);

/* Before an EXEC, with its call: notes what its commands need from disk. STAVE_WOULD_BLOCK: something. */
enum stave_status transaction_seek_queued(const struct call *exec);

/* Is the command run, not queued, between MULTI and EXEC? */
bool transaction_is_immediate(const struct command *command);

#endif
