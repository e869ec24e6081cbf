/* SPDX-License-Identifier: MIT */
/* A cursor: walk the keys that begin with a prefix, stop half-way, and go on from a position later. */
#include <inttypes.h>
#include <stave.h>
#include <stdio.h>

enum { KEY_COUNT = 1000, PAGE_COUNT = 400 };

/* Counts up to `limit` entries from `*position` on, which moves behind them and is 0 at the end. */
static enum stave_status count_page(struct stave *store, uint64_t *position, int limit, int *count)
{
    struct stave_cursor *cursor = NULL;
    enum stave_status status = stave_cursor_open(store, *position, stave_text("sensor/"), 0, &cursor);
    for (int i = 0; status == STAVE_OK && i < limit; i++) {
        struct stave_entry entry; /* its bytes are valid until the next call on the cursor */
        status = stave_cursor_next(cursor, &entry);
        if (status == STAVE_OK) *count += 1;
    }
    if (status >= 0) *position = status == STAVE_END ? 0 : stave_cursor_position(cursor);
    stave_cursor_close(cursor);
    return status;
}

static enum stave_status fill(struct stave *store)
{
    enum stave_status status = stave_put(store, stave_text("unrelated"), stave_text("value"));
    for (int i = 0; status == STAVE_OK && i < KEY_COUNT; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "sensor/%d", i);
        status = stave_put(store, stave_text(key), stave_text("21.5"));
    }
    return status;
}

int main(int argc, char **argv)
{
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(argc > 1 ? argv[1] : "cursor.stave", NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    uint64_t position = 0;
    int count = 0;
    int page_count = 0;
    enum stave_status status = fill(store);
    while (status == STAVE_OK) {
        status = count_page(store, &position, PAGE_COUNT, &count);
        page_count++;
        if (position == 0) break;
    }
    printf("%d entries in %d pages\n", count, page_count);

    if (stave_close(store) != STAVE_OK || status < 0) return 1;
    return count >= KEY_COUNT ? 0 : 1; /* at least once each; a page may begin with some of the last one */
}
