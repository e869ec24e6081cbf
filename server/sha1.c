/* SPDX-License-Identifier: MIT */
/*
 * SHA-1 of a byte array.
 */
#include "server/sha1.h"

#include <string.h>

#define BLOCK_SIZE 64u
#define LENGTH_AT 56u /* of the last block: 64 bits, big-endian */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static uint32_t load_be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_be32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* The round's mix of b, c and d, and its constant. */
static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20) return ((b & c) | (~b & d)) + 0x5A827999;
    if (round < 40) return (b ^ c ^ d) + 0x6ED9EBA1;
    if (round < 60) return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC;
    return (b ^ c ^ d) + 0xCA62C1D6;
}

static void add_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t words[80];
    for (unsigned i = 0; i < 16; i++) words[i] = load_be32(block + 4 * i);
    for (unsigned i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < 80; i++) {
        const uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1(const void *data, size_t size, uint8_t ret_digest[SHA1_SIZE])
{
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *at = data;
    size_t left = size;
    for (; left >= BLOCK_SIZE; at += BLOCK_SIZE, left -= BLOCK_SIZE) add_block(state, at);

    uint8_t last[2 * BLOCK_SIZE] = {0};
    if (left > 0) memcpy(last, at, left);
    last[left] = 0x80;
    uint8_t *end = left < LENGTH_AT ? last : last + BLOCK_SIZE;
    store_be32(end + LENGTH_AT, (uint32_t)((uint64_t)size >> 29));
    store_be32(end + LENGTH_AT + 4, (uint32_t)((uint64_t)size << 3));
    for (const uint8_t *block = last; block <= end; block += BLOCK_SIZE) add_block(state, block);
    for (unsigned i = 0; i < 5; i++) store_be32(ret_digest + 4 * i, state[i]);
}
