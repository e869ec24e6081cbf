/* SPDX-License-Identifier: MIT */
/* Exit codes, and messages to the user. */
#ifndef STAVE_CLI_MESSAGE_H
#define STAVE_CLI_MESSAGE_H

enum cli_exit {
    CLI_DONE = 0,
    CLI_ERROR_REPLY = 1, /* with -e, --pipe, --scan: the server answered with an error */
    CLI_USAGE = 2,       /* a mistake in the command line or the input */
    CLI_FAILURE = 4,     /* no connection, or it was lost; the system failed */
};

/* To standard error, with the program's name and a line end. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the program when there is no memory: there is nothing that a client could do better. */
void *message_need(void *memory);

#endif
