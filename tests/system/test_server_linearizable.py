#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Strict serializability: whatever several clients do at once, there is an order of their commands, one after the other,
in which all replies are right. Each round sends a pipeline for each client and looks for such an order, as Wing and
Gong do: all interleavings, those left out from which the same commands and the same state remain.

Keys expire at times that are known (PXAT). That one has expired is an event of its own, and can fall anywhere between
the commands of a round that was under way at that time.
"""

import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

from stave_server import RespError, Server, encode, main  # noqa: E402

KEYS = ("a", "b", "c")
CLIENTS = 4
MANY = KEYS * 50  # what takes a while to read is more likely to be torn
DEPTH = 4
SLACK_MS = 2  # a lone loop reads the clock once a millisecond
NOT_INTEGER = RespError("ERR value is not an integer or out of range")
NO_SUCH_KEY = RespError("ERR no such key")
SAME_OBJECT = RespError("ERR source and destination objects are the same")


class Model:
    """Two databases of keys, each (value, time of its expiry or None), as of a moment; and what clients watch."""

    def __init__(self, state, now):
        databases, watched = state
        self.databases = [dict(database) for database in databases]
        self.watched = [None if keys is None else dict(keys) for keys in watched]
        self.now = now

    def state(self):
        return (tuple(tuple(sorted(database.items())) for database in self.databases),
                tuple(None if keys is None else tuple(sorted(keys.items())) for keys in self.watched))

    def get(self, database, key):
        found = self.databases[database].get(key)
        return None if found is None or (found[1] is not None and found[1] <= self.now) else found

    def touch(self, database, key):
        for watched in self.watched:
            if watched and (database, key) in watched:
                watched[database, key] = -1

    def put(self, database, key, value, expires_at=None):
        self.databases[database][key] = (value, expires_at)
        self.touch(database, key)

    def delete(self, database, key):
        was_there = self.get(database, key) is not None
        if was_there:
            self.touch(database, key)
            del self.databases[database][key]
        return was_there

    # What each command does and answers.
    def run(self, client, database, name, *arguments):
        return getattr(self, name.lower())(client, database, *arguments)

    def get_value(self, database, key):
        found = self.get(database, key)
        return None if found is None else found[0]

    def set(self, _, database, key, value, *rest):
        if "NX" in rest and self.get(database, key) is not None:
            return None
        self.put(database, key, value, rest[rest.index("PXAT") + 1] if "PXAT" in rest else None)
        return "OK"

    def getset(self, _, database, key, value):
        before = self.get_value(database, key)
        self.put(database, key, value)
        return before

    def append(self, _, database, key, value):
        found = self.get(database, key) or (b"", None)
        self.put(database, key, found[0] + value, found[1])
        return len(found[0] + value)

    def incr(self, _, database, key):
        found = self.get(database, key) or (b"0", None)
        if not found[0].isdigit() or found[0] != b"%d" % int(found[0]) or int(found[0]) >= 1 << 63:
            return NOT_INTEGER
        self.put(database, key, b"%d" % (int(found[0]) + 1), found[1])
        return int(found[0]) + 1

    def mget(self, _, database, *keys):
        return [self.get_value(database, key) for key in keys]

    def exists(self, _, database, *keys):
        return sum(self.get(database, key) is not None for key in keys)

    def unlink(self, _, database, *keys):
        return sum([self.delete(database, key) for key in keys])

    def mset(self, _, database, *pairs):
        for key, value in zip(pairs[::2], pairs[1::2]):
            self.put(database, key, value)
        return "OK"

    def msetnx(self, client, database, *pairs):
        if self.exists(None, database, *pairs[::2]) > 0:
            return 0
        self.mset(client, database, *pairs)
        return 1

    def rename(self, _, database, source, target):
        found = self.get(database, source)
        if found is None:
            return NO_SUCH_KEY
        if source != target:
            self.delete(database, source)
            self.put(database, target, *found)
        return "OK"

    def move(self, _, database, key, target):
        found = self.get(database, key)
        if target == database:
            return SAME_OBJECT
        if found is None or self.get(target, key) is not None:
            return 0
        self.delete(database, key)
        self.put(target, key, *found)
        return 1

    def pexpireat(self, _, database, key, at):
        found = self.get(database, key)
        if found is None:
            return 0
        self.put(database, key, found[0], at)
        return 1

    def persist(self, _, database, key):
        found = self.get(database, key)
        if found is None or found[1] is None:
            return 0
        self.put(database, key, found[0])
        return 1

    def swapdb(self, *_):
        for watched in filter(None, self.watched):
            for database, key in watched:
                if self.get(0, key) is not None or self.get(1, key) is not None:
                    watched[database, key] = -1
        self.databases.reverse()
        return "OK"

    def flushdb(self, _, database):
        for key in KEYS:
            if self.get(database, key) is not None:
                self.touch(database, key)
        self.databases[database] = {}
        return "OK"

    def watch(self, client, database, *keys):
        watched = dict(self.watched[client] or {})
        for key in keys:
            found = self.get(database, key)
            watched.setdefault((database, key), 0 if found is None else found[1] or 0)
        self.watched[client] = watched
        return "OK"

    def exec(self, client, database, *commands):
        """None is always right: a change that a WATCH has come beside may count or not."""
        watched = self.watched[client] or {}
        self.watched[client] = None
        if any(at != 0 and at <= self.now for at in watched.values()):
            return "dirty"
        return [self.run(client, database, *command) for command in commands]


def apply(state, now, client, database, command, reply):
    """The state after the command, or None if it cannot have been answered so."""
    model = Model(state, now)
    if command[0] == "EXEC" and reply is None:
        if not model.watched[client]:
            return None
        model.watched[client] = None
        return model.state()
    return model.state() if model.run(client, database, *command) == reply else None


class Orders:
    """The search of one round; states have numbers, and what a command makes of one is worked out once."""

    def __init__(self, lines, ticks):
        self.lines = lines
        self.ticks = ticks
        self.states = []
        self.numbers = {}
        self.results = {}

    def number(self, state):
        if state not in self.numbers:
            self.numbers[state] = len(self.states)
            self.states.append(state)
        return self.numbers[state]

    def after(self, number, tick, client, index):
        """The number of the state after the command, or None if it cannot have been answered so."""
        key = (number, tick, client, index)
        if key not in self.results:
            state = apply(self.states[number], self.ticks[tick], *self.lines[client][index])
            self.results[key] = None if state is None else self.number(state)
        return self.results[key]

    def following(self, place, tick, number):
        if tick + 1 < len(self.ticks):
            yield place, tick + 1, number
        for client, line in enumerate(self.lines):
            if place[client] < len(line):
                after = self.after(number, tick, client, place[client])
                if after is not None:
                    yield (*place[:client], place[client] + 1, *place[client + 1:]), tick, after

    def ends(self, states):
        """The states that can be left when all commands have run, from any of these."""
        pending = [((0,) * len(self.lines), 0, self.number(state)) for state in states]
        reached = set(pending)
        last = (tuple(map(len, self.lines)), len(self.ticks) - 1)
        while pending:
            for each in self.following(*pending.pop()):
                if each not in reached:
                    reached.add(each)
                    pending.append(each)
        return {self.states[number] for place, tick, number in reached if (place, tick) == last}


def find_orders(states, lines, ticks):
    """
    `lines` are of (client, database, command, reply), one line a client; `ticks` the moment of the beginning, then the
    times at which a key expires on the way.
    """
    return Orders(lines, ticks).ends(states)


def ticks_between(began, ended, expiries):
    """A moment at which what has surely expired has, then those at which more may."""
    return [int(began) - SLACK_MS, *sorted(at for at in expiries if began - SLACK_MS < at <= ended)]


def now_ms():
    return time.time() * 1000


class Linearizable(unittest.TestCase):
    def choose(self, chance, expiries):
        """A command; a transaction is ("EXEC", command, ...)."""
        key, other = chance.choice(KEYS), chance.choice(KEYS)
        value = b"%d" % chance.randrange(100)
        if chance.random() < 0.12:
            return ("EXEC", *(self.choose_simple(chance, key, other, value, expiries) for _ in range(3)))
        return self.choose_simple(chance, key, other, value, expiries)

    def choose_simple(self, chance, key, other, value, expiries):
        at = int(now_ms()) + chance.randrange(1, 4)
        command = chance.choice([
            ("SET", key, value), ("SET", key, value, "PXAT", at), ("SET", key, value, "NX"), ("GETSET", key, value),
            ("APPEND", key, value), ("INCR", key), ("MGET", *MANY), ("MGET", *MANY), ("EXISTS", *MANY), ("UNLINK", key),
            ("UNLINK", key, other), ("MSET", key, value, other, value), ("MSET", *sum(((k, value) for k in KEYS), ())),
            ("MSETNX", key, value, other, value), ("RENAME", key, other), ("MOVE", key, 1), ("MOVE", key, 0),
            ("PEXPIREAT", key, at), ("PERSIST", key), ("SWAPDB", 0, 1), ("FLUSHDB",)])
        if "PXAT" in command or command[0] == "PEXPIREAT":
            expiries.add(at)
        return command

    def requests_of(self, command):
        if command[0] != "EXEC":
            return [command]
        return [("MULTI",), *command[1:], ("EXEC",)]

    def run_round(self, chance, clients, expiries):
        """What each client sent and was answered, and when the round began and ended."""
        commands = []
        for number in range(CLIENTS):
            line = [self.choose(chance, expiries) for _ in range(DEPTH)]
            if chance.random() < 0.3:
                line[chance.randrange(2)] = ("WATCH", chance.choice(KEYS))
                line[-1] = ("EXEC", *(self.choose_simple(chance, *KEYS[:2], b"7", expiries) for _ in range(2)))
            commands.append(line)
        data = [b"".join(encode(*request) for command in line for request in self.requests_of(command))
                for line in commands]
        began = now_ms()
        for client, each in zip(clients, data):
            client.send_raw(each)
        lines = []
        for number, (client, line) in enumerate(zip(clients, commands)):
            replies = [[client.read(raises=False) for _ in self.requests_of(command)][-1] for command in line]
            lines.append([(number, number % 2, command, reply) for command, reply in zip(line, replies)])
        return lines, began, now_ms()

    def look(self, clients, states, expiries):
        """The states that are left when what is there has been read: few, so that the next round is not long."""
        for number in (0, 1):
            before = now_ms()
            line = [(number, number, ("MGET", *KEYS), clients[number]("MGET", *KEYS))]
            after = find_orders(states, [line], ticks_between(before, now_ms(), expiries))
            self.assertTrue(after, f"{line} from {states}")
            states = after
        return states

    def check(self, threads, seconds):
        seed = int(os.environ.get("STAVE_TEST_SEED", 0)) or random.randrange(1 << 32)
        chance = random.Random(seed)
        with Server(io_threads=threads, hz=500) as server:
            clients = [server.client() for _ in range(CLIENTS)]
            for number, client in enumerate(clients):
                client("SELECT", number % 2)
            states = {(((), ()), (None,) * CLIENTS)}
            expiries = set()
            end = time.monotonic() + seconds
            count = 0
            while time.monotonic() < end:
                lines, began, ended = self.run_round(chance, clients, expiries)
                ticks = ticks_between(began, ended, expiries)
                after = find_orders(states, lines, ticks)
                self.assertTrue(after, f"STAVE_TEST_SEED={seed}, round {count}: in no order are these the replies:\n" +
                                "\n".join(map(repr, lines)) + f"\nfrom {states}, times {ticks}, {began} to {ended}")
                states = self.look(clients, {forget_expired(state, ticks[-1]) for state in after}, expiries)
                count += 1
            for client in clients:
                client.close()
        self.assertGreater(count, 0)

    def test_replies_of_one_loop_have_an_order(self):
        self.check(1, 3)

    def test_replies_of_three_loops_have_an_order(self):
        self.check(3, 5)


def forget_expired(state, now):
    databases, watched = state
    return (tuple(tuple((key, found) for key, found in database if found[1] is None or found[1] > now)
                  for database in databases), watched)


if __name__ == "__main__":
    main()
