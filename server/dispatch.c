/* SPDX-License-Identifier: MIT */
/* Checks, runs, commits and counts commands. */
#include "server/dispatch.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "net/words.h"
#include "server/clock.h"
#include "server/coldness.h"
#include "server/prefetch.h"

#define CONFLICT_COUNT_MAX 8
#define US_PER_MS 1000
#define SHOWN_SIZE_MAX 128               /* of all arguments in "unknown command" */
#define REPLY_SIZE_MAX ((size_t)1 << 30) /* gathered in memory for one command, views not counted */

/* A request on its way: which command, and where its reply begins. */
struct run {
    struct dispatcher *dispatcher;
    struct client *client;
    const struct request *request;
    const struct command *command;
    size_t number;
    struct reply_mark mark;
    bool is_exclusive;
};

bool dispatcher_init(struct dispatcher *dispatcher, struct server *server, size_t place)
{
    *dispatcher = (struct dispatcher){.server = server, .place = place};
    dispatcher->transaction = transaction_new(server);
    dispatcher->stats.commands =
        memory_alloc_zero(command_number_count(), sizeof *dispatcher->stats.commands);
    dispatcher->reply.transaction = dispatcher->transaction;
    return dispatcher->transaction != NULL && dispatcher->stats.commands != NULL;
}

void dispatcher_free(struct dispatcher *dispatcher)
{
    transaction_free(dispatcher->transaction);
    memory_free(dispatcher->stats.commands);
    reply_free(&dispatcher->reply);
    dispatcher->transaction = NULL;
    dispatcher->stats.commands = NULL;
}

static void read_clock(struct dispatcher *dispatcher, uint64_t monotonic_us)
{
    dispatcher->now_ms = clock_now_ms();
    dispatcher->now_at_us = monotonic_us;
}

void dispatcher_begin(struct dispatcher *dispatcher)
{
    const int64_t limit = dispatcher->server->config.output_limits[CLIENT_CLASS_NORMAL].hard_size;
    dispatcher->reply.bytes.size_max = limit > 0 ? (size_t)limit + REPLY_LARGE_SIZE : REPLY_SIZE_MAX;
    dispatcher->command_at_us = clock_monotonic_us();
    read_clock(dispatcher, dispatcher->command_at_us);
}

/* ------------------------------------------------------------------ what is refused */

/* "'a' 'b' ": the arguments as the error on an unknown command shows them. */
static void show_arguments(const struct request *request, char *ret_text, size_t size)
{
    size_t used = 0;
    ret_text[0] = 0;
    for (size_t i = 1; i < request->argument_count && used < SHOWN_SIZE_MAX; i++) {
        const struct stave_bytes argument = request->arguments[i];
        const size_t room = SHOWN_SIZE_MAX - used;
        const int shown = (int)(argument.size < room ? argument.size : room);
        const int written =
            snprintf(ret_text + used, size - used, "'%.*s' ", shown, (const char *)argument.data);
        if (written < 0 || (size_t)written >= size - used) return;
        used += (size_t)written;
    }
}

static void refuse_command(struct run *run)
{
    const struct stave_bytes name = run->request->arguments[0];
    char shown[512];
    char text[1024];
    show_arguments(run->request, shown, sizeof shown);
    (void)snprintf(text, sizeof text, "ERR unknown command '%.*s', with args beginning with: %s",
                   words_shown(name), (const char *)name.data, shown);
    reply_error(&run->dispatcher->reply, text);
}

static void refuse_subcommand(struct run *run, const struct command *container)
{
    const struct stave_bytes name = run->request->arguments[1];
    char shown[64];
    char text[256];
    (void)snprintf(shown, sizeof shown, "%s", container->name);
    for (char *at = shown; *at != 0; at++) *at = (char)toupper((unsigned char)*at);
    (void)snprintf(text, sizeof text, "ERR unknown subcommand '%.*s'. Try %s HELP.", words_shown(name),
                   (const char *)name.data, shown);
    reply_error(&run->dispatcher->reply, text);
}

