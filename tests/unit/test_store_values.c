/* SPDX-License-Identifier: MIT */
/* Single keys: what put, get, delete, exists, info, views, conditions, expiry and update do, and their
   limits. */
#include "support/fixture.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "store/store.h"

#define FAR_FUTURE_MS UINT64_C(4102444800000)

static void calls_refuse_missing_arguments(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_bytes key = stave_text("a");
    const struct stave_bytes bad = stave_bytes(NULL, 3);
    struct stave_value value = {0};
    struct stave_view view = {0};
    struct stave_info info;
    enum stave_status status;
    assert_int_equal(stave_put(NULL, key, key), STAVE_INVALID);
    assert_int_equal(stave_put(fixture->store, bad, key), STAVE_INVALID);
    assert_int_equal(stave_put(fixture->store, key, bad), STAVE_INVALID);
    assert_int_equal(stave_get(NULL, key, &value), STAVE_INVALID);
    assert_int_equal(stave_get(fixture->store, bad, &value), STAVE_INVALID);
    assert_int_equal(stave_get(fixture->store, key, NULL), STAVE_INVALID);
    assert_int_equal(stave_delete(NULL, key), STAVE_INVALID);
    assert_int_equal(stave_delete(fixture->store, bad), STAVE_INVALID);
    assert_int_equal(stave_exists(NULL, key), STAVE_INVALID);
    assert_int_equal(stave_info(fixture->store, key, NULL), STAVE_INVALID);
    assert_int_equal(stave_info(NULL, key, &info), STAVE_INVALID);
    assert_int_equal(stave_view(fixture->store, key, NULL, NULL), STAVE_INVALID);
    assert_int_equal(stave_view(NULL, key, NULL, &view), STAVE_INVALID);
    assert_int_equal(stave_multi_get(fixture->store, NULL, 1, 0, &view, &status), STAVE_INVALID);
    assert_int_equal(stave_update(fixture->store, key, NULL, NULL, NULL, NULL), STAVE_INVALID);
    assert_int_equal(stave_sync(NULL), STAVE_INVALID);
    assert_int_equal(stave_stats(fixture->store, NULL), STAVE_INVALID);
    assert_int_equal(stave_random_key(fixture->store, NULL), STAVE_INVALID);
    assert_null(stave_space(fixture->store, STAVE_SPACE_COUNT_MAX));
    assert_null(value.data);
}

static void sizes_above_the_limits_are_refused_without_reading(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_bytes key = stave_text("a");
    assert_int_equal(stave_put(fixture->store, stave_bytes("x", (size_t)STAVE_KEY_SIZE_MAX + 1), key),
                     STAVE_LIMIT);
    assert_int_equal(stave_put(fixture->store, key, stave_bytes("x", (size_t)STAVE_VALUE_SIZE_MAX + 1)),
                     STAVE_LIMIT);
}

static void empty_keys_and_values_are_like_others(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_bytes empty = stave_bytes(NULL, 0);
    struct stave_value value = {0};
    assert_int_equal(stave_get(fixture->store, empty, &value), STAVE_NOT_FOUND);
    assert_int_equal(stave_put(fixture->store, empty, empty), STAVE_OK);
    store_put(fixture->store, "x", "");
    fixture_reopen(fixture);
    assert_int_equal(stave_get(fixture->store, empty, &value), STAVE_OK);
    assert_int_equal(value.size, 0);
    assert_non_null(value.data);
    stave_free(value.data);
    store_expect(fixture->store, "x", "");
    assert_int_equal(stave_delete(fixture->store, empty), STAVE_OK);
    assert_int_equal(stave_exists(fixture->store, empty), STAVE_NOT_FOUND);
}

static void keys_and_values_are_any_bytes(void **state)
{
    struct fixture *fixture = *state;
    uint8_t bytes[256];
    for (size_t index = 0; index < sizeof(bytes); index++) bytes[index] = (uint8_t)index;
    struct stave_value value = {0};
    for (size_t size = 0; size <= sizeof(bytes); size++)
        assert_int_equal(stave_put(fixture->store, stave_bytes(bytes, size), stave_bytes(bytes, 256 - size)),
                         STAVE_OK);
    fixture_reopen(fixture);
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        assert_int_equal(stave_get(fixture->store, stave_bytes(bytes, size), &value), STAVE_OK);
        assert_int_equal(value.size, 256 - size);
        assert_memory_equal(value.data, bytes, value.size);
        stave_free(value.data);
    }
}

