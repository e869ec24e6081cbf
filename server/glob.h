/* SPDX-License-Identifier: MIT */
/*
 * Glob patterns as Redis reads them, in KEYS, SCAN, CONFIG GET and the like.
 *
 *   *       any bytes, or none         [abc]   one of these bytes        \x    the byte x itself
 *   ?       any one byte               [a-c]   one of a range            [^a]  a byte that is none of these
 *
 * A class that is not closed ends with the pattern, a range may be given backwards, and a backslash at the
 * end stands for itself.
 *
 *   O1  Every element but the star takes one byte. So the parts between stars have fixed sizes, each is found
 *       at its leftmost place, and nothing is ever tried again: the time for a text of n bytes is at most n
 *       times the longest part, and about n where parts hold no `?` and no class. Nothing is recursive.
 *   O2  As with Redis, an empty text matches the empty pattern alone, not even "*".
 */
#ifndef STAVE_SERVER_GLOB_H
#define STAVE_SERVER_GLOB_H

#include <stdbool.h>

#include "stave.h"

/* `any_case`: letters of ASCII match in either case; a byte behind a backslash in a class does not. */
bool glob_matches(struct stave_bytes pattern, struct stave_bytes text, bool any_case);

#endif
