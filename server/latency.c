/* SPDX-License-Identifier: MIT */
/* A small table of rings. */
#include "server/latency.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "net/words.h"

/* The process has one. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct latency_event events[LATENCY_EVENT_COUNT_MAX];
static size_t event_count;

static struct latency_event *find_or_add(const char *name)
{
    for (size_t i = 0; i < event_count; i++)
        if (strcmp(events[i].name, name) == 0) return &events[i];
    if (event_count == LATENCY_EVENT_COUNT_MAX) return NULL;
    struct latency_event *event = &events[event_count++];
    memset(event, 0, sizeof(*event));
    strncpy(event->name, name, sizeof(event->name) - 1);
    return event;
}

static void add_sample(struct latency_event *event, uint64_t latency_ms)
{
    const uint64_t now_s = (uint64_t)time(NULL);
    struct latency_sample *last =
        &event->samples[(event->next + LATENCY_SAMPLE_COUNT - 1) % LATENCY_SAMPLE_COUNT];
    if (latency_ms > event->latency_max_ms) event->latency_max_ms = latency_ms;
    if (event->sample_count > 0 && last->time_s == now_s) {
        if (latency_ms > last->latency_ms) last->latency_ms = latency_ms;
        return;
    }
    event->samples[event->next] = (struct latency_sample){now_s, latency_ms};
    event->next = (event->next + 1) % LATENCY_SAMPLE_COUNT;
    if (event->sample_count < LATENCY_SAMPLE_COUNT) event->sample_count++;
}

void latency_add(const char *name, uint64_t latency_ms)
{
    pthread_mutex_lock(&mutex);
    struct latency_event *event = find_or_add(name);
    if (event != NULL) add_sample(event, latency_ms);
    pthread_mutex_unlock(&mutex);
}

size_t latency_reset(struct stave_bytes name)
{
    size_t removed = 0;
    pthread_mutex_lock(&mutex);
    for (size_t i = event_count; i-- > 0;) {
        if (name.size > 0 && !words_is(name, events[i].name)) continue;
        events[i] = events[--event_count];
        removed++;
    }
    pthread_mutex_unlock(&mutex);
    return removed;
}

size_t latency_events(struct latency_event *ret_events, size_t capacity)
{
    pthread_mutex_lock(&mutex);
    const size_t count = event_count;
    for (size_t i = 0; i < count && i < capacity; i++) ret_events[i] = events[i];
    pthread_mutex_unlock(&mutex);
    return count;
}
