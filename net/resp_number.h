/* SPDX-License-Identifier: MIT */
/* Integers in Redis' sense: of the protocol, of arguments and of values. */
#ifndef STAVE_NET_RESP_NUMBER_H
#define STAVE_NET_RESP_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

/* Digits of the longest integer, with its sign. */
enum { RESP_INTEGER_SIZE_MAX = 20 };

/* The one way to write an integer: no plus, no spaces, no leading zeroes, no "-0". False: not that. */
bool resp_integer(struct stave_bytes digits, int64_t *ret_value);

/* Writes it, without a final zero; the result is how many bytes. */
size_t resp_integer_write(int64_t value, char *ret_digits);
size_t resp_unsigned_write(uint64_t value, char *ret_digits);

#endif