static void get_gives_sequence_and_expiry(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.expires_at_ms = FAR_FUTURE_MS};
    struct stave_value value = {0};
    struct stave_info info;
    uint64_t sequence = 0;
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("xyz"), &write, &sequence),
                     STAVE_OK);
    assert_int_equal(stave_get(fixture->store, stave_text("a"), &value), STAVE_OK);
    assert_true(value.sequence == sequence && value.expires_at_ms == FAR_FUTURE_MS);
    assert_int_equal(((char *)value.data)[value.size], 0);
    stave_free(value.data);
    assert_int_equal(stave_info(fixture->store, stave_text("a"), &info), STAVE_OK);
    assert_true(info.sequence == sequence && info.expires_at_ms == FAR_FUTURE_MS && info.value_size == 3);
    assert_true(info.disk_size >= 3);
    assert_int_equal(stave_info(fixture->store, stave_text("b"), &info), STAVE_NOT_FOUND);
}

static void delete_of_nothing_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    store_put(fixture->store, "a", "1");
    const uint64_t sequence = stave_sequence(fixture->store);
    assert_int_equal(stave_delete(fixture->store, stave_text("b")), STAVE_NOT_FOUND);
    assert_true(stave_sequence(fixture->store) == sequence);
    assert_int_equal(stave_delete(fixture->store, stave_text("a")), STAVE_OK);
    assert_true(stave_sequence(fixture->store) > sequence);
    assert_int_equal(stave_delete(fixture->store, stave_text("a")), STAVE_NOT_FOUND);
}

static enum stave_status put_if(struct stave *store, const char *key, const char *value, uint32_t flags,
                                uint64_t sequence, uint64_t *ret_sequence)
{
    const struct stave_write write = {.flags = flags, .if_sequence = sequence};
    return stave_put_with(store, stave_text(key), stave_text(value), &write, ret_sequence);
}

static void conditional_puts_hold(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    uint64_t first = 0;
    uint64_t second = 0;
    uint64_t kept = 77;
    assert_int_equal(put_if(store, "a", "1", STAVE_IF_PRESENT, 0, &kept), STAVE_NOT_FOUND);
    assert_int_equal(put_if(store, "a", "1", STAVE_IF_SEQUENCE, 5, &kept), STAVE_CONFLICT);
    assert_true(kept == 77);
    assert_int_equal(put_if(store, "a", "1", STAVE_IF_ABSENT, 0, &first), STAVE_OK);
    assert_int_equal(put_if(store, "a", "2", STAVE_IF_ABSENT, 0, &kept), STAVE_EXISTS);
    assert_int_equal(put_if(store, "a", "2", STAVE_IF_SEQUENCE, 0, &kept), STAVE_CONFLICT);
    assert_int_equal(put_if(store, "a", "2", STAVE_IF_SEQUENCE, first, &second), STAVE_OK);
    assert_int_equal(put_if(store, "a", "3", STAVE_IF_SEQUENCE, first, &kept), STAVE_CONFLICT);
    assert_int_equal(put_if(store, "a", "3", STAVE_IF_PRESENT, 0, &kept), STAVE_OK);
    assert_true(first < second && second < kept);
    store_expect(store, "a", "3");
    assert_int_equal(put_if(store, "b", "1", STAVE_IF_SEQUENCE, 0, NULL), STAVE_OK);
    assert_int_equal(put_if(store, "b", "1", STAVE_IF_ABSENT | STAVE_IF_PRESENT, 0, NULL), STAVE_INVALID);
    assert_int_equal(put_if(store, "b", "1", STAVE_DURABLE | STAVE_NOT_DURABLE, 0, NULL), STAVE_INVALID);
    assert_int_equal(put_if(store, "b", "1", UINT32_C(1) << 20, 0, NULL), STAVE_INVALID);
}