/* Finds the command or subcommand; false: refused. */
static bool find_command(struct run *run)
{
    const struct request *request = run->request;
    const struct command *command = command_find_numbered(request->arguments[0], &run->number);
    if (command == NULL || (command->flags & COMMAND_DESCRIBED) != 0) {
        refuse_command(run);
        return false;
    }
    if (command->subcommands != NULL && request->argument_count > 1) {
        const struct command *sub = command_find_subcommand(command, request->arguments[1]);
        if (sub == NULL || (sub->flags & COMMAND_DESCRIBED) != 0) {
            refuse_subcommand(run, command);
            return false;
        }
        command = sub;
        run->number = command_number(sub);
    }
    run->command = command;
    return true;
}

/* Is it EXEC? Then what is asked of the command is asked of all that the client has queued. */
static bool runs_queued(const struct command *command)
{
    return (command->flags & COMMAND_RUNS_QUEUED) != 0;
}

/* Flags of the command, or of all that EXEC is about to run. */
static uint32_t flags_of(const struct run *run)
{
    uint32_t flags = run->command->flags;
    if (!runs_queued(run->command)) return flags;
    for (size_t i = 0; i < run->client->queued_count; i++) flags |= run->client->queued[i].command->flags;
    return flags;
}

static bool is_queued(const struct run *run)
{
    return (run->client->flags & CLIENT_MULTI) != 0 && (run->command->flags & COMMAND_NOT_QUEUED) == 0;
}

static const char *refusal_of_memory(const struct run *run, uint32_t flags)
{
    const struct server *server = run->dispatcher->server;
    const bool grows = (flags & COMMAND_DENYOOM) != 0;
    if (grows && server->config.max_disk > 0 &&
        atomic_load_explicit(&server->disk_size, memory_order_relaxed) > (uint64_t)server->config.max_disk) {
        return "OOM command not allowed when the store takes more than 'max-disk'.";
    }
    if (server->config.maxmemory <= 0 || (!grows && !is_queued(run))) return NULL;
    if (atomic_load_explicit(&server->used_memory, memory_order_relaxed) <=
        (uint64_t)server->config.maxmemory) {
        return NULL;
    }
    return "OOM command not allowed when used memory > 'maxmemory'.";
}

/* Why the command may not run, or NULL. */
static const char *refusal_of(const struct run *run)
{
    const struct server *server = run->dispatcher->server;
    const uint32_t flags = flags_of(run);
    if ((run->command->flags & COMMAND_PROTECTED) != 0 &&
        !client_has_access(run->client, server->config.enable_debug_command)) {
        return "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you "
               "can "
               "run it from a local connection, otherwise you need to set this option in the configuration "
               "file, and then restart the server.";
    }
    if (!client_is_authenticated(run->client) && (run->command->flags & COMMAND_NO_AUTH) == 0) {
        return "NOAUTH Authentication required.";
    }
    if ((run->client->flags & CLIENT_MULTI) != 0 && (run->command->flags & COMMAND_NO_MULTI) != 0) {
        return "ERR Command not allowed inside a transaction";
    }
    const char *error = refusal_of_memory(run, flags);
    if (error != NULL) return error;
    if ((flags & COMMAND_WRITE) != 0 && atomic_load_explicit(&server->sync_failed, memory_order_relaxed)) {
        return "MISCONF Errors writing to the AOF file: the store could not be synced, and takes no more "
               "writes "
               "until the server is started again";
    }
    return NULL;
}

/* An error before the command ran: in a MULTI it spoils the EXEC. */
static enum dispatch_outcome refuse(struct run *run)
{
    if ((run->client->flags & CLIENT_MULTI) != 0) run->client->flags |= CLIENT_DIRTY_EXEC;
    if (run->command != NULL) run->dispatcher->stats.commands[run->number].rejected_count++;
    stats_count_errors(&run->dispatcher->stats, &run->dispatcher->reply.errors);
    if ((run->client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) != 0) {
        reply_take_back(&run->dispatcher->reply, run->mark);
    }
    return DISPATCH_DONE;
}

