/* SPDX-License-Identifier: MIT */
/* Which generation each space has. */
#ifndef STAVE_STORE_SPACE_H
#define STAVE_STORE_SPACE_H

#include "store/store.h"

/* write_lock: what a SPACES record of that sequence says becomes so. */
void spaces_apply(struct store *store, const struct record_spaces *spaces, uint64_t sequence);

#endif
