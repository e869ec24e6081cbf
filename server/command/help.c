/* SPDX-License-Identifier: MIT */
/* Help texts, as arrays of lines. */
#include "server/command/help.h"

#include <ctype.h>
#include <stdio.h>

#define NAME_SIZE 32

enum stave_status help_reply(struct call *call, const char *const *lines)
{
    char heading[NAME_SIZE + 80];
    char name[NAME_SIZE] = "";
    uint64_t count = 3;
    const char *container = call->arguments[0].data;
    for (size_t i = 0; i < call->arguments[0].size && i + 1 < sizeof(name); i++)
        name[i] = (char)toupper((unsigned char)container[i]);
    snprintf(heading, sizeof(heading), "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    for (size_t i = 0; lines[i] != NULL; i++) count++;
    reply_array(call->reply, count);
    reply_simple(call->reply, heading);
    for (size_t i = 0; lines[i] != NULL; i++) reply_simple(call->reply, lines[i]);
    reply_simple(call->reply, "HELP");
    reply_simple(call->reply, "    Prints this help.");
    return STAVE_OK;
}
