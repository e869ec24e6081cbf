/* SPDX-License-Identifier: MIT */
/* Operations are chosen by weight; each changes the store, then the map, and compares what it can. */
#include "support/model.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAR_FUTURE_MS UINT64_C(4102444800000) /* the year 2100 */
#define CHECK(model, condition) check((model), (condition), #condition, __func__, __LINE__)

static void check(const struct model *model, bool holds, const char *what, const char *function, int line)
{
    if (holds) return;
    struct stave_error error = {.status = STAVE_OK};
    if (model->store != NULL) stave_last_error(model->store, &error);
    fail_msg("step %llu, %s:%d: %s (last error: %d %s)", (unsigned long long)model->steps, function, line,
             what, (int)error.status, error.status == STAVE_OK ? "" : error.message);
}

#define CHECK_STATUS(model, status, expected) check_status((model), (status), (expected), __func__, __LINE__)

static void check_status(const struct model *model, enum stave_status status, enum stave_status expected,
                         const char *function, int line)
{
    char what[64];
    (void)snprintf(what, sizeof(what), "status %d, not %d", (int)status, (int)expected);
    check(model, status == expected, what, function, line);
}

/* Keys and values. */

/* Key 0 is empty, key 1 is long; the others have one of three beginnings. */
static struct stave_bytes key_of(size_t number, uint8_t room[MODEL_KEY_SIZE_MAX])
{
    static const char *const beginnings[3] = {"alpha/", "beta/", ""};
    if (number == 0) return stave_bytes(NULL, 0);
    if (number == 1) {
        memset(room, 'k', MODEL_KEY_SIZE_MAX);
        return stave_bytes(room, MODEL_KEY_SIZE_MAX);
    }
    const int size = snprintf((char *)room, 64, "%s%zu", beginnings[number % 3], number);
    return stave_bytes(room, (size_t)size);
}

static size_t random_size(struct random_source *random)
{
    const uint64_t kind = random_below(random, 1000);
    if (kind < 100) return 0;
    if (kind < 750) return (size_t)random_below(random, 200);
    if (kind < 985) return (size_t)random_below(random, 4000);
    if (kind < 999) return (size_t)random_below(random, 100000);
    return STAVE_LARGE_SIZE + 1 + (size_t)random_below(random, 100000);
}

static void *make_value(size_t size, uint64_t number)
{
    void *value = malloc(size + 1);
    assert_non_null(value);
    fill_bytes(value, size, number);
    return value;
}

static bool value_is(const struct model_value *expected, const void *data, size_t size)
{
    return size == expected->size && bytes_are(data, size, expected->number);
}

static bool is_live(const struct model_value *value)
{
    return value->present && !value->indeterminate;
}

static struct stave *space_of(struct stave *store, size_t space)
{
    struct stave *handle = stave_space(store, (uint32_t)space);
    assert_non_null(handle);
    return handle;
}

static void remember(struct model *model, struct model_value *value, struct model_value now)
{
    CHECK(model, now.sequence > model->newest);
    model->newest = now.sequence;
    now.present = true;
    now.indeterminate = now.expires_at_ms != 0 && now.expires_at_ms < FAR_FUTURE_MS / 2;
    *value = now;
}

static void forget(struct model *model, struct model_value *value, uint64_t sequence)
{
    if (sequence != 0) {
        CHECK(model, sequence > model->newest);
        model->newest = sequence;
    }
    *value = (struct model_value){.present = false};
}

/* Comparing. */

static void compare_key(struct model *model, struct stave *space, const struct model_value *expected,
                        size_t number)
{
    uint8_t room[MODEL_KEY_SIZE_MAX];
    const struct stave_bytes key = key_of(number, room);
    struct stave_value value = {0};
    const enum stave_status status = stave_get(space, key, &value);
    if (!is_live(expected)) {
        CHECK(model, status == STAVE_NOT_FOUND);
        CHECK(model, stave_exists(space, key) == STAVE_NOT_FOUND);
        return;
    }
    CHECK_STATUS(model, status, STAVE_OK);
    CHECK(model, value_is(expected, value.data, value.size));
    CHECK(model, value.sequence == expected->sequence);
    CHECK(model, value.expires_at_ms == expected->expires_at_ms);
    CHECK(model, ((const char *)value.data)[value.size] == 0);
    stave_free(value.data);
}

