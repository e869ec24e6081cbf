/* SPDX-License-Identifier: MIT */
/*
 * Floating-point numbers as Redis reads them from strings and writes them into strings. Integers:
 * net/resp_number.h.
 */
#ifndef STAVE_SERVER_NUMBER_H
#define STAVE_SERVER_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

/* The largest long double (80 bits, and 128) has 4,933 digits before the point; 17 are written behind it. */
#define NUMBER_FLOAT_SIZE 5120

/* As strtold() reads it, all of `text`, without leading spaces; an infinity is a number, "nan" is not. */
bool number_parse_float(struct stave_bytes text, long double *ret_value);

/* At most 17 digits behind the point, without an exponent and zeroes at the end. `value` is finite. */
size_t number_format_float(long double value, char ret_text[NUMBER_FLOAT_SIZE]);

#endif
