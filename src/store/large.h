/* SPDX-License-Identifier: MIT */
/*
 * Values too large to be copied under the write lock: the record is written to a segment of its own
 * beforehand, and a LINK in the log publishes it at its place in the order.
 *
 *   L1  Before a sync makes a LINK durable, it has made the LARGE segment durable, and its name in the
 *       directory (sync.c). A LINK that reaches the disk by itself, before what it publishes, is where the
 *       log ends (logend.c): nothing behind it was durable.
 *   L2  A write that waits for a sync of the log syncs its value beforehand, so that others who wait for the
 *       same sync need not wait for its bytes.
 *   L3  LARGE_UNSYNCED_MAX segments, whose files are kept open, wait for a sync or are in one at most, and
 *       those of the batches that writers are at.                                                     (P11)
 */
#ifndef STAVE_STORE_LARGE_H
#define STAVE_STORE_LARGE_H

#include "store/change.h"

/* Whether the value of a put is to get a segment of its own. */
bool large_is_due(const struct store *store, const struct change *change);
/*
 * No lock held: writes that segment, change->large. STAVE_OK; STAVE_FULL, STAVE_LIMIT, STAVE_IO and others.
 */
enum stave_status large_prepare(struct store *store, struct change *change);
/* write_lock; in the place of writer_append for a PUT. On failure nothing is published. */
enum stave_status large_publish(struct store *store, struct change *change, struct record *record,
                                uint64_t *ret_location);

#endif
