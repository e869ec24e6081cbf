/* SPDX-License-Identifier: MIT */
/*
 * Which keys a command will ask for, told by its key specs before it runs: to be prefetched into the cache of
 * the processor, or brought from disk all at once.
 */
#ifndef STAVE_SERVER_PREFETCH_H
#define STAVE_SERVER_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#include "server/command.h"
#include "server/transaction.h"
#include "stave.h"

/* Keys of a request, at most `capacity`, for prefetching; the result is how many. */
size_t prefetch_keys(const struct stave_bytes *arguments, size_t argument_count, struct stave_bytes *ret_keys,
                     size_t capacity);

/*
 * Notes in the transaction which keys have to be brought from disk, with the parts of their values that the
 * command needs; may be called where it may not wait. STAVE_WOULD_BLOCK: some have.
 */
enum stave_status prefetch_seek(struct transaction *transaction, uint32_t database,
                                const struct command *command, const struct stave_bytes *arguments,
                                size_t argument_count);

#endif
