/* SPDX-License-Identifier: MIT */
/* A connection's life: reading, running what was read, answering, waiting, closing. */
#include "server/connection.h"

#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/words.h"
#include "server/clock.h"
#include "server/cold.h"
#include "server/idle.h"
#include "server/log.h"
#include "server/transaction.h"
#include "server/watch.h"

#define READ_SIZE_MAX ((size_t)1 << 20) /* at once, of a large request */
#define READ_SIZE_MIN ((size_t)16384)
#define COLD_COUNT_MAX 16 /* then the request waits for the disk on the loop itself */
#define PREFETCH_KEY_COUNT_MAX ((size_t)256)

static const struct resp_limits limits_before_auth = {
    .argument_count_max = 10, .bulk_size_max = 16384, .inline_size_max = 65536, .is_unauthenticated = true};

static void settle(struct connection *connection);
static void run_input(struct connection *connection);

/* ------------------------------------------------------------------ open and close */

struct connection *connection_new(struct server *server, int descriptor, const char *address,
                                  const char *local_address, bool is_unix)
{
    struct connection *connection = memory_alloc_zero(1, sizeof *connection);
    if (connection == NULL) return NULL;
    struct client *client = &connection->client;
    client->id = atomic_fetch_add(&server->next_client_id, 1) + 1;
    client->server = server;
    client->protocol = 2;
    client->flags = is_unix ? CLIENT_UNIX_SOCKET : 0;
    client->authenticated = server->config.requirepass == NULL || server->config.requirepass[0] == 0;
    client->descriptor = descriptor;
    client->created_ms = clock_now_ms();
    client->active_ms = client->created_ms;
    (void)snprintf(client->address, sizeof client->address, "%s", address);
    (void)snprintf(client->local_address, sizeof client->local_address, "%s", local_address);
    connection->transport.descriptor = descriptor;
    return connection;
}

static struct connection *of_client(const struct client *client)
{
    return (struct connection *)(uintptr_t)client;
}

static void count_memory(struct connection *connection, size_t memory)
{
    struct server *server = connection->client.server;
    if (memory > connection->memory) {
        (void)atomic_fetch_add_explicit(&server->client_memory, memory - connection->memory,
                                        memory_order_relaxed);
    } else if (memory < connection->memory) {
        (void)atomic_fetch_sub_explicit(&server->client_memory, connection->memory - memory,
                                        memory_order_relaxed);
    }
    connection->memory = memory;
}

/* Of a request that has come in part. */
static size_t parser_memory(const struct connection *connection)
{
    const struct resp_parser *parser = connection->unfinished;
    return parser == NULL ? 0 : sizeof *parser + resp_parser_memory(parser);
}

static size_t memory_of(const struct connection *connection)
{
    return sizeof *connection + parser_memory(connection) + connection->input.capacity +
           connection->output.memory + connection->client.queued_size +
           connection->client.watched_capacity * sizeof(struct watched);
}

static void free_parser(struct connection *connection)
{
    if (connection->unfinished == NULL) return;
    resp_parser_free(connection->unfinished);
    memory_free(connection->unfinished);
    connection->unfinished = NULL;
}

static void free_connection(struct connection *connection)
{
    output_close(&connection->output);
    memory_free(connection->client.name);
    memory_free(connection->client.library_name);
    memory_free(connection->client.library_version);
    memory_free(connection);
}

void connection_discard(struct connection *connection)
{
    (void)close(connection->transport.descriptor);
    (void)atomic_fetch_sub(&connection->client.server->client_count, 1);
    free_connection(connection);
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->poll.data = NULL;
    if (!connection->has_job) free_connection(connection);
}

