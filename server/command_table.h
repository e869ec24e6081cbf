/* SPDX-License-Identifier: MIT */
/* The table behind command.h: built from the groups once, before the loops start. */
#ifndef STAVE_SERVER_COMMAND_TABLE_H
#define STAVE_SERVER_COMMAND_TABLE_H

#include "server/command.h"

/* Groups that are not linked are left out; of two commands of one name the first counts. */
extern const struct command string_commands[] __attribute__((weak));
extern const struct command bitmap_commands[] __attribute__((weak));
extern const struct command generic_commands[] __attribute__((weak));
extern const struct command database_commands[] __attribute__((weak));
extern const struct command transaction_commands[] __attribute__((weak));
extern const struct command connection_commands[] __attribute__((weak));
extern const struct command server_commands[] __attribute__((weak));
extern const struct command described_commands[] __attribute__((weak));

void command_table_build(void);

/* command_find() with its command_number(). */
const struct command *command_find_numbered(struct stave_bytes name, size_t *ret_number);

/* The inverse of command_number(). */
const struct command *command_of_number(size_t number);

#endif
