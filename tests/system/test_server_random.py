#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Random commands on a few keys are answered as by a redis-server, and leave the same values.

    test_server_random.py [--redis] [--seed N] [--commands N]

With --redis two redis-servers are compared. The seed is printed; what fails is the commands since the last
FLUSHALL, of which those on the key concerned are shown.
"""

import argparse
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, RedisServer, missing_program  # noqa: E402
from stave_server import Server  # noqa: E402

KEYS = [b"k%d" % number for number in range(6)]
SHORT_KEYS = [b"s%d" % number for number in range(3)]  # for LCS, whose cost is the product of two lengths
INTEGERS = [0, 1, -1, 2, 5, 7, 8, 10, 63, 64, 100, 127, 128, 255, 256, -128, -129, 1000, 65535, 2**31, 2**32, 2**32 - 1, -2**31,
            2**62, 2**63 - 1, -2**63, 2**63, -2**63 - 1]
ODD_WORDS = [b"", b" 1", b"01", b"+1", b"-0", b"1.5", b"abc", b"\x00", b"nx", b"0x10", b"1e3", b"#1", b"99999999999999999999"]
FLOATS = [b"0.1", b"-0.1", b"1.5", b"1e5", b"3.0", b"-2.5e-3", b"1e17", b"-1e17", b"0.30000000000000004", b"1e300", b"inf", b"nan", b".5"]
BATCH = 50
FLUSH_EVERY = 40


class Generator:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.choice = self.random.choice

    def chance(self, part):
        return self.random.random() < part

    def key(self):
        return self.choice(KEYS)

    def integer(self):
        if self.chance(0.5):
            return self.random.randint(-20, 40)
        return self.choice(INTEGERS) if self.chance(0.7) else self.random.randint(-2**63, 2**63)

    def offset(self):
        """Of a byte; large ones seldom, as every string is then large."""
        if self.chance(0.9):
            return self.random.randint(0, 40)
        return self.random.randint(0, 70000) if self.chance(0.9) else self.integer() % 2**33 * self.choice((1, -1, 2**20))

    def bit_offset(self):
        return self.offset() * 8 + self.random.randint(0, 7) if self.chance(0.95) else self.integer() % 2**34 + 2**32

    def value(self):
        kind = self.random.randrange(6)
        if kind == 0:
            return b"%d" % self.integer()
        if kind == 1:
            return self.choice(FLOATS + ODD_WORDS)
        if kind == 2:
            return self.random.randbytes(self.random.randint(0, 20))
        if kind == 3:
            return bytes(self.choice(b"\x00\xff") for _ in range(self.random.randint(1, 24)))
        if kind == 4:
            return self.letters()
        return self.random.randbytes(self.random.randint(1, 4)) * self.random.randint(1, 3000)

    def letters(self):
        return bytes(self.choice(b"abc") for _ in range(self.random.randint(0, 150)))

    def expiry(self):
        option = self.choice(("EX", "PX", "EXAT", "PXAT"))
        if self.chance(0.15):
            return [option, self.choice((0, -1, "x", 2**63 - 1, 2**63, 2**63 // 1000, 2**62))]
        if option.endswith("AT") and self.chance(0.3):
            return [option, self.random.randint(1, 10**9)]
        return [option, {"EX": 1000, "PX": 10**6, "EXAT": 4 * 10**9, "PXAT": 4 * 10**12}[option] + self.random.randint(0, 999)]

    def options(self, *parts):
        words = []
        for part in self.random.sample(parts, len(parts)):
            if self.chance(0.3):
                words += part() if callable(part) else [part]
        return words

    def field(self):
        kind = self.choice(("GET", "SET", "INCRBY"))
        width = self.choice((1, 2, 3, 5, 7, 8, 9, 15, 16, 31, 32, 33, 62, 63, 64, self.random.randint(0, 66)))
        offset = b"#%d" % self.random.randint(0, 10) if self.chance(0.3) else self.bit_offset()
        words = ["OVERFLOW", self.choice(("WRAP", "SAT", "FAIL"))] if self.chance(0.4) else []
        words += [kind, self.choice("ui") + str(width), offset]
        return words if kind == "GET" else words + [self.integer()]

    def fields(self, count_max=4):
        return [word for _ in range(self.random.randint(1, count_max)) for word in self.field()]

    def range(self, *units):
        words = [self.integer(), self.integer()]
        return words + [self.choice(units)] if units and self.chance(0.5) else words

    def command(self):
        key, value = self.key, self.value
        makers = (
            lambda: ["SET", key(), value()] + self.options("NX", "XX", "GET", "KEEPTTL", self.expiry),
            lambda: ["SET", key(), value()],
            lambda: ["GET", key()],
            lambda: ["GETSET", key(), value()],
            lambda: ["GETDEL", key()],
            lambda: ["GETEX", key()] + self.options("PERSIST", self.expiry),
            lambda: [self.choice(("SETEX", "PSETEX")), key(), self.choice((0, -5, "x", 10**6, 2 * 10**6, 2**63 - 1)), value()],
            lambda: ["SETNX", key(), value()],
            lambda: [self.choice(("MSET", "MSETNX"))] + [word for _ in range(self.random.randint(1, 4)) for word in (key(), value())],
            lambda: ["MGET"] + [key() for _ in range(self.random.randint(1, 8))],
            lambda: ["APPEND", key(), value()],
            lambda: ["STRLEN", key()],
            lambda: ["SETRANGE", key(), self.offset(), value()],
            lambda: [self.choice(("GETRANGE", "SUBSTR")), key()] + self.range(),
            lambda: [self.choice(("INCR", "DECR")), key()],
            lambda: [self.choice(("INCRBY", "DECRBY")), key(), self.integer()],
            lambda: ["INCRBYFLOAT", key(), self.choice(FLOATS) if self.chance(0.7) else value()],
            lambda: ["SET", self.choice(SHORT_KEYS), self.letters()],
            lambda: ["LCS", self.choice(SHORT_KEYS), self.choice(SHORT_KEYS)] + self.options("LEN", "IDX", "WITHMATCHLEN", lambda: ["MINMATCHLEN", self.integer()]),
            lambda: ["SETBIT", key(), self.bit_offset(), self.choice((0, 1, 0, 1, 0, 1, 2))],
            lambda: ["GETBIT", key(), self.bit_offset()],
            lambda: ["BITCOUNT", key()] + self.range("BYTE", "BIT") * self.random.randint(0, 1),
            lambda: ["BITPOS", key(), self.choice((0, 1))] + self.range("BYTE", "BIT")[:self.random.randint(0, 3)],
            lambda: ["BITOP", self.choice(("AND", "OR", "XOR", "NOT")), key()] + [key() for _ in range(self.random.randint(1, 4))],
            lambda: ["BITOP", "NOT", key(), key()],
            lambda: ["BITFIELD", key()] + self.fields(),
            lambda: ["BITFIELD_RO", key(), "GET", self.choice("ui") + str(self.random.randint(1, 64)), self.bit_offset()],
            lambda: ["DEL", key()],
        )
        command = self.choice(makers)()
        return self.spoiled(command) if self.chance(0.03) else command

    def spoiled(self, command):
        at = self.random.randint(1, len(command))
        what = self.random.randrange(3)
        if what == 0:
            return command[:at] + [self.choice(ODD_WORDS)] + command[at:]
        if what == 1:
            return command[:at] + command[at + 1:]
        return command[:at] + [self.choice(ODD_WORDS)] + command[at + 1:]

    def batch(self):
        """Commands to be sent at once, part of them in a transaction."""
        commands = [self.command() for _ in range(BATCH)]
        if self.chance(0.3):
            at = self.random.randint(0, BATCH - 10)
            commands.insert(at, ["MULTI"])
            commands.insert(self.random.randint(at + 1, BATCH), [self.choice(("EXEC", "EXEC", "EXEC", "DISCARD"))])
        return commands


def final_commands():
    """What a key holds; of its expiry what does not depend on the clock."""
    return [command for key in KEYS for command in (["GET", key], ["PERSIST", key], ["STRLEN", key])]


def shown(command):
    return " ".join(repr(word)[1:] if isinstance(word, bytes) else str(word) for word in command)[:400]


def run(ports, seed, count):
    generator = Generator(seed)
    connections = [Connection(port) for port in ports]
    sent = 0
    while sent < count:
        protocol = generator.choice((2, 3))
        for connection in connections:
            connection.call("FLUSHALL")
            connection.call("HELLO", protocol)
        history = []
        for number in range(FLUSH_EVERY):
            commands = final_commands() if number == FLUSH_EVERY - 1 else generator.batch()
            for connection in connections:
                connection.send(*commands)
            for command in commands:
                history.append(command)
                expected, found = [connection.receive() for connection in connections]
                if expected != found:
                    report(history, expected, found)
                    return False
            sent += len(commands)
    print(f"{sent} commands were answered alike")
    return True


def report(history, expected, found):
    last = history[-1]
    for command in history:
        if set(last) & set(command) & set(KEYS + SHORT_KEYS) or command[0] in ("MULTI", "EXEC", "DISCARD"):
            print("   ", shown(command))
    print(f"expected {expected[:600]!r}\nfound    {found[:600]!r}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", action="store_true")
    parser.add_argument("--seed", type=int, default=1, help="0: another one each time")
    parser.add_argument("--commands", type=int, default=10000)
    arguments = parser.parse_args()
    if missing_program("redis-server") or (not arguments.redis and missing_program("stave-server")):
        return SKIPPED
    seed = arguments.seed or random.randrange(1, 1 << 32)
    print(f"seed {seed}", flush=True)
    with RedisServer() as redis, RedisServer() if arguments.redis else Server() as other:
        return 0 if run((redis.port, other.port), seed, arguments.commands) else 1


if __name__ == "__main__":
    sys.exit(main())
