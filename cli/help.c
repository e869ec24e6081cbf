/* SPDX-License-Identifier: MIT */
/* Help comes from the server's own documentation of its commands. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#include "cli/complete.h"
#include "net/words.h"

static void show_general(void)
{
    puts("help COMMAND       a command's arguments and summary\n"
         "help @GROUP        the commands of a group, such as @string or @server\n"
         "5 COMMAND          runs a command five times\n"
         "clear              clears the screen\n"
         "quit, exit         ends (Ctrl-D as well)\n\n"
         "Tab completes commands and shows arguments; Ctrl-C drops the line, or ends waiting for a reply.\n"
         "Words with spaces or bytes that cannot be typed are written in quotes: \"a b\\x00\\n\".");
}

static void show_command(const struct docs_command *command)
{
    struct buffer text = BUFFER_NONE;
    complete_syntax(command, &text);
    printf("\n  %s\n  %s\n  since: %s, group: %s\n", (const char *)text.data, command->summary,
           command->since, command->group);
    buffer_free(&text);
}

/* The command, or if it has subcommands all of them. */
static bool show_commands(const struct docs *docs, const struct words *words)
{
    size_t used = 0;
    const struct docs_command *const command = docs_find(docs, words->list + 1, words->count - 1, &used);
    if (command == NULL) return false;
    show_command(command);
    const size_t size = strlen(command->name);
    for (size_t i = 0; i < docs->count; i++) {
        const char *const name = docs->commands[i].name;
        if (strncmp(name, command->name, size) == 0 && name[size] == ' ') show_command(&docs->commands[i]);
    }
    putchar('\n');
    return true;
}

static bool show_group(const struct docs *docs, struct stave_bytes group)
{
    bool has_shown = false;
    for (size_t i = 0; i < docs->count; i++) {
        if (!words_is(group, docs->commands[i].group)) continue;
        printf("  %-24s %s\n", docs->commands[i].name, docs->commands[i].summary);
        has_shown = true;
    }
    return has_shown;
}

void help_show(const struct docs *docs, const struct words *words)
{
    bool has_shown = true;
    if (words->count < 2) {
        show_general();
        return;
    }
    const struct stave_bytes word = words->list[1];
    if (word.size > 1 && *(const char *)word.data == '@')
        has_shown = show_group(docs, (struct stave_bytes){(const char *)word.data + 1, word.size - 1});
    else
        has_shown = show_commands(docs, words);
    if (!has_shown)
        puts(docs->count > 0 ? "There is no such command or group."
                             : "The server tells nothing about its commands.");
}
