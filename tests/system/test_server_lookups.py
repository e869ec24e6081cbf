#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each command counts the hits and misses of the keyspace that a redis-server counts for it, alone and in an EXEC.

    test_server_lookups.py [--redis]

With --redis two redis-servers are compared.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, RedisServer, missing_program, value_of  # noqa: E402
from stave_server import Server  # noqa: E402

SETUP = ("FLUSHALL", "SET k value", "SET n 5", "SET e v EX 1000", "SETRANGE large 100000 x")
COMMANDS = """
GET k|GET none|MGET k none k|MGET k|STRLEN k|STRLEN none|EXISTS k none k|TOUCH k none|TYPE k|TYPE none|TTL e|PTTL none
EXPIRETIME e|PEXPIRETIME k|GETRANGE k 0 2|GETRANGE k -3 -1|GETRANGE k 0 -1|GETRANGE k -1 -3|GETRANGE k 5 2
GETRANGE none 0 1|GETRANGE none -3 -1|GETRANGE k 100 200|SUBSTR k 1 -2|GETRANGE large -5 -1|GETBIT k 3|GETBIT k 900
GETBIT none 0|BITCOUNT k|BITCOUNT k 0 -2|BITCOUNT none|BITCOUNT k 5 9 BIT|BITPOS k 1|BITPOS none 0|BITPOS k 0 1 -1
BITFIELD_RO k GET u8 0|BITFIELD k GET u8 0|BITFIELD_RO none GET u8 0|BITFIELD k SET u8 0 65|LCS k n|LCS k none
OBJECT ENCODING k|OBJECT ENCODING n|OBJECT ENCODING none|OBJECT REFCOUNT n|OBJECT IDLETIME k|OBJECT FREQ none
MEMORY USAGE k|MEMORY USAGE none|DEBUG OBJECT k|DEBUG DIGEST-VALUE k none|DBSIZE|KEYS *|RANDOMKEY|SCAN 0
SET k w|SET k w XX|SET none2 w XX|SET k w GET|SET none3 w GET XX|SET n 5 KEEPTTL|SETNX k w|SETNX none4 w|GETSET k x
GETSET none5 x|GETDEL none6|GETDEL none5|GETEX e|GETEX k PERSIST|GETEX none7|APPEND k y|INCR n|DECRBY none8 2
INCRBYFLOAT n 1.5|SETRANGE k 1 z|SETRANGE none9 0|SETBIT k 1 1|BITOP AND d k none|BITOP NOT d none|MSET k v n 6
MSETNX k v n 7|DEL none|DEL none8 none9|UNLINK none4|EXPIRE k 100|EXPIRE none 100|PERSIST k|PERSIST none|RENAME k m
RENAME none m|RENAMENX m k|COPY k c|COPY none c|COPY k c|COPY k c REPLACE|MOVE c 1|MOVE none 1|SETEX s 10 v|WATCH k none
UNWATCH|GET k extra|OBJECT HELP
"""


def ask(connection, text):
    return value_of(connection.call(*text.split()))


def counted(connection):
    lines = ask(connection, "INFO stats").split("\r\n")
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["keyspace_hits"]), int(fields["keyspace_misses"])


def counts(connection, is_exec):
    """What each command adds."""
    for command in SETUP:
        ask(connection, command)
    before = counted(connection)
    for command in COMMANDS.replace("\n", "|").strip("|").split("|"):
        if is_exec and command.split()[0] in ("WATCH", "UNWATCH") or is_exec and command == "GET k extra":
            continue
        for text in ("MULTI", command, "GET k", "EXEC") if is_exec else (command,):
            ask(connection, text)
        after = counted(connection)
        yield command, (after[0] - before[0], after[1] - before[1])
        before = after


def main():
    is_redis = "--redis" in sys.argv[1:]
    if missing_program("redis-server") or (not is_redis and missing_program("stave-server")):
        return SKIPPED
    count = 0
    problems = []
    with RedisServer() as redis, RedisServer() if is_redis else Server(enable_debug_command="yes") as other:
        for is_exec in (False, True):
            sides = [counts(Connection(server.port), is_exec) for server in (redis, other)]
            for (command, expected), (_, found) in zip(*sides):
                count += 1
                if expected != found:
                    problems.append(f"{'in EXEC: ' if is_exec else ''}{command}: expected {expected}, found {found}")
    print("\n".join(problems + [f"{count} commands compared: hits and misses"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
