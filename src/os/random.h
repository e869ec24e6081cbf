/* SPDX-License-Identifier: MIT */
/*
 * Random bytes from the system, fit for secrets and identities.
 */
#ifndef STAVE_OS_RANDOM_H
#define STAVE_OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "stave.h"

enum stave_status random_bytes(void *ret_data, size_t size, struct error *error);

/* A random number that is not zero. */
enum stave_status random_number(uint64_t *ret_number, struct error *error);

#endif