static enum dispatch_outcome refuse_with(struct run *run, const char *error)
{
    reply_error(&run->dispatcher->reply, error);
    if (run->command != NULL && runs_queued(run->command)) {
        /* As Redis: an EXEC that is refused ends its transaction. */
        struct reply *reply = &run->dispatcher->reply;
        reply_take_back(reply, run->mark);
        char text[256];
        const char *rest = strncmp(error, "ERR ", 4) == 0 ? error + 4 : error;
        (void)snprintf(text, sizeof text, "EXECABORT Transaction discarded because of: %s", rest);
        reply_error(reply, text);
        client_discard(run->client);
    }
    return refuse(run);
}

static bool is_paused(const struct run *run)
{
    const struct server_pause *pause = &run->dispatcher->server->pause;
    if (pause->until_ms == 0 || run->dispatcher->now_ms >= pause->until_ms) return false;
    if (!pause->writes_only) return true;
    return (flags_of(run) & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0;
}

/* ------------------------------------------------------------------ running */

/* What a client is told of a failure of the store. */
static void reply_failure(struct run *run, enum stave_status status)
{
    struct reply *reply = &run->dispatcher->reply;
    reply_take_back(reply, run->mark);
    char text[640];
    struct stave_error error = {.status = STAVE_OK};
    stave_last_error(run->dispatcher->server->store, &error);
    const char *detail = error.status == status ? error.message : stave_status_text(status);
    switch (status) {
    case STAVE_FULL:
        (void)snprintf(text, sizeof text, "MISCONF Errors writing to the AOF file: %s", detail);
        break;
    case STAVE_FAILED:
        atomic_store(&run->dispatcher->server->sync_failed, true);
        (void)snprintf(text, sizeof text, "MISCONF Errors writing to the AOF file: %s", detail);
        break;
    case STAVE_LIMIT: (void)snprintf(text, sizeof text, "ERR too large: %s", detail); break;
    default: (void)snprintf(text, sizeof text, "ERR the store failed: %s", detail); break;
    }
    reply_error(reply, text);
}

/* False: while the gate was waited for, the client was killed, or CLIENT PAUSE was said. */
static bool go_exclusive(struct run *run)
{
    if (run->is_exclusive) return true;
    gate_exclude(&run->dispatcher->server->gate, run->dispatcher->place);
    run->is_exclusive = true;
    read_clock(run->dispatcher, clock_monotonic_us());
    return (run->client->flags & CLIENT_KILLED) == 0 && !is_paused(run);
}

static void end_exclusive(struct run *run)
{
    if (run->is_exclusive) gate_admit(&run->dispatcher->server->gate, run->dispatcher->place);
    run->is_exclusive = false;
}

static bool may_wait(const struct run *run)
{
    return run->request->may_wait ||
           !atomic_load_explicit(&run->dispatcher->server->is_cold, memory_order_relaxed);
}

/* No other loop can come between. */
static bool is_alone(const struct run *run)
{
    return run->is_exclusive || run->dispatcher->server->loop_count == 1;
}

/* One attempt, commit included. */
static enum stave_status attempt(struct run *run, struct call *call)
{
    struct dispatcher *dispatcher = run->dispatcher;
    const struct transaction_mode mode = {.now_ms = dispatcher->now_ms,
                                          .may_wait = may_wait(run) || runs_queued(run->command),
                                          .is_exclusive = is_alone(run),
                                          .is_writing = (flags_of(run) & COMMAND_READONLY) == 0 ||
                                                        runs_queued(run->command),
                                          .counts_reads = (run->command->flags & COMMAND_READONLY) != 0,
                                          .place = dispatcher->place,
                                          .stats = &dispatcher->stats};
    call->now_ms = mode.now_ms;
    transaction_begin(dispatcher->transaction, &mode);
    const enum stave_status status = run->command->run(call);
    return status != STAVE_OK ? status : transaction_commit(dispatcher->transaction);
}

/* Whether it may look at several keys, or at one in several databases. */
static bool is_of_several(const struct run *run)
{
    const struct key_spec *keys = run->command->keys;
    return keys[0].find_last != 0 || keys[1].begin != KEY_BEGIN_NONE || runs_queued(run->command) ||
           (run->command->flags & COMMAND_CROSS_DATABASE) != 0;
}

/*
 * Several keys at one moment: what expires meanwhile is there for all of them (T4). Beside other loops the
 * commit looks once more at what was read; alone it does not, but compaction and the expiry cycle are at
 * work. The moment is not before the hold: some of what expires between the two may be gone.
 */
static enum stave_status attempt_held(struct run *run, struct call *call)
{
    if (!is_alone(run) || !is_of_several(run)) return attempt(run, call);
    struct dispatcher *dispatcher = run->dispatcher;
    (void)stave_hold_expiry(dispatcher->server->store, dispatcher->now_ms);
    read_clock(dispatcher, clock_monotonic_us());
    const enum stave_status status = attempt(run, call);
    (void)stave_hold_expiry(dispatcher->server->store, 0);
    return status;
}

/*
 * Attempts until it is through, must wait, or has failed. STAVE_CONFLICT: it may not run now. A
 * batch that is too large with what it requires is tried alone, where it requires nothing (T3).
 */
static enum stave_status run_command(struct run *run, struct call *call)
{
    struct client *client = run->client;
    const uint32_t database = client->database;
    const int protocol = client->protocol;
    bool is_large = false;
    for (int conflicts = 0;;) {
        if ((is_large || conflicts >= CONFLICT_COUNT_MAX) && !go_exclusive(run)) return STAVE_CONFLICT;
        const enum stave_status status = attempt_held(run, call);
        if (status == STAVE_OK) return status;

        reply_take_back(&run->dispatcher->reply, run->mark);
        run->dispatcher->reply.protocol = protocol;
        client->protocol = protocol;
        client->database = database;
        call->database = database;
        is_large = status == STAVE_LIMIT && !is_alone(run);
        if (status != STAVE_CONFLICT && status != STAVE_WOULD_BLOCK && !is_large) return status;
        call->ends_multi = false;
        if (status == STAVE_WOULD_BLOCK) return status;
        if (status == STAVE_CONFLICT) {
            conflicts++;
            run->dispatcher->stats.conflict_retries++;
        }
        transaction_reset(run->dispatcher->transaction);
        read_clock(run->dispatcher, clock_monotonic_us());
    }
}

/* What follows a command that is through: statistics, CLIENT REPLY, the end of a MULTI. */
static void finish(struct run *run, struct call *call)
{
    struct dispatcher *dispatcher = run->dispatcher;
    struct client *client = run->client;
    const uint64_t now_us = clock_monotonic_us();
    const uint64_t duration_us = now_us - dispatcher->command_at_us;
    dispatcher->command_at_us = now_us;
    /* D3; where nobody else writes, a millisecond late is soon enough. */
    if (dispatcher->server->loop_count > 1 || now_us - dispatcher->now_at_us >= US_PER_MS)
        read_clock(dispatcher, now_us);
    if (duration_us >= COLDNESS_WAIT_US) coldness_look(dispatcher->server, &dispatcher->disk_read_count);
    stats_count_call(&dispatcher->stats, run->number, duration_us, &dispatcher->reply.errors);
    if (dispatcher->server->hooks.executed != NULL) dispatcher->server->hooks.executed(call, duration_us);
    if (call->ends_multi) client_discard(client);
    if ((client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) != 0) {
        reply_take_back(&dispatcher->reply, run->mark);
    }
}

/* Monitors see what has run: an EXEC's commands, each with the database it left selected, then itself. */
static void show_to_monitors(const struct call *call)
{
    void (*const show)(const struct call *) = call->server->hooks.monitor;
    const struct client *client = call->client;
    struct call shown = *call;
    for (size_t i = 0; i < client->queued_count && call->ends_multi; i++) {
        const struct queued_command *queued = &client->queued[i];
        if (!queued->has_run) continue;
        shown.command = queued->command;
        shown.arguments = queued->arguments;
        shown.argument_count = queued->argument_count;
        shown.database = queued->database;
        show(&shown);
    }
    shown = *call;
    shown.database = client->database;
    show(&shown);
}

/* It may no longer run: it waits for the end of the pause, or goes with its client. */
static enum dispatch_outcome put_off(struct run *run)
{
    end_exclusive(run);
    transaction_reset(run->dispatcher->transaction);
    return DISPATCH_PAUSED;
}

/*
 * What an EXEC needs is brought before it has the gate, all of it at once. For what could not be foreseen it
 * waits: of its commands, those that ran would be counted, shown and done again if it began anew.
 */
static enum stave_status seek_ahead(const struct run *run, struct call *call)
{
    if (run->command->seek == NULL || may_wait(run)) return STAVE_OK;
    return run->command->seek(call);
}

/* A command that stopped at its first key on disk has the others brought as well. */
static void seek_others(const struct run *run)
{
    size_t wanted_count;
    (void)transaction_wanted(run->dispatcher->transaction, &wanted_count);
    if (wanted_count != 1 || runs_queued(run->command)) return;
    (void)prefetch_seek(run->dispatcher->transaction, run->client->database, run->command,
                        run->request->arguments, run->request->argument_count);
}

/*
 * Whether its answer waits for the newest sequence. A report does, for its counts; but not for ever, once a
 * sync has failed: then it is what tells of that.
 */
static bool may_tell_of_all(const struct server *server, const struct command *command)
{
    if ((command->flags & COMMAND_EXCLUSIVE) == 0 || runs_queued(command)) return false;
    return (command->flags & COMMAND_REPORTS) == 0 ||
           !atomic_load_explicit(&server->sync_failed, memory_order_relaxed);
}

static enum dispatch_outcome execute(struct run *run)
{
    struct dispatcher *dispatcher = run->dispatcher;
    struct dispatch_state *kept = run->request->state;
    struct call call = {.server = dispatcher->server,
                        .client = run->client,
                        .command = run->command,
                        .arguments = run->request->arguments,
                        .argument_count = run->request->argument_count,
                        .transaction = dispatcher->transaction,
                        .reply = &dispatcher->reply,
                        .stats = &dispatcher->stats,
                        .database = run->client->database,
                        .now_ms = dispatcher->now_ms,
                        .state = kept->state,
                        .free_state = kept->free_state};
    if (seek_ahead(run, &call) == STAVE_WOULD_BLOCK) return DISPATCH_COLD;
    if ((run->command->flags & COMMAND_EXCLUSIVE) != 0 && !go_exclusive(run)) return put_off(run);
    /* Who is monitored has the gate to itself, so that lines come in the order of what they show. */
    const bool is_monitored =
        atomic_load_explicit(&dispatcher->server->monitor_count, memory_order_relaxed) > 0 &&
        dispatcher->server->hooks.monitor != NULL;
    if (is_monitored && !go_exclusive(run)) return put_off(run);
    const enum stave_status status = run_command(run, &call);
    *kept = (struct dispatch_state){call.state, call.free_state};
    if (status == STAVE_CONFLICT) return put_off(run);
    if (status == STAVE_WOULD_BLOCK) {
        end_exclusive(run);
        if (call.is_yielded) {
            transaction_reset(dispatcher->transaction);
            return DISPATCH_YIELDED;
        }
        seek_others(run);
        return DISPATCH_COLD;
    }
    if (status != STAVE_OK) reply_failure(run, status);
    if (may_tell_of_all(dispatcher->server, run->command)) transaction_see_all(dispatcher->transaction);
    if (is_monitored) show_to_monitors(&call);
    finish(run, &call);
    transaction_reset(dispatcher->transaction);
    end_exclusive(run);
    if (kept->state != NULL && kept->free_state != NULL) kept->free_state(kept->state);
    *kept = (struct dispatch_state){0};
    return DISPATCH_DONE;
}

static enum dispatch_outcome queue(struct run *run)
{
    const enum stave_status status =
        client_queue(run->client, run->command, run->request->arguments, run->request->argument_count);
    if (status != STAVE_OK) {
        return refuse_with(run, status == STAVE_LIMIT ? "ERR too many commands in a transaction"
                                                      : "OOM no memory to queue the command");
    }
    reply_simple(&run->dispatcher->reply, "QUEUED");
    if ((run->client->flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP)) != 0) {
        reply_take_back(&run->dispatcher->reply, run->mark);
    }
    return DISPATCH_DONE;
}

