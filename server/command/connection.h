/* SPDX-License-Identifier: MIT */
/* Commands of the connection group: connection.c, auth.c, client.c, client_kill.c. */
#ifndef STAVE_SERVER_COMMAND_CONNECTION_H
#define STAVE_SERVER_COMMAND_CONNECTION_H

#include "server/call.h"
#include "server/client.h"

enum stave_status connection_ping(struct call *call);
enum stave_status connection_echo(struct call *call);
enum stave_status connection_quit(struct call *call);
enum stave_status connection_reset(struct call *call);
enum stave_status connection_select(struct call *call);

enum stave_status auth_auth(struct call *call);
enum stave_status auth_hello(struct call *call);

enum stave_status client_id(struct call *call);
enum stave_status client_info(struct call *call);
enum stave_status client_list(struct call *call);
enum stave_status client_setname(struct call *call);
enum stave_status client_getname(struct call *call);
enum stave_status client_setinfo(struct call *call);
enum stave_status client_reply(struct call *call);
enum stave_status client_pause(struct call *call);
enum stave_status client_unpause(struct call *call);
enum stave_status client_no_evict(struct call *call);
enum stave_status client_unblock(struct call *call);
enum stave_status client_getredir(struct call *call);
enum stave_status client_tracking(struct call *call);
enum stave_status client_trackinginfo(struct call *call);
enum stave_status client_caching(struct call *call);
enum stave_status client_help(struct call *call);
enum stave_status client_kill(struct call *call);

/*
 * The argument becomes the client's name. False: it cannot, and the answer has been given, or the status says
 * why.
 */
bool client_take_name(struct call *call, size_t index, enum stave_status *ret_status);

/* The classes of CLIENT LIST TYPE and KILL TYPE: "normal", "master", "replica", "slave", "pubsub". */
enum client_type { CLIENT_TYPE_NORMAL, CLIENT_TYPE_MASTER, CLIENT_TYPE_REPLICA, CLIENT_TYPE_PUBSUB };
bool client_type_parse(struct call *call, size_t index, enum client_type *ret_type);

#endif
