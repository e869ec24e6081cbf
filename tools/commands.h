/* SPDX-License-Identifier: MIT */
/* The commands, one table entry each; main.c puts them in order. */
#ifndef STAVE_TOOLS_COMMANDS_H
#define STAVE_TOOLS_COMMANDS_H

#include "tools/tool.h"

extern const struct tool_command command_get;
extern const struct tool_command command_put;
extern const struct tool_command command_delete;
extern const struct tool_command command_list;
extern const struct tool_command command_stat;
extern const struct tool_command command_check;
extern const struct tool_command command_salvage;
extern const struct tool_command command_compact;
extern const struct tool_command command_backup;
extern const struct tool_command command_dump;
extern const struct tool_command command_load;
extern const struct tool_command command_watch;

#endif
