/* SPDX-License-Identifier: MIT */
/* A batch: several writes that are all there afterwards or none of them, even after a crash. */
#include <stave.h>
#include <stdio.h>

/* An order, its two items, and an entry in the list of open orders belong together. */
static enum stave_status place_order(struct stave *store)
{
    struct stave_batch *batch = NULL;
    enum stave_status status = stave_batch_begin(store, &batch);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("order/17"), stave_text("Ada"), 0);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("order/17/1"), stave_text("tea"), 0);
    if (status == STAVE_OK) status = stave_batch_put(batch, stave_text("order/17/2"), stave_text("milk"), 0);
    if (status == STAVE_OK) status = stave_batch_delete(batch, stave_text("draft/17"));

    const struct stave_write durable = {.flags = STAVE_DURABLE};
    uint64_t sequence = 0;
    if (status == STAVE_OK) status = stave_batch_commit(batch, &durable, &sequence);
    if (status == STAVE_OK) printf("%zu writes, durable as one\n", stave_batch_count(batch));
    stave_batch_free(batch);
    return status;
}

int main(int argc, char **argv)
{
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(argc > 1 ? argv[1] : "batch.stave", NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    enum stave_status status = stave_put(store, stave_text("draft/17"), stave_text("Ada"));
    if (status == STAVE_OK) status = place_order(store);
    if (status == STAVE_OK) printf("%llu keys\n", (unsigned long long)stave_count(store));
    if (status < 0) fprintf(stderr, "%s\n", stave_status_text(status));

    if (stave_close(store) != STAVE_OK || status != STAVE_OK) return 1;
    return 0;
}
