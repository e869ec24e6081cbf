/* SPDX-License-Identifier: MIT */
/*
 * One execution of a command: what its function sees, and what it may do.
 *
 *   C1  A command's function reads and writes keys through call->transaction alone and answers through the
 *       reply functions. It may be run again from its start (another write came between, a value had to be
 *       brought from disk): it keeps no state of its own beside these, and what it did to them is undone.
 *   C2  It returns STAVE_OK when it has answered (an error reply is an answer); any other status that a
 *       function below gave it is returned as it is: the dispatcher knows what to do (wait for the disk, run
 *       again, answer with Redis' error for it).
 *   C3  Arguments stay valid until the transaction has been committed.
 */
#ifndef STAVE_SERVER_CALL_H
#define STAVE_SERVER_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/command.h"
#include "server/reply.h"
#include "server/transaction.h"
#include "stave.h"

struct client;
struct loop_stats;
struct server;

struct call {
    struct server *server;
    struct client *client;
    const struct command *command;       /* of a container: the subcommand */
    const struct stave_bytes *arguments; /* [0] is the command's name, [1] of a container the subcommand's */
    size_t argument_count;
    struct transaction *transaction;
    struct reply *reply;
    struct loop_stats *stats; /* of the loop that runs it */
    uint32_t database;        /* selected by the client; SELECT sets client->database and this */
    uint64_t now_ms;          /* stands still while commands of an EXEC run */
    bool in_exec;
    void *state;                /* kept by call_yield() from turn to turn; NULL at first */
    void (*free_state)(void *); /* for state, when the client goes away */
    bool is_yielded;            /* the dispatcher's: call_yield() was called */
    bool ends_multi;            /* the dispatcher's: when all is done, MULTI and WATCH are over */
};

/* Is argument `index` this word, in any case? */
bool call_is(const struct call *call, size_t index, const char *word);

/*
 * Argument as an integer in Redis' sense (no spaces, no plus, no leading zeroes). False: not one, and the
 * answer "ERR value is not an integer or out of range" has been given: return STAVE_OK.
 */
bool call_integer(struct call *call, size_t index, int64_t *ret_value);
/* The same with bounds, and with an error text of the command's own for both (NULL: Redis' for each). */
bool call_integer_between(struct call *call, size_t index, int64_t min, int64_t max, const char *error,
                          int64_t *ret_value);

/* Argument as the number of a database. False: it is none, and that has been answered. */
bool call_database(struct call *call, size_t index, uint32_t *ret_database);

/* The longest string that a command may make: proto-max-bulk-len. */
uint64_t call_string_size_max(const struct call *call);

/*
 * For long work (KEYS over millions): what has been done is kept in `state`, and the command is run again
 * in the next turn of the loop, with call->state set, other clients in between. Returns what the command is
 * to return. Inside EXEC and scripts call->in_exec forbids it: work goes on to its end there.
 */
enum stave_status call_yield(struct call *call, void *state, void (*free_state)(void *));

/* Error answers; return STAVE_OK (C2). The text begins with its code: "ERR ...", "WRONGTYPE ...". */
enum stave_status call_error(struct call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum stave_status call_syntax_error(struct call *call); /* ERR syntax error */
enum stave_status call_wrong_arity(struct call *call);  /* ERR wrong number of arguments for '...' command */
/* ERR unknown subcommand or wrong number of arguments for '...'. Try ... HELP. */
enum stave_status call_wrong_subcommand(struct call *call);

#endif
