/* SPDX-License-Identifier: MIT */
/*
 * Members of a reply by their names, be it a map of version 3 or the array of names and values that it is in
 * version 2. A value is its index in the reader; 0, the reply itself, stands for none.
 */
#ifndef STAVE_CLI_MEMBER_H
#define STAVE_CLI_MEMBER_H

#include <stdbool.h>

#include "net/resp_value.h"

bool member_holds_pairs(const struct resp_value *value);

/* The value of a name in a map; 0 if there is none. */
uint32_t member_of(const struct resp_reader *reader, uint32_t map, const char *name);

bool member_is(const struct resp_reader *reader, uint32_t map, const char *name, const char *text);

/* A copy of a text value as a string, "" for index 0; the caller frees it with memory_free(). */
char *member_text(const struct resp_reader *reader, uint32_t index);

/* Is this text among the map's "flags"? */
bool member_has_flag(const struct resp_reader *reader, uint32_t map, const char *flag);

#endif
