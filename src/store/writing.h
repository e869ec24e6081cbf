/* SPDX-License-Identifier: MIT */
/* The begin and the end of writing: the first tail, and the last one sealed. */
#ifndef STAVE_STORE_WRITING_H
#define STAVE_STORE_WRITING_H

#include "store/store.h"

/*
 * At open for writing: a first tail and spare, manifest installed. STAVE_FULL if there is no room for a tail,
 * not even, with `may_use_reserve`, RESERVE; a spare that finds none is made later.
 */
enum stave_status writing_begin(struct store *store, bool may_use_reserve, struct error *error);
/*
 * At close, threads stopped: syncs, seals the tail, removes the spare and an empty tail, installs the
 * manifest.
 */
enum stave_status writing_end(struct store *store, struct error *error);

#endif
