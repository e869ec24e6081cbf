/* SPDX-License-Identifier: MIT */
/*
 * A store opened read-only, beside a writer: as of its open, and as of each refresh.
 *
 *   F1  Nothing in the directory is made, changed or removed.
 *   F2  What is read is one manifest and the files that it lists; when it was replaced meanwhile, it is read
 *       again.
 *   F3  A refresh that fails leaves the store as it was, or with a part of what is new: each entry is right
 *       by itself.
 *   F4  While a refresh is under way a key is seen as it was at some moment since the last one: tombstones
 *       are no values, and stand before the older records that are read again. multi_get waits. (P4, P5)
 *
 * upkeep_lock: one refresh at a time. Readers go on.
 */
#ifndef STAVE_STORE_REFRESH_H
#define STAVE_STORE_REFRESH_H

#include "store/store.h"

enum stave_status refresh_open(struct store *store, struct error *error);

#endif
