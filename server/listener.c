/* SPDX-License-Identifier: MIT */
/* Opens listening sockets, accepts connections and hands them to the loops in turn. */
#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "server/connection.h"
#include "server/log.h"

#define ACCEPT_COUNT_MAX 1000 /* in one turn */

static const char denied_text[] =
    "-DENIED Stave runs in protected mode: no password is set, so it talks to the loopback interface alone. "
    "Set one with requirepass, or turn this off with CONFIG SET protected-mode no from this host, with "
    "'protected-mode no' in the configuration file, or with --protected-mode no.\r\n";

/* ------------------------------------------------------------------ listening */

static void fail(char ret_error[CONFIG_ERROR_SIZE], const char *what, const char *address, int64_t port)
{
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE,
                   "Could not create server TCP listening socket %s:%lld: %s: %s", address, (long long)port,
                   what, strerror(errno));
}

static bool is_same_address(const struct sockaddr_storage *own, const struct sockaddr *wanted)
{
    if (own->ss_family != wanted->sa_family) return false;
    if (own->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)own;
        const struct sockaddr_in *b = (const struct sockaddr_in *)(const void *)wanted;
        return a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)own;
    const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)(const void *)wanted;
    return a->sin6_port == b->sin6_port && memcmp(&a->sin6_addr, &b->sin6_addr, sizeof a->sin6_addr) == 0;
}

/* A second descriptor for the socket that listens at this address already; -1: there is none. */
static int find_present(const struct listening *present, const struct sockaddr *wanted)
{
    for (size_t i = 0; i < present->count; i++) {
        struct sockaddr_storage own = {0};
        socklen_t size = sizeof own;
        if (present->is_unix[i] || getsockname(present->descriptors[i], (struct sockaddr *)&own, &size) != 0)
            continue;
        if (is_same_address(&own, wanted)) return fcntl(present->descriptors[i], F_DUPFD_CLOEXEC, 0);
    }
    return -1;
}

static bool listen_at(const struct addrinfo *info, const struct config *config,
                      const struct listening *present, int *ret_descriptor)
{
    *ret_descriptor = find_present(present, info->ai_addr);
    if (*ret_descriptor >= 0) return true;
    const int descriptor = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return false;
    const int on = 1;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6) (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(descriptor, info->ai_addr, info->ai_addrlen) == 0 &&
        listen(descriptor, (int)config->tcp_backlog) == 0) {
        *ret_descriptor = descriptor;
        return true;
    }
    const int error = errno;
    (void)close(descriptor);
    errno = error;
    return false;
}

static bool add_descriptor(struct listening *listening, int descriptor, bool is_unix)
{
    if (listening->count == LISTENER_COUNT_MAX) {
        (void)close(descriptor);
        errno = EMFILE;
        return false;
    }
    listening->descriptors[listening->count] = descriptor;
    listening->is_unix[listening->count++] = is_unix;
    return true;
}

