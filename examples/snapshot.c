/* SPDX-License-Identifier: MIT */
/* A snapshot: a second store with the contents of one moment, while the first goes on. */
#include <stave.h>
#include <stdio.h>

static enum stave_status show(const char *path)
{
    const struct stave_options options = {.size = sizeof options, .read_only = true, .must_exist = true};
    struct stave *store = NULL;
    struct stave_value value = {0};
    enum stave_status status = stave_open(path, &options, &store, NULL);
    if (status != STAVE_OK) return status;
    status = stave_get(store, stave_text("price"), &value);
    if (status == STAVE_OK) printf("%s: %.*s\n", path, (int)value.size, (const char *)value.data);
    stave_free(value.data);
    const enum stave_status closed = stave_close(store);
    return status == STAVE_OK ? closed : status;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "snapshot.stave";
    char snapshot_path[4096];
    struct stave *store = NULL;
    struct stave_error error;
    if (snprintf(snapshot_path, sizeof snapshot_path, "%s.monday", path) >= (int)sizeof snapshot_path)
        return 1;
    if (stave_open(path, NULL, &store, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }

    enum stave_status status = stave_put(store, stave_text("price"), stave_text("10"));
    if (status == STAVE_OK) status = stave_snapshot(store, snapshot_path, &error);
    if (status != STAVE_OK) fprintf(stderr, "%s: %s\n", snapshot_path, error.message);
    if (status == STAVE_OK) status = stave_put(store, stave_text("price"), stave_text("12"));

    if (stave_close(store) != STAVE_OK || status != STAVE_OK) return 1;
    if (show(path) != STAVE_OK || show(snapshot_path) != STAVE_OK) return 1;
    return 0;
}