static void compare_count(struct model *model, struct stave *space, size_t number)
{
    uint64_t least = 0;
    uint64_t most = 0;
    for (size_t key = 0; key < MODEL_KEY_COUNT; key++) {
        least += is_live(&model->values[number][key]);
        most += model->values[number][key].present;
    }
    const uint64_t count = stave_count(space);
    if (count < least || count > most)
        fail_msg("step %llu: space %zu counts %llu keys, not %llu to %llu", (unsigned long long)model->steps,
                 number, (unsigned long long)count, (unsigned long long)least, (unsigned long long)most);
}

/* The number of a key; MODEL_KEY_COUNT if it is none of ours. */
static size_t number_of(struct stave_bytes key)
{
    uint8_t room[MODEL_KEY_SIZE_MAX];
    for (size_t number = 0; number < MODEL_KEY_COUNT; number++) {
        const struct stave_bytes other = key_of(number, room);
        if (other.size == key.size && (key.size == 0 || memcmp(other.data, key.data, key.size) == 0))
            return number;
    }
    return MODEL_KEY_COUNT;
}

/* Walks a space, now and then with another cursor from the same position. */
static void compare_cursor(struct model *model, struct stave *space, size_t number, const char *prefix)
{
    bool seen[MODEL_KEY_COUNT] = {false};
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    uint8_t room[MODEL_KEY_SIZE_MAX];
    enum stave_status status;

    CHECK(model, stave_cursor_open(space, 0, stave_text(prefix), 0, &cursor) == STAVE_OK);
    while ((status = stave_cursor_next(cursor, &entry)) == STAVE_OK) {
        const size_t key = number_of(entry.key);
        CHECK(model, key < MODEL_KEY_COUNT);
        const struct model_value *expected = &model->values[number][key];
        CHECK(model, is_live(expected));
        CHECK(model, value_is(expected, entry.value.data, entry.value.size));
        CHECK(model, entry.value_size == expected->size && entry.sequence == expected->sequence);
        CHECK(model, entry.key.size >= strlen(prefix) && memcmp(prefix, entry.key.data, strlen(prefix)) == 0);
        seen[key] = true;
        if (!random_chance(&model->random, 40)) continue;
        const uint64_t position = stave_cursor_position(cursor);
        stave_cursor_close(cursor);
        cursor = NULL;
        if (position == 0) break;
        CHECK(model, stave_cursor_open(space, position, stave_text(prefix), 0, &cursor) == STAVE_OK);
    }
    CHECK(model, cursor == NULL || status == STAVE_END);
    stave_cursor_close(cursor);
    for (size_t key = 0; key < MODEL_KEY_COUNT; key++) {
        const struct stave_bytes bytes = key_of(key, room);
        const bool begins = bytes.size >= strlen(prefix) &&
                            (prefix[0] == 0 || memcmp(bytes.data, prefix, strlen(prefix)) == 0);
        if (begins && is_live(&model->values[number][key]) && !seen[key])
            fail_msg("step %llu: a cursor of space %zu did not return key %zu",
                     (unsigned long long)model->steps, number, key);
    }
}

void model_compare(struct model *model, struct stave *store)
{
    for (size_t number = 0; number < MODEL_SPACE_COUNT; number++) {
        struct stave *space = space_of(store, number);
        for (size_t key = 0; key < MODEL_KEY_COUNT; key++)
            compare_key(model, space, &model->values[number][key], key);
        compare_count(model, space, number);
        compare_cursor(model, space, number, "");
        compare_cursor(model, space, number, "beta/");
    }
}

/* Single writes. */

struct chosen {
    size_t number; /* of the space */
    size_t key_number;
    struct stave *space;
    struct stave_bytes key;
    struct model_value *value;
    uint8_t room[MODEL_KEY_SIZE_MAX];
};

static void choose(struct model *model, struct chosen *ret_chosen)
{
    ret_chosen->number = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    ret_chosen->key_number = (size_t)random_below(&model->random, MODEL_KEY_COUNT);
    ret_chosen->space = space_of(model->store, ret_chosen->number);
    ret_chosen->key = key_of(ret_chosen->key_number, ret_chosen->room);
    ret_chosen->value = &model->values[ret_chosen->number][ret_chosen->key_number];
}

static uint64_t random_expiry(struct random_source *random)
{
    const uint64_t kind = random_below(random, 10);
    return kind < 8 ? 0 : kind == 8 ? FAR_FUTURE_MS + random_below(random, 1000) : 1;
}

