/* SPDX-License-Identifier: MIT */
/*
 * The threads of a store open for writing: preparer, syncer, worker.
 */
#ifndef STAVE_STORE_BACKGROUND_H
#define STAVE_STORE_BACKGROUND_H

#include "store/store.h"

enum stave_status background_start(struct store *store, struct error *error);
void background_stop(struct store *store);

#endif