static enum dispatch_outcome check_and_run(struct run *run)
{
    if (!find_command(run)) return refuse(run);
    const bool is_container = run->command->run == NULL; /* named without a subcommand */
    if (is_container || !command_takes(run->command, run->request->argument_count)) {
        char name[64];
        char text[128];
        command_full_name(run->command, name, sizeof name);
        (void)snprintf(text, sizeof text, "ERR wrong number of arguments for '%s' command", name);
        return refuse_with(run, text);
    }
    run->client->last_command = run->command;
    const char *error = refusal_of(run);
    if (error != NULL) return refuse_with(run, error);
    if (is_paused(run)) return DISPATCH_PAUSED;
    return is_queued(run) ? queue(run) : execute(run);
}

enum dispatch_outcome dispatch(struct dispatcher *dispatcher, struct client *client,
                               const struct request *request)
{
    assert(request->argument_count > 0);
    dispatcher->reply.protocol = client->protocol;
    struct run run = {.dispatcher = dispatcher,
                      .client = client,
                      .request = request,
                      .mark = reply_mark(&dispatcher->reply)};
    const enum dispatch_outcome outcome = check_and_run(&run);
    if (outcome != DISPATCH_DONE) return outcome;

    client->command_count++;
    client->active_ms = dispatcher->now_ms;
    client->flags &= ~(uint32_t)CLIENT_REPLY_SKIP;
    if ((client->flags & CLIENT_REPLY_SKIP_NEXT) != 0) {
        client->flags ^= CLIENT_REPLY_SKIP_NEXT | CLIENT_REPLY_SKIP;
    }
    return DISPATCH_DONE;
}

