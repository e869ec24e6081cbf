/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: input to requests, replies to output, and what makes it stop for a while.
 *
 *   N1  Requests are run in their order, and the next only when the one before is through: a connection that
 *       waits for anything reads no more.
 *   N2  Bytes of input are kept by the connection only while they are less than a request, or while it
 *       waits. They are bounded by client-query-buffer-limit and grow with what has come, not with what was
 *       announced.
 *   N3  While more than CONNECTION_HIGH_WATER bytes are unsent, nothing is read and nothing is run.
 */
#ifndef STAVE_SERVER_CONNECTION_H
#define STAVE_SERVER_CONNECTION_H

#include <uv.h>

#include "base/buffer.h"
#include "net/resp.h"
#include "net/transport.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/loop.h"
#include "server/output.h"

#define CONNECTION_HIGH_WATER ((uint64_t)1 << 20)
#define CONNECTION_FLUSH_SIZE ((size_t)65536) /* replies of a slice beyond this are sent before its end */

/* Why a connection does not read. */
enum connection_stop {
    STOP_COLD = 1 << 0,      /* a value is brought from disk */
    STOP_TURN = 1 << 1,      /* goes on in the next turn */
    STOP_PAUSED = 1 << 2,    /* CLIENT PAUSE */
    STOP_SUSPENDED = 1 << 3, /* after a wrong password */
    STOP_OUTPUT = 1 << 4,    /* N3 */
    STOP_CLOSING = 1 << 5,   /* nothing more is read */
};

struct connection {
    struct client client; /* first: a client is its connection */
    uv_poll_t poll;
    int events;     /* polled for */
    uint32_t stops; /* enum connection_stop */
    struct transport transport;

    struct buffer input;            /* N2 */
    struct resp_parser *unfinished; /* has seen part of a request in `input`; NULL: none */
    struct output output;
    uint64_t reply_count;   /* of the replies gathered and not yet handed to the output */
    uint64_t soft_since_ms; /* the output is above its soft limit; 0: it is not */

    struct dispatch_state yielded;
    uint32_t cold_count; /* times that the present request has waited for the disk */
    bool has_job;        /* one in the pool */
    bool is_output_cold; /* what is sent next is on disk: nothing is sent before the job is back */
    bool is_open;
    bool is_waiting; /* counted in loop->waiting_count */
    size_t memory;   /* as counted in server->client_memory */
};

/* Takes the descriptor over. NULL: no memory. */
struct connection *connection_new(struct server *server, int descriptor, const char *address,
                                  const char *local_address, bool is_unix);
/* Of one that no loop has taken. */
void connection_discard(struct connection *connection);

/* On the loop, inside the gate. */
void connection_open(struct connection *connection, struct loop *loop);
void connection_close(struct connection *connection);
/* Looks at a connection in its turn: is it killed, may it go on, has it something to send? */
void connection_look(struct connection *connection);
/* Once a tick: timeouts and waiting times. */
void connection_tick(struct connection *connection, uint64_t now_ms);
/* A reason to wait is over: goes on with what has been read. */
void connection_resume(struct connection *connection, uint32_t stop);
/* A sync has come to its end. */
void connection_release(struct connection *connection);

/* ------------------------------------------------------------------ what others ask of a client */

/* What CLIENT LIST shows of a client's buffers, in bytes. */
struct connection_figures {
    size_t query_buffer;       /* qbuf */
    size_t query_buffer_free;  /* qbuf-free */
    size_t argument_memory;    /* argv-mem */
    size_t multi_memory;       /* multi-mem */
    size_t output_buffer_size; /* obl: unsent, in buffers */
    size_t output_list_length; /* oll: pieces of large values unsent */
    size_t output_list_memory; /* omem */
    size_t total_memory;       /* tot-mem */
    char events[4];            /* "r", "rw", ... */
};
void connection_figures(const struct client *client, struct connection_figures *ret_figures);

/* Marks it to be closed by its loop; at once or, `after_reply`, when what it is owed has been sent. */
void connection_kill(struct client *client, bool after_reply);

/*
 * Sends bytes to a client of any loop, outside of its replies (MONITOR): under the exclusive gate, or from
 * the client's own loop. They show what was written up to `seen`, as a reply would, and wait as one. What
 * exceeds its output limits closes it.
 */
void connection_send(struct client *client, struct stave_bytes bytes, uint64_t seen);

#endif