/* The flags of a write, and what they make of it. */
static enum stave_status choose_condition(struct model *model, const struct model_value *value,
                                          struct stave_write *ret_write)
{
    const bool live = is_live(value);
    switch (random_below(&model->random, 8)) {
    case 0: ret_write->flags |= STAVE_IF_ABSENT; return live ? STAVE_EXISTS : STAVE_OK;
    case 1: ret_write->flags |= STAVE_IF_PRESENT; return live ? STAVE_OK : STAVE_NOT_FOUND;
    case 2:
        ret_write->flags |= STAVE_IF_SEQUENCE;
        ret_write->if_sequence = live ? value->sequence : 0;
        return STAVE_OK;
    case 3:
        ret_write->flags |= STAVE_IF_SEQUENCE;
        ret_write->if_sequence =
            live ? (random_chance(&model->random, 2) ? 0 : value->sequence - 1) : model->newest + 1;
        return STAVE_CONFLICT;
    default: return STAVE_OK;
    }
}

static void step_put(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    struct stave_write write = {.expires_at_ms = random_expiry(&model->random)};
    struct model_value now = {.number = random_next(&model->random),
                              .size = random_size(&model->random),
                              .expires_at_ms = write.expires_at_ms};
    if (random_chance(&model->random, 50)) write.flags |= STAVE_DURABLE;
    if (random_chance(&model->random, 50)) write.flags = STAVE_NOT_DURABLE;
    const enum stave_status expected = choose_condition(model, chosen.value, &write);
    if (random_chance(&model->random, 6)) {
        write.flags |= STAVE_KEEP_EXPIRY;
        write.expires_at_ms = 0;
        now.expires_at_ms = is_live(chosen.value) ? chosen.value->expires_at_ms : 0;
    }
    void *bytes = make_value(now.size, now.number);
    const enum stave_status status =
        stave_put_with(chosen.space, chosen.key, stave_bytes(bytes, now.size), &write, &now.sequence);
    CHECK_STATUS(model, status, expected);
    free(bytes);
    if (status == STAVE_OK) remember(model, chosen.value, now);
}

static void step_delete(struct model *model)
{
    struct chosen chosen;
    struct stave_write write = {0};
    uint64_t sequence = 0;
    choose(model, &chosen);
    const bool live = is_live(chosen.value);
    const enum stave_status condition = choose_condition(model, chosen.value, &write);
    if (write.flags & (STAVE_IF_ABSENT | STAVE_IF_PRESENT)) write.flags = 0;
    const bool conflicts = (write.flags & STAVE_IF_SEQUENCE) && condition == STAVE_CONFLICT;
    const enum stave_status status = stave_delete_with(chosen.space, chosen.key, &write, &sequence);
    if (!live && conflicts) {
        CHECK(model, status == STAVE_CONFLICT || status == STAVE_NOT_FOUND);
        return;
    }
    CHECK_STATUS(model, status, conflicts ? STAVE_CONFLICT : live ? STAVE_OK : STAVE_NOT_FOUND);
    if (status == STAVE_OK) forget(model, chosen.value, sequence);
}

static void step_expire(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    const struct stave_write write = {.expires_at_ms = random_expiry(&model->random)};
    struct model_value now = *chosen.value;
    const enum stave_status status = stave_expire(chosen.space, chosen.key, &write, &now.sequence);
    CHECK_STATUS(model, status, (is_live(chosen.value) ? STAVE_OK : STAVE_NOT_FOUND));
    if (status != STAVE_OK) return;
    now.expires_at_ms = write.expires_at_ms;
    remember(model, chosen.value, now);
}

struct updating {
    struct model *model;
    const struct model_value *old;
    enum stave_update_action action;
    struct stave_bytes new_value;
    uint64_t expires_at_ms;
};

static enum stave_update_action call_update(void *context, struct stave_update *update)
{
    const struct updating *updating = context;
    CHECK(updating->model, update->found == is_live(updating->old));
    if (update->found) {
        CHECK(updating->model, value_is(updating->old, update->old_value.data, update->old_value.size));
        CHECK(updating->model, update->old_sequence == updating->old->sequence);
        CHECK(updating->model, update->old_expires_at_ms == updating->old->expires_at_ms);
    }
    update->new_value = updating->new_value;
    update->new_expires_at_ms = updating->expires_at_ms;
    return updating->action;
}

