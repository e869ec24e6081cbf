/* SPDX-License-Identifier: MIT */
/*
 * The threads of a store open for writing: preparer, syncer, worker.
 */
#ifndef STAVE_STORE_BACKGROUND_H
#define STAVE_STORE_BACKGROUND_H

#include "store/store.h"

enum stave_status background_start(struct store *store, struct error *error);
void background_stop(struct store *store);
void background_wake_preparer(struct store *store);
void background_wake_syncer(struct store *store);
void background_wake_worker(struct store *store);

/*
 * Called by the worker in turn; each does a bounded piece of work if any is due and returns true if there is
 * more. It looks at store->stopping.
 */
bool checkpoint_turn(struct store *store);
bool compaction_turn(struct store *store);
bool sweep_turn(struct store *store);

#endif
