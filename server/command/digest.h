/* SPDX-License-Identifier: MIT */
/*
 * Digests of data as Redis forms them, so that equal data have equal digests here and there.
 *
 *   H1  A key adds, by exclusive or, a digest of itself, of its value's type and bytes, and of the fact that
 *       it expires (not when); so the order of keys has no influence. A database with keys mixes its number
 *       into what the databases before it gave.
 *   H2  The hash is SHA-1, to be equal to Redis and not for secrets. Result of all that form one: STAVE_OK,
 *       or STAVE_NO_MEMORY, which libcrypto may lack.
 */
#ifndef STAVE_SERVER_COMMAND_DIGEST_H
#define STAVE_SERVER_COMMAND_DIGEST_H

#include "server/call.h"

#define DIGEST_SIZE 20
#define DIGEST_TEXT_SIZE (2 * DIGEST_SIZE + 1)

/* The value of an item that was found. */
enum stave_status digest_item(uint8_t digest[DIGEST_SIZE], const struct item *item);
void digest_text(const uint8_t digest[DIGEST_SIZE], char ret_text[DIGEST_TEXT_SIZE]);

/* DEBUG DIGEST, in slices. */
enum stave_status digest_all(struct call *call);

#endif