void connection_close(struct connection *connection)
{
    if (!connection->is_open) return;
    struct client *client = &connection->client;
    struct loop *loop = client->loop;
    connection->is_open = false;
    connection->stops |= STOP_CLOSING;
    if (connection->is_waiting) loop->waiting_count--;
    loop_remove_client(loop, client);

    if ((client->flags & CLIENT_MONITOR) != 0) {
        (void)atomic_fetch_sub(&client->server->monitor_count, 1);
        client->flags ^= CLIENT_MONITOR;
    }
    client_discard(client);
    if (connection->yielded.state != NULL && connection->yielded.free_state != NULL) {
        connection->yielded.free_state(connection->yielded.state);
    }
    connection->yielded = (struct dispatch_state){0};
    if (!connection->has_job) output_close(&connection->output); /* else its job may be at it (Y3) */
    buffer_free(&connection->input);
    free_parser(connection);
    count_memory(connection, 0);
    (void)uv_poll_stop(&connection->poll);
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    (void)close(connection->transport.descriptor);
    (void)atomic_fetch_sub(&client->server->client_count, 1);
}

/* ------------------------------------------------------------------ answering */

static bool is_above_hard_limit(const struct connection *connection)
{
    const struct config_output_limit *limit =
        &connection->client.server->config.output_limits[CLIENT_CLASS_NORMAL];
    return limit->hard_size > 0 && connection->output.memory > (uint64_t)limit->hard_size;
}

static void close_for_output(struct connection *connection)
{
    log_write(LOG_WARNING,
              "Client id=%llu addr=%s scheduled to be closed ASAP for overcoming of output buffer limits.",
              (unsigned long long)connection->client.id, connection->client.address);
    connection->client.loop->dispatcher.stats.output_limit_disconnections++;
    connection->client.flags |= CLIENT_KILLED;
}

static void check_soft_limit(struct connection *connection, uint64_t now_ms)
{
    const struct config_output_limit *limit =
        &connection->client.server->config.output_limits[CLIENT_CLASS_NORMAL];
    if (limit->soft_size <= 0 || connection->output.memory <= (uint64_t)limit->soft_size) {
        connection->soft_since_ms = 0;
    } else if (connection->soft_since_ms == 0) {
        connection->soft_since_ms = now_ms;
    } else if (now_ms - connection->soft_since_ms >= (uint64_t)limit->soft_seconds * 1000) {
        close_for_output(connection);
    }
}

/* The sequence that must be waited for by what has seen writes up to `seen`; 0: none. */
static uint64_t sequence_to_await(const struct server *server, uint64_t seen)
{
    if (server->config.appendfsync != APPENDFSYNC_ALWAYS) return 0;
    return seen > stave_durable_sequence(server->store) ? seen : 0;
}

/* Withheld replies become errors, and the connection ends. */
static void fail_withheld(struct connection *connection)
{
    struct loop *loop = connection->client.loop;
    const uint64_t count = output_drop_withheld(&connection->output);
    client_set_remove(&loop->withheld, &connection->client);
    struct reply *reply = &loop->dispatcher.reply;
    reply->protocol = connection->client.protocol;
    for (uint64_t i = 0; i < count; i++) {
        reply_error(reply,
                    "MISCONF Errors writing to the AOF file: the store could not be synced, so this is not "
                    "known to be durable");
    }
    uint64_t sent;
    if (output_append(&connection->output, reply, &connection->transport, 0, 0, &sent) != STAVE_OK) {
        connection->client.flags |= CLIENT_KILLED;
    }
    connection->client.flags |= CLIENT_CLOSE_AFTER_REPLY;
    connection->stops |= STOP_CLOSING;
}

static void count_sent(struct connection *connection, uint64_t sent)
{
    if (sent == 0) return;
    connection->client.active_ms = connection->client.loop->dispatcher.now_ms;
    connection->client.output_size += sent;
    connection->client.loop->dispatcher.stats.output_size += sent;
    connection->client.loop->dispatcher.stats.writes_processed++;
}

/* Where reads may meet the disk, what is sent from the store's mapping is brought to memory first. */
static bool may_be_cold(const struct connection *connection, size_t view_count)
{
    return view_count > 0 && atomic_load_explicit(&connection->client.server->is_cold, memory_order_relaxed);
}

static void send_now(struct connection *connection)
{
    uint64_t sent;
    if (output_send(&connection->output, &connection->transport, &sent) != STAVE_OK)
        connection->client.flags |= CLIENT_KILLED;
    count_sent(connection, sent);
    if (output_unsent(&connection->output) <= CONNECTION_HIGH_WATER / 2)
        connection->stops &= ~(uint32_t)STOP_OUTPUT;
}

