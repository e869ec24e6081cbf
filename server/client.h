/* SPDX-License-Identifier: MIT */
/*
 * A client: what the protocol knows of a connection. Its socket and buffers are connection.h's.
 *
 *   K1  A client lives on one loop. It is touched under that loop's place in the gate, or under the whole
 *       gate (COMMAND_EXCLUSIVE), which is how CLIENT LIST and KILL reach those of other loops.
 *   K2  A client that is to go is marked by connection_kill() and freed by its loop, never by another.
 */
#ifndef STAVE_SERVER_CLIENT_H
#define STAVE_SERVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/command.h"
#include "stave.h"

struct loop;
struct server;
struct watched;

#define CLIENT_ADDRESS_SIZE ((size_t)128)
#define CLIENT_QUEUED_COUNT_MAX ((size_t)1048576)
#define CLIENT_NAME_SIZE_MAX ((size_t)1024)

enum client_flags {
    CLIENT_MULTI = 1 << 0,             /* after MULTI */
    CLIENT_DIRTY_EXEC = 1 << 1,        /* a command could not be queued: EXECABORT */
    CLIENT_MONITOR = 1 << 2,           /* gets a line for each command of anybody */
    CLIENT_REPLY_OFF = 1 << 3,         /* CLIENT REPLY OFF */
    CLIENT_REPLY_SKIP = 1 << 4,        /* no reply to the present command */
    CLIENT_REPLY_SKIP_NEXT = 1 << 5,   /* set by CLIENT REPLY SKIP; becomes SKIP for the next command */
    CLIENT_NO_EVICT = 1 << 6,          /* maxmemory-clients passes it over */
    CLIENT_CLOSE_AFTER_REPLY = 1 << 7, /* nothing more is read; closed when all has been sent */
    CLIENT_KILLED = 1 << 8,            /* to be closed by its loop at once; as good as gone */
    CLIENT_UNIX_SOCKET = 1 << 9,
    CLIENT_WATCH_FAILED = 1 << 10, /* a key could not be watched: EXEC aborts */
};

/* Sets of clients that a loop keeps: client_set.h. */
enum client_set_kind { CLIENT_SET_READY, CLIENT_SET_WITHHELD, CLIENT_SET_COUNT };

/* A command between MULTI and EXEC; the arguments are one block with their bytes. */
struct queued_command {
    const struct command *command;
    struct stave_bytes *arguments;
    size_t argument_count;
    uint32_t database; /* selected when it had run */
    bool has_run;
};

struct client {
    uint64_t id; /* from 1, never used again */
    struct server *server;
    struct loop *loop;
    struct client *next; /* of its loop's clients; before that, of those given to it */
    struct client *previous;
    size_t places[CLIENT_SET_COUNT]; /* in the loop's sets, + 1; 0: not in it */

    uint32_t flags; /* enum client_flags */
    uint32_t database;
    int protocol;                            /* 2 or 3 */
    bool authenticated;                      /* see client_is_authenticated() */
    char *name;                              /* CLIENT SETNAME, memory_alloc'ed; NULL: none */
    char *library_name;                      /* CLIENT SETINFO LIB-NAME; NULL: none */
    char *library_version;                   /* CLIENT SETINFO LIB-VER; NULL: none */
    char address[CLIENT_ADDRESS_SIZE];       /* "127.0.0.1:52345", "[::1]:52345" or "/path:0" */
    char local_address[CLIENT_ADDRESS_SIZE]; /* the same of our end */
    int descriptor;

    uint64_t created_ms;
    uint64_t active_ms; /* of its last command or bytes */
    /* The last command, for CLIENT LIST; NULL: none yet. */
    const struct command *last_command;
    uint64_t suspended_until_ms; /* no command of it is run before: the delay after a wrong password */
    uint32_t failed_auth_count;

    /* MULTI */
    struct queued_command *queued;
    size_t queued_count;
    size_t queued_capacity;
    size_t queued_size; /* bytes held by them */

    /* WATCH: watch.h */
    struct watched *watched; /* hash table of slots, at most half of them with a key */
    size_t watched_count;
    size_t watched_capacity;

    uint64_t command_count;
    uint64_t input_size; /* bytes ever received and sent */
    uint64_t output_size;
};

/* Has it given the password? Without one, anybody has. */
bool client_is_authenticated(const struct client *client);

/* Whether a setting of this kind (enum config_access) allows the client what it is about. */
bool client_has_access(const struct client *client, int access);

/* Keeps a copy of a command until EXEC. STAVE_OK, STAVE_LIMIT, STAVE_NO_MEMORY. */
enum stave_status client_queue(struct client *client, const struct command *command,
                               const struct stave_bytes *arguments, size_t argument_count);
/*
 * Takes over a key that watch_add() gave. The result is where the client keeps it; NULL with STAVE_OK: it is
 * watched already, as of then.
 */
enum stave_status client_watch(struct client *client, struct watched watched, struct watched **ret_kept);
void client_unwatch(struct client *client);
/* Ends MULTI: the queued commands are freed and the flags cleared; watched keys are forgotten. */
void client_discard(struct client *client);

/* CLIENT SETNAME and its like: a copy of `text` takes the place of `*name`; empty: NULL. False: no memory. */
bool client_set_text(char **name, struct stave_bytes text);

#endif
