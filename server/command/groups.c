/* SPDX-License-Identifier: MIT */
/* Of two commands of one name the first counts: what a group has is no longer only described. */
#include "server/command/groups.h"

#include <stddef.h>

const struct command *const command_groups[] = {string_commands,   bitmap_commands,      generic_commands,
                                                database_commands, transaction_commands, connection_commands,
                                                server_commands,   described_commands,   NULL};
