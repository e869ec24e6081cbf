/* SPDX-License-Identifier: MIT */
/* Compare-and-set: four threads raise one counter, and no raise is lost. */
#include <pthread.h>
#include <stave.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREAD_COUNT = 4, RAISES_PER_THREAD = 500 };

/* Reads the counter with its sequence, and writes it only if the sequence is still the same. */
static enum stave_status raise_once(struct stave *store)
{
    const struct stave_bytes key = stave_text("counter");
    unsigned long count = 0;
    struct stave_value value = {0};
    struct stave_write write = {.flags = STAVE_IF_SEQUENCE};

    const enum stave_status status = stave_get(store, key, &value);
    if (status < 0) return status;
    if (status == STAVE_OK) {
        count = strtoul(value.data, NULL, 10); /* one zero byte follows the value */
        write.if_sequence = value.sequence;    /* else 0: the key is to be absent still */
        stave_free(value.data);
    }

    char text[24];
    (void)snprintf(text, sizeof text, "%lu", count + 1);
    return stave_put_with(store, key, stave_text(text), &write, NULL);
}

static void *raise_often(void *context)
{
    struct stave *store = context;
    for (int i = 0; i < RAISES_PER_THREAD; i++) {
        enum stave_status status = STAVE_CONFLICT;
        while (status == STAVE_CONFLICT) status = raise_once(store); /* another thread came between */
        if (status < 0) return store;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(argc > 1 ? argv[1] : "compare_and_set.stave", NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    pthread_t threads[THREAD_COUNT];
    int started = 0;
    int failed = stave_delete(store, stave_text("counter")) < 0 ? 1 : 0;
    while (started < THREAD_COUNT && pthread_create(&threads[started], NULL, raise_often, store) == 0)
        started++;
    for (int i = 0; i < started; i++) {
        void *problem = NULL;
        (void)pthread_join(threads[i], &problem);
        if (problem != NULL) failed = 1;
    }

    struct stave_value value = {0};
    if (stave_get(store, stave_text("counter"), &value) == STAVE_OK) {
        const unsigned long count = strtoul(value.data, NULL, 10);
        printf("%d threads raised the counter to %lu\n", started, count);
        if (count != (unsigned long)started * RAISES_PER_THREAD) failed = 1;
        stave_free(value.data);
    }
    if (stave_close(store) != STAVE_OK) failed = 1;
    return failed;
}
