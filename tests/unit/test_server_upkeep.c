/* SPDX-License-Identifier: MIT */
/*
 * server/upkeep.h and server/client.h (K2): clients that are to go, on a loop that has no time to close them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/connection.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/upkeep.h"

#define CLIENT_COUNT 300
#define SOME_COUNT ((size_t)4)

struct setup {
    struct server server;
    struct loop loop;
    struct loop *loops[1];
    struct connection *connections[CLIENT_COUNT];
    int others[CLIENT_COUNT];
};

static void connect_client(struct setup *setup, size_t index)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    (void)atomic_fetch_add(&setup->server.client_count, 1);
    setup->connections[index] = connection_new(&setup->server, ends[0], "/s:0", "/s:0", true);
    assert_non_null(setup->connections[index]);
    setup->others[index] = ends[1];
    connection_open(setup->connections[index], &setup->loop);
}

/* The loop is never run: what is asked of it stays undone. */
static int set_up(void **state)
{
    struct setup *setup = calloc(1, sizeof *setup);
    assert_non_null(setup);
    assert_int_equal(config_init(&setup->server.config), STAVE_OK);
    setup->server.loops = setup->loops;
    setup->server.loop_count = 1;
    setup->loops[0] = &setup->loop;
    setup->loop.server = &setup->server;
    gate_init(&setup->server.gate, 2);
    assert_int_equal(uv_loop_init(&setup->loop.uv), 0);
    assert_int_equal(uv_async_init(&setup->loop.uv, &setup->loop.wake, NULL), 0);
    for (size_t i = 0; i < CLIENT_COUNT; i++) connect_client(setup, i);
    log_set_level(LOG_WARNING);
    *state = setup;
    return 0;
}

static int tear_down(void **state)
{
    struct setup *setup = *state;
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        connection_close(setup->connections[i]);
        (void)close(setup->others[i]);
    }
    uv_close((uv_handle_t *)&setup->loop.wake, NULL);
    (void)uv_run(&setup->loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&setup->loop.uv), 0);
    assert_int_equal(atomic_load(&setup->server.client_count), 0);
    assert_int_equal(atomic_load(&setup->server.client_memory), 0);
    memory_free(setup->loop.ready.items);
    gate_free(&setup->server.gate);
    config_free(&setup->server.config);
    free(setup);
    return 0;
}

/* The client's memory, as it is counted. */
static void take_memory(struct setup *setup, size_t index, size_t size)
{
    struct connection *connection = setup->connections[index];
    assert_int_equal(buffer_reserve(&connection->input, size), STAVE_OK);
    connection_resume(connection, 0);
}

static void tick(struct setup *setup)
{
    gate_enter(&setup->server.gate, setup->server.loop_count);
    upkeep_tick(&setup->server);
    gate_leave(&setup->server.gate, setup->server.loop_count);
}

static bool is_killed(const struct setup *setup, size_t index)
{
    return (setup->connections[index]->client.flags & CLIENT_KILLED) != 0;
}

static void a_client_on_its_way_out_is_evicted_once_and_pays_for_itself(void **state)
{
    struct setup *setup = *state;
    setup->server.config.maxmemory_clients = 3 << 19;
    for (size_t i = 0; i < SOME_COUNT; i++) take_memory(setup, i, (i + 1) << 18);
    for (int i = 0; i < 3; i++) {
        tick(setup);
        assert_int_equal(setup->loop.dispatcher.stats.evicted_clients, 2);
    }
    for (size_t i = 0; i < SOME_COUNT; i++) assert_int_equal(is_killed(setup, i), i >= 2);
}

static void however_many_clients_are_too_many_go_at_once(void **state)
{
    struct setup *setup = *state;
    setup->server.config.maxmemory_clients = 4 << 20;
    setup->connections[7]->client.flags |= CLIENT_NO_EVICT;
    for (size_t i = 0; i < CLIENT_COUNT; i++) take_memory(setup, i, i % 2 == 0 ? 1 << 17 : 1 << 16);
    tick(setup);
    uint64_t kept = 0;
    size_t count = 0;
    for (size_t i = 0; i < CLIENT_COUNT; i++) {
        count += is_killed(setup, i);
        if (i % 2 == 0) assert_true(is_killed(setup, i)); /* these were the larger ones */
        if (!is_killed(setup, i)) kept += setup->connections[i]->memory;
    }
    assert_true(kept <= 4 << 20 && kept > (4 << 20) - (1 << 17)); /* and no more than had to */
    assert_int_equal(setup->loop.dispatcher.stats.evicted_clients, count);
    assert_false(is_killed(setup, 7));
}

static void a_client_above_its_output_limit_is_counted_once_and_told_no_more(void **state)
{
    struct setup *setup = *state;
    static const uint8_t line[70000];
    struct connection *connection = setup->connections[0];
    setup->server.config.output_limits[CLIENT_CLASS_NORMAL].hard_size = 1 << 16;
    for (int i = 0; i < 3; i++) connection_send(&connection->client, stave_bytes(line, sizeof line), 0);
    assert_true(is_killed(setup, 0));
    assert_int_equal(setup->loop.dispatcher.stats.output_limit_disconnections, 1);
    assert_int_equal(output_unsent(&connection->output), sizeof line);
    assert_int_equal(setup->loop.ready.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_client_on_its_way_out_is_evicted_once_and_pays_for_itself, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(however_many_clients_are_too_many_go_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_client_above_its_output_limit_is_counted_once_and_told_no_more,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
