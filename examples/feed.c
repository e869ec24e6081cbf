/* SPDX-License-Identifier: MIT */
/* The change feed: every change in order, from a sequence that the reader remembers. */
#include <inttypes.h>
#include <stave.h>
#include <stdio.h>

enum { WAIT_MS = 100 };

static void show(const struct stave_change *change)
{
    const char *name = change->kind == STAVE_CHANGE_PUT ? "put" : "delete";
    printf("%-6s %.*s", name, (int)change->key.size, (const char *)change->key.data);
    if (change->kind == STAVE_CHANGE_PUT)
        printf(" = %.*s", (int)change->value.size, (const char *)change->value.data);
    putchar('\n');
}

/* Shows what came after `*sequence`, and moves it on: a reader keeps it to go on from there another day. */
static enum stave_status follow(struct stave *store, uint64_t *sequence, int *count)
{
    struct stave_feed *feed = NULL;
    enum stave_status status = stave_feed_open(store, *sequence, 0, &feed);
    while (status == STAVE_OK) {
        struct stave_change change; /* valid until the next call on the feed */
        status = stave_feed_next(feed, WAIT_MS, &change);
        if (status != STAVE_OK) break;
        show(&change);
        *sequence = change.sequence;
        *count += 1;
    }
    stave_feed_close(feed);
    return status == STAVE_END ? STAVE_OK : status; /* STAVE_GONE: too old, read everything anew */
}

int main(int argc, char **argv)
{
    const struct stave_options options = {
        .size = sizeof options,
        .feed_retention_size = UINT64_C(67108864), /* compaction leaves the newest 64 MiB of the log */
    };
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(argc > 1 ? argv[1] : "feed.stave", &options, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    uint64_t sequence = stave_sequence(store);
    int count = 0;
    enum stave_status status = stave_put(store, stave_text("door"), stave_text("open"));
    if (status == STAVE_OK) status = stave_put(store, stave_text("door"), stave_text("shut"));
    if (status == STAVE_OK) status = stave_delete(store, stave_text("door"));
    if (status == STAVE_OK) status = stave_sync(store); /* a feed gives what is durable */
    if (status == STAVE_OK) status = follow(store, &sequence, &count);

    if (stave_close(store) != STAVE_OK || status != STAVE_OK) return 1;
    return count == 3 ? 0 : 1;
}
