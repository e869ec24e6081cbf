/* SPDX-License-Identifier: MIT */
/*
 * The command table: one entry a command, from which dispatch, COMMAND and its DOCS, statistics and access
 * lists are fed.
 * Source: https://redis.io/docs/latest/commands/command/ and .../key-specs/
 */
#ifndef STAVE_SERVER_COMMAND_H
#define STAVE_SERVER_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

struct call;

typedef enum stave_status (*command_run)(struct call *call);

/* Names as COMMAND gives them, in lower case. */
enum command_flags {
    COMMAND_WRITE = 1 << 0,
    COMMAND_READONLY = 1 << 1,
    COMMAND_DENYOOM = 1 << 2,
    COMMAND_ADMIN = 1 << 3,
    COMMAND_PUBSUB = 1 << 4,
    COMMAND_NOSCRIPT = 1 << 5,
    COMMAND_BLOCKING = 1 << 6,
    COMMAND_LOADING = 1 << 7,
    COMMAND_STALE = 1 << 8,
    COMMAND_SKIP_MONITOR = 1 << 9,
    COMMAND_SKIP_SLOWLOG = 1 << 10,
    COMMAND_ASKING = 1 << 11,
    COMMAND_FAST = 1 << 12,
    COMMAND_NO_AUTH = 1 << 13,
    COMMAND_MAY_REPLICATE = 1 << 14,
    COMMAND_NO_MULTI = 1 << 15,
    COMMAND_MOVABLEKEYS = 1 << 16,
    COMMAND_ALLOW_BUSY = 1 << 17,
    COMMAND_NO_ASYNC_LOADING = 1 << 18,
    COMMAND_NO_MANDATORY_KEYS = 1 << 19,
    /* Ours, not shown. */
    COMMAND_REPORTS = 1 << 20,        /* of the server, not of values: answered after a failed sync */
    COMMAND_EXCLUSIVE = 1 << 24,      /* runs while no other command does, on no loop */
    COMMAND_DESCRIBED = 1 << 25,      /* known to COMMAND only; called, it is an unknown command */
    COMMAND_PROTECTED = 1 << 26,      /* only as far as enable-debug-command allows */
    COMMAND_PARTIAL = 1 << 27,        /* reads a part of a value, be that as large as it may */
    COMMAND_NOT_QUEUED = 1 << 28,     /* runs at once between MULTI and EXEC */
    COMMAND_RUNS_QUEUED = 1 << 29,    /* EXEC: runs the commands that the client has queued */
    COMMAND_CROSS_DATABASE = 1 << 30, /* looks at its key in two databases */
};

/* ACL categories: "@read" and so on; the ones that follow from flags (@fast, @admin, ...) are derived. */
enum command_category {
    CATEGORY_KEYSPACE = 1 << 0,
    CATEGORY_READ = 1 << 1,
    CATEGORY_WRITE = 1 << 2,
    CATEGORY_STRING = 1 << 3,
    CATEGORY_BITMAP = 1 << 4,
    CATEGORY_CONNECTION = 1 << 5,
    CATEGORY_TRANSACTION = 1 << 6,
    CATEGORY_SCRIPTING = 1 << 7,
    CATEGORY_DANGEROUS = 1 << 8,
    CATEGORY_ADMIN = 1 << 9,
    CATEGORY_SET = 1 << 10,
    CATEGORY_SORTEDSET = 1 << 11,
    CATEGORY_LIST = 1 << 12,
    CATEGORY_HASH = 1 << 13,
    CATEGORY_HYPERLOGLOG = 1 << 14,
    CATEGORY_GEO = 1 << 15,
    CATEGORY_STREAM = 1 << 16,
    CATEGORY_PUBSUB = 1 << 17,
};

enum key_spec_flags {
    KEY_RO = 1 << 0,
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4,
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
};

enum key_spec_begin { KEY_BEGIN_NONE, KEY_BEGIN_INDEX, KEY_BEGIN_KEYWORD, KEY_BEGIN_UNKNOWN };
enum key_spec_find { KEY_FIND_NONE, KEY_FIND_RANGE, KEY_FIND_KEYNUM, KEY_FIND_UNKNOWN };

struct key_spec {
    enum key_spec_begin begin;
    int begin_position;        /* index; for a keyword: where the search starts */
    const char *begin_keyword; /* or NULL */
    enum key_spec_find find;
    int find_last;     /* range: last key from the first, -1: last argument; keynum: where the count stands */
    int find_step;     /* between keys; keynum: the same */
    int find_limit;    /* range; keynum: first key, from the count */
    uint32_t flags;    /* enum key_spec_flags */
    const char *notes; /* COMMAND INFO shows them; or NULL */
};

#define COMMAND_KEY_SPECS_MAX 3

struct command {
    const char *name; /* lower case; of a subcommand without its container */
    int arity;        /* with the name; negative: at least */
    uint32_t flags;
    uint32_t categories;
    struct key_spec keys[COMMAND_KEY_SPECS_MAX]; /* up to the first KEY_BEGIN_NONE */
    command_run run;                             /* NULL: a container, or described alone */
    /* Before it has the gate: notes what it needs of the disk, as prefetch_seek(); NULL: its keys alone. */
    command_run seek;
    const struct command *subcommands; /* ends with a NULL name */

    /* COMMAND DOCS */
    const char *summary;
    const char *since;
    const char *group;
    const char *complexity;
    /*
     * The arguments as Redis' pages write them: `key value [NX | XX] [GET] [EX seconds | PX milliseconds]`.
     * Capitals are tokens, other words names, [] optional, | one of, ... once more of what stands before it.
     */
    const char *arguments;
    const char
        *deprecated_since; /* or NULL; then `replaced_by` says by what, in Markdown as Redis' pages do */
    const char *replaced_by;

    /* COMMAND INFO: the tips for clients and proxies, with spaces between them, or NULL. */
    const char *tips;
};

/* Is this a right number of arguments, the name among them? */
static inline bool command_takes(const struct command *command, size_t count)
{
    return command->arity >= 0 ? count == (size_t)command->arity : count >= (size_t)-command->arity;
}

/*
 * Makes the table of all commands from groups of them, ended by NULL; of two commands of one name the first
 * counts. Once, before the loops start: it is constant then.
 */
void command_table_build(const struct command *const *groups);

/* The command of this name in any case, or NULL. */
const struct command *command_find(struct stave_bytes name);
/* The same with its command_number(). */
const struct command *command_find_numbered(struct stave_bytes name, size_t *ret_number);
const struct command *command_find_subcommand(const struct command *command, struct stave_bytes name);

/* All commands, sorted by name, without subcommands. */
const struct command *const *command_list(size_t *ret_count);

/* Number of a command or subcommand in 0..command_number_count(): for statistics kept elsewhere. */
size_t command_number(const struct command *command);
size_t command_number_count(void);

/* "client|kill" for a subcommand, else the name. */
void command_full_name(const struct command *command, char *ret_name, size_t size);

/*
 * Positions of the keys among the arguments, by the key specs. Result how many were found; at most `capacity`
 * are written. -1: the arguments do not fit the specs.
 */
struct command_key {
    size_t index;
    uint32_t flags; /* of its spec */
};
int command_keys(const struct command *command, const struct stave_bytes *arguments, size_t count,
                 struct command_key *ret_keys, size_t capacity);

#endif
