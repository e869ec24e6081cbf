/* SPDX-License-Identifier: MIT */
/* The prompt: lines edited by libedit, with history, completion and hints. */
#ifndef STAVE_CLI_PROMPT_H
#define STAVE_CLI_PROMPT_H

#include "cli/session.h"

enum cli_exit prompt_run(struct session *session);

#endif