/* The job is back; false: the client has gone. */
static bool end_job(struct connection *connection)
{
    connection->has_job = false;
    connection->is_output_cold = false;
    if (connection->is_open) return true;
    if (connection->poll.data == NULL) free_connection(connection);
    return false;
}

/* It is not asked once more whether it is there: where memory is scarce that would not end. */
static void on_output_brought(void *context)
{
    struct connection *connection = context;
    if (!end_job(connection)) return;
    if ((connection->client.flags & CLIENT_KILLED) == 0) send_now(connection);
    connection_resume(connection, STOP_COLD);
}

/* Whether what is sent next is on disk: then it is brought, when a job that is under way is back. */
static bool waits_for_disk(struct connection *connection)
{
    if (connection->is_output_cold) return true;
    if (!may_be_cold(connection, connection->output.view_count)) return false;
    struct iovec pieces[OUTPUT_PIECE_COUNT_MAX];
    const int count = output_next(&connection->output, pieces);
    if (cold_is_resident(pieces, count)) return false;
    if (!connection->has_job &&
        cold_bring(connection->client.loop, pieces, count, on_output_brought, connection)) {
        connection->has_job = true;
        connection->stops |= STOP_COLD;
    }
    connection->is_output_cold = connection->has_job;
    return connection->is_output_cold;
}

static void send_if_there(struct connection *connection)
{
    if (output_is_sendable(&connection->output) && !waits_for_disk(connection)) send_now(connection);
}

/*
 * Hands the replies gathered to the output: sent at once, kept, or withheld. Whether there are any or not,
 * `appendfsync always` has what was written synced.
 */
static void deliver(struct connection *connection)
{
    struct loop *loop = connection->client.loop;
    struct reply *reply = &loop->dispatcher.reply;
    const uint64_t sequence = sequence_to_await(loop->server, transaction_seen(loop->dispatcher.transaction));
    if (sequence != 0) loop_sync(loop, sequence);
    transaction_forget_seen(loop->dispatcher.transaction);
    if (reply->is_broken) {
        reply_take_back(reply, (struct reply_mark){0, 0});
        reply_clear(reply);
        close_for_output(connection);
        return;
    }
    if (reply->bytes.size == 0) return;

    uint64_t sent;
    const bool is_sent_later = may_be_cold(connection, reply->view_count);
    const enum stave_status status =
        output_append(&connection->output, reply, is_sent_later ? NULL : &connection->transport, sequence,
                      connection->reply_count, &sent);
    count_sent(connection, sent);
    if (is_sent_later && status == STAVE_OK) send_if_there(connection);
    if (sequence != 0) {
        loop->dispatcher.stats.withheld_replies += connection->reply_count;
        client_set_add(&loop->withheld, &connection->client);
    }
    connection->reply_count = 0;
    if (status != STAVE_OK)
        connection->client.flags |= CLIENT_KILLED;
    else if (is_above_hard_limit(connection))
        close_for_output(connection);
    if (output_unsent(&connection->output) > CONNECTION_HIGH_WATER) connection->stops |= STOP_OUTPUT;
}

static void send_kept(struct connection *connection)
{
    const bool was_stopped = (connection->stops & STOP_OUTPUT) != 0;
    send_if_there(connection);
    if (was_stopped && connection->stops == 0) run_input(connection);
}

/* ------------------------------------------------------------------ requests */

static struct resp_limits limits_of(const struct connection *connection)
{
    if (!client_is_authenticated(&connection->client)) return limits_before_auth;
    const struct config *config = &connection->client.server->config;
    return (struct resp_limits){.argument_count_max = 1048576,
                                .bulk_size_max = (size_t)config->proto_max_bulk_len,
                                .inline_size_max = 65536};
}

static void refuse_protocol(struct connection *connection, const char *error)
{
    struct dispatcher *dispatcher = &connection->client.loop->dispatcher;
    char text[192];
    (void)snprintf(text, sizeof text, "ERR %s", error);
    dispatcher->reply.protocol = connection->client.protocol;
    (void)reply_mark(&dispatcher->reply);
    reply_error(&dispatcher->reply, text);
    stats_count_errors(&dispatcher->stats, &dispatcher->reply.errors);
    connection->reply_count++;
    connection->client.flags |= CLIENT_CLOSE_AFTER_REPLY;
    connection->stops |= STOP_CLOSING;
    log_write(LOG_VERBOSE, "Protocol error from client id=%llu addr=%s: %s",
              (unsigned long long)connection->client.id, connection->client.address, error);
}

