/* SPDX-License-Identifier: MIT */
/*
 * From a request to its reply: the checks that Redis makes before a command runs, in its order, the run
 * itself, its commit, and running it again when another write came between.
 *
 *   D1  A request leaves its whole reply, or (when it could not be finished now) no trace at all.
 *   D2  A command that cannot get through eight times is run under the exclusive gate.
 *   D3  A command's time is read after the end of the one before it, again when it has the gate to itself,
 *       and when it is run again: no key is there for it that has expired for one that it comes after.
 */
#ifndef STAVE_SERVER_DISPATCH_H
#define STAVE_SERVER_DISPATCH_H

#include "server/call.h"
#include "server/client.h"
#include "server/server.h"

enum dispatch_outcome {
    DISPATCH_DONE,
    DISPATCH_COLD,    /* keys must be brought from disk first: transaction_wanted() */
    DISPATCH_YIELDED, /* to go on in the next turn, with *state */
    DISPATCH_PAUSED,  /* CLIENT PAUSE */
};

/* A loop's means of running commands. */
struct dispatcher {
    struct server *server;
    size_t place; /* in the gate; entered */
    struct transaction *transaction;
    struct reply reply; /* gathers the replies of a slice */
    struct loop_stats stats;
    uint64_t now_ms;          /* of the command (D3) */
    uint64_t now_at_us;       /* monotonic; when it was read */
    uint64_t command_at_us;   /* monotonic; end of the last command of the slice */
    uint64_t disk_read_count; /* coldness_look() */
};

/* What a yielding command keeps. */
struct dispatch_state {
    void *state;
    void (*free_state)(void *);
};

struct request {
    const struct stave_bytes *arguments;
    size_t argument_count; /* not 0 */
    bool may_wait;         /* for the disk, since waiting elsewhere did not help */
    struct dispatch_state *state;
};

bool dispatcher_init(struct dispatcher *dispatcher, struct server *server, size_t place);
void dispatcher_free(struct dispatcher *dispatcher);

/* At the start of a slice. */
void dispatcher_begin(struct dispatcher *dispatcher);

/*
 * Runs one request. After DISPATCH_COLD the transaction holds the wanted keys until the caller resets it.
 */
enum dispatch_outcome dispatch(struct dispatcher *dispatcher, struct client *client,
                               const struct request *request);

/* A command of an EXEC, on the transaction and reply of `exec`. Result as of a command's function. */
enum stave_status dispatch_queued(struct call *exec, struct queued_command *queued);

#endif