enum stave_status dispatch_queued(struct call *exec, struct queued_command *queued)
{
    struct call call = *exec;
    call.command = queued->command;
    call.arguments = queued->arguments;
    call.argument_count = queued->argument_count;
    call.database = exec->client->database;
    call.in_exec = true;
    call.state = NULL;
    call.free_state = NULL;
    const struct server *server = exec->server;
    const uint64_t begin_us = clock_monotonic_us();
    const struct reply_mark mark = {exec->reply->bytes.size, exec->reply->view_count};
    exec->reply->protocol = exec->client->protocol;
    transaction_count_reads(call.transaction, (queued->command->flags & COMMAND_READONLY) != 0);
    enum stave_status status = queued->command->run(&call);
    if (status == STAVE_WOULD_BLOCK || status == STAVE_CONFLICT) return status;
    if (status != STAVE_OK) {
        if ((queued->command->flags & COMMAND_READONLY) == 0) return status; /* half of it may be staged */
        reply_take_back(exec->reply, mark);
        (void)call_error(&call, "ERR the store failed: %s", stave_status_text(status));
    }
    if (may_tell_of_all(server, queued->command)) transaction_see_all(call.transaction);
    const uint64_t duration_us = clock_monotonic_us() - begin_us;
    stats_count_call(exec->stats, command_number(queued->command), duration_us, &exec->reply->errors);
    if (server->hooks.executed != NULL) server->hooks.executed(&call, duration_us);
    queued->has_run = true;
    queued->database = call.database;
    return STAVE_OK;
}
