/* SPDX-License-Identifier: MIT */
/* The options of a store: defaults and limits. */
#ifndef STAVE_STORE_OPTIONS_H
#define STAVE_STORE_OPTIONS_H

#include "base/error.h"
#include "stave.h"
#include "store/store.h"

/*
 * Fills defaults in; NULL stands for all defaults. STAVE_OK, or STAVE_INVALID with the option named in
 * *error.
 */
enum stave_status options_complete(const struct stave_options *options, struct stave_options *ret_options,
                                   struct error *error);

/* write_lock, or alone at open: takes over what readers of the options look at without a lock. */
void options_publish(struct store *store);

#endif
