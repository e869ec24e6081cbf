/* SPDX-License-Identifier: MIT */
/*
 * A connection to a server: commands out, replies in. Every wait can be ended by Ctrl-C.
 */
#ifndef STAVE_CLI_CONNECTION_H
#define STAVE_CLI_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "cli/options.h"
#include "net/resp_value.h"
#include "stave.h"

enum connection_status {
    CONNECTION_OK,
    CONNECTION_TIMEOUT,
    CONNECTION_INTERRUPTED,
    CONNECTION_REFUSED, /* the server does not give what was asked for at the start; the user was told */
    CONNECTION_LOST,    /* or never there; connection->error says why, and it is closed */
};

enum { CONNECTION_INPUT_SIZE = 65536 };

struct connection {
    int descriptor;            /* -1: none */
    struct resp_reader reader; /* the reply received last */
    bool is_replied;           /* that one is complete: the next receive resets it */
    struct buffer request;
    size_t input_start;
    size_t input_end;
    char error[256];
    uint8_t input[CONNECTION_INPUT_SIZE];
};

#define CONNECTION_FOR_EVER (-1.0)

/* All zeroes, but for the descriptor. */
void connection_init(struct connection *connection);

enum connection_status connection_open(struct connection *connection, const struct options *options);
void connection_close(struct connection *connection);
void connection_free(struct connection *connection);

static inline bool connection_is_open(const struct connection *connection)
{
    return connection->descriptor >= 0;
}

enum connection_status connection_send(struct connection *connection, const struct stave_bytes *arguments,
                                       size_t argument_count);

/* Waits for a reply, milliseconds; it is in connection->reader until the next call. */
enum connection_status connection_receive(struct connection *connection, double milliseconds);

/* Sends words, ended by NULL, and waits for the reply. */
enum connection_status connection_ask(struct connection *connection, const char *const *words);

/* Have bytes of a next reply been received already? */
bool connection_has_input(const struct connection *connection);

/* Reads what has come without waiting: CONNECTION_TIMEOUT if there is nothing. */
enum connection_status connection_fill(struct connection *connection);

/* Sends bytes as far as they are taken without waiting; *ret_sent may be 0. */
enum connection_status connection_write(struct connection *connection, const uint8_t *bytes, size_t size,
                                        size_t *ret_sent);

#endif
