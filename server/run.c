/* SPDX-License-Identifier: MIT */
/* The store opened, loops started, housekeeping on the main thread, and a clean end. */
#include "server/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/memory.h"
#include "server/apply.h"
#include "server/clock.h"
#include "server/command.h"
#include "server/command/groups.h"
#include "server/expiry.h"
#include "server/idle.h"
#include "server/io_thread.h"
#include "server/listener.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/notify.h"
#include "server/posts.h"
#include "server/signals.h"
#include "server/upkeep.h"
#include "server/watch.h"

/* What the main thread has for itself. */
struct main_thread {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t cron;
    struct listeners *listeners;
    struct listening listening; /* as the configuration is; those accepted from may be older for a moment */
    bool has_pid_file;
    struct posts posts;
    struct signals signals;
    struct expiry expiry;
    bool is_closing;
};

/* ------------------------------------------------------------------ listening */

/* Sockets opened by a loop's thread, on their way to the main thread. */
struct relisten {
    struct server *server;
    struct listening listening;
};

static void relisten(void *context)
{
    struct relisten *change = context;
    struct main_thread *own = change->server->main_thread;
    listeners_close(own->listeners);
    own->listeners = own->is_closing ? NULL : listeners_open(change->server, &own->uv, &change->listening);
    if (own->listeners == NULL) listener_unlisten(&change->listening);
    memory_free(change);
}

/* The hook for CONFIG SET: on any loop. */
static bool listen_anew(struct server *server, char ret_error[CONFIG_ERROR_SIZE])
{
    struct relisten *change = memory_alloc_zero(1, sizeof *change);
    (void)snprintf(ret_error, CONFIG_ERROR_SIZE, "no memory");
    if (change == NULL) return false;
    change->server = server;
    if (!listener_listen(&server->config, &server->main_thread->listening, &change->listening, ret_error)) {
        memory_free(change);
        return false;
    }
    const struct listening listening = change->listening;
    if (posts_add(&server->main_thread->posts, relisten, change)) {
        server->main_thread->listening = listening;
        return true;
    }
    listener_unlisten(&change->listening);
    memory_free(change);
    return false;
}

/* ------------------------------------------------------------------ the main thread */

static void close_main(struct server *server)
{
    struct main_thread *own = server->main_thread;
    if (own->is_closing) return;
    own->is_closing = true;
    listeners_close(own->listeners);
    own->listeners = NULL;
    uv_close((uv_handle_t *)&own->cron, NULL);
    uv_close((uv_handle_t *)&own->wake, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct server *server = wake->data;
    posts_run(&server->main_thread->posts);
    if (atomic_load(&server->stopping)) close_main(server);
}

static uint64_t cron_period_ms(const struct config *config)
{
    return 1000 / (uint64_t)config->hz;
}

static void on_cron(uv_timer_t *timer)
{
    struct server *server = timer->data;
    gate_enter(&server->gate, server->loop_count); /* the configuration is read */
    const uint64_t period = cron_period_ms(&server->config);
    if (uv_timer_get_repeat(timer) != period) (void)uv_timer_start(timer, on_cron, period, period);
    upkeep_tick(server);
    log_follow();
    listeners_resume(server->main_thread->listeners);
    if (server->hooks.cron != NULL) server->hooks.cron(server);
    gate_leave(&server->gate, server->loop_count);
    expiry_tick(server, period);
}

static bool open_main(struct server *server)
{
    struct main_thread *own = server->main_thread;
    if (uv_loop_init(&own->uv) != 0) return false;
    (void)uv_async_init(&own->uv, &own->wake, on_wake);
    (void)uv_timer_init(&own->uv, &own->cron);
    own->wake.data = server;
    own->cron.data = server;
    const uint64_t period = cron_period_ms(&server->config);
    (void)uv_timer_start(&own->cron, on_cron, period, period);

    own->listeners = listeners_open(server, &own->uv, &own->listening);
    return own->listeners != NULL && signals_begin(&own->signals, server);
}

/* ------------------------------------------------------------------ start */

static void fill_random(uint8_t *ret_bytes, size_t size)
{
    memset(ret_bytes, 0, size);
    if (getrandom(ret_bytes, size, 0) == (ssize_t)size) return;
    (void)snprintf((char *)ret_bytes, size, "%d%d", (int)getpid(), (int)time(NULL));
}

static void make_run_id(char ret_id[41])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[20];
    fill_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        ret_id[2 * i] = digits[random[i] >> 4];
        ret_id[2 * i + 1] = digits[random[i] & 15];
    }
    ret_id[40] = 0;
}

static bool open_store(struct server *server)
{
    const struct stave_options options = apply_store_options(&server->config);
    struct stave_error error = {.status = STAVE_OK};
    if (stave_open(server->config.store, &options, &server->store, &error) != STAVE_OK) {
        log_write(LOG_WARNING, "Fatal error opening the store: %s", error.message);
        return false;
    }
    if (realpath(server->config.store, server->store_path) == NULL) server->store_path[0] = 0;
    server->database_count = (uint32_t)server->config.databases;
    server->databases = memory_alloc_zero(server->database_count, sizeof(struct stave *));
    if (server->databases == NULL) return false;
    for (uint32_t i = 0; i < server->database_count; i++) {
        server->databases[i] = stave_space(server->store, i);
        if (server->databases[i] == NULL) return false;
    }
    return true;
}

