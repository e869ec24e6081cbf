/* SPDX-License-Identifier: MIT */
/* The table behind command.h: built from groups of commands once, before the loops start. */
#ifndef STAVE_SERVER_COMMAND_TABLE_H
#define STAVE_SERVER_COMMAND_TABLE_H

#include "server/command.h"

/* From groups of commands, ended by NULL. Of two commands of one name the first counts. */
void command_table_build(const struct command *const *groups);

/* command_find() with its command_number(). */
const struct command *command_find_numbered(struct stave_bytes name, size_t *ret_number);

#endif