/* Of one request alone nothing is gained. */
static void prefetch_slice(struct connection *connection)
{
    const struct requests *requests = &connection->client.loop->requests;
    if (requests->count < 2) return;
    struct stave_bytes keys[PREFETCH_KEY_COUNT_MAX];
    const size_t count = requests_keys(requests, keys, PREFETCH_KEY_COUNT_MAX);
    struct server *server = connection->client.server;
    const uint32_t database = connection->client.database;
    stave_prefetch(server->databases[database], keys, count);
    for (size_t i = 0; i < count; i++) idle_prefetch(server->idle, database, keys[i]);
}

/* Somebody's web browser has been made to speak to us. */
static bool is_cross_protocol(const struct stave_bytes name)
{
    return words_is(name, "post") || words_is(name, "host:");
}

static void wait_for_time(struct connection *connection, uint32_t stop)
{
    connection->stops |= stop;
    if (connection->is_waiting) return;
    connection->is_waiting = true;
    connection->client.loop->waiting_count++;
}

static void wait_for_turn(struct connection *connection)
{
    connection->stops |= STOP_TURN;
    client_set_add(&connection->client.loop->ready, &connection->client);
    loop_wake(connection->client.loop);
}

/* What the request asked for is in memory. */
static void on_brought(void *context)
{
    struct connection *connection = context;
    if (end_job(connection)) connection_resume(connection, STOP_COLD);
}

/* Runs one request of the slice; false: it has not been run to its end. */
static bool run_request(struct connection *connection, const struct parsed_request *parsed)
{
    struct loop *loop = connection->client.loop;
    if (parsed->argument_count == 0) return true;
    const struct stave_bytes *arguments = &loop->requests.arguments[parsed->first_argument];
    if (is_cross_protocol(arguments[0])) {
        log_write(LOG_WARNING,
                  "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
                  "commands. Connection from %s aborted.",
                  connection->client.address);
        connection->client.flags |= CLIENT_KILLED;
        connection->stops |= STOP_CLOSING;
        return false;
    }
    const struct request request = {.arguments = arguments,
                                    .argument_count = parsed->argument_count,
                                    .may_wait = connection->cold_count >= COLD_COUNT_MAX,
                                    .state = &connection->yielded};
    const size_t replied = loop->dispatcher.reply.bytes.size;
    switch (dispatch(&loop->dispatcher, &connection->client, &request)) {
    case DISPATCH_DONE:
        connection->cold_count = 0;
        if (loop->dispatcher.reply.bytes.size > replied) connection->reply_count++;
        return true;
    case DISPATCH_COLD:
        connection->cold_count++;
        if (cold_start(loop, on_brought, connection)) {
            connection->has_job = true;
            connection->stops |= STOP_COLD;
        } else {
            connection->cold_count = COLD_COUNT_MAX;
            wait_for_turn(connection);
        }
        transaction_reset(loop->dispatcher.transaction);
        return false;
    case DISPATCH_YIELDED:
        connection->cold_count = 0;
        wait_for_turn(connection);
        return false;
    case DISPATCH_PAUSED: wait_for_time(connection, STOP_PAUSED); return false;
    }
    return false;
}

/* After a request: may the next be run? */
static bool may_go_on(struct connection *connection)
{
    struct client *client = &connection->client;
    struct reply *reply = &client->loop->dispatcher.reply;
    if (reply->bytes.size > CONNECTION_FLUSH_SIZE || reply->view_count > 16) deliver(connection);
    if ((client->flags & (CLIENT_KILLED | CLIENT_CLOSE_AFTER_REPLY)) != 0) connection->stops |= STOP_CLOSING;
    if (client->suspended_until_ms > client->loop->dispatcher.now_ms)
        wait_for_time(connection, STOP_SUSPENDED);
    return connection->stops == 0;
}

