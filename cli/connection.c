/* SPDX-License-Identifier: MIT */
/* A socket that never blocks; who has to wait does so in interrupt_wait(). */
#include "cli/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/interrupt.h"
#include "cli/message.h"

void connection_init(struct connection *connection)
{
    memset(connection, 0, sizeof(*connection));
    connection->descriptor = -1;
}

void connection_close(struct connection *connection)
{
    if (connection->descriptor >= 0) (void)close(connection->descriptor);
    connection->descriptor = -1;
    connection->input_start = connection->input_end = 0;
    connection->is_replied = false;
    resp_reader_reset(&connection->reader);
}

void connection_free(struct connection *connection)
{
    connection_close(connection);
    resp_reader_free(&connection->reader);
    buffer_free(&connection->request);
}

static enum connection_status lost(struct connection *connection, const char *reason)
{
    (void)snprintf(connection->error, sizeof(connection->error), "%s", reason);
    connection_close(connection);
    return CONNECTION_LOST;
}

/* ------------------------------------------------------------------ opening */

/* Waits for a connect() that has begun. */
static enum connection_status finish_connect(struct connection *connection)
{
    struct pollfd descriptor = {.fd = connection->descriptor, .events = POLLOUT};
    int ready;
    while ((ready = interrupt_wait(&descriptor, 1, CONNECTION_FOR_EVER)) < 0) {
        if (!interrupt_taken()) continue;
        connection_close(connection);
        return CONNECTION_INTERRUPTED;
    }
    int problem = 0;
    socklen_t size = sizeof(problem);
    (void)getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &problem, &size);
    return problem == 0 ? CONNECTION_OK : lost(connection, strerror(problem));
}

static enum connection_status connect_to(struct connection *connection, int family,
                                         const struct sockaddr *address, socklen_t size)
{
    connection->descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0) return lost(connection, strerror(errno));
    if (connect(connection->descriptor, address, size) == 0) return CONNECTION_OK;
    if (errno != EINPROGRESS) return lost(connection, strerror(errno));
    return finish_connect(connection);
}

static enum connection_status connect_unix(struct connection *connection, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) return lost(connection, "the path is too long");
    memcpy(address.sun_path, path, strlen(path) + 1);
    return connect_to(connection, AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
}

