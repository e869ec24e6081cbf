/* SPDX-License-Identifier: MIT */
/*
 * What the threads of a store (background.h) are woken by, from any thread. thread_lock is taken inside; any
 * other lock may be held.
 */
#ifndef STAVE_STORE_WAKE_H
#define STAVE_STORE_WAKE_H

#include "store/store.h"

void wake_preparer(struct store *store);
void wake_syncer(struct store *store);
void wake_worker(struct store *store);

#endif
