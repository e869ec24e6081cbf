#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""COMMAND INFO says of every command that a redis-server knows as well what that one says.

The notes of key specs are worded by us and are not compared.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, RedisServer, missing_program, value_of  # noqa: E402
from stave_server import Server  # noqa: E402

FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs", "subcommands")


def ask(connection, *command):
    return value_of(connection.call(*command))


def normalized(info):
    """By field, without order where it has no meaning; flags and categories are sets."""
    fields = dict(zip(FIELDS, info))
    for name in ("flags", "categories", "tips"):
        fields[name] = sorted(fields[name])
    fields["key specs"] = [without_notes(spec) for spec in fields["key specs"]]
    fields["subcommands"] = {sub[0]: normalized(sub) for sub in fields["subcommands"]}
    return fields


def without_notes(spec):
    pairs = dict(zip(spec[::2], spec[1::2]))
    pairs.pop("notes", None)
    pairs["flags"] = sorted(pairs["flags"])
    return pairs


def differences(path, expected, found):
    for field in FIELDS[:-1]:
        if expected[field] != found[field]:
            yield f"{path}: {field}: expected {expected[field]}, found {found[field]}"
    for name, sub in found["subcommands"].items():
        if name in expected["subcommands"]:
            yield from differences(name, expected["subcommands"][name], sub)


def compare(redis, ours):
    count = 0
    problems = []
    for name in sorted(ask(ours, "COMMAND", "LIST")):
        expected, found = [ask(connection, "COMMAND", "INFO", name)[0] for connection in (redis, ours)]
        if expected is None:
            continue
        count += 1
        problems += differences(name, normalized(expected), normalized(found))
    print("\n".join(problems + [f"{count} commands compared"]))
    return 1 if problems else 0


def main():
    if missing_program("redis-server", "stave-server"):
        return SKIPPED
    with RedisServer() as redis, Server() as ours:
        return compare(Connection(redis.port), Connection(ours.port))


if __name__ == "__main__":
    sys.exit(main())