static void conditional_deletes_hold(void **state)
{
    struct fixture *fixture = *state;
    uint64_t sequence = 0;
    assert_int_equal(put_if(fixture->store, "a", "1", 0, 0, &sequence), STAVE_OK);
    struct stave_write write = {.flags = STAVE_IF_SEQUENCE, .if_sequence = sequence - 1};
    assert_int_equal(stave_delete_with(fixture->store, stave_text("a"), &write, NULL), STAVE_CONFLICT);
    write.if_sequence = sequence;
    uint64_t deleted = 0;
    assert_int_equal(stave_delete_with(fixture->store, stave_text("a"), &write, &deleted), STAVE_OK);
    assert_true(deleted > sequence);
    store_expect(fixture->store, "a", NULL);
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void an_expired_value_is_absent_everywhere(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    const struct stave_write write = {.expires_at_ms = wall_ms() + 60};
    struct stave_value value = {0};
    struct stave_view view;
    struct stave_info info;
    enum stave_status status;
    const struct stave_bytes key = stave_text("a");
    assert_int_equal(stave_put_with(store, key, stave_text("1"), &write, NULL), STAVE_OK);
    (void)usleep(80000);
    assert_int_equal(stave_get(store, key, &value), STAVE_NOT_FOUND);
    assert_int_equal(stave_exists(store, key), STAVE_NOT_FOUND);
    assert_int_equal(stave_info(store, key, &info), STAVE_NOT_FOUND);
    assert_int_equal(stave_multi_get(store, &key, 1, 0, &view, &status), STAVE_OK);
    assert_int_equal(status, STAVE_NOT_FOUND);
    assert_int_equal(put_if(store, "a", "2", STAVE_IF_PRESENT, 0, NULL), STAVE_NOT_FOUND);
    assert_int_equal(stave_delete(store, key), STAVE_NOT_FOUND);
    assert_int_equal(stave_random_key(store, &value), STAVE_NOT_FOUND);
    assert_int_equal(put_if(store, "a", "2", STAVE_IF_ABSENT, 0, NULL), STAVE_OK);
    store_expect(store, "a", "2");
    fixture_reopen(fixture);
    store_expect(fixture->store, "a", "2");
}

/* A key that expires 60 ms from now; the result is a moment at which it was there, and it is over. */
static uint64_t put_expired(struct stave *store, const char *key, uint64_t *ret_sequence)
{
    const uint64_t moment_ms = wall_ms();
    const struct stave_write write = {.expires_at_ms = moment_ms + 60};
    assert_int_equal(stave_put_with(store, stave_text(key), stave_text("1"), &write, ret_sequence), STAVE_OK);
    (void)usleep(80000);
    return moment_ms;
}

static size_t count_as_of(struct stave *store, uint32_t flags, uint64_t now_ms)
{
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    size_t count = 0;
    assert_int_equal(stave_cursor_open(store, 0, stave_bytes(NULL, 0), flags, &cursor), STAVE_OK);
    stave_cursor_as_of(cursor, now_ms);
    while (stave_cursor_next(cursor, &entry) == STAVE_OK) count++;
    stave_cursor_close(cursor);
    return count;
}

/* stave.h, struct stave_read: now_ms. */
static void reads_as_of_one_moment_see_no_key_expire(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    const struct stave_bytes key = stave_text("a");
    struct stave_value value = {0};
    struct stave_view view;
    struct stave_info info;
    enum stave_status status;
    struct stave_read read = {.now_ms = put_expired(store, "a", NULL)};
    assert_int_equal(stave_get_with(store, key, &read, &value), STAVE_OK);
    stave_free(value.data);
    assert_int_equal(stave_info_with(store, key, &read, &info), STAVE_OK);
    assert_int_equal(stave_multi_get(store, &key, 1, &read, &view, &status), STAVE_OK);
    assert_int_equal(status, STAVE_OK);
    stave_view_release(store, &view);
    assert_int_equal(count_as_of(store, STAVE_CURSOR_KEYS, read.now_ms), 1);
    assert_int_equal(count_as_of(store, 0, read.now_ms), 1);

    assert_int_equal(stave_info_with(store, key, NULL, &info), STAVE_NOT_FOUND);
    assert_int_equal(count_as_of(store, 0, 0), 0);
    const struct stave_write lasting = {.expires_at_ms = FAR_FUTURE_MS};
    assert_int_equal(stave_put_with(store, key, stave_text("1"), &lasting, NULL), STAVE_OK);
    read.now_ms = FAR_FUTURE_MS;
    assert_int_equal(stave_view(store, key, &read, &view), STAVE_NOT_FOUND);
    assert_int_equal(count_as_of(store, STAVE_CURSOR_KEYS, FAR_FUTURE_MS), 0);
}

/* stave.h, struct stave_write: now_ms. */
static void conditions_as_of_a_moment_agree_with_its_reads(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    const struct stave_bytes key = stave_text("a");
    uint64_t sequence = 0;
    struct stave_write write = {.now_ms = put_expired(store, "a", &sequence), .flags = STAVE_IF_ABSENT};
    assert_int_equal(stave_put_with(store, key, stave_text("2"), &write, NULL), STAVE_EXISTS);
    write.flags = STAVE_IF_SEQUENCE;
    assert_int_equal(stave_put_with(store, key, stave_text("2"), &write, NULL), STAVE_CONFLICT);
    write.if_sequence = sequence;
    write.expires_at_ms = FAR_FUTURE_MS;
    assert_int_equal(stave_expire(store, key, &write, NULL), STAVE_OK);
    store_expect(store, "a", "1");
    write = (struct stave_write){.now_ms = put_expired(store, "b", NULL)};
    assert_int_equal(stave_delete_with(store, stave_text("b"), &write, NULL), STAVE_OK);
}

static void requirements_as_of_a_moment_agree_with_its_reads(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    struct stave_batch *batch = NULL;
    uint64_t sequence = 0;
    const struct stave_write write = {.now_ms = put_expired(store, "a", &sequence)};
    assert_int_equal(stave_batch_begin(store, &batch), STAVE_OK);
    assert_int_equal(stave_batch_require(batch, stave_text("a"), sequence), STAVE_OK);
    assert_int_equal(stave_batch_put(batch, stave_text("b"), stave_text("2"), 0), STAVE_OK);
    assert_int_equal(stave_batch_commit(batch, NULL, NULL), STAVE_CONFLICT);
    assert_int_equal(stave_batch_commit(batch, &write, NULL), STAVE_OK);
    stave_batch_free(batch);
    store_expect(store, "b", "2");
}

/* stave.h, stave_hold_expiry: neither a cursor nor compaction removes what is held, for as long as it is. */
static void what_is_held_is_not_removed_when_it_expires(void **state)
{
    struct fixture *fixture = *state;
    struct stave *store = fixture->store;
    struct stave_info info;
    const struct stave_read read = {.now_ms = put_expired(store, "a", NULL)};
    assert_int_equal(stave_hold_expiry(store, read.now_ms), STAVE_OK);
    assert_int_equal(count_as_of(store, STAVE_CURSOR_EXPIRE, 0), 0);
    assert_int_equal(stave_compact(store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(stave_info_with(store, stave_text("a"), &read, &info), STAVE_OK);
    assert_int_equal(stave_exists(store, stave_text("a")), STAVE_NOT_FOUND);
    assert_int_equal(stave_hold_expiry(store, 0), STAVE_OK);
    assert_int_equal(count_as_of(store, STAVE_CURSOR_EXPIRE, 0), 0);
    assert_int_equal(stave_count(store), 0);
    assert_int_equal(stave_info_with(store, stave_text("a"), &read, &info), STAVE_NOT_FOUND);
}

static void expire_sets_the_expiry_alone(void **state)
{
    struct fixture *fixture = *state;
    struct stave_write write = {.expires_at_ms = FAR_FUTURE_MS};
    struct stave_info info;
    const struct stave_bytes key = stave_text("a");
    uint64_t sequence = 0;
    assert_int_equal(stave_expire(fixture->store, key, &write, NULL), STAVE_NOT_FOUND);
    store_put(fixture->store, "a", "1");
    assert_int_equal(stave_expire(fixture->store, key, &write, &sequence), STAVE_OK);
    fixture_reopen(fixture);
    assert_int_equal(stave_info(fixture->store, key, &info), STAVE_OK);
    assert_true(info.expires_at_ms == FAR_FUTURE_MS && info.sequence == sequence);
    store_expect(fixture->store, "a", "1");
    write.flags = STAVE_KEEP_EXPIRY;
    write.expires_at_ms = 0;
    assert_int_equal(stave_put_with(fixture->store, key, stave_text("2"), &write, NULL), STAVE_OK);
    assert_int_equal(stave_info(fixture->store, key, &info), STAVE_OK);
    assert_true(info.expires_at_ms == FAR_FUTURE_MS);
    write.flags = 0;
    assert_int_equal(stave_expire(fixture->store, key, &write, NULL), STAVE_OK);
    assert_int_equal(stave_info(fixture->store, key, &info), STAVE_OK);
    assert_true(info.expires_at_ms == 0);
    store_expect(fixture->store, "a", "2");
    write.expires_at_ms = 1;
    assert_int_equal(stave_expire(fixture->store, key, &write, NULL), STAVE_OK);
    store_expect(fixture->store, "a", NULL);
}

static void a_put_takes_the_expiry_away(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.expires_at_ms = wall_ms() + 50};
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, NULL),
                     STAVE_OK);
    store_put(fixture->store, "a", "2");
    (void)usleep(70000);
    store_expect(fixture->store, "a", "2");
}

