/* SPDX-License-Identifier: MIT */
/* Arguments that are passwords: shown to nobody, neither by MONITOR nor in the slow log. */
#ifndef STAVE_SERVER_SECRET_H
#define STAVE_SERVER_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "server/command.h"
#include "stave.h"

bool secret_argument(const struct command *command, const struct stave_bytes *arguments, size_t count,
                     size_t index);

#endif
