/* SPDX-License-Identifier: MIT */
/*
 * What every command of the tool works with: its arguments, the store that it opens, its messages.
 *
 * Results go to standard output, messages to standard error; both as JSON with --json. A command returns its
 * exit code, which main passes on after it has seen standard output through.
 */
#ifndef STAVE_TOOLS_TOOL_H
#define STAVE_TOOLS_TOOL_H

#include "tools/arguments.h"

#include <stave.h>

enum tool_exit {
    TOOL_DONE = 0,
    TOOL_NO = 1,     /* not found, there already, another sequence */
    TOOL_USAGE = 2,  /* the command line, or the input of load */
    TOOL_DAMAGE = 3, /* the store is damaged */
    TOOL_FAILURE = 4,
    TOOL_INTERRUPTED = 5, /* by SIGINT or SIGTERM */
};

struct tool {
    struct arguments arguments;
    bool json;
    uint32_t space;
};

typedef enum tool_exit (*tool_run)(const struct tool *tool);

struct tool_command {
    const char *name;
    const char *words;   /* as in the usage line */
    const char *summary; /* one line */
    const char *details;
    uint64_t options; /* bits of those it takes, besides --help, --json and --space */
    size_t word_count_min;
    size_t word_count_max;
    tool_run run;
};

/* The store's directory: the first word of every command. */
const char *tool_path(const struct tool *tool);
bool tool_given(const struct tool *tool, enum option option);

/* Writes a message and gives the exit code for `status`. */
enum tool_exit tool_report(const struct tool *tool, enum stave_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As above for a call on `path` that failed; the library often names the path itself. */
enum tool_exit tool_failure(const struct tool *tool, const char *path, enum stave_status status,
                            const struct stave_error *error);
/* As above for a mistake in the command line or the input. */
enum tool_exit tool_usage(const struct tool *tool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reports what a call on the store returned: nothing for STAVE_OK. */
enum tool_exit tool_result(const struct tool *tool, struct stave *store, const char *doing,
                           enum stave_status status);

enum tool_exit tool_exit_of(enum stave_status status);

/* The bytes of a word: as they are, or with --escaped their escapes resolved in place. */
enum tool_exit tool_bytes(const struct tool *tool, char *word, struct stave_bytes *ret_bytes);
/* The number given with an option, or `otherwise`. */
enum tool_exit tool_number(const struct tool *tool, enum option option, uint64_t max, uint64_t otherwise,
                           uint64_t *ret_number);
uint64_t tool_now_ms(void);

enum tool_access {
    TOOL_READ,   /* read-only, beside a writer */
    TOOL_WRITE,  /* must be there */
    TOOL_MAKE,   /* is made if need be */
    TOOL_UPKEEP, /* as TOOL_WRITE, without compaction of its own */
};

struct tool_store {
    struct stave *store; /* space 0: NULL while not open */
    struct stave *space; /* the one of --space */
};

/* Reports on failure. */
enum tool_exit tool_open(const struct tool *tool, enum tool_access access, struct tool_store *ret_store);
/* Closes; keeps `result` unless it is TOOL_DONE and closing fails. */
enum tool_exit tool_close(const struct tool *tool, struct tool_store *store, enum tool_exit result);

#endif