/* The addresses of the name in turn, until one answers. */
static enum connection_status connect_tcp(struct connection *connection, const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    const int problem = getaddrinfo(host, port, &hints, &addresses);
    if (problem != 0) return lost(connection, gai_strerror(problem));
    enum connection_status status = CONNECTION_LOST;
    for (const struct addrinfo *at = addresses; at != NULL && status == CONNECTION_LOST; at = at->ai_next)
        status = connect_to(connection, at->ai_family, at->ai_addr, at->ai_addrlen);
    freeaddrinfo(addresses);
    if (status == CONNECTION_OK) {
        const int yes = 1;
        (void)setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        (void)setsockopt(connection->descriptor, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    }
    return status;
}

enum connection_status connection_open(struct connection *connection, const struct options *options)
{
    connection_close(connection);
    return options->socket != NULL ? connect_unix(connection, options->socket)
                                   : connect_tcp(connection, options->host, options->port);
}

/* ------------------------------------------------------------------ sending */

enum connection_status connection_write(struct connection *connection, const uint8_t *bytes, size_t size,
                                        size_t *ret_sent)
{
    const ssize_t sent = send(connection->descriptor, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return lost(connection, strerror(errno));
    *ret_sent = sent < 0 ? 0 : (size_t)sent;
    return CONNECTION_OK;
}

static enum connection_status send_all(struct connection *connection, struct stave_bytes bytes)
{
    size_t done = 0;
    while (done < bytes.size) {
        struct pollfd descriptor = {.fd = connection->descriptor, .events = POLLOUT};
        size_t sent = 0;
        const enum connection_status status =
            connection_write(connection, (const uint8_t *)bytes.data + done, bytes.size - done, &sent);
        if (status != CONNECTION_OK) return status;
        done += sent;
        if (sent > 0 || interrupt_wait(&descriptor, 1, CONNECTION_FOR_EVER) >= 0 || !interrupt_taken())
            continue;
        connection_close(connection); /* half a request has been sent */
        return CONNECTION_INTERRUPTED;
    }
    return CONNECTION_OK;
}

static enum stave_status write_request(struct buffer *request, const struct stave_bytes *arguments,
                                       size_t count)
{
    buffer_clear(request);
    enum stave_status status = resp_write_array(request, count);
    for (size_t i = 0; i < count && status == STAVE_OK; i++) status = resp_write_bulk(request, arguments[i]);
    return status;
}

enum connection_status connection_send(struct connection *connection, const struct stave_bytes *arguments,
                                       size_t argument_count)
{
    if (write_request(&connection->request, arguments, argument_count) != STAVE_OK)
        return lost(connection, "out of memory");
    return send_all(connection, buffer_bytes(&connection->request));
}

/* ------------------------------------------------------------------ receiving */

bool connection_has_input(const struct connection *connection)
{
    return connection->input_start < connection->input_end;
}

enum connection_status connection_fill(struct connection *connection)
{
    const ssize_t got = recv(connection->descriptor, connection->input, sizeof(connection->input), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return CONNECTION_TIMEOUT;
    if (got < 0) return lost(connection, strerror(errno));
    if (got == 0) return lost(connection, "the server closed the connection");
    connection->input_start = 0;
    connection->input_end = (size_t)got;
    return CONNECTION_OK;
}

/* Feeds the reader with what has been received. TIMEOUT: more is needed. */
static enum connection_status read_input(struct connection *connection)
{
    size_t used = 0;
    if (!connection_has_input(connection)) return CONNECTION_TIMEOUT;
    if (connection->is_replied) resp_reader_reset(&connection->reader);
    connection->is_replied = false;
    const enum resp_status status =
        resp_read(&connection->reader, connection->input + connection->input_start,
                  connection->input_end - connection->input_start, &used);
    connection->input_start += used;
    switch (status) {
    case RESP_OK: connection->is_replied = true; return CONNECTION_OK;
    case RESP_MORE: return CONNECTION_TIMEOUT;
    case RESP_NO_MEMORY: return lost(connection, "out of memory");
    case RESP_REFUSED: break;
    }
    char reason[160];
    (void)snprintf(reason, sizeof(reason), "this is not the Redis protocol: %s", connection->reader.error);
    return lost(connection, reason);
}

enum connection_status connection_receive(struct connection *connection, double milliseconds)
{
    for (;;) {
        enum connection_status status = read_input(connection);
        if (status != CONNECTION_TIMEOUT) return status;
        status = connection_fill(connection);
        if (status == CONNECTION_LOST) return status;
        if (status == CONNECTION_OK) continue;

        struct pollfd descriptor = {.fd = connection->descriptor, .events = POLLIN};
        const int ready = interrupt_wait(&descriptor, 1, milliseconds);
        if (ready == 0) return CONNECTION_TIMEOUT;
        if (ready < 0 && interrupt_taken()) return CONNECTION_INTERRUPTED;
    }
}

enum connection_status connection_ask(struct connection *connection, const char *const *words)
{
    enum { WORDS_MAX = 16 };
    struct stave_bytes arguments[WORDS_MAX];
    size_t count = 0;
    while (words[count] != NULL && count < WORDS_MAX) {
        arguments[count] = stave_text(words[count]);
        count++;
    }
    const enum connection_status status = connection_send(connection, arguments, count);
    if (status != CONNECTION_OK) return status;
    do {
        const enum connection_status received = connection_receive(connection, CONNECTION_FOR_EVER);
        if (received != CONNECTION_OK) return received;
    } while (resp_reply(&connection->reader)->type == RESP_PUSH);
    return CONNECTION_OK;
}
