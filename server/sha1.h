/* SPDX-License-Identifier: MIT */
/*
 * SHA-1, for DEBUG DIGEST alone, which is to give what a Redis with the same data gives. Not for secrets.
 * Source: RFC 3174.
 */
#ifndef STAVE_SERVER_SHA1_H
#define STAVE_SERVER_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_SIZE 20

/* `data` may be NULL when `size` is 0; it may be the output. */
void sha1(const void *data, size_t size, uint8_t ret_digest[SHA1_SIZE]);

#endif
