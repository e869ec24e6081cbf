/* SPDX-License-Identifier: MIT */
/*
 * Matching a glob pattern part by part (O1).
 */
#include "server/glob.h"

#include <stdint.h>
#include <string.h>

/* What lies between two stars. */
struct part {
    const uint8_t *at;
    size_t size;   /* bytes of the pattern */
    size_t length; /* elements: bytes of text that it takes */
    bool plain;    /* no `?`, class, backslash, and case matters: the text has these very bytes */
};

struct matcher {
    const uint8_t *pattern;
    size_t pattern_size;
    bool any_case;
};

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

static bool bytes_equal(uint8_t a, uint8_t b, bool any_case)
{
    return a == b || (any_case && lower(a) == lower(b));
}

/* Bounds are compared as signed bytes, as Redis does on this kind of machine. */
static bool in_range(uint8_t first, uint8_t last, uint8_t byte, bool any_case)
{
    int low = (signed char)first;
    int high = (signed char)last;
    int value = (signed char)byte;
    if (low > high) {
        const int swap = low;
        low = high;
        high = swap;
    }
    if (any_case) {
        low = (signed char)lower((uint8_t)low);
        high = (signed char)lower((uint8_t)high);
        value = (signed char)lower((uint8_t)value);
    }
    return value >= low && value <= high;
}

/* A class behind its '['. Result the bytes of pattern that it takes, its ']' included. */
static size_t match_class(const uint8_t *at, size_t size, uint8_t byte, bool any_case, bool *ret_match)
{
    size_t i = 0;
    const bool negated = size > 0 && at[0] == '^';
    bool match = false;
    if (negated) i++;
    while (i < size && at[i] != ']') {
        if (at[i] == '\\' && size - i >= 2) {
            match |= at[i + 1] == byte;
            i += 2;
        } else if (size - i >= 3 && at[i + 1] == '-') {
            match |= in_range(at[i], at[i + 2], byte, any_case);
            i += 3;
        } else {
            match |= bytes_equal(at[i], byte, any_case);
            i++;
        }
    }
    *ret_match = match != negated;
    return i < size ? i + 1 : size;
}

/* One element at `at` against a byte. Result the bytes of pattern that it takes. */
static size_t match_element(const uint8_t *at, size_t size, uint8_t byte, bool any_case, bool *ret_match)
{
    switch (at[0]) {
    case '?': *ret_match = true; return 1;
    case '[': return 1 + match_class(at + 1, size - 1, byte, any_case, ret_match);
    case '\\':
        if (size < 2) break;
        *ret_match = bytes_equal(at[1], byte, any_case);
        return 2;
    default: break;
    }
    *ret_match = bytes_equal(at[0], byte, any_case);
    return 1;
}

/* The part that begins at `offset` of the pattern. */
static struct part part_at(const struct matcher *matcher, size_t offset)
{
    struct part part = {matcher->pattern + offset, 0, 0, !matcher->any_case};
    const size_t rest = matcher->pattern_size - offset;
    while (part.size < rest && part.at[part.size] != '*') {
        bool unused;
        const uint8_t first = part.at[part.size];
        if (first == '?' || first == '[' || first == '\\') part.plain = false;
        part.size += match_element(part.at + part.size, rest - part.size, 0, false, &unused);
        part.length++;
    }
    return part;
}

/* At this very place; the text has at least part->length bytes there. */
static bool part_matches(const struct matcher *matcher, const struct part *part, const uint8_t *text)
{
    if (part->plain) return part->size == 0 || memcmp(part->at, text, part->size) == 0;
    size_t at = 0;
    for (size_t i = 0; i < part->length; i++) {
        bool match;
        at += match_element(part->at + at, part->size - at, text[i], matcher->any_case, &match);
        if (!match) return false;
    }
    return true;
}

/* The first place from `text` on; NULL: there is none. */
static const uint8_t *part_find(const struct matcher *matcher, const struct part *part, const uint8_t *text,
                                size_t size)
{
    if (part->plain) return memmem(text, size, part->at, part->size);
    for (; size >= part->length; text++, size--)
        if (part_matches(matcher, part, text)) return text;
    return NULL;
}

bool glob_matches(struct stave_bytes pattern, struct stave_bytes text, bool any_case)
{
    const struct matcher matcher = {pattern.data, pattern.size, any_case};
    if (text.size == 0 || pattern.size == 0) return text.size == pattern.size; /* O2 */
    const uint8_t *at = text.data;
    size_t left = text.size;

    struct part part = part_at(&matcher, 0);
    if (part.length > left || !part_matches(&matcher, &part, at)) return false;
    at += part.length;
    left -= part.length;
    size_t offset = part.size;
    if (offset == pattern.size) return left == 0;

    for (;;) { /* at a star */
        while (offset < pattern.size && matcher.pattern[offset] == '*') offset++;
        part = part_at(&matcher, offset);
        if (part.length > left) return false;
        offset += part.size;
        if (offset == pattern.size) return part_matches(&matcher, &part, at + left - part.length);
        const uint8_t *found = part_find(&matcher, &part, at, left);
        if (found == NULL) return false;
        left -= (size_t)(found - at) + part.length;
        at = found + part.length;
    }
}
