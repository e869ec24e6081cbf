/* SPDX-License-Identifier: MIT */
/* Opens stores and writes messages for the commands. */
#include "tools/tool.h"

#include "tools/json.h"
#include "tools/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

const char *tool_path(const struct tool *tool)
{
    return tool->arguments.words[0];
}

bool tool_given(const struct tool *tool, enum option option)
{
    return tool->arguments.values[option] != NULL;
}

enum tool_exit tool_exit_of(enum stave_status status)
{
    if (status == STAVE_OK) return TOOL_DONE;
    if (status > 0) return TOOL_NO;
    if (status == STAVE_CORRUPT) return TOOL_DAMAGE;
    if (status == STAVE_CANCELLED) return TOOL_INTERRUPTED;
    return TOOL_FAILURE;
}

static void write_message(const struct tool *tool, const char *format, va_list values)
{
    char message[1024];
    (void)vsnprintf(message, sizeof message, format, values);
    if (tool->json) {
        fputs("{\"error\": ", stderr);
        json_write_text(stderr, message);
        fputs("}\n", stderr);
    } else {
        fprintf(stderr, "stave: %s\n", message);
    }
}

enum tool_exit tool_report(const struct tool *tool, enum stave_status status, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    write_message(tool, format, values);
    va_end(values);
    return tool_exit_of(status);
}

enum tool_exit tool_failure(const struct tool *tool, const char *path, enum stave_status status,
                            const struct stave_error *error)
{
    const char *message = error->message[0] != '\0' ? error->message : stave_status_text(status);
    const bool is_named = strncmp(message, path, strlen(path)) == 0;
    const enum tool_exit result =
        tool_report(tool, status, "%s%s%s", is_named ? "" : path, is_named ? "" : ": ", message);
    return result == TOOL_NO ? TOOL_FAILURE : result; /* no store is not "no such key" */
}

enum tool_exit tool_usage(const struct tool *tool, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    write_message(tool, format, values);
    va_end(values);
    return TOOL_USAGE;
}

enum tool_exit tool_result(const struct tool *tool, struct stave *store, const char *doing,
                           enum stave_status status)
{
    if (status == STAVE_OK) return TOOL_DONE;
    if (status == STAVE_CANCELLED) return tool_report(tool, status, "%s: interrupted", doing);
    struct stave_error error = {.status = STAVE_OK};
    stave_last_error(store, &error);
    const bool known = error.status == status && error.message[0] != '\0';
    return tool_report(tool, status, "%s: %s", doing, known ? error.message : stave_status_text(status));
}

enum tool_exit tool_bytes(const struct tool *tool, char *word, struct stave_bytes *ret_bytes)
{
    struct stave_bytes bytes = stave_text(word);
    if (tool_given(tool, OPTION_ESCAPED) && !text_escaped_decode(bytes, (uint8_t *)word, &bytes.size))
        return tool_usage(tool, "there is no such escape, at byte %zu of %s", bytes.size, word);
    *ret_bytes = bytes;
    return TOOL_DONE;
}

enum tool_exit tool_number(const struct tool *tool, enum option option, uint64_t max, uint64_t otherwise,
                           uint64_t *ret_number)
{
    const char *text = tool->arguments.values[option];
    if (text == NULL) {
        *ret_number = otherwise;
        return TOOL_DONE;
    }
    if (arguments_number(text, max, ret_number)) return TOOL_DONE;
    return tool_usage(tool, "%s: a number from 0 to %llu is needed, not \"%s\"", arguments_text(option)->name,
                      (unsigned long long)max, text);
}

uint64_t tool_now_ms(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum tool_exit tool_open(const struct tool *tool, enum tool_access access, struct tool_store *ret_store)
{
    struct stave_options options = {.size = sizeof options};
    options.read_only = access == TOOL_READ;
    options.must_exist = access != TOOL_MAKE;
    options.manual_compaction = access == TOOL_UPKEEP;
    options.accept_damage = tool_given(tool, OPTION_ACCEPT_DAMAGE);

    struct stave_error error = {.status = STAVE_OK};
    struct stave *store = NULL;
    const enum stave_status status = stave_open(tool_path(tool), &options, &store, &error);
    if (status != STAVE_OK) return tool_failure(tool, tool_path(tool), status, &error);
    ret_store->store = store;
    ret_store->space = stave_space(store, tool->space);
    return TOOL_DONE;
}

enum tool_exit tool_close(const struct tool *tool, struct tool_store *store, enum tool_exit result)
{
    if (store->store == NULL) return result;
    const enum stave_status status = stave_close(store->store);
    *store = (struct tool_store){NULL, NULL};
    if (status == STAVE_OK || (result != TOOL_DONE && result != TOOL_NO)) return result;
    return tool_report(tool, status, "%s: closing the store: %s", tool_path(tool), stave_status_text(status));
}