static void a_part_of_a_value_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct stave_value value = {0};
    struct stave_read read = {.offset = 2, .size = 3};
    store_put(fixture->store, "a", "0123456789");
    assert_int_equal(stave_get_with(fixture->store, stave_text("a"), &read, &value), STAVE_OK);
    assert_int_equal(value.size, 3);
    assert_memory_equal(value.data, "234", 3);
    stave_free(value.data);
    read.size = 0;
    assert_int_equal(stave_get_with(fixture->store, stave_text("a"), &read, &value), STAVE_OK);
    assert_int_equal(value.size, 8);
    stave_free(value.data);
    read.size = 100;
    read.offset = 8;
    assert_int_equal(stave_get_with(fixture->store, stave_text("a"), &read, &value), STAVE_OK);
    assert_int_equal(value.size, 2);
    stave_free(value.data);
    read.offset = UINT64_MAX;
    assert_int_equal(stave_get_with(fixture->store, stave_text("a"), &read, &value), STAVE_OK);
    assert_int_equal(value.size, 0);
    stave_free(value.data);
    read.flags = UINT32_C(1) << 30;
    assert_int_equal(stave_get_with(fixture->store, stave_text("a"), &read, &value), STAVE_INVALID);
}

static enum stave_status view_part(struct stave *store, uint32_t flags, uint64_t offset, size_t size)
{
    const struct stave_read read = {.flags = flags, .offset = offset, .size = size};
    struct stave_view view = {0};
    const enum stave_status status = stave_view(store, stave_text("a"), &read, &view);
    if (status == STAVE_OK) {
        assert_int_equal(view.size, size);
        for (size_t i = 0; i < size; i++) assert_int_equal(((const uint8_t *)view.data)[i], 'x');
    }
    stave_view_release(store, &view);
    return status;
}

