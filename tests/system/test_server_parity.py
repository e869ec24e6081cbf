#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every reply to the commands of parity/*.txt is, byte for byte, what a redis-server answers.

A line is a command, in the quoting of redis-cli; {text*count} stands for a long word. Before it may stand

    @sorted   its elements may come in any order
    @shape    only the first byte of the reply is compared (a random key, a time)
    @sent     another connection sends it (for WATCH and the like); what it is answered is compared too

and a line `@sleep N` waits N milliseconds. '#' begins a comment. Each list is run on empty servers by one
connection, in both versions of the protocol, and once more with all commands sent before a reply is read.

    test_server_parity.py [--redis] [LIST...]

With --redis two redis-servers are compared, which shows what in a list does not belong there.
"""

import glob
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, RedisServer, elements, missing_program, split_words  # noqa: E402
from stave_server import SANITIZE, Server  # noqa: E402

SHOWN_MAX = 300


def read_list(path):
    """(line number, directive or None, words) of each command."""
    with open(path, encoding="latin-1") as lines:
        for number, line in enumerate(lines, 1):
            line = line.strip()
            if line == "" or line.startswith("#"):
                continue
            words = split_words(line)
            directive = words.pop(0).decode() if words[0].startswith(b"@") else None
            yield number, directive, words


def agree(directive, expected, found):
    if directive == "@shape":
        return expected[:1] == found[:1]
    if directive == "@sorted":
        return sorted(elements(expected) or [expected]) == sorted(elements(found) or [found])
    return expected == found


def shown(raw):
    return repr(raw[:SHOWN_MAX])[1:] + (" ..." if len(raw) > SHOWN_MAX else "")


class Side:
    """The connections of one server that a list is run by."""

    def __init__(self, port, protocol):
        self.first = Connection(port)
        self.other = Connection(port)
        self.first.call("FLUSHALL")
        for connection in (self.first, self.other):
            connection.call("HELLO", protocol)

    def connection(self, directive):
        return self.other if directive == "@sent" else self.first

    def close(self):
        # Nothing of the list, such as a database selected or a MULTI, goes on.
        self.first.close()
        self.other.close()


def run_one_by_one(path, sides):
    for number, directive, words in read_list(path):
        if directive == "@sleep":
            time.sleep(int(words[0]) / 1000)
            continue
        expected, found = [side.connection(directive).call(*words) for side in sides]
        yield number, directive, words, expected, found


def run_pipelined(path, sides):
    """As many commands as possible are under way at once."""
    waiting = []

    def drain():
        for number, directive, words in waiting:
            expected, found = [side.connection(directive).receive() for side in sides]
            yield number, directive, words, expected, found
        waiting.clear()

    for number, directive, words in read_list(path):
        if directive in ("@sleep", "@sent"):
            yield from drain()
        if directive == "@sleep":
            time.sleep(int(words[0]) / 1000)
            continue
        for side in sides:
            side.connection(directive).send(words)
        waiting.append((number, directive, words))
        if directive == "@sent" or sum(len(word) for word in words) > 1 << 16 or len(waiting) >= 500:
            yield from drain()
    yield from drain()


def compare(path, ports, protocol, runner):
    """Prints what differs. Result how many commands were compared, and how many differ."""
    name = os.path.basename(path)
    count = differing = 0
    sides = [Side(port, protocol) for port in ports]
    for number, directive, words, expected, found in runner(path, sides):
        count += 1
        if agree(directive, expected, found):
            continue
        differing += 1
        print(f"{name}:{number}: RESP{protocol}, {runner.__name__}: {shown(b' '.join(words))}\n"
              f"    expected {shown(expected)}\n    found    {shown(found)}")
        if found == b"":
            break
    for side in sides:
        side.close()
    return count, differing


def main():
    arguments = sys.argv[1:]
    is_redis = "--redis" in arguments
    paths = [argument for argument in arguments if argument != "--redis"]
    paths = paths or sorted(glob.glob(os.path.join(HERE, "parity", "*.txt")))
    if missing_program("redis-server") or (not is_redis and missing_program("stave-server")):
        return SKIPPED
    with RedisServer() as redis, RedisServer() if is_redis else Server(enable_debug_command="yes") as other:
        return compare_all(paths, (redis.port, other.port))


# What a sanitizer can see, it sees in one of them.
RUNS = ((3, run_pipelined),) if SANITIZE else ((2, run_one_by_one), (3, run_one_by_one), (2, run_pipelined))


def compare_all(paths, ports):
    total = total_differing = 0
    for path in paths:
        for protocol, runner in RUNS:
            count, differing = compare(path, ports, protocol, runner)
            total += count
            total_differing += differing
    print(f"{total} replies compared, {total_differing} differ")
    return 1 if total_differing > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
