/* SPDX-License-Identifier: MIT */
/* writer_expire(): what it makes final, and what it leaves alone (writer.h). */
#include "support/fixture.h"

#include "os/clock.h"
#include "store/operation.h"
#include "store/writer.h"

enum { HOUR_MS = 3600000 };

/* Hash and location of the newest record of "k". */
static void find(struct stave *handle, uint64_t *ret_hash, uint64_t *ret_location)
{
    struct store *store = handle->store;
    const struct stave_bytes key = stave_text("k");
    const uint32_t generation = generation_of(store, handle->number);
    struct found found;
    *ret_hash = record_key_hash(store->hash_seed, generation, key.data, key.size);
    const uint32_t token = epoch_enter(&store->epoch);
    assert_int_equal(find_key(store, *ret_hash, generation, key, 0, &found), STAVE_OK);
    *ret_location = found.location;
    reading_end(&found.reading);
    epoch_leave(&store->epoch, token);
}

static void put_expiring_at(struct stave *handle, uint64_t expires_at_ms)
{
    const struct stave_write write = {.expires_at_ms = expires_at_ms};
    assert_int_equal(stave_put_with(handle, stave_text("k"), stave_text("1"), &write, NULL), STAVE_OK);
}

/* "clock set back": whoever asks has read another time; the record is looked at once more. */
static void what_has_not_expired_is_not_removed(void **state)
{
    struct fixture *fixture = *state;
    uint64_t hash = 0;
    uint64_t location = 0;
    store_put(fixture->store, "k", "1");
    find(fixture->store, &hash, &location);
    assert_int_equal(writer_expire(fixture->store->store, hash, location), STAVE_NOT_FOUND);
    store_expect(fixture->store, "k", "1");
    put_expiring_at(fixture->store, clock_wall_ms() + HOUR_MS);
    find(fixture->store, &hash, &location);
    assert_int_equal(writer_expire(fixture->store->store, hash, location), STAVE_NOT_FOUND);
    store_expect(fixture->store, "k", "1");
    assert_int_equal(stave_count(fixture->store), 1);
}

/* P4: expiry is final, and the key counts no more; what stands in its place by then is left alone. */
static void what_has_expired_is_removed_once(void **state)
{
    struct fixture *fixture = *state;
    uint64_t hash = 0;
    uint64_t location = 0;
    put_expiring_at(fixture->store, clock_wall_ms() - 1);
    find(fixture->store, &hash, &location);
    assert_int_equal(stave_count(fixture->store), 1);
    assert_int_equal(writer_expire(fixture->store->store, hash, location), STAVE_OK);
    assert_int_equal(stave_count(fixture->store), 0);
    assert_int_equal(writer_expire(fixture->store->store, hash, location), STAVE_NOT_FOUND);
    put_expiring_at(fixture->store, clock_wall_ms() - 1);
    find(fixture->store, &hash, &location);
    store_put(fixture->store, "k", "2");
    assert_int_equal(writer_expire(fixture->store->store, hash, location), STAVE_NOT_FOUND);
    store_expect(fixture->store, "k", "2");
    assert_int_equal(stave_count(fixture->store), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_has_not_expired_is_not_removed),
        FIXTURE_TEST(what_has_expired_is_removed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