/* How often this process has waited for a page of a mapping. */
static long count_waits(void)
{
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_majflt;
}

/* STAVE_READ_NO_WAIT with a part: only the part is asked for, and only that is read from disk. */
static void of_a_value_on_disk_the_part_alone_is_read(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 16 << 20, PART = 1000 };
    uint8_t *value = malloc(SIZE);
    assert_non_null(value);
    memset(value, 'x', SIZE);
    assert_int_equal(stave_put(fixture->store, stave_text("a"), stave_bytes(value, SIZE)), STAVE_OK);
    free(value);
    for (int copied = 0; copied < 2; copied++) {
        fixture_close(fixture);
        scratch_drop_pages(fixture->scratch.store);
        fixture->options.reads = copied ? STAVE_READS_COPIED : STAVE_READS_MAPPED;
        fixture_reopen(fixture);
        assert_int_equal(view_part(fixture->store, 0, 100, PART), STAVE_OK); /* the index as well */
        if (scratch_resident_size(fixture->scratch.store) > SIZE / 2)
            test_skip("the file system keeps its pages");
        assert_int_equal(view_part(fixture->store, STAVE_READ_NO_WAIT, SIZE / 2, PART), STAVE_WOULD_BLOCK);
        assert_int_equal(view_part(fixture->store, 0, SIZE / 2, PART), STAVE_OK);
        assert_int_equal(view_part(fixture->store, STAVE_READ_NO_WAIT, SIZE / 2, PART), STAVE_OK);
        assert_int_equal(view_part(fixture->store, STAVE_READ_NO_WAIT, 0, SIZE), STAVE_WOULD_BLOCK);
        const long waits = count_waits();
        assert_int_equal(view_part(fixture->store, 0, 0, SIZE), STAVE_OK);
        assert_true(count_waits() - waits < SIZE / 4096 / 4); /* not page by page */
    }
}

static enum stave_status get_without_waiting(struct stave *store)
{
    const struct stave_read read = {.flags = STAVE_READ_NO_WAIT};
    struct stave_value value = {0};
    const enum stave_status status = stave_get_with(store, stave_text("a"), &read, &value);
    if (status == STAVE_OK) stave_free(value.data);
    return status;
}

static uint64_t count_unloaded(struct stave *handle)
{
    struct keydir_stats stats;
    keydir_stat(&handle->store->keydir, &stats);
    return stats.unloaded_count;
}

/*
 * STAVE_READ_NO_WAIT, STAVE_CURSOR_NO_WAIT, stave_prefetch: none of them reads a part of the index from disk.
 * Read-only, so that no thread does meanwhile.
 */