static void step_update(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    const uint64_t expires_at_ms = random_expiry(&model->random);
    struct model_value now = {.number = random_next(&model->random),
                              .size = random_size(&model->random),
                              .expires_at_ms = expires_at_ms};
    void *bytes = make_value(now.size, now.number);
    struct updating updating = {model, chosen.value,
                                (enum stave_update_action)random_below(&model->random, 4),
                                stave_bytes(bytes, now.size), expires_at_ms};
    const enum stave_status status =
        stave_update(chosen.space, chosen.key, call_update, &updating, NULL, &now.sequence);
    free(bytes);
    if (updating.action == STAVE_UPDATE_CANCEL) CHECK(model, status == STAVE_CANCELLED);
    if (updating.action == STAVE_UPDATE_PUT) {
        CHECK_STATUS(model, status, STAVE_OK);
        remember(model, chosen.value, now);
    }
    if (updating.action == STAVE_UPDATE_DELETE && is_live(chosen.value)) {
        CHECK_STATUS(model, status, STAVE_OK);
        forget(model, chosen.value, now.sequence);
    }
}

/* Batches, spaces. */

static void swap_spaces(struct model *model, size_t a, size_t b)
{
    for (size_t key = 0; key < MODEL_KEY_COUNT; key++) {
        const struct model_value value = model->values[a][key];
        model->values[a][key] = model->values[b][key];
        model->values[b][key] = value;
    }
}

static void batch_put(struct model *model, struct stave_batch *batch, struct model_value *value,
                      struct stave_bytes key)
{
    const struct model_value now = {.present = true,
                                    .number = random_next(&model->random),
                                    .size = (size_t)random_below(&model->random, 2000),
                                    .expires_at_ms = random_chance(&model->random, 8) ? FAR_FUTURE_MS : 0};
    void *bytes = make_value(now.size, now.number);
    CHECK(model, stave_batch_put(batch, key, stave_bytes(bytes, now.size), now.expires_at_ms) == STAVE_OK);
    free(bytes);
    *value = now;
}

struct batching {
    const struct model *before;
    bool may_apply;
    bool spaces_changed; /* a requirement behind it looks at the other space */
};

/* One part of a batch, applied to the map at once; the caller puts the map back if the batch does not
   apply. */
static void batch_part(struct model *model, struct stave_batch *batch, struct batching *batching)
{
    const size_t space = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    const size_t number = (size_t)random_below(&model->random, MODEL_KEY_COUNT);
    uint8_t room[MODEL_KEY_SIZE_MAX];
    const struct stave_bytes key = key_of(number, room);
    struct model_value *value = &model->values[space][number];
    const struct model_value *old = &batching->before->values[space][number];
    const uint64_t kind = random_below(&model->random, 40);

    CHECK(model, stave_batch_select(batch, (uint32_t)space) == STAVE_OK);
    if (kind < 24)
        batch_put(model, batch, value, key);
    else if (kind < 32) {
        CHECK(model, stave_batch_delete(batch, key) == STAVE_OK);
        *value = (struct model_value){.present = false};
    } else if (kind < 38) {
        if (batching->spaces_changed) return;
        const bool right = !random_chance(&model->random, 6);
        const uint64_t sequence = is_live(old) ? old->sequence : 0;
        CHECK(model, stave_batch_require(batch, key, right ? sequence : sequence + 1) == STAVE_OK);
        batching->may_apply &= right;
    } else if (kind < 39) {
        batching->spaces_changed = true;
        CHECK(model, stave_batch_drop(batch, (uint32_t)space) == STAVE_OK);
        memset(model->values[space], 0, sizeof(model->values[space]));
    } else {
        const size_t other = (space + 1) % MODEL_SPACE_COUNT;
        batching->spaces_changed = true;
        CHECK(model, stave_batch_swap(batch, (uint32_t)space, (uint32_t)other) == STAVE_OK);
        swap_spaces(model, space, other);
    }
}

