/* SPDX-License-Identifier: MIT */
/* The prompt's command `help`. */
#ifndef STAVE_CLI_HELP_H
#define STAVE_CLI_HELP_H

#include "cli/docs.h"
#include "cli/line.h"

/* `help`, `help @group`, `help command [subcommand]` */
void help_show(const struct docs *docs, const struct words *words);

#endif
