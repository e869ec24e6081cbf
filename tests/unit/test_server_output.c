/* SPDX-License-Identifier: MIT */
/*
 * server/output.h (U1, U2, U3): what a client is sent, and what waits for a sync (P2).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/output.h"
#include "support/fixture.h"

enum { RECEIVED_SIZE_MAX = 1 << 22 };

struct line {
    struct transport transport;
    struct output output;
    struct reply reply;
    int other;
    uint64_t sent;
};

static void line_open(struct line *line)
{
    int ends[2];
    *line = (struct line){.reply.protocol = 2};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    line->transport.descriptor = ends[0];
    line->other = ends[1];
}

static void line_close(struct line *line)
{
    output_close(&line->output);
    reply_free(&line->reply);
    (void)close(line->transport.descriptor);
    (void)close(line->other);
}

/* Appends a reply that waits for `sequence`; 0: for nothing. */
static void say(struct line *line, const char *text, uint64_t sequence)
{
    uint64_t sent;
    reply_simple(&line->reply, text);
    assert_int_equal(output_append(&line->output, &line->reply, &line->transport, sequence, 1, &sent),
                     STAVE_OK);
    line->sent += sent;
}

static void send_all(struct line *line)
{
    uint64_t sent = 1;
    while (output_is_sendable(&line->output) && sent > 0) {
        assert_int_equal(output_send(&line->output, &line->transport, &sent), STAVE_OK);
        line->sent += sent;
    }
}

static size_t receive(struct line *line, char *ret_bytes, size_t capacity)
{
    size_t size = 0;
    ssize_t part;
    while (size < capacity && (part = read(line->other, ret_bytes + size, capacity - size)) > 0)
        size += (size_t)part;
    return size;
}

static void expect_received(struct line *line, const char *text)
{
    char bytes[1024];
    send_all(line);
    const size_t size = receive(line, bytes, sizeof bytes - 1);
    bytes[size] = 0;
    assert_string_equal(bytes, text);
}

/* U2, U3 */
static void what_waits_is_sent_when_its_sequence_is_durable(void **state)
{
    (void)state;
    struct line line;
    line_open(&line);
    say(&line, "now", 0);
    expect_received(&line, "+now\r\n");
    say(&line, "ten", 10);
    say(&line, "behind", 0);
    say(&line, "twenty", 20);
    expect_received(&line, "");
    assert_false(output_release(&line.output, 9));
    assert_true(output_release(&line.output, 10));
    expect_received(&line, "+ten\r\n+behind\r\n");
    assert_true(output_release(&line.output, 25));
    expect_received(&line, "+twenty\r\n");
    assert_int_equal(output_unsent(&line.output), 0);
    line_close(&line);
}

/* U2: however many there are, and whatever order their sequences come in. */
static void nothing_is_sent_before_what_it_waits_for(void **state)
{
    (void)state;
    struct line line;
    line_open(&line);
    for (uint64_t i = 1; i <= OUTPUT_MARK_COUNT_MAX; i++) say(&line, "a", i);
    say(&line, "late", 100);
    say(&line, "early", 50);
    assert_true(output_release(&line.output, OUTPUT_MARK_COUNT_MAX - 1));
    expect_received(&line, "+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n+a\r\n");
    assert_false(output_release(&line.output, 99));
    expect_received(&line, "");
    assert_true(output_release(&line.output, 100));
    expect_received(&line, "+a\r\n+late\r\n+early\r\n");
    line_close(&line);
}

/* P13: each of them is to become an error, and a client that counts replies finds as many. */
static void all_that_is_withheld_is_dropped_and_counted(void **state)
{
    (void)state;
    struct line line;
    line_open(&line);
    say(&line, "durable", 5);
    say(&line, "lost", 10);
    say(&line, "lost too", 0);
    for (uint64_t i = 0; i < 2 * OUTPUT_MARK_COUNT_MAX; i++) say(&line, "and these", 11 + i);
    say(&line, "and the last", 0);
    assert_true(output_release(&line.output, 5));
    assert_int_equal(output_drop_withheld(&line.output), 3 + 2 * OUTPUT_MARK_COUNT_MAX);
    say(&line, "an error", 0);
    expect_received(&line, "+durable\r\n+an error\r\n");
    assert_int_equal(line.output.memory, 0);
    line_close(&line);
}

