/* SPDX-License-Identifier: MIT */
/* stave: one command for store directories. Finds the command, checks its arguments, runs it. */
#include "tools/cancel.h"
#include "tools/commands.h"

#include <locale.h>
#include <stdio.h>

static const struct tool_command *const commands[] = {
    &command_get,     &command_put,     &command_delete, &command_list, &command_stat, &command_check,
    &command_salvage, &command_compact, &command_backup, &command_dump, &command_load, &command_watch,
};

static const char exit_codes[] =
    "Exit codes: 0 done; 1 no (no such key, a condition that does not hold); 2 a mistake in the command line "
    "or the\n"
    "input; 3 damage was found; 4 the store or the system failed; 5 interrupted.\n";

static void write_help(void)
{
    puts("stave " STAVE_VERSION_TEXT ": looks into, fills and keeps up Stave stores\n\n"
         "Usage: stave COMMAND STORE ... [OPTION]...\n\nCommands:");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  %-8s  %s\n", commands[i]->name, commands[i]->summary);
    puts("\nA STORE is a directory. `stave COMMAND --help` tells more about a command. For every command:");
    for (int i = OPTION_HELP; i <= OPTION_SPACE; i++) {
        const struct option_text *text = arguments_text((enum option)i);
        printf("  %-7s %-2s  %s\n", text->name, text->value == NULL ? "" : text->value, text->help);
    }
    printf("  %-10s  %s\n\n%s", "--version", "show the version", exit_codes);
}

static void write_command_help(const struct tool_command *command)
{
    const uint64_t everywhere = OPTION_BIT(OPTION_HELP) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_SPACE);
    printf("Usage: stave %s %s [OPTION]...\n\n%s: %s.\n\n%s\n\nOptions:\n", command->name, command->words,
           command->name, command->summary, command->details);
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_text *text = arguments_text((enum option)i);
        char name[32];
        if (((command->options | everywhere) & OPTION_BIT(i)) == 0) continue;
        (void)snprintf(name, sizeof name, "%s %s", text->name, text->value == NULL ? "" : text->value);
        printf("  %-17s  %s\n", name, text->help);
    }
    printf("\n%s", exit_codes);
}

static const struct tool_command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

/* The first option given that the command does not take; OPTION_COUNT if there is none. */
static enum option find_foreign(const struct tool_command *command, const struct arguments *arguments)
{
    const uint64_t everywhere = OPTION_BIT(OPTION_HELP) | OPTION_BIT(OPTION_JSON) | OPTION_BIT(OPTION_SPACE);
    const uint64_t foreign = arguments_given(arguments) & ~(command->options | everywhere);
    for (int i = 0; i < OPTION_COUNT; i++) {
        if ((foreign & OPTION_BIT(i)) != 0) return (enum option)i;
    }
    return OPTION_COUNT;
}

static enum tool_exit run(struct tool *tool, const struct tool_command *command)
{
    if (tool_given(tool, OPTION_HELP)) {
        write_command_help(command);
        return TOOL_DONE;
    }
    const enum option foreign = find_foreign(command, &tool->arguments);
    if (foreign != OPTION_COUNT)
        return tool_usage(tool, "%s takes no option %s; see stave %s --help", command->name,
                          arguments_text(foreign)->name, command->name);
    const size_t count = tool->arguments.word_count;
    if (count < command->word_count_min || count > command->word_count_max)
        return tool_usage(tool, "usage: stave %s %s; see stave %s --help", command->name, command->words,
                          command->name);
    uint64_t space = 0;
    const enum tool_exit result = tool_number(tool, OPTION_SPACE, STAVE_SPACE_COUNT_MAX - 1, 0, &space);
    if (result != TOOL_DONE) return result;
    tool->space = (uint32_t)space;
    return command->run(tool);
}

/* The command is the first word that is no option. */
static enum tool_exit parse_and_run(char **words, size_t word_count)
{
    struct tool tool = {.json = false};
    const char *problem = "";
    const char *word = "";
    if (word_count > 0 && strcmp(words[0], "--version") == 0) {
        puts("stave " STAVE_VERSION_TEXT);
        return TOOL_DONE;
    }
    if (!arguments_parse(words, word_count, &tool.arguments, &problem, &word))
        return tool_usage(&tool, "%s: %s; see stave --help", word, problem);
    tool.json = tool_given(&tool, OPTION_JSON);
    if (tool.arguments.word_count == 0) {
        if (!tool_given(&tool, OPTION_HELP))
            return tool_usage(&tool, "a command is needed; see stave --help");
        write_help();
        return TOOL_DONE;
    }
    const struct tool_command *command = find_command(tool.arguments.words[0]);
    if (command == NULL)
        return tool_usage(&tool, "there is no command %s; see stave --help", tool.arguments.words[0]);
    tool.arguments.words++;
    tool.arguments.word_count--;
    return run(&tool, command);
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_CTYPE, "");
    cancel_install();
    enum tool_exit result = parse_and_run(argv + 1, argc > 0 ? (size_t)argc - 1 : 0);
    const bool failed = ferror(stdout) != 0;
    if ((fclose(stdout) != 0 || failed) && (result == TOOL_DONE || result == TOOL_NO)) {
        fputs("stave: standard output cannot be written\n", stderr);
        result = TOOL_FAILURE;
    }
    return (int)result;
}
