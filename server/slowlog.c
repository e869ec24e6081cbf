/* SPDX-License-Identifier: MIT */
/* A ring of entries, behind one lock that is held for copies alone. */
#include "server/slowlog.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "server/call.h"
#include "server/secret.h"

struct slowlog {
    pthread_mutex_t mutex;
    struct slowlog_entry *entries; /* a ring */
    size_t capacity;
    size_t count;
    size_t first; /* the oldest */
    uint64_t next_id;
};

/* The process has one. */
static struct slowlog slowlog = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void free_entry(struct slowlog_entry *entry)
{
    memory_free(entry->arguments);
    memory_free(entry->name);
    *entry = (struct slowlog_entry){0};
}

/* ------------------------------------------------------------------ one entry */

/* What of an argument is kept, and the text that stands for the rest (S1). */
struct kept {
    struct stave_bytes bytes;
    char rest[64];
};

static struct kept kept_of(const struct call *call, size_t index)
{
    struct kept kept = {call->arguments[index], ""};
    const size_t left_out = call->argument_count - (SLOWLOG_ARGUMENT_COUNT - 1);
    if (call->argument_count > SLOWLOG_ARGUMENT_COUNT && index == SLOWLOG_ARGUMENT_COUNT - 1) {
        kept.bytes.size = 0;
        snprintf(kept.rest, sizeof(kept.rest), "... (%zu more arguments)", left_out);
    } else if (secret_argument(call->command, call->arguments, call->argument_count, index)) {
        kept.bytes = stave_text("(redacted)");
    } else if (kept.bytes.size > SLOWLOG_ARGUMENT_SIZE) {
        snprintf(kept.rest, sizeof(kept.rest), "... (%zu more bytes)",
                 kept.bytes.size - SLOWLOG_ARGUMENT_SIZE);
        kept.bytes.size = SLOWLOG_ARGUMENT_SIZE;
    }
    return kept;
}

static bool copy_arguments(const struct call *call, struct slowlog_entry *entry)
{
    const size_t count =
        call->argument_count < SLOWLOG_ARGUMENT_COUNT ? call->argument_count : SLOWLOG_ARGUMENT_COUNT;
    size_t size = count * sizeof(struct stave_bytes);
    for (size_t i = 0; i < count; i++) {
        const struct kept kept = kept_of(call, i);
        size += kept.bytes.size + strlen(kept.rest);
    }
    entry->arguments = memory_alloc(size);
    if (entry->arguments == NULL) return false;
    entry->argument_count = count;
    char *at = (char *)(entry->arguments + count);
    for (size_t i = 0; i < count; i++) {
        const struct kept kept = kept_of(call, i);
        const size_t rest_size = strlen(kept.rest);
        if (kept.bytes.size > 0) memcpy(at, kept.bytes.data, kept.bytes.size);
        memcpy(at + kept.bytes.size, kept.rest, rest_size);
        entry->arguments[i] = stave_bytes(at, kept.bytes.size + rest_size);
        at += kept.bytes.size + rest_size;
    }
    return true;
}

static bool make_entry(const struct call *call, uint64_t duration_us, struct slowlog_entry *entry)
{
    *entry = (struct slowlog_entry){.time_s = (uint64_t)time(NULL), .duration_us = duration_us};
    memcpy(entry->address, call->client->address, sizeof(entry->address));
    entry->name = memory_copy_string(call->client->name != NULL ? call->client->name : "");
    if (entry->name != NULL && copy_arguments(call, entry)) return true;
    free_entry(entry);
    return false;
}

/* ------------------------------------------------------------------ the ring */

static void drop_oldest(size_t count_max)
{
    while (slowlog.count > count_max) {
        free_entry(&slowlog.entries[slowlog.first]);
        slowlog.first = (slowlog.first + 1) % slowlog.capacity;
        slowlog.count--;
    }
}

/* Room for one more; the ring grows by doubling, so that a large limit costs nothing before it is used. */
static bool make_room(size_t count_max)
{
    if (slowlog.count < slowlog.capacity) return true;
    size_t capacity = slowlog.capacity > 0 ? slowlog.capacity * 2 : 16;
    if (capacity > count_max) capacity = count_max;
    if (capacity <= slowlog.count) return false;
    struct slowlog_entry *entries = memory_alloc_zero(capacity, sizeof(*entries));
    if (entries == NULL) return false;
    for (size_t i = 0; i < slowlog.count; i++)
        entries[i] = slowlog.entries[(slowlog.first + i) % slowlog.capacity];
    memory_free(slowlog.entries);
    slowlog.entries = entries;
    slowlog.capacity = capacity;
    slowlog.first = 0;
    return true;
}

void slowlog_add(const struct call *call, uint64_t duration_us, size_t count_max)
{
    struct slowlog_entry entry;
    if (count_max == 0 || !make_entry(call, duration_us, &entry)) return;
    pthread_mutex_lock(&slowlog.mutex);
    drop_oldest(count_max - 1);
    if (make_room(count_max)) {
        entry.id = slowlog.next_id++;
        slowlog.entries[(slowlog.first + slowlog.count) % slowlog.capacity] = entry;
        slowlog.count++;
    } else {
        free_entry(&entry);
    }
    pthread_mutex_unlock(&slowlog.mutex);
}

size_t slowlog_count(void)
{
    pthread_mutex_lock(&slowlog.mutex);
    const size_t count = slowlog.count;
    pthread_mutex_unlock(&slowlog.mutex);
    return count;
}

void slowlog_reset(void)
{
    pthread_mutex_lock(&slowlog.mutex);
    drop_oldest(0);
    memory_free(slowlog.entries);
    slowlog.entries = NULL;
    slowlog.capacity = 0;
    slowlog.first = 0;
    pthread_mutex_unlock(&slowlog.mutex);
}

void slowlog_walk(size_t count, slowlog_call call, void *context)
{
    pthread_mutex_lock(&slowlog.mutex);
    for (size_t i = 0; i < count && i < slowlog.count; i++)
        call(context, &slowlog.entries[(slowlog.first + slowlog.count - 1 - i) % slowlog.capacity]);
    pthread_mutex_unlock(&slowlog.mutex);
}
