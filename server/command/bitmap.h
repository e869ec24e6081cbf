/* SPDX-License-Identifier: MIT */
/*
 * The commands of the bitmap group: strings as rows of bits, the highest of each byte first.
 * Source: https://redis.io/docs/latest/commands/?group=bitmap
 */
#ifndef STAVE_SERVER_COMMAND_BITMAP_H
#define STAVE_SERVER_COMMAND_BITMAP_H

#include "server/call.h"

/* bit.c */
enum stave_status bitmap_setbit(struct call *call);
enum stave_status bitmap_getbit(struct call *call);
enum stave_status bitmap_bitcount(struct call *call);
enum stave_status bitmap_bitpos(struct call *call);

/* bitop.c */
enum stave_status bitmap_bitop(struct call *call);

/* bitfield.c */
enum stave_status bitmap_bitfield(struct call *call);
enum stave_status bitmap_bitfield_ro(struct call *call);

/*
 * Argument `index` as the position of a bit; with `is_field`, "#n" is `n` fields of `width` bits. False: none
 * that a string can have, and the answer has been given.
 */
bool bitmap_offset(struct call *call, size_t index, bool is_field, unsigned width, uint64_t *ret_offset);

#endif