/* What a batch wrote got its sequences inside: they are read back, and must be new. */
static void learn_sequences(struct model *model, uint64_t newest)
{
    uint8_t room[MODEL_KEY_SIZE_MAX];
    for (size_t space = 0; space < MODEL_SPACE_COUNT; space++)
        for (size_t number = 0; number < MODEL_KEY_COUNT; number++) {
            struct model_value *value = &model->values[space][number];
            struct stave_info info;
            if (!value->present || value->sequence != 0) continue;
            const enum stave_status status =
                stave_info(space_of(model->store, space), key_of(number, room), &info);
            CHECK_STATUS(model, status, STAVE_OK);
            CHECK(model, info.sequence > model->newest && info.sequence <= newest);
            CHECK(model, info.value_size == value->size);
            value->sequence = info.sequence;
        }
}

static void step_batch(struct model *model)
{
    struct stave_batch *batch = NULL;
    uint64_t sequence = 0;
    const uint64_t count = random_below(&model->random, 12);
    struct model *before = malloc(sizeof(*before));
    assert_non_null(before);
    *before = *model;
    struct batching batching = {before, true, false};

    CHECK(model, stave_batch_begin(model->store, &batch) == STAVE_OK);
    for (uint64_t part = 0; part < count; part++) batch_part(model, batch, &batching);
    const enum stave_status status = stave_batch_commit(batch, NULL, &sequence);
    CHECK_STATUS(model, status, (batching.may_apply ? STAVE_OK : STAVE_CONFLICT));
    stave_batch_free(batch);
    if (batching.may_apply) {
        const uint64_t newest = stave_sequence(model->store);
        learn_sequences(model, newest);
        model->newest = newest;
    } else
        memcpy(model->values, before->values, sizeof(model->values));
    free(before);
}

static void step_drop(struct model *model)
{
    const size_t space = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    uint64_t sequence = 0;
    CHECK(model, stave_drop(space_of(model->store, space), NULL, &sequence) == STAVE_OK);
    CHECK(model, sequence > model->newest);
    model->newest = sequence;
    memset(model->values[space], 0, sizeof(model->values[space]));
    CHECK(model, stave_count(space_of(model->store, space)) == 0);
}

static void step_swap(struct model *model)
{
    const size_t a = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    const size_t b = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    uint64_t sequence = 0;
    CHECK(model, stave_swap(model->store, (uint32_t)a, (uint32_t)b, NULL, &sequence) == STAVE_OK);
    CHECK(model, sequence >= model->newest);
    model->newest = sequence;
    swap_spaces(model, a, b);
}

/* Reading. */

static void step_get(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    compare_key(model, chosen.space, chosen.value, chosen.key_number);
    struct stave_info info;
    const enum stave_status status = stave_info(chosen.space, chosen.key, &info);
    CHECK_STATUS(model, status, (is_live(chosen.value) ? STAVE_OK : STAVE_NOT_FOUND));
    if (status != STAVE_OK) return;
    CHECK(model, info.value_size == chosen.value->size && info.sequence == chosen.value->sequence);
    CHECK(model, info.expires_at_ms == chosen.value->expires_at_ms && info.disk_size > info.value_size);
}

static void step_range(struct model *model)
{
    struct chosen chosen;
    struct stave_view view = {0};
    choose(model, &chosen);
    if (!is_live(chosen.value)) return;
    const size_t whole = chosen.value->size;
    const struct stave_read read = {.offset = random_below(&model->random, whole + 10),
                                    .size = (size_t)random_below(&model->random, whole + 10)};
    const size_t from = read.offset < whole ? (size_t)read.offset : whole;
    const size_t rest = whole - from;
    const size_t size = read.size == 0 || read.size > rest ? rest : read.size;
    uint8_t *bytes = make_value(whole, chosen.value->number);
    CHECK(model, stave_view(chosen.space, chosen.key, &read, &view) == STAVE_OK);
    CHECK(model, view.size == size && (size == 0 || memcmp(view.data, bytes + from, size) == 0));
    CHECK(model, view.sequence == chosen.value->sequence);
    stave_view_release(model->store, &view);
    free(bytes);
}

static void step_multi_get(struct model *model)
{
    enum { COUNT = 20 };
    struct chosen *chosen = calloc(COUNT, sizeof(*chosen));
    struct stave_bytes keys[COUNT];
    struct stave_view views[COUNT];
    enum stave_status statuses[COUNT];
    assert_non_null(chosen);
    for (size_t index = 0; index < COUNT; index++) {
        choose(model, &chosen[index]);
        keys[index] = chosen[index].key;
    }
    const size_t number = chosen[0].number;
    CHECK(model, stave_multi_get(chosen[0].space, keys, COUNT, 0, views, statuses) == STAVE_OK);
    for (size_t index = 0; index < COUNT; index++) {
        const struct model_value *value = &model->values[number][chosen[index].key_number];
        CHECK(model, statuses[index] == (is_live(value) ? STAVE_OK : STAVE_NOT_FOUND));
        if (statuses[index] != STAVE_OK) continue;
        CHECK(model, value_is(value, views[index].data, views[index].size));
        stave_view_release(model->store, &views[index]);
    }
    free(chosen);
}