static bool start_loops(struct server *server)
{
    const size_t count = (size_t)server->config.io_threads;
    server->loops = memory_alloc_zero(count, sizeof(struct loop *));
    server->commit_versions =
        memory_alloc_aligned(_Alignof(struct commit_version), count * sizeof(struct commit_version));
    if (server->loops == NULL || server->commit_versions == NULL) return false;
    server->loop_count = count;
    gate_init(&server->gate, count + 1); /* the last place is the main thread's */
    for (size_t i = 0; i < count; i++) {
        gate_exclude(&server->gate, GATE_NO_PLACE);
        server->loops[i] = io_thread_start(server, i);
        gate_admit(&server->gate, GATE_NO_PLACE);
        if (server->loops[i] == NULL) return false;
    }
    return true;
}

bool run_init(struct server *server)
{
    server->main_thread = memory_alloc_zero(1, sizeof *server->main_thread);
    fill_random((uint8_t *)&server->hash_seed, sizeof server->hash_seed);
    server->watch = watch_table_new(server->hash_seed);
    server->idle = idle_new(clock_now_ms());
    if (server->main_thread == NULL || server->watch == NULL || server->idle == NULL) return false;
    struct main_thread *own = server->main_thread;
    posts_init(&own->posts, &own->uv, &own->wake);
    server->posts = &own->posts;
    server->expiry = &own->expiry;
    server->hooks.relisten = listen_anew;
    server->active_expire = true;
    server->started_ms = clock_now_ms();
    server->stats_reset_ms = server->started_ms;
    server->started_monotonic_us = clock_monotonic_us();
    make_run_id(server->run_id);
    command_table_build(command_groups);
    return true;
}

static void write_pid_file(struct server *server)
{
    const char *path = server->config.pidfile;
    if (path == NULL || path[0] == 0) return;
    FILE *file = fopen(path, "we");
    server->main_thread->has_pid_file = file != NULL;
    if (file == NULL) {
        log_write(LOG_WARNING, "Failed to write PID file: %s", strerror(errno));
        return;
    }
    fprintf(file, "%d\n", (int)getpid());
    (void)fclose(file);
}

/* What stands under these names but has not been made here belongs to another server, and stays. */
static void remove_files(const struct server *server)
{
    if (listener_has_unix(&server->main_thread->listening)) (void)unlink(server->config.unixsocket);
    if (server->main_thread->has_pid_file) (void)unlink(server->config.pidfile);
}

/* Whatever has been opened is closed, in reverse. */
static int end(struct server *server, int exit_code)
{
    struct main_thread *own = server->main_thread;
    if (server->store != NULL && stave_sync(server->store) != STAVE_OK)
        atomic_store(&server->sync_failed, true);
    for (size_t i = 0; i < server->loop_count; i++) {
        if (server->loops[i] != NULL) io_thread_end(server->loops[i]);
    }
    for (size_t i = 0; i < server->loop_count; i++) loop_free(server->loops[i]);
    if (server->loop_count > 0) gate_free(&server->gate);
    memory_free(server->commit_versions);
    memory_free(server->loops);
    server->loops = NULL;
    server->loop_count = 0;
    if (server->store != NULL && stave_close(server->store) != STAVE_OK) {
        log_write(LOG_WARNING, "The store could not be closed cleanly.");
        exit_code = 1;
    }
    remove_files(server);
    signals_end(&own->signals);
    if (own->is_closing) (void)uv_loop_close(&own->uv); /* now that nobody is left to wake it */
    memory_free(server->databases);
    watch_table_free(server->watch);
    idle_free(server->idle);
    posts_free(&own->posts);
    memory_free(own);
    server->main_thread = NULL;
    return exit_code;
}

int run_server(struct server *server)
{
    struct main_thread *own = server->main_thread;
    char error[CONFIG_ERROR_SIZE] = "";
    if (!apply_client_limit(&server->config) || !open_store(server)) return end(server, 1);
    const struct listening none = {.count = 0};
    const bool is_listening = listener_listen(&server->config, &none, &own->listening, error);
    if (!is_listening || own->listening.count == 0) {
        log_write(LOG_WARNING, "%s", is_listening ? "Configured to not listen anywhere, exiting." : error);
        return end(server, 1);
    }
    write_pid_file(server);
    upkeep_begin(server);
    if (!open_main(server) || !start_loops(server)) {
        log_write(LOG_WARNING, "The threads could not be started.");
        return end(server, 1);
    }
    log_write(LOG_NOTICE, "Ready to accept connections");
    notify_manager("READY=1\nSTATUS=Ready to accept connections\n");
    (void)uv_run(&own->uv, UV_RUN_DEFAULT);

    notify_manager("STOPPING=1\n");
    log_write(LOG_WARNING, "User requested shutdown...");
    posts_end(&own->posts);
    (void)uv_run(&own->uv, UV_RUN_DEFAULT); /* what the last posts began */
    const int exit_code = end(server, 0);
    log_write(LOG_WARNING, "Stave is now ready to exit, bye bye...");
    return exit_code;
}