/* Runs the slice; the result is where the input goes on. */
static size_t run_slice(struct connection *connection, size_t at)
{
    const struct requests *requests = &connection->client.loop->requests;
    prefetch_slice(connection);
    for (size_t i = 0; i < requests->count; i++) {
        if (!run_request(connection, &requests->items[i])) return at;
        at = requests->items[i].end;
        if (!may_go_on(connection)) return at;
    }
    return at;
}

/* Runs the requests in `input`; the result is how much of it is done with. */
static size_t run_requests(struct connection *connection, const uint8_t *input, size_t size)
{
    struct loop *loop = connection->client.loop;
    size_t at = 0;
    enum resp_status status = RESP_OK;
    while (status == RESP_OK && at < size && connection->stops == 0) {
        dispatcher_begin(&loop->dispatcher);
        const struct resp_limits limits = limits_of(connection);
        status = requests_parse(&loop->requests, input, size, at, &limits);
        at = run_slice(connection, at);
        if (status == RESP_OK || connection->stops != 0) resp_parser_reset(&loop->requests.parser);
    }
    if (connection->stops != 0) return at;
    if (status == RESP_REFUSED) {
        refuse_protocol(connection, loop->requests.parser.error);
        return size;
    }
    if (status == RESP_NO_MEMORY) connection->client.flags |= CLIENT_KILLED;
    return at;
}

/* The loop's parser takes up where it stopped for this connection, or begins. */
static void take_parser(struct connection *connection)
{
    struct loop *loop = connection->client.loop;
    if (connection->unfinished == NULL) {
        resp_parser_reset(&loop->requests.parser);
        return;
    }
    resp_parser_free(&loop->requests.parser);
    loop->requests.parser = *connection->unfinished;
    memory_free(connection->unfinished);
    connection->unfinished = NULL;
}

/* What the parser has seen of an unfinished request is kept with the connection. */
static void keep_parser(struct connection *connection)
{
    struct loop *loop = connection->client.loop;
    if (connection->stops == 0 && loop->requests.parser.position > 0 && connection->input.size > 0) {
        connection->unfinished = memory_alloc(sizeof loop->requests.parser);
        if (connection->unfinished != NULL) {
            *connection->unfinished = loop->requests.parser;
            loop->requests.parser = (struct resp_parser){0};
            return;
        }
    }
    resp_parser_reset(&loop->requests.parser);
}

static void close_for_input(struct connection *connection)
{
    log_write(LOG_WARNING, "Closing client id=%llu addr=%s that reached max query buffer length",
              (unsigned long long)connection->client.id, connection->client.address);
    connection->client.loop->dispatcher.stats.query_limit_disconnections++;
    connection->client.flags |= CLIENT_KILLED;
}

/* Runs what the connection has kept of its input. */
static void run_input(struct connection *connection)
{
    if (connection->input.size == 0 || (connection->client.flags & CLIENT_KILLED) != 0) return;
    take_parser(connection);
    const size_t used = run_requests(connection, connection->input.data, connection->input.size);
    if (used == connection->input.size)
        buffer_free(&connection->input);
    else
        buffer_consume(&connection->input, used);
    keep_parser(connection);
    deliver(connection);
}

/* Reads `capacity` bytes at most; false: nothing has come. */
static bool receive(struct connection *connection, uint8_t *ret_bytes, size_t capacity, size_t *ret_size)
{
    switch (transport_read(&connection->transport, ret_bytes, capacity, ret_size)) {
    case TRANSPORT_AGAIN: return false;
    case TRANSPORT_END: connection->client.flags |= CLIENT_KILLED; return false;
    case TRANSPORT_OK: break;
    }
    connection->client.loop->dispatcher.stats.input_size += *ret_size;
    connection->client.input_size += *ret_size;
    return true;
}

/* Reads into the loop's buffer, behind the little that the connection has kept; keeps what is left over. */
static void read_shared(struct connection *connection)
{
    uint8_t *input = connection->client.loop->input;
    const size_t kept = connection->input.size;
    if (kept > 0) memcpy(input, connection->input.data, kept);
    size_t size;
    if (!receive(connection, input + kept, LOOP_INPUT_SIZE - kept, &size)) return;

    size += kept;
    take_parser(connection);
    const size_t used = run_requests(connection, input, size);
    buffer_clear(&connection->input);
    if (used < size && buffer_append(&connection->input, input + used, size - used) != STAVE_OK) {
        connection->client.flags |= CLIENT_KILLED;
    }
    if (connection->input.size == 0) buffer_free(&connection->input);
    keep_parser(connection);
    deliver(connection);
}