static void step_random_key(struct model *model)
{
    const size_t number = (size_t)random_below(&model->random, MODEL_SPACE_COUNT);
    struct stave_value key = {0};
    bool empty = true;
    for (size_t index = 0; index < MODEL_KEY_COUNT; index++) empty &= !is_live(&model->values[number][index]);
    const enum stave_status status = stave_random_key(space_of(model->store, number), &key);
    CHECK_STATUS(model, status, (empty ? STAVE_NOT_FOUND : STAVE_OK));
    if (status != STAVE_OK) return;
    const size_t found = number_of(stave_bytes(key.data, key.size));
    CHECK(model, found < MODEL_KEY_COUNT && is_live(&model->values[number][found]));
    stave_free(key.data);
}

/* Upkeep. */

static void step_compact(struct model *model)
{
    const uint32_t flags = random_chance(&model->random, 2) ? STAVE_COMPACT_ALL : 0;
    CHECK(model, stave_compact(model->store, flags, NULL, NULL) == STAVE_OK);
}

static void step_checkpoint(struct model *model)
{
    CHECK(model, stave_checkpoint(model->store) == STAVE_OK);
}

static void step_sync(struct model *model)
{
    CHECK(model, stave_sync(model->store) == STAVE_OK);
    CHECK(model, stave_durable_sequence(model->store) >= model->newest);
}

/* A snapshot holds what the map holds now, also when it is written to. */
static void step_snapshot(struct model *model)
{
    char path[SCRATCH_PATH_SIZE];
    struct stave_error error;
    struct stave_options options = small_options();
    scratch_path(&model->scratch, "snapshot", path);
    options.read_only = random_chance(&model->random, 2);
    CHECK(model, stave_snapshot(model->store, path, &error) == STAVE_OK);
    struct stave *snapshot = store_open(path, &options);
    model_compare(model, snapshot);
    if (!options.read_only) {
        store_put(snapshot, "only here", "x");
        store_close(snapshot);
        snapshot = store_open(path, &options);
        store_expect(snapshot, "only here", "x");
    }
    store_close(snapshot);
    scratch_remove_tree(path);
}

static void step_read_only(struct model *model)
{
    struct stave_options options = small_options();
    options.read_only = true;
    struct stave *reader = store_open(model->scratch.store, &options);
    model_compare(model, reader);
    for (int count = 0; count < 20; count++) step_put(model);
    CHECK(model, stave_refresh(reader) == STAVE_OK);
    model_compare(model, reader);
    store_close(reader);
}

static void choose_options(struct model *model)
{
    struct stave_options options = small_options();
    options.segment_size <<= random_below(&model->random, 4);
    options.sync = (enum stave_sync)random_below(&model->random, 3);
    options.reads = random_chance(&model->random, 3) ? STAVE_READS_COPIED : STAVE_READS_MAPPED;
    options.tail = (enum stave_tail)random_below(&model->random, 3);
    options.rebuild_thread_count = (uint32_t)random_below(&model->random, 4);
    options.manual_compaction = random_chance(&model->random, 4);
    options.skip_verify = random_chance(&model->random, 4);
    if (random_chance(&model->random, 4)) options.segment_age_ms = 5;
    model->options = options;
}

/* Keeps a checkpoint for later, or brings back the one that was kept: stale by then (P4). */
static void exchange_checkpoint(struct model *model)
{
    char kept[SCRATCH_PATH_SIZE];
    char current[SCRATCH_PATH_SIZE];
    char command[3 * SCRATCH_PATH_SIZE];
    scratch_path(&model->scratch, "checkpoint.kept", kept);
    (void)snprintf(current, sizeof(current), "%.500s/CHECKPOINT", model->scratch.store);
    const char *from = model->has_old_checkpoint ? kept : current;
    const char *to = model->has_old_checkpoint ? current : kept;
    (void)snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
    CHECK(model, system(command) == 0); /* NOLINT: a test's own paths */
    model->has_old_checkpoint = true;
}

