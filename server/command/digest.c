/* SPDX-License-Identifier: MIT */
/*
 * DEBUG DIGEST: one digest of all databases, formed slice by slice.
 */
#include "server/command/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/memory.h"
#include "server/server.h"

#define SLICE_KEY_COUNT ((size_t)128)
#define TYPE_STRING 0 /* Redis' number of the type */

struct digest_walk {
    uint32_t database;
    uint64_t position;
    bool has_keys; /* one was found: the database's number has been mixed in */
    uint8_t total[DIGEST_SIZE];
};

static enum stave_status hash_of(struct stave_bytes data, uint8_t ret_hash[DIGEST_SIZE])
{
    const bool done = EVP_Digest(data.data, data.size, ret_hash, NULL, EVP_sha1(), NULL) == 1;
    return done ? STAVE_OK : STAVE_NO_MEMORY;
}

/* Exclusive or of `digest` and the hash of the data. */
static enum stave_status add(uint8_t digest[DIGEST_SIZE], struct stave_bytes data)
{
    uint8_t hash[DIGEST_SIZE];
    const enum stave_status status = hash_of(data, hash);
    for (size_t i = 0; i < DIGEST_SIZE && status == STAVE_OK; i++) digest[i] ^= hash[i];
    return status;
}

/* The same, and the result hashed once more. */
static enum stave_status mix(uint8_t digest[DIGEST_SIZE], struct stave_bytes data)
{
    const enum stave_status status = add(digest, data);
    return status == STAVE_OK ? hash_of(stave_bytes(digest, DIGEST_SIZE), digest) : status;
}

/* A 32-bit number, in the order of the network. */
static enum stave_status mix_number(uint8_t digest[DIGEST_SIZE], uint32_t number)
{
    const uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                              (uint8_t)number};
    return mix(digest, stave_bytes(bytes, sizeof bytes));
}

enum stave_status digest_item(uint8_t digest[DIGEST_SIZE], const struct item *item)
{
    enum stave_status status = mix_number(digest, TYPE_STRING);
    if (status == STAVE_OK) status = mix(digest, item->value);
    if (status == STAVE_OK && item->expires_at_ms != 0) status = add(digest, stave_text("!!expire!!"));
    return status;
}

void digest_text(const uint8_t digest[DIGEST_SIZE], char ret_text[DIGEST_TEXT_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++) (void)snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

static enum stave_status gather_key(void *context, struct stave_bytes key, const struct item *item)
{
    (void)item;
    struct buffer *keys = context;
    enum stave_status status = buffer_append_le32(keys, (uint32_t)key.size);
    if (status == STAVE_OK) status = buffer_append(keys, key.data, key.size);
    return status;
}

static enum stave_status add_item(struct digest_walk *walk, struct stave_bytes key, const struct item *item)
{
    uint8_t digest[DIGEST_SIZE] = {0};
    enum stave_status status = STAVE_OK;
    if (!walk->has_keys) status = mix_number(walk->total, walk->database);
    walk->has_keys = true;
    if (status == STAVE_OK) status = mix(digest, key);
    if (status == STAVE_OK) status = digest_item(digest, item);
    if (status == STAVE_OK) status = add(walk->total, stave_bytes(digest, sizeof digest));
    return status;
}

/* All keys are asked for, so that those on disk are brought together. */
static enum stave_status add_keys(struct call *call, struct stave_bytes keys, struct digest_walk *walk)
{
    enum stave_status result = STAVE_OK;
    const uint8_t *bytes = keys.data;
    for (size_t at = 0; at < keys.size;) {
        const size_t size = load_le32(bytes + at);
        const struct stave_bytes key = {bytes + at + sizeof(uint32_t), size};
        at += sizeof(uint32_t) + size;
        struct item item;
        enum stave_status status = transaction_get(call->transaction, walk->database, key, &item);
        if (status == STAVE_OK && item.found) status = add_item(walk, key, &item);
        if (status == STAVE_OK) continue;
        result = status;
        if (status != STAVE_WOULD_BLOCK) return status;
    }
    return result;
}

/* A slice of the database at hand; `walk` changes only if all of it went well. */
static enum stave_status digest_slice(struct call *call, struct digest_walk *walk)
{
    struct digest_walk next = *walk;
    uint64_t count;
    enum stave_status status = transaction_count(call->transaction, walk->database, &count);
    if (status == STAVE_OK && count > 0) {
        struct buffer keys = BUFFER_NONE;
        status = transaction_scan(call->transaction, walk->database, &next.position, SLICE_KEY_COUNT,
                                  gather_key, &keys);
        uint8_t *kept = NULL; /* the dispatcher is told of those that are on disk */
        if (status == STAVE_OK) kept = transaction_alloc(call->transaction, keys.size);
        if (status == STAVE_OK && kept == NULL) status = STAVE_NO_MEMORY;
        if (status == STAVE_OK && keys.size > 0) memcpy(kept, keys.data, keys.size);
        if (status == STAVE_OK) status = add_keys(call, stave_bytes(kept, keys.size), &next);
        buffer_free(&keys);
    }
    if (status != STAVE_OK) return status;
    if (count == 0 || next.position == 0) {
        next.database++;
        next.position = 0;
        next.has_keys = false;
    }
    *walk = next;
    return STAVE_OK;
}

enum stave_status digest_all(struct call *call)
{
    struct digest_walk *walk = call->state;
    if (walk == NULL) walk = memory_alloc_zero(1, sizeof(*walk));
    if (walk == NULL) return STAVE_NO_MEMORY;
    transaction_look(call->transaction);
    do {
        const enum stave_status status = digest_slice(call, walk);
        if (status != STAVE_OK && call->state == NULL) memory_free(walk);
        if (status != STAVE_OK) return status;
        if (walk->position != 0 && !call->in_exec) return call_yield(call, walk, memory_free);
    } while (walk->database < call->server->database_count);

    char text[DIGEST_TEXT_SIZE];
    digest_text(walk->total, text);
    reply_simple(call->reply, text);
    memory_free(walk);
    call->state = NULL;
    call->free_state = NULL;
    return STAVE_OK;
}