/* Reads behind what the connection has kept of a request that is too large for the loop's buffer. */
static void read_own(struct connection *connection)
{
    struct buffer *input = &connection->input;
    const size_t wanted = connection->unfinished == NULL ? 0 : resp_wanted(connection->unfinished);
    size_t room = wanted > input->size ? wanted - input->size : 0;
    /* No more than has come already: an announced length alone gets no memory. */
    if (room > input->size) room = input->size;
    if (room > READ_SIZE_MAX) room = READ_SIZE_MAX;
    if (room < READ_SIZE_MIN) room = READ_SIZE_MIN;
    if (buffer_reserve(input, room) != STAVE_OK) {
        connection->client.flags |= CLIENT_KILLED;
        return;
    }
    size_t size;
    if (!receive(connection, input->data + input->size, room, &size)) return;
    input->size += size;
    run_input(connection);
}

static void read_input(struct connection *connection)
{
    struct client *client = &connection->client;
    client->loop->dispatcher.stats.reads_processed++;
    client->active_ms = client->loop->dispatcher.now_ms;
    if (connection->input.size <= LOOP_INPUT_SIZE / 2)
        read_shared(connection);
    else
        read_own(connection);
    const int64_t limit = client->server->config.client_query_buffer_limit;
    /* What is queued for EXEC has not been run either. */
    if (limit > 0 && connection->input.size + client->queued_size > (uint64_t)limit)
        close_for_input(connection);
}

/* ------------------------------------------------------------------ turns */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct connection *connection = poll->data;
    struct loop *loop = connection->client.loop;
    gate_enter(&loop->server->gate, loop->index);
    if (status < 0) connection->client.flags |= CLIENT_KILLED;
    if ((events & UV_WRITABLE) != 0) send_kept(connection);
    if ((events & UV_READABLE) != 0 && connection->stops == 0 &&
        (connection->client.flags & CLIENT_KILLED) == 0) {
        read_input(connection);
    }
    settle(connection);
    gate_leave(&loop->server->gate, loop->index);
}

static void poll_for(struct connection *connection, int events)
{
    if (events == connection->events) return;
    connection->events = events;
    if (events == 0)
        (void)uv_poll_stop(&connection->poll);
    else if (uv_poll_start(&connection->poll, events, on_poll) != 0)
        connection->client.flags |= CLIENT_KILLED;
}

/* At the end of whatever was done for a connection: is it over, and what does it wait for? */
static void settle(struct connection *connection)
{
    if (!connection->is_open) return;
    struct client *client = &connection->client;
    const bool is_done =
        (client->flags & CLIENT_CLOSE_AFTER_REPLY) != 0 && output_unsent(&connection->output) == 0;
    if ((client->flags & CLIENT_KILLED) != 0 || is_done) {
        connection_close(connection);
        return;
    }
    if ((client->flags & CLIENT_CLOSE_AFTER_REPLY) != 0) connection->stops |= STOP_CLOSING;
    poll_for(connection,
             (connection->stops == 0 ? UV_READABLE : 0) |
                 (output_is_sendable(&connection->output) && !connection->is_output_cold ? UV_WRITABLE : 0));
    count_memory(connection, memory_of(connection));
    if ((client->flags & CLIENT_KILLED) != 0) connection_close(connection);
}

void connection_open(struct connection *connection, struct loop *loop)
{
    connection->poll.data = connection;
    if (uv_poll_init(&loop->uv, &connection->poll, connection->transport.descriptor) != 0) {
        connection_discard(connection);
        return;
    }
    connection->is_open = true;
    loop_add_client(loop, &connection->client);
    loop->dispatcher.stats.connections_received++;
    settle(connection);
}

