/* SPDX-License-Identifier: MIT */
/*
 * Housekeeping on the main thread: what the process and the store take, which clients must go, whether reads
 * may meet the disk.
 */
#ifndef STAVE_SERVER_UPKEEP_H
#define STAVE_SERVER_UPKEEP_H

#include "server/server.h"

/* Before the loops start. */
void upkeep_begin(struct server *server);

/* config.hz times a second, inside the gate at the main thread's place. */
void upkeep_tick(struct server *server);

/* Has a sync failed? Cheap, and for any thread. */
void upkeep_check_sync(struct server *server);

#endif
