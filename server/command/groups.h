/* SPDX-License-Identifier: MIT */
/*
 * The groups of commands. A group is an array of entries, ended by a NULL name, in NAME_table.c; the
 * functions that run them stand beside it, and are declared in NAME.h. A new group is a new line here and in
 * groups.c.
 */
#ifndef STAVE_SERVER_COMMAND_GROUPS_H
#define STAVE_SERVER_COMMAND_GROUPS_H

#include "server/command.h"

extern const struct command string_commands[];
extern const struct command bitmap_commands[];
extern const struct command generic_commands[];
extern const struct command database_commands[];
extern const struct command transaction_commands[];
extern const struct command connection_commands[];
extern const struct command server_commands[];
extern const struct command described_commands[]; /* the last: Redis' commands that are not here yet */

/* All of them, for command_table_build(), ended by NULL. */
extern const struct command *const command_groups[];

#endif