static void what_may_not_wait_does_not_wait_for_the_index(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_bytes keys[2] = {stave_text("a"), stave_bytes(NULL, 1)};
    struct stave_cursor *cursor = NULL;
    struct stave_entry entry;
    store_put(fixture->store, "a", "1");
    assert_int_equal(get_without_waiting(fixture->store), STAVE_OK);
    assert_int_equal(stave_checkpoint(fixture->store), STAVE_OK);
    fixture_close(fixture);
    fixture->options.read_only = true;
    fixture_reopen(fixture);
    const uint64_t unloaded = count_unloaded(fixture->store);
    assert_true(unloaded > 1);
    stave_prefetch(fixture->store, keys, 2);
    assert_int_equal(get_without_waiting(fixture->store), STAVE_WOULD_BLOCK);
    assert_int_equal(stave_cursor_open(fixture->store, 0, stave_text(""), STAVE_CURSOR_NO_WAIT, &cursor),
                     STAVE_OK);
    assert_int_equal(stave_cursor_next(cursor, &entry), STAVE_WOULD_BLOCK);
    stave_cursor_close(cursor);
    assert_int_equal(count_unloaded(fixture->store), unloaded);
    store_expect(fixture->store, "a", "1");
    assert_int_equal(count_unloaded(fixture->store), unloaded - 1);
    assert_int_equal(get_without_waiting(fixture->store), STAVE_OK);
}

static void a_view_outlives_what_happens_to_its_key(void **state)
{
    struct fixture *fixture = *state;
    struct stave_view view = {0};
    fixture_fill(fixture->store, "k", 100, 2000, 1);
    assert_int_equal(stave_view(fixture->store, stave_text("k7"), NULL, &view), STAVE_OK);
    fixture_fill(fixture->store, "k", 100, 2000, 2);
    assert_int_equal(stave_delete(fixture->store, stave_text("k7")), STAVE_OK);
    for (int count = 0; count < 3; count++)
        assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    assert_int_equal(view.size, 2000);
    assert_true(bytes_are(view.data, view.size, 7 + (UINT64_C(1) << 32)));
    stave_view_release(fixture->store, &view);
    stave_view_release(fixture->store, &view); /* an empty one is accepted */
}

static void multi_get_answers_for_each_key(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_bytes keys[4] = {stave_text("a"), stave_text("none"), stave_text("b"),
                                        stave_text("a")};
    struct stave_view views[4];
    enum stave_status statuses[4];
    store_put(fixture->store, "a", "1");
    store_put(fixture->store, "b", "22");
    stave_prefetch(fixture->store, keys, 4);
    assert_int_equal(stave_multi_get(fixture->store, keys, 4, 0, views, statuses), STAVE_OK);
    assert_int_equal(statuses[0], STAVE_OK);
    assert_int_equal(statuses[1], STAVE_NOT_FOUND);
    assert_int_equal(statuses[2], STAVE_OK);
    assert_int_equal(views[2].size, 2);
    assert_int_equal(views[3].size, 1);
    stave_view_release(fixture->store, &views[0]);
    stave_view_release(fixture->store, &views[2]);
    stave_view_release(fixture->store, &views[3]);
    assert_int_equal(stave_multi_get(fixture->store, keys, 0, 0, views, statuses), STAVE_OK);
    assert_int_equal(
        stave_multi_get(fixture->store, keys, (size_t)STAVE_MULTI_GET_COUNT_MAX + 1, 0, views, statuses),
        STAVE_LIMIT);
}

struct adding {
    uint64_t sum;
    char text[32];
};

static enum stave_update_action add_one(void *context, struct stave_update *update)
{
    struct adding *adding = context;
    char old[32] = "0";
    if (update->found) memcpy(old, update->old_value.data, update->old_value.size);
    if (update->found) old[update->old_value.size] = 0;
    adding->sum = strtoull(old, NULL, 10) + 1;
    (void)snprintf(adding->text, sizeof(adding->text), "%llu", (unsigned long long)adding->sum);
    update->new_value = stave_text(adding->text);
    return STAVE_UPDATE_PUT;
}

static void update_reads_and_writes_as_one(void **state)
{
    struct fixture *fixture = *state;
    struct adding adding;
    uint64_t sequence = 0;
    for (int count = 0; count < 50; count++)
        assert_int_equal(stave_update(fixture->store, stave_text("n"), add_one, &adding, NULL, &sequence),
                         STAVE_OK);
    store_expect(fixture->store, "n", "50");
    assert_true(sequence == stave_sequence(fixture->store));
}

