/* SPDX-License-Identifier: MIT */
/* Strings for a terminal. */
#ifndef STAVE_CLI_QUOTED_H
#define STAVE_CLI_QUOTED_H

#include <stdio.h>

#include "stave.h"

/* In double quotes, with escapes for what cannot be seen. */
void quoted_write(FILE *out, struct stave_bytes bytes);

#endif
