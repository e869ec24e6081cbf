/* SPDX-License-Identifier: MIT */
/* Open a store, put, get, delete, close; and how failures are told from an expected "no". */
#include <stave.h>
#include <stdio.h>

static int show(struct stave *store, const char *key)
{
    struct stave_value value = {0};
    const enum stave_status status = stave_get(store, stave_text(key), &value);
    if (status == STAVE_OK) {
        printf("%s: %.*s\n", key, (int)value.size, (const char *)value.data);
        stave_free(value.data);
    } else if (status == STAVE_NOT_FOUND) {
        printf("%s: not there\n", key);
    } else {
        struct stave_error error;
        stave_last_error(store, &error);
        fprintf(stderr, "%s: %s\n", key, error.message);
    }
    return status < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct stave *store = NULL;
    struct stave_error error;
    if (stave_open(argc > 1 ? argv[1] : "first.stave", NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    int result = stave_put(store, stave_text("city"), stave_text("Bern")) < 0 ? 1 : 0;
    result |= show(store, "city");
    result |= stave_delete(store, stave_text("city")) < 0 ? 1 : 0;
    result |= show(store, "city");

    if (stave_close(store) != STAVE_OK) result = 1;
    return result;
}