/* One address of `bind`; one with a minus before it may be missing on this machine. */
static bool listen_tcp(const struct config *config, const char *address, const struct listening *present,
                       struct listening *listening, char ret_error[CONFIG_ERROR_SIZE])
{
    const bool is_optional = address[0] == '-';
    if (is_optional) address++;
    const bool is_any6 = strcmp(address, "::*") == 0;
    const bool is_any = is_any6 || strcmp(address, "*") == 0;
    char port[16];
    (void)snprintf(port, sizeof port, "%lld", (long long)config->port);
    const struct addrinfo hints = {.ai_family = is_any ? (is_any6 ? AF_INET6 : AF_INET) : AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    const int error = getaddrinfo(is_any ? NULL : address, port, &hints, &found);
    int descriptor = -1;
    if (error != 0) errno = EADDRNOTAVAIL;
    const bool is_open = error == 0 && listen_at(found, config, present, &descriptor) &&
                         add_descriptor(listening, descriptor, false);
    const int reason = errno;
    if (found != NULL) freeaddrinfo(found);
    errno = reason;
    if (is_open) return true;
    if (is_optional && (errno == EADDRNOTAVAIL || errno == EAFNOSUPPORT || errno == EPROTONOSUPPORT))
        return true;
    fail(ret_error, "bind", address, config->port);
    return false;
}

static bool listen_unix(const struct config *config, struct listening *listening,
                        char ret_error[CONFIG_ERROR_SIZE])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(config->unixsocket) >= sizeof address.sun_path) {
        (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "unixsocket: the path is too long");
        return false;
    }
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", config->unixsocket);
    struct stat existing;
    if (lstat(config->unixsocket, &existing) == 0 && S_ISSOCK(existing.st_mode))
        (void)unlink(config->unixsocket);

    const int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        if (config->unixsocketperm != 0) (void)chmod(config->unixsocket, (mode_t)config->unixsocketperm);
        if (listen(descriptor, (int)config->tcp_backlog) == 0)
            return add_descriptor(listening, descriptor, true);
    }
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "Failed opening Unix socket %s: %s", config->unixsocket,
                   strerror(errno));
    if (descriptor >= 0) (void)close(descriptor);
    return false;
}

/* The Unix socket never changes: the one that is there listens on. */
static bool keep_unix(const struct listening *present, struct listening *listening)
{
    for (size_t i = 0; i < present->count; i++) {
        if (!present->is_unix[i]) continue;
        const int descriptor = fcntl(present->descriptors[i], F_DUPFD_CLOEXEC, 0);
        return descriptor >= 0 && add_descriptor(listening, descriptor, true);
    }
    return false;
}

bool listener_listen(const struct config *config, const struct listening *present,
                     struct listening *ret_listening, char ret_error[CONFIG_ERROR_SIZE])
{
    struct listening listening = {.count = 0};
    const char *at = config->bind;
    while (config->port != 0 && at != NULL && *at != 0) {
        char address[256];
        const size_t size = strcspn(at, " ");
        (void)snprintf(address, sizeof address, "%.*s", (int)size, at);
        at += size;
        at += strspn(at, " ");
        if (size > 0 && !listen_tcp(config, address, present, &listening, ret_error)) goto failed;
    }
    if (config->port != 0 && listening.count == 0) {
        (void)snprintf(ret_error, CONFIG_ERROR_SIZE,
                       "Failed listening on port %lld (TCP): no address of bind is there",
                       (long long)config->port);
        goto failed;
    }
    if (config->unixsocket != NULL && config->unixsocket[0] != 0 && !keep_unix(present, &listening) &&
        !listen_unix(config, &listening, ret_error)) {
        goto failed;
    }
    *ret_listening = listening;
    return true;

failed:
    listener_unlisten(&listening);
    return false;
}

void listener_unlisten(struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++) (void)close(listening->descriptors[i]);
    listening->count = 0;
}

bool listener_has_unix(const struct listening *listening)
{
    for (size_t i = 0; i < listening->count; i++) {
        if (listening->is_unix[i]) return true;
    }
    return false;
}

/* ------------------------------------------------------------------ accepting */

static void show_address(const struct sockaddr_storage *address, bool is_unix, const char *path,
                         char *ret_text, size_t size)
{
    char host[64];
    char port[16];
    if (is_unix) {
        (void)snprintf(ret_text, size, "%s:0", path);
        return;
    }
    if (getnameinfo((const struct sockaddr *)address, sizeof *address, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(ret_text, size, "?:0");
        return;
    }
    const bool is_6 = address->ss_family == AF_INET6;
    (void)snprintf(ret_text, size, is_6 ? "[%s]:%s" : "%s:%s", host, port);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *in = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(in) || (IN6_IS_ADDR_V4MAPPED(in) && in->s6_addr[12] == 127);
    }
    return false;
}

