/* SPDX-License-Identifier: MIT */
/* AUTH, HELLO with AUTH, CONFIG SET requirepass. */
#include "server/secret.h"

#include <string.h>

#include "net/words.h"
#include "server/config_table.h"

/* HELLO 3 AUTH user password. */
static bool is_of_hello(const struct stave_bytes *arguments, size_t index)
{
    return (index >= 3 && words_is(arguments[index - 1], "auth")) ||
           (index >= 4 && words_is(arguments[index - 2], "auth"));
}

/* CONFIG SET name value name value. */
static bool is_of_config(const struct stave_bytes *arguments, size_t index)
{
    if (index < 3 || index % 2 == 0) return false;
    const int number = config_directive_find(arguments[index - 1]);
    return number >= 0 && config_directives[number].flags & DIRECTIVE_SECRET;
}

bool secret_argument(const struct command *command, const struct stave_bytes *arguments, size_t count,
                     size_t index)
{
    if (index == 0 || index >= count) return false;
    if (strcmp(command->name, "auth") == 0) return true;
    if (strcmp(command->name, "hello") == 0) return is_of_hello(arguments, index);
    return strcmp(command->name, "set") == 0 && words_is(arguments[0], "config") &&
           is_of_config(arguments, index);
}
