/* SPDX-License-Identifier: MIT */
/*
 * Numbers as Redis reads them from strings and writes them into strings.
 *
 *   N1  An integer has one spelling: number_parse_integer() takes what number_format_integer() writes alone.
 */
#ifndef STAVE_SERVER_NUMBER_H
#define STAVE_SERVER_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stave.h"

#define NUMBER_INTEGER_SIZE 21 /* with the final zero */
/* The largest long double (80 bits, and 128) has 4,933 digits before the point; 17 are written behind it. */
#define NUMBER_FLOAT_SIZE 5120

/* No spaces, no plus, no leading zeroes, no "-0"; false: not an integer, or out of the range of 64 bits. */
bool number_parse_integer(struct stave_bytes text, int64_t *ret_value);

/* As strtold() reads it, all of `text`, without leading spaces; an infinity is a number, "nan" is not. */
bool number_parse_float(struct stave_bytes text, long double *ret_value);

/* Result the length, without the final zero. */
size_t number_format_integer(int64_t value, char ret_text[NUMBER_INTEGER_SIZE]);

/* At most 17 digits behind the point, without an exponent and zeroes at the end. `value` is finite. */
size_t number_format_float(long double value, char ret_text[NUMBER_FLOAT_SIZE]);

#endif