static void put_and_expect_large(struct fixture *fixture, size_t size)
{
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    fill_bytes(bytes, size, size);
    assert_int_equal(stave_put(fixture->store, stave_text("large"), stave_bytes(bytes, size)), STAVE_OK);
    free(bytes);
    for (int round = 0; round < 3; round++) {
        struct stave_value value = {0};
        assert_int_equal(stave_get(fixture->store, stave_text("large"), &value), STAVE_OK);
        assert_int_equal(value.size, size);
        assert_true(bytes_are(value.data, value.size, size));
        stave_free(value.data);
        if (round == 0)
            assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
        if (round == 1) fixture_reopen(fixture);
    }
}

static void a_value_of_5_mib_is_kept(void **state)
{
    struct fixture *fixture = *state;
    put_and_expect_large(fixture, STAVE_LARGE_SIZE);
    put_and_expect_large(fixture, (size_t)STAVE_LARGE_SIZE + 1);
    put_and_expect_large(fixture, (size_t)5 << 20);
    store_put(fixture->store, "large", "small now");
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    store_expect(fixture->store, "large", "small now");
}

/* Takes 1 GiB of disk and memory; fault/test_sizes.c has the same, smaller under sanitizers, in each run. */
static void a_value_of_520_mib_is_kept(void **state)
{
    struct fixture *fixture = *state;
    if (environment_number("STAVE_TEST_SLOW", 0) == 0) skip();
    put_and_expect_large(fixture, (size_t)520 << 20);
}

static void a_long_key_is_kept(void **state)
{
    struct fixture *fixture = *state;
    const size_t size = 3 << 20;
    uint8_t *bytes = malloc(size);
    struct stave_value value = {0};
    assert_non_null(bytes);
    fill_bytes(bytes, size, 5);
    assert_int_equal(stave_put(fixture->store, stave_bytes(bytes, size), stave_text("v")), STAVE_OK);
    assert_int_equal(stave_compact(fixture->store, STAVE_COMPACT_ALL, NULL, NULL), STAVE_OK);
    fixture_reopen(fixture);
    assert_int_equal(stave_get(fixture->store, stave_bytes(bytes, size), &value), STAVE_OK);
    stave_free(value.data);
    bytes[size - 1] ^= 1;
    assert_int_equal(stave_exists(fixture->store, stave_bytes(bytes, size)), STAVE_NOT_FOUND);
    free(bytes);
}

static void damage_is_reported_and_never_returned(void **state)
{
    struct fixture *fixture = *state;
    char name[64];
    uint64_t offset = 0;
    struct stave_value value = {0};
    struct stave_error error;
    store_put(fixture->store, "key", "an older value");
    store_put(fixture->store, "key", "a value to be damaged");
    fixture_close(fixture);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_text("a value to be"), name, &offset));
    scratch_flip(fixture->scratch.store, name, offset + 3);
    fixture_reopen(fixture);
    assert_int_equal(stave_get(fixture->store, stave_text("key"), &value), STAVE_CORRUPT);
    assert_null(value.data);
    stave_last_error(fixture->store, &error);
    assert_int_equal(error.status, STAVE_CORRUPT);
    assert_non_null(strstr(error.message, name));
    store_put(fixture->store, "key", "a new value");
    store_expect(fixture->store, "key", "a new value");
}

/* Damage done meanwhile is how the test sees whether a read verifies. */
static void a_large_value_is_not_verified_again_while_a_view_of_all_of_it_is_held(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 40000 };
    static uint8_t bytes[SIZE];
    const struct stave_bytes key = stave_text("large");
    const struct stave_read part = {.offset = 1};
    char name[64];
    uint64_t offset = 0;
    struct stave_view held, other;
    fill_bytes(bytes, SIZE, 1);
    assert_int_equal(stave_put(fixture->store, key, stave_bytes(bytes, SIZE)), STAVE_OK);
    assert_true(scratch_find_segment(fixture->scratch.store, stave_bytes(bytes, 64), name, &offset));

    assert_int_equal(stave_view(fixture->store, key, NULL, &held), STAVE_OK);
    scratch_flip(fixture->scratch.store, name, offset + SIZE / 2);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(stave_view(fixture->store, key, NULL, &other), STAVE_OK);
        assert_int_equal(other.size, SIZE);
        stave_view_release(fixture->store, &other);
    }
    stave_view_release(fixture->store, &held);
    assert_int_equal(stave_view(fixture->store, key, NULL, &other), STAVE_CORRUPT);

    assert_int_equal(stave_view(fixture->store, key, &part, &held), STAVE_OK);
    assert_int_equal(stave_view(fixture->store, key, NULL, &other), STAVE_CORRUPT);
    stave_view_release(fixture->store, &held);
}

