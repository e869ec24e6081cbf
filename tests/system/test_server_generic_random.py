#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random commands on keys and databases, the same ones to a redis-server: each reply and the data are the same.

    test_server_generic_random.py [--redis] [SEED [COUNT]]

Two connections take turns, so that WATCH is tried too. With --redis two redis-servers are compared.
"""

import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, RedisServer, elements, missing_program  # noqa: E402
from stave_server import Server  # noqa: E402

COUNT_DEFAULT = 6000
DATABASES = 4
KEYS = ["a", "b", "c", "d", "key:1", "key:2", "", "\x00\xff", "long" * 40]
VALUES = ["", "1", "42", "-7", "9999", "10000", "text", "x" * 44, "y" * 45, "9223372036854775807", "3.5", "z" * 3000]
FAR = [33177117420, 33177117421, 33177117499]


class Commands:
    """Makes one random command at a time."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.makers = [getattr(self, name) for name in dir(self) if name.startswith("make_")]

    def key(self):
        return self.random.choice(KEYS)

    def keys(self):
        return [self.key() for _ in range(self.random.randrange(1, 5))]

    def value(self):
        return self.random.choice(VALUES)

    def database(self):
        return self.random.choice([*range(DATABASES), *range(DATABASES), 15, 16, -1, "x"])

    def cased(self, word):
        return self.random.choice([word, word, word.lower(), word.capitalize()])

    def next(self):
        command = self.random.choice(self.makers)()
        command[0] = self.cased(command[0])
        if self.random.random() < 0.02:
            command.append(self.random.choice(["", "x", "REPLACE", "1"]))
        if self.random.random() < 0.02 and len(command) > 1:
            command.pop()
        return command

    def make_set(self):
        return ["SET", self.key(), self.value(), *self.random.choice([[], [], ["EXAT", self.random.choice(FAR)], ["KEEPTTL"], ["NX"], ["XX", "GET"],
                                                                    ["PXAT", self.random.choice(FAR) * 1000]])]

    def make_mset(self):
        return ["MSET", *[word for key in self.keys() for word in (key, self.value())]]

    def make_get(self):
        return ["GET", self.key()]

    def make_change(self):
        return self.random.choice([["INCR", self.key()], ["APPEND", self.key(), self.value()],
                                   ["SETRANGE", self.key(), "2", "zz"], ["GETDEL", self.key()],
                                   ["GETSET", self.key(), self.value()], ["GETEX", self.key(), "PERSIST"]])

    def make_del(self):
        return [self.random.choice(["DEL", "UNLINK"]), *self.keys()]

    def make_count(self):
        return [self.random.choice(["EXISTS", "TOUCH"]), *self.keys()]

    def make_look(self):
        return [self.random.choice(["TYPE", "EXPIRETIME", "PEXPIRETIME", "PERSIST", "STRLEN"]), self.key()]

    def make_rename(self):
        return [self.random.choice(["RENAME", "RENAMENX"]), self.key(), self.key()]

    def make_copy(self):
        options = self.random.choice([[], ["REPLACE"], ["DB", self.database()], ["DB", self.database(), "REPLACE"]])
        return ["COPY", self.key(), self.key(), *options]

    def make_move(self):
        return ["MOVE", self.key(), self.database()]

    def make_expire(self):
        conditions = self.random.choice([[], [], [], ["NX"], ["XX"], ["GT"], ["LT"], ["XX", "GT"], ["NX", "LT"], ["GT", "LT"], ["?"]])
        # Moments, no spans, which would begin at another one for each server.
        name = self.random.choice(["EXPIREAT", "PEXPIREAT"])
        when = self.random.choice(FAR) * (1000 if name == "PEXPIREAT" else 1)
        if self.random.random() < 0.15:
            when = self.random.choice([0, -1, "x", "", 1, 2**63 - 1, -2**63, 2**63, 9223372036854775, "1.0"])
            name = self.random.choice([name, "EXPIRE", "PEXPIRE"]) if when not in (1, 9223372036854775) else name
        return [name, self.key(), when, *conditions]

    def make_object(self):
        if self.random.random() < 0.1:
            return ["OBJECT", "NOTHING", self.key()]
        return ["OBJECT", "FREQ", self.key()]

    def make_whole(self):
        return self.random.choice([["DBSIZE"], ["KEYS", self.random.choice(["*", "?", "key:*", "[a-c]", "*o*", "\\a"])]])

    def make_select(self):
        return ["SELECT", self.database()]

    def make_select_again(self):
        return ["SELECT", self.random.randrange(DATABASES)]

    def make_empty(self):
        if self.random.random() < 0.7:
            return ["DBSIZE"]
        return self.random.choice([["FLUSHDB"], ["FLUSHDB", "ASYNC"], ["FLUSHALL"], ["FLUSHDB", "?"]])

    def make_swap(self):
        return ["SWAPDB", self.database(), self.database()]

    def make_transaction(self):
        return [self.random.choice(["MULTI", "EXEC", "EXEC", "EXEC", "DISCARD"])]

    def make_watch(self):
        return self.random.choice([["WATCH", *self.keys()], ["WATCH", *self.keys()], ["UNWATCH"]])

    def make_digest(self):
        if self.random.random() < 0.1:
            return ["DEBUG", "DIGEST"]
        return ["DEBUG", "DIGEST-VALUE", *self.keys()]