void connection_look(struct connection *connection)
{
    client_set_remove(&connection->client.loop->ready, &connection->client);
    if ((connection->client.flags & CLIENT_KILLED) == 0) {
        send_kept(connection);
        if ((connection->stops & STOP_TURN) != 0) {
            connection_resume(connection, STOP_TURN);
            return;
        }
    }
    settle(connection);
}

void connection_resume(struct connection *connection, uint32_t stop)
{
    connection->stops &= ~stop;
    if (connection->stops == 0) run_input(connection);
    settle(connection);
}

void connection_release(struct connection *connection)
{
    struct server *server = connection->client.server;
    if (output_release(&connection->output, stave_durable_sequence(server->store))) send_kept(connection);
    if (connection->output.mark_count == 0) {
        client_set_remove(&connection->client.loop->withheld, &connection->client);
    } else if (atomic_load(&server->sync_failed)) {
        fail_withheld(connection);
    }
    settle(connection);
}

static void end_wait(struct connection *connection, uint64_t now_ms)
{
    const struct server *server = connection->client.server;
    uint32_t over = 0;
    if (server->pause.until_ms <= now_ms) over |= STOP_PAUSED;
    if (connection->client.suspended_until_ms <= now_ms) over |= STOP_SUSPENDED;
    if ((connection->stops & (STOP_PAUSED | STOP_SUSPENDED) & ~over) != 0) return;
    connection->is_waiting = false;
    connection->client.loop->waiting_count--;
    connection_resume(connection, STOP_PAUSED | STOP_SUSPENDED);
}

void connection_tick(struct connection *connection, uint64_t now_ms)
{
    struct client *client = &connection->client;
    if (connection->is_waiting) {
        end_wait(connection, now_ms);
        return;
    }
    const int64_t timeout = client->server->config.timeout;
    const bool waits_for_us = (connection->stops & ~(uint32_t)(STOP_OUTPUT | STOP_CLOSING)) != 0 ||
                              connection->output.mark_count > 0;
    if (timeout > 0 && (client->flags & CLIENT_MONITOR) == 0 && !waits_for_us && now_ms > client->active_ms &&
        now_ms - client->active_ms > (uint64_t)timeout * 1000) {
        log_write(LOG_VERBOSE, "Closing idle client");
        client->flags |= CLIENT_KILLED;
    }
    check_soft_limit(connection, now_ms);
    if ((client->flags & CLIENT_KILLED) != 0) settle(connection);
}

/* ------------------------------------------------------------------ what others ask of a client */

void connection_figures(const struct client *client, struct connection_figures *ret_figures)
{
    const struct connection *connection = of_client(client);
    *ret_figures =
        (struct connection_figures){.query_buffer = connection->input.size,
                                    .query_buffer_free = connection->input.capacity - connection->input.size,
                                    .argument_memory = parser_memory(connection),
                                    .multi_memory = client->queued_size,
                                    .output_buffer_size = (size_t)(output_unsent(&connection->output)),
                                    .output_list_length = connection->output.view_count,
                                    .output_list_memory = connection->output.memory,
                                    .total_memory = memory_of(connection)};
    size_t count = 0;
    if ((connection->events & UV_READABLE) != 0) ret_figures->events[count++] = 'r';
    if ((connection->events & UV_WRITABLE) != 0) ret_figures->events[count++] = 'w';
}

/* Under the whole gate, or on the client's own loop. */
static void look_soon(struct connection *connection)
{
    client_set_add(&connection->client.loop->ready, &connection->client);
    loop_wake(connection->client.loop);
}

void connection_kill(struct client *client, bool after_reply)
{
    client->flags |= after_reply ? CLIENT_CLOSE_AFTER_REPLY : CLIENT_KILLED;
    look_soon(of_client(client));
}

void connection_send(struct client *client, struct stave_bytes bytes, uint64_t seen)
{
    struct connection *connection = of_client(client);
    if ((client->flags & CLIENT_KILLED) != 0) return;
    const uint64_t sequence = sequence_to_await(client->server, seen);
    if (sequence != 0) client_set_add(&client->loop->withheld, client);
    if (output_append_bytes(&connection->output, bytes, sequence) != STAVE_OK)
        client->flags |= CLIENT_KILLED;
    else if (is_above_hard_limit(connection))
        close_for_output(connection);
    look_soon(connection);
}
