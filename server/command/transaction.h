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

/* Before it, with its call: notes what its commands need from disk. STAVE_WOULD_BLOCK: something. */
enum stave_status transaction_exec_seek(struct call *call);

#endif