def normal(raw):
    """A reply with the elements of arrays inside it sorted: of KEYS alone, or of one in an EXEC."""
    found = elements(raw)
    return raw if found is None else [normal(element) for element in found]


def agree(expected, found):
    if expected == found:
        return True
    left, right = normal(expected), normal(found)
    if not isinstance(left, list) or not isinstance(right, list) or len(left) != len(right):
        return False
    if all(isinstance(element, bytes) for element in left + right):
        return sorted(left) == sorted(right)
    return all(a == b or isinstance(a, list) and isinstance(b, list) and sorted(a) == sorted(b) for a, b in zip(left, right))


def expire_a_key(sides, database, key):
    """
    A key that expires now. Then it is written and deleted: whether DBSIZE still counts one that has expired
    depends on what else each server has had to do.
    """
    for side in sides:
        side[2].call("SELECT", database)
        side[2].call("SET", key, "short", "PX", "10")
    time.sleep(0.02)
    for side in sides:
        assert side[2].call("EXISTS", key) == b":0\r\n"
        side[2].call("SET", key, "again")
        side[2].call("DEL", key)


def run(sides, seed, count):
    commands = Commands(seed)
    log = []
    for number in range(count):
        who = commands.random.randrange(2)
        if commands.random.random() < 0.003:
            expire_a_key(sides, commands.random.randrange(DATABASES), commands.key())
        command = commands.next()
        log.append((number, who, command))
        expected, found = [side[who].call(*command) for side in sides]
        if not agree(expected, found):
            for line in log[-40:]:
                print(line)
            pairs = list(zip(elements(expected) or [expected], elements(found) or [found]))
            number_of_pair, (left, right) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
            print(f"seed {seed}, command {number}: element {number_of_pair}: expected {left[:300]!r}\n"
                  f"    found    {right[:300]!r}")
            return 1
    digests = [side[0].call("DISCARD") and side[0].call("DEBUG", "DIGEST") for side in sides]
    print(f"seed {seed}: {count} commands, the digests are {digests}")
    return 0 if digests[0] == digests[1] else 1


def main():
    arguments = sys.argv[1:]
    is_redis = "--redis" in arguments
    numbers = [int(argument) for argument in arguments if argument != "--redis"]
    if missing_program("redis-server") or (not is_redis and missing_program("stave-server")):
        return SKIPPED
    with RedisServer() as redis, RedisServer() if is_redis else Server(enable_debug_command="yes") as other:
        sides = [[Connection(server.port) for _ in range(3)] for server in (redis, other)]
        return run(sides, numbers[0] if numbers else 1, numbers[1] if len(numbers) > 1 else COUNT_DEFAULT)


if __name__ == "__main__":
    sys.exit(main())