/* Y3 of cold.h: what is to be sent is looked at first. */
static void what_is_kept_for_later_is_shown_and_then_sent(void **state)
{
    (void)state;
    struct line line;
    struct iovec pieces[OUTPUT_PIECE_COUNT_MAX];
    char byte;
    uint64_t sent;
    line_open(&line);
    reply_simple(&line.reply, "later");
    assert_int_equal(output_append(&line.output, &line.reply, NULL, 0, 1, &sent), STAVE_OK);
    assert_int_equal(sent, 0);
    assert_int_equal(receive(&line, &byte, 1), 0);
    assert_int_equal(output_next(&line.output, pieces), 1);
    assert_int_equal(pieces[0].iov_len, 8);
    assert_memory_equal(pieces[0].iov_base, "+later\r\n", 8);
    expect_received(&line, "+later\r\n");
    assert_int_equal(output_next(&line.output, pieces), 0);
    line_close(&line);
}

/* A1 of reply.h: a large value is sent from its view, whatever the socket takes at a time. */
static void bytes_and_views_arrive_in_order_through_a_slow_socket(void **state)
{
    struct fixture *fixture = *state;
    enum { SIZE = 100000, COUNT = 20 };
    static char value[SIZE];
    memset(value, 'v', sizeof value);
    store_put(fixture->store, "small", "s");
    assert_int_equal(stave_put(fixture->store, stave_text("large"), stave_bytes(value, SIZE)), STAVE_OK);

    struct line line;
    line_open(&line);
    for (int i = 0; i < COUNT; i++) {
        struct stave_view view;
        assert_int_equal(stave_view(fixture->store, stave_text("large"), NULL, &view), STAVE_OK);
        reply_simple(&line.reply, "head");
        line.reply.views = memory_realloc(line.reply.views, sizeof *line.reply.views);
        line.reply.views[0] = (struct reply_view){line.reply.bytes.size, fixture->store, view};
        line.reply.view_count = 1;
        reply_simple(&line.reply, "tail");
        uint64_t sent;
        assert_int_equal(
            output_append(&line.output, &line.reply, &line.transport, i % 7 == 3 ? 1 : 0, 1, &sent),
            STAVE_OK);
        if (i % 7 == 5) (void)output_release(&line.output, 1);
    }
    (void)output_release(&line.output, 1);
    static char received[RECEIVED_SIZE_MAX];
    size_t size = 0;
    while (output_unsent(&line.output) > 0) {
        send_all(&line);
        size += receive(&line, received + size, 3333);
    }
    size += receive(&line, received + size, sizeof received - size);
    assert_int_equal(size, COUNT * (SIZE + strlen("+head\r\n+tail\r\n")));
    for (int i = 0; i < COUNT; i++) {
        const char *at = received + (size_t)i * (SIZE + 14);
        assert_memory_equal(at, "+head\r\n", 7);
        assert_memory_equal(at + 7, value, SIZE);
        assert_memory_equal(at + 7 + SIZE, "+tail\r\n", 7);
    }
    assert_int_equal(line.output.view_count, 0);
    line_close(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_is_sent_when_its_sequence_is_durable),
        cmocka_unit_test(nothing_is_sent_before_what_it_waits_for),
        cmocka_unit_test(all_that_is_withheld_is_dropped_and_counted),
        cmocka_unit_test(what_is_kept_for_later_is_shown_and_then_sent),
        cmocka_unit_test_setup_teardown(bytes_and_views_arrive_in_order_through_a_slow_socket, fixture_setup,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
