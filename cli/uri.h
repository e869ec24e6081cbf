/* SPDX-License-Identifier: MIT */
/* redis://USER:PASSWORD@HOST:PORT/DATABASE, each part optional; %XX stands for a byte. */
#ifndef STAVE_CLI_URI_H
#define STAVE_CLI_URI_H

#include <stdbool.h>
#include <stdint.h>

/* Texts that were parsed are copies, which live as long as the program. */
struct uri {
    const char *host;
    const char *port;
    const char *user;
    const char *password;
    uint32_t database;
};

/*
 * Sets what the URI names and leaves the rest. False after a message to the user. The text is changed: its
 * password is blanked.
 */
bool uri_parse(char *text, struct uri *uri);

#endif
