/* SPDX-License-Identifier: MIT */
/*
 * Commands on keys of any type, and on whole databases.
 */
#ifndef STAVE_SERVER_COMMAND_GENERIC_H
#define STAVE_SERVER_COMMAND_GENERIC_H

#include "server/call.h"

/* keys.c */
enum stave_status del_run(struct call *call); /* UNLINK too */
enum stave_status exists_run(struct call *call);
enum stave_status touch_run(struct call *call);
enum stave_status type_run(struct call *call);
enum stave_status randomkey_run(struct call *call);

/* rename.c */
enum stave_status rename_run(struct call *call);
enum stave_status renamenx_run(struct call *call);
enum stave_status copy_run(struct call *call);
enum stave_status move_run(struct call *call);

/* scan.c */
enum stave_status keys_run(struct call *call);
enum stave_status scan_run(struct call *call);

/* expire.c */
enum stave_status expire_run(struct call *call);
enum stave_status pexpire_run(struct call *call);
enum stave_status expireat_run(struct call *call);
enum stave_status pexpireat_run(struct call *call);
enum stave_status ttl_run(struct call *call);
enum stave_status pttl_run(struct call *call);
enum stave_status expiretime_run(struct call *call);
enum stave_status pexpiretime_run(struct call *call);
enum stave_status persist_run(struct call *call);

/* object.c */
enum stave_status object_encoding_run(struct call *call);
enum stave_status object_freq_run(struct call *call);
enum stave_status object_idletime_run(struct call *call);
enum stave_status object_refcount_run(struct call *call);
enum stave_status object_help_run(struct call *call);

/* memory.c */
enum stave_status memory_usage_run(struct call *call);
enum stave_status memory_doctor_run(struct call *call);
enum stave_status memory_malloc_stats_run(struct call *call);
enum stave_status memory_purge_run(struct call *call);
enum stave_status memory_stats_run(struct call *call);
enum stave_status memory_help_run(struct call *call);

/* database.c */
enum stave_status dbsize_run(struct call *call);
enum stave_status flushdb_run(struct call *call);
enum stave_status flushall_run(struct call *call);
enum stave_status swapdb_run(struct call *call);

/* debug.c */
enum stave_status debug_run(struct call *call);

#endif