static void durable_writes_raise_the_durable_sequence(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.flags = STAVE_DURABLE};
    uint64_t sequence = 0;
    assert_int_equal(stave_set_sync(fixture->store, STAVE_SYNC_NONE, 0), STAVE_OK);
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, &sequence),
                     STAVE_OK);
    assert_true(stave_durable_sequence(fixture->store) >= sequence);
    store_put(fixture->store, "b", "1");
    assert_int_equal(stave_sync(fixture->store), STAVE_OK);
    assert_true(stave_durable_sequence(fixture->store) >=
                stave_sequence(fixture->store) - 1); /* a mark may follow */
}

static void the_durable_event_tells_of_a_background_sync(void **state)
{
    struct fixture *fixture = *state;
    const struct stave_write write = {.flags = STAVE_NOT_DURABLE};
    uint64_t sequence = 0;
    uint64_t counter = 0;
    const uint64_t began_ns = test_clock_ns();
    const int event = stave_durable_event(fixture->store);
    assert_true(event >= 0);
    assert_int_equal(stave_durable_event(fixture->store), event);
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), &write, &sequence),
                     STAVE_OK);
    assert_int_equal(stave_sync_start(fixture->store, sequence), STAVE_OK);
    while (stave_durable_sequence(fixture->store) < sequence) assert_true(test_nap(began_ns));
    while (read(event, &counter, sizeof(counter)) != 8) assert_true(test_nap(began_ns));
    assert_true(counter > 0);
}

/* P2: what else the syncer is woken for does not put off the sync of the interval. */
static void an_interval_ends_however_often_the_syncer_is_asked(void **state)
{
    struct fixture *fixture = *state;
    uint64_t sequence = 0;
    const uint64_t began_ns = test_clock_ns();
    assert_int_equal(stave_set_sync(fixture->store, STAVE_SYNC_INTERVAL, 50), STAVE_OK);
    assert_int_equal(stave_put_with(fixture->store, stave_text("a"), stave_text("1"), NULL, &sequence),
                     STAVE_OK);
    while (stave_durable_sequence(fixture->store) < sequence) {
        assert_int_equal(stave_sync_start(fixture->store, 0), STAVE_OK);
        assert_true(test_nap(began_ns));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(calls_refuse_missing_arguments),
        FIXTURE_TEST(an_interval_ends_however_often_the_syncer_is_asked),
        FIXTURE_TEST(sizes_above_the_limits_are_refused_without_reading),
        FIXTURE_TEST(empty_keys_and_values_are_like_others),
        FIXTURE_TEST(keys_and_values_are_any_bytes),
        FIXTURE_TEST(get_gives_sequence_and_expiry),
        FIXTURE_TEST(delete_of_nothing_writes_nothing),
        FIXTURE_TEST(conditional_puts_hold),
        FIXTURE_TEST(conditional_deletes_hold),
        FIXTURE_TEST(an_expired_value_is_absent_everywhere),
        FIXTURE_TEST(reads_as_of_one_moment_see_no_key_expire),
        FIXTURE_TEST(conditions_as_of_a_moment_agree_with_its_reads),
        FIXTURE_TEST(requirements_as_of_a_moment_agree_with_its_reads),
        FIXTURE_TEST(what_is_held_is_not_removed_when_it_expires),
        FIXTURE_TEST(expire_sets_the_expiry_alone),
        FIXTURE_TEST(a_put_takes_the_expiry_away),
        FIXTURE_TEST(a_part_of_a_value_is_read),
        FIXTURE_TEST(of_a_value_on_disk_the_part_alone_is_read),
        FIXTURE_TEST(what_may_not_wait_does_not_wait_for_the_index),
        FIXTURE_TEST(a_view_outlives_what_happens_to_its_key),
        FIXTURE_TEST(multi_get_answers_for_each_key),
        FIXTURE_TEST(update_reads_and_writes_as_one),
        FIXTURE_TEST(a_value_of_5_mib_is_kept),
        FIXTURE_TEST(a_value_of_520_mib_is_kept),
        FIXTURE_TEST(a_long_key_is_kept),
        FIXTURE_TEST(damage_is_reported_and_never_returned),
        FIXTURE_TEST(a_large_value_is_not_verified_again_while_a_view_of_all_of_it_is_held),
        FIXTURE_TEST(durable_writes_raise_the_durable_sequence),
        FIXTURE_TEST(the_durable_event_tells_of_a_background_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
