/* SPDX-License-Identifier: MIT */
/* The server from its start to its end, for main(). */
#ifndef STAVE_SERVER_RUN_H
#define STAVE_SERVER_RUN_H

#include "server/server.h"

/* After config_init() and config_load() into server->config, the rest being zeroes. False: no memory. */
bool run_init(struct server *server);

/* Runs until server_stop() or a signal; everything but the configuration is released. Result: exit code. */
int run_server(struct server *server);

#endif
