/* SPDX-License-Identifier: MIT */
/*
 * server/reply.h (A1): large values are views of the store, and whoever has one lets it go.
 */
#include "server/idle.h"
#include "server/reply.h"
#include "server/server.h"
#include "store/store.h"
#include "support/fixture.h"

#define DATABASE_COUNT 1

struct setup {
    struct fixture *fixture;
    struct server server;
    struct stave *databases[DATABASE_COUNT];
    struct transaction *transaction;
    struct reply reply;
};

static int set_up(void **state)
{
    struct setup *setup = calloc(1, sizeof *setup);
    assert_non_null(setup);
    (void)fixture_setup((void **)&setup->fixture);
    setup->databases[0] = setup->fixture->store;
    setup->server.store = setup->fixture->store;
    setup->server.databases = setup->databases;
    setup->server.database_count = DATABASE_COUNT;
    setup->server.idle = idle_new(0);
    setup->transaction = transaction_new(&setup->server);
    setup->reply = (struct reply){.protocol = 2, .transaction = setup->transaction};
    *state = setup;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *setup = *state;
    reply_free(&setup->reply);
    transaction_free(setup->transaction);
    idle_free(setup->server.idle);
    (void)fixture_teardown((void **)&setup->fixture);
    free(setup);
    return 0;
}

/* Views that nobody has let go: of all segments of the store. */
static size_t view_count(const struct setup *setup)
{
    const struct store *store = setup->fixture->store->store;
    size_t count = 0;
    for (size_t i = 0; i < store->segment_count; i++) count += atomic_load(&store->segments[i]->references);
    return count;
}

static void reply_value(struct setup *setup, const char *key)
{
    struct item item;
    assert_int_equal(transaction_get(setup->transaction, 0, stave_text(key), &item), STAVE_OK);
    assert_true(item.found);
    reply_item(&setup->reply, &item);
}

static void begin(struct setup *setup)
{
    const struct transaction_mode mode = {.may_wait = true, .is_exclusive = true};
    transaction_begin(setup->transaction, &mode);
}

static void what_is_taken_back_lets_its_views_go(void **state)
{
    struct setup *setup = *state;
    fixture_fill(setup->fixture->store, "key", 3, REPLY_LARGE_SIZE, 0);
    begin(setup);
    reply_value(setup, "key0");
    const struct reply_mark mark = reply_mark(&setup->reply);
    reply_value(setup, "key1");
    reply_value(setup, "key2");
    transaction_reset(setup->transaction);
    assert_int_equal(view_count(setup), 3); /* the reply's by now */

    reply_take_back(&setup->reply, mark);
    assert_int_equal(view_count(setup), 1);
    assert_int_equal(setup->reply.view_count, 1);
    assert_int_equal(setup->reply.bytes.size, mark.size);
    reply_free(&setup->reply);
    assert_int_equal(view_count(setup), 0);
}

static void a_transaction_lets_go_what_no_reply_has_taken(void **state)
{
    struct setup *setup = *state;
    fixture_fill(setup->fixture->store, "small", 1, REPLY_LARGE_SIZE - 1, 0);
    fixture_fill(setup->fixture->store, "large", 1, REPLY_LARGE_SIZE, 0);
    begin(setup);
    reply_value(setup, "small0"); /* is copied */
    reply_value(setup, "large0");
    assert_int_equal(setup->reply.view_count, 1);
    assert_int_equal(view_count(setup), 2);
    transaction_reset(setup->transaction);
    assert_int_equal(view_count(setup), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_taken_back_lets_its_views_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_transaction_lets_go_what_no_reply_has_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
