/* SPDX-License-Identifier: MIT */
/* redis://USER:PASSWORD@HOST:PORT/DATABASE, each part optional; %XX stands for a byte. */
#ifndef STAVE_CLI_URI_H
#define STAVE_CLI_URI_H

#include <stdbool.h>

#include "cli/options.h"

/* Sets what the URI names. False after a message. The text is changed: its password is blanked. */
bool uri_parse(char *text, struct options *options);

#endif
