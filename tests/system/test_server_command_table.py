#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""COMMAND INFO says of every command that a redis-server knows as well what that one says; so does COMMAND DOCS.

The notes of key specs are worded by us and are not compared; nor are summaries, complexities, the names of arguments
(a choice is called after its first word here) and what is told of older versions.
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


# Arguments that are described otherwise, in the same words for a reader.
DESCRIBED_OTHERWISE = {"bitfield_ro", "client|kill", "client|list", "client|tracking", "command|getkeys",
                       "command|getkeysandflags", "config|get"}


def pairs_of(flat):
    return dict(zip(flat[::2], flat[1::2]))


def shape(argument):
    """What a client can use of an argument."""
    fields = pairs_of(argument)
    return {"type": fields["type"], "token": fields.get("token"), "key": fields.get("key_spec_index"),
            "flags": sorted(fields.get("flags", [])), "inner": [shape(each) for each in fields.get("arguments", [])]}


def docs_differences(name, expected, found):
    expected, found = pairs_of(expected), pairs_of(found)
    for field in ("since", "group", "deprecated_since", "replaced_by"):
        if expected.get(field) != found.get(field) and field != "replaced_by":
            yield f"{name}: {field}: expected {expected.get(field)}, found {found.get(field)}"
        if (field in expected) != (field in found):
            yield f"{name}: {field} stands in one alone"
    shapes = [[shape(each) for each in docs.get("arguments", [])] for docs in (expected, found)]
    if shapes[0] != shapes[1] and name not in DESCRIBED_OTHERWISE:
        yield f"{name}: arguments: expected {shapes[0]}, found {shapes[1]}"
    subcommands = pairs_of(expected.get("subcommands", []))
    for sub, docs in pairs_of(found.get("subcommands", [])).items():
        if sub in subcommands and "summary" in docs:
            yield from docs_differences(sub, subcommands[sub], docs)


def compare_docs(redis, ours):
    expected, found = [pairs_of(ask(connection, "COMMAND", "DOCS")) for connection in (redis, ours)]
    described = [name for name in sorted(found) if name in expected and "summary" in found[name][::2]]
    problems = [problem for name in described for problem in docs_differences(name, expected[name], found[name])]
    print("\n".join(problems + [f"{len(described)} descriptions compared"]))
    return 1 if problems or not described else 0


def compare_lists(redis, ours):
    expected, found = [set(ask(connection, "COMMAND", "LIST")) for connection in (redis, ours)]
    counts = [ask(connection, "COMMAND", "COUNT") for connection in (redis, ours)]
    if found == expected | {"client|setinfo"} and counts[0] == counts[1]:
        return 0
    print(f"COMMAND LIST: missing {sorted(expected - found)}, not known to Redis {sorted(found - expected)}; "
          f"COMMAND COUNT: {counts}")
    return 1


def compare_described(ours):
    """What is only described (it has no summary) is unknown when it is called."""
    documented = pairs_of(ask(ours, "COMMAND", "DOCS"))
    parts = {name: docs for each in documented.values()
             for name, docs in pairs_of(pairs_of(each).get("subcommands", [])).items()}
    names = [name for name, docs in {**documented, **parts}.items() if "summary" not in docs[::2]]
    served = [name for name in names if "unknown" not in str(ask(ours, *name.split("|")))]
    print("\n".join([f"described, but served: {name}" for name in served] + [f"{len(names)} are unknown"]))
    return 1 if served or "function|delete" not in names else 0


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
        connections = Connection(redis.port), Connection(ours.port)
        return max(compare_lists(*connections), compare(*connections), compare_docs(*connections),
                   compare_described(connections[1]))


if __name__ == "__main__":
    sys.exit(main())
