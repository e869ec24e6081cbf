/* SPDX-License-Identifier: MIT */
/*
 * What the configuration means for the process and the store: when the server starts, and when it is changed.
 */
#ifndef STAVE_SERVER_APPLY_H
#define STAVE_SERVER_APPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "server/config.h"
#include "stave.h"

struct server;

/* The options of the store that the configuration asks for. */
struct stave_options apply_store_options(const struct config *config);

/*
 * At the start: descriptors for all clients, or fewer clients, which is logged. False: not even for the
 * server itself, and that has been logged.
 */
bool apply_client_limit(struct config *config);

/*
 * Puts into force what config_set() changed: a mask of enum config_effect. Under the exclusive gate. False:
 * `ret_error` says why.
 */
bool apply_config(struct server *server, uint32_t effects, char ret_error[CONFIG_ERROR_SIZE]);

#endif