static void set_options(int descriptor, const struct config *config)
{
    const int on = 1;
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (config->tcp_keepalive <= 0) return;
    const int idle = (int)config->tcp_keepalive;
    const int interval = idle / 3 > 0 ? idle / 3 : 1;
    const int count = 3;
    (void)setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

static void refuse(struct server *server, int descriptor, const char *text)
{
    (void)send(descriptor, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(descriptor);
    (void)atomic_fetch_add(&server->rejected_connections, 1);
}

static void count_client(struct server *server)
{
    const uint64_t count = atomic_fetch_add(&server->client_count, 1) + 1;
    if (count > atomic_load(&server->client_count_peak)) atomic_store(&server->client_count_peak, count);
}

static void take(struct listener *listener, struct listeners *listeners, int descriptor,
                 const struct sockaddr_storage *peer)
{
    struct server *server = listener->server;
    const struct config *config = &server->config;
    if (atomic_load(&server->client_count) >= (uint64_t)config->maxclients) {
        refuse(server, descriptor, "-ERR max number of clients reached\r\n");
        return;
    }
    const bool has_password = config->requirepass != NULL && config->requirepass[0] != 0;
    if (config->protected_mode && !has_password && !listener->is_unix && !is_loopback(peer)) {
        refuse(server, descriptor, denied_text);
        return;
    }
    if (!listener->is_unix) set_options(descriptor, config);

    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;
    (void)getsockname(descriptor, (struct sockaddr *)&own, &size);
    char address[CLIENT_ADDRESS_SIZE];
    char local_address[CLIENT_ADDRESS_SIZE];
    show_address(peer, listener->is_unix, config->unixsocket, address, sizeof address);
    show_address(&own, listener->is_unix, config->unixsocket, local_address, sizeof local_address);
    struct connection *connection =
        connection_new(server, descriptor, address, local_address, listener->is_unix);
    if (connection == NULL) {
        (void)close(descriptor);
        return;
    }
    count_client(server);
    loop_give(server->loops[listeners->next_loop++ % server->loop_count], &connection->client);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct listener *listener = poll->data;
    struct listeners *listeners = listener->all;
    if (status < 0) return;
    gate_enter(&listener->server->gate, listener->server->loop_count);
    for (int i = 0; i < ACCEPT_COUNT_MAX; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        const int descriptor =
            accept4(listener->descriptor, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            take(listener, listeners, descriptor, &peer);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            log_write(LOG_WARNING, "Accepting client connection: %s", strerror(errno));
            listener->is_resting = true; /* else this would be called again at once */
            (void)uv_poll_stop(&listener->poll);
        }
        break;
    }
    gate_leave(&listener->server->gate, listener->server->loop_count);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    if (--listener->all->open_count == 0) memory_free(listener->all);
}

struct listeners *listeners_open(struct server *server, uv_loop_t *uv, const struct listening *listening)
{
    struct listeners *listeners = memory_alloc_zero(1, sizeof *listeners);
    if (listeners == NULL) return NULL;
    listeners->count = listening->count;
    for (size_t i = 0; i < listening->count; i++) {
        struct listener *listener = &listeners->items[i];
        *listener = (struct listener){.server = server,
                                      .all = listeners,
                                      .descriptor = listening->descriptors[i],
                                      .is_unix = listening->is_unix[i]};
        (void)uv_poll_init(uv, &listener->poll, listener->descriptor);
        listener->poll.data = listener;
        listeners->open_count++;
        (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    }
    return listeners;
}

void listeners_resume(struct listeners *listeners)
{
    for (size_t i = 0; listeners != NULL && i < listeners->count; i++) {
        struct listener *listener = &listeners->items[i];
        if (!listener->is_resting) continue;
        listener->is_resting = false;
        (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    }
}

void listeners_close(struct listeners *listeners)
{
    if (listeners == NULL) return;
    for (size_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->items[i];
        (void)uv_poll_stop(&listener->poll);
        uv_close((uv_handle_t *)&listener->poll, on_closed);
        (void)close(listener->descriptor);
    }
    if (listeners->count == 0) memory_free(listeners);
}