static void spoil_checkpoint(struct model *model)
{
    const char *dir = model->scratch.store;
    if (!scratch_has(dir, "CHECKPOINT")) return;
    const uint64_t size = scratch_size(dir, "CHECKPOINT");
    switch (random_below(&model->random, 6)) {
    case 0: scratch_unlink(dir, "CHECKPOINT"); break;
    case 1:
        if (size > 0) scratch_flip(dir, "CHECKPOINT", random_below(&model->random, size));
        break;
    case 2: scratch_truncate(dir, "CHECKPOINT", random_below(&model->random, size + 1)); break;
    case 3: exchange_checkpoint(model); break;
    default: break;
    }
}

void model_open(struct model *model)
{
    spoil_checkpoint(model);
    choose_options(model);
    model->store = store_open(model->scratch.store, &model->options);
    CHECK(model, stave_sequence(model->store) >= model->newest);
    model_compare(model, model->store);
}

static void step_reopen(struct model *model)
{
    if (model->stays_open) return;
    store_close(model->store);
    model->store = NULL;
    model_open(model);
}

/* Whole spaces. */

/* More than a segment of one space alone, most times. */
static void step_fill(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    for (size_t key = 2; key < 50; key++) {
        uint8_t room[MODEL_KEY_SIZE_MAX];
        struct model_value now = {.number = random_next(&model->random), .size = 2500};
        void *bytes = make_value(now.size, now.number);
        CHECK_STATUS(model,
                     stave_put_with(chosen.space, key_of(key, room), stave_bytes(bytes, now.size), NULL,
                                    &now.sequence),
                     STAVE_OK);
        free(bytes);
        remember(model, &model->values[chosen.number][key], now);
    }
}

/* Key by key: none is left, as after a drop. */
static void step_empty(struct model *model)
{
    struct chosen chosen;
    choose(model, &chosen);
    for (size_t key = 0; key < MODEL_KEY_COUNT; key++) {
        uint8_t room[MODEL_KEY_SIZE_MAX];
        struct model_value *value = &model->values[chosen.number][key];
        uint64_t sequence = 0;
        if (!is_live(value)) continue;
        CHECK_STATUS(model, stave_delete_with(chosen.space, key_of(key, room), NULL, &sequence), STAVE_OK);
        forget(model, value, sequence);
    }
}

/* Steps. */

struct weighted {
    unsigned weight;
    void (*step)(struct model *model);
};

static const struct weighted steps[] = {
    {400, step_put},       {100, step_delete}, {30, step_expire},    {60, step_update}, {60, step_batch},
    {2, step_drop},        {4, step_swap},     {120, step_get},      {30, step_range},  {20, step_multi_get},
    {20, step_random_key}, {4, step_compact},  {4, step_checkpoint}, {4, step_sync},    {2, step_snapshot},
    {2, step_read_only},   {6, step_reopen},
};

static const struct weighted space_steps[] = {
    {200, step_put}, {50, step_delete},  {10, step_expire},    {60, step_batch}, {30, step_drop},
    {30, step_swap}, {40, step_fill},    {15, step_empty},     {40, step_get},   {4, step_compact},
    {3, step_sync},  {3, step_snapshot}, {6, step_checkpoint}, {4, step_reopen},
};

void model_begin(struct model *model, uint64_t seed)
{
    memset(model, 0, sizeof(*model));
    model->random.state = seed;
    scratch_make(&model->scratch);
    choose_options(model);
    model->store = store_open(model->scratch.store, &model->options);
}

void model_end(struct model *model)
{
    if (model->store != NULL) store_close(model->store);
    model->store = NULL;
    scratch_remove(&model->scratch);
}

void model_step(struct model *model)
{
    const struct weighted *const table = model->only_spaces ? space_steps : steps;
    const size_t count =
        model->only_spaces ? sizeof(space_steps) / sizeof(space_steps[0]) : sizeof(steps) / sizeof(steps[0]);
    unsigned total = 0;
    for (size_t index = 0; index < count; index++) total += table[index].weight;
    uint64_t left = random_below(&model->random, total);
    size_t chosen = 0;
    while (left >= table[chosen].weight) left -= table[chosen++].weight;
    table[chosen].step(model);
    model->steps++;
}
