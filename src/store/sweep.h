/* SPDX-License-Identifier: MIT */
/* What dropped spaces leave behind, taken out of the index. */
#ifndef STAVE_STORE_SWEEP_H
#define STAVE_STORE_SWEEP_H

#include "store/store.h"

/* The worker's turn: a segment, if any is due. True if there is more. It looks at store->stopping. */
bool sweep_turn(struct store *store);

#endif
