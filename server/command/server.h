/* SPDX-License-Identifier: MIT */
/* Commands of the server group that are not about data: config.c, info.c, command.c, slowlog.c and others. */
#ifndef STAVE_SERVER_COMMAND_SERVER_H
#define STAVE_SERVER_COMMAND_SERVER_H

#include "base/buffer.h"
#include "server/call.h"

enum stave_status config_command_get(struct call *call);
enum stave_status config_command_set(struct call *call);
enum stave_status config_command_resetstat(struct call *call);
enum stave_status config_command_rewrite(struct call *call);
enum stave_status config_command_help(struct call *call);

enum stave_status command_all(struct call *call);
enum stave_status command_count(struct call *call);
enum stave_status command_info(struct call *call);
enum stave_status command_docs(struct call *call);
enum stave_status command_list_names(struct call *call);
enum stave_status command_getkeys(struct call *call);
enum stave_status command_getkeysandflags(struct call *call);
enum stave_status command_help(struct call *call);

enum stave_status slowlog_get(struct call *call);
enum stave_status slowlog_len(struct call *call);
enum stave_status slowlog_reset_command(struct call *call);
enum stave_status slowlog_help(struct call *call);

enum stave_status latency_latest(struct call *call);
enum stave_status latency_histogram(struct call *call);
enum stave_status latency_history(struct call *call);
enum stave_status latency_reset_command(struct call *call);
enum stave_status latency_help(struct call *call);

enum stave_status process_time(struct call *call);
enum stave_status process_role(struct call *call);
enum stave_status process_monitor(struct call *call);
enum stave_status process_save(struct call *call);
enum stave_status process_bgsave(struct call *call);
enum stave_status process_lastsave(struct call *call);
enum stave_status process_bgrewriteaof(struct call *call);
enum stave_status process_shutdown(struct call *call);

enum stave_status absent_function_flush(struct call *call);
enum stave_status absent_module_list(struct call *call);
enum stave_status absent_script_kill(struct call *call);

/* "client|kill" or "get", in any case; or NULL. */
const struct command *command_find_full(struct stave_bytes name);

enum stave_status info_command(struct call *call);

/* Sections of INFO that have files of their own: each appends its lines, without the heading. */
enum stave_status info_memory(struct server *server, struct buffer *out);
enum stave_status info_persistence(struct server *server, struct buffer *out);
enum stave_status info_stats(struct server *server, struct buffer *out);
enum stave_status info_commandstats(struct server *server, struct buffer *out);
enum stave_status info_errorstats(struct server *server, struct buffer *out);
enum stave_status info_latencystats(struct server *server, struct buffer *out);
enum stave_status info_keyspace(struct server *server, struct buffer *out);
enum stave_status info_store(struct server *server, struct buffer *out);

/* Of all loops, by command_number(); the caller frees it. NULL: no memory. */
struct command_stats *info_sum_commands(struct server *server);

#endif
