/* SPDX-License-Identifier: MIT */
/*
 * Commands on keys of any type, and on whole databases.
 */
#ifndef STAVE_SERVER_COMMAND_GENERIC_H
#define STAVE_SERVER_COMMAND_GENERIC_H

#include "server/call.h"

/* keys.c */
enum stave_status generic_del(struct call *call); /* UNLINK too */
enum stave_status generic_exists(struct call *call);
enum stave_status generic_touch(struct call *call);
enum stave_status generic_type(struct call *call);
enum stave_status generic_randomkey(struct call *call);

/* rename.c */
enum stave_status generic_rename(struct call *call);
enum stave_status generic_renamenx(struct call *call);
enum stave_status generic_copy(struct call *call);
enum stave_status generic_move(struct call *call);

/* scan.c */
enum stave_status generic_keys(struct call *call);
enum stave_status generic_scan(struct call *call);

/* expire.c */
enum stave_status generic_expire(struct call *call);
enum stave_status generic_pexpire(struct call *call);
enum stave_status generic_expireat(struct call *call);
enum stave_status generic_pexpireat(struct call *call);
enum stave_status generic_ttl(struct call *call);
enum stave_status generic_pttl(struct call *call);
enum stave_status generic_expiretime(struct call *call);
enum stave_status generic_pexpiretime(struct call *call);
enum stave_status generic_persist(struct call *call);

/* object.c */
enum stave_status object_encoding(struct call *call);
enum stave_status object_freq(struct call *call);
enum stave_status object_idletime(struct call *call);
enum stave_status object_refcount(struct call *call);
enum stave_status object_help(struct call *call);

/* memory.c */
enum stave_status memory_usage(struct call *call);
enum stave_status memory_doctor(struct call *call);
enum stave_status memory_malloc_stats(struct call *call);
enum stave_status memory_purge(struct call *call);
enum stave_status memory_stats(struct call *call);
enum stave_status memory_help(struct call *call);

/* database.c */
enum stave_status database_dbsize(struct call *call);
enum stave_status database_flushdb(struct call *call);
enum stave_status database_flushall(struct call *call);
enum stave_status database_swapdb(struct call *call);

/* debug.c */
enum stave_status database_debug(struct call *call);

#endif
