/* SPDX-License-Identifier: MIT */
/*
 * A user's session: a connection made again when it was lost, what the server remembers of it, and commands
 * whose replies are shown.
 */
#ifndef STAVE_CLI_SESSION_H
#define STAVE_CLI_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/connection.h"
#include "cli/format.h"
#include "cli/message.h"
#include "cli/options.h"

enum session_replies { REPLIES_ON, REPLIES_OFF, REPLIES_SKIP, REPLIES_SKIPPED_NOW };

struct session {
    const struct options *options;
    struct format format;
    bool is_interactive;
    bool had_error; /* the last command was answered with an error */
    bool is_text;   /* its reply is text for people */
    bool has_ended; /* by QUIT or SHUTDOWN */

    struct connection connection;
    char *user; /* those of the last AUTH, else of the options */
    char *password;
    uint32_t database;        /* the connection's */
    uint32_t wanted_database; /* that of the options or the last SELECT; another while SELECT is refused */
    int protocol;
    bool in_transaction;
    enum session_replies replies; /* CLIENT REPLY */
};

void session_init(struct session *session, const struct options *options, FILE *out);
void session_free(struct session *session);

/*
 * Connects, authenticates, selects. A failure has been told to the user. Without a prompt a database that is
 * refused is one: what is meant for it must not be done to another.
 */
enum connection_status session_connect(struct session *session);

/* Sends a command and shows its reply; of SUBSCRIBE and MONITOR all that come. The user is told failures. */
enum connection_status session_run(struct session *session, const struct stave_bytes *arguments,
                                   size_t count);

/* Shows pushes that have come meanwhile; notices a connection that was closed. Did it show anything? */
bool session_show_pushes(struct session *session, const char *before);

enum cli_exit session_exit_of(const struct session *session, enum connection_status status);

#endif
