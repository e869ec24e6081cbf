#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SCAN returns every key that is there throughout, while others make the table grow and shrink."""

import os
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, os.pardir, "support"))

from parity import SKIPPED, Connection, elements, missing_program  # noqa: E402
from stave_server import SANITIZE, Server  # noqa: E402

STEADY = 2000
BATCH = 1000
# The index begins to grow a little above so many keys. Under sanitizers it has to do with less.
FILLED = 31000 if SANITIZE else 310000
COMING = 3000 if SANITIZE else 30000
TURNS_MAX = 2_000_000


def text(raw):
    """The bytes of a bulk string."""
    return raw.split(b"\r\n", 1)[1][:-2]


def scan(connection, *options):
    """All pages of a scan: the keys in the order of their coming, and the cursors."""
    keys, cursors, cursor = [], [], b"0"
    for _ in range(TURNS_MAX):
        next_cursor, page = elements(connection.call("SCAN", cursor, *options))
        keys += [text(key) for key in elements(page)]
        cursor = text(next_cursor)
        if cursor == b"0":
            return keys, cursors
        cursors.append(int(cursor))
    raise AssertionError("the scan does not end")


def fill(connection, prefix, first, count):
    words = [word for number in range(first, first + count) for word in (f"{prefix}{number}", "v")]
    assert connection.call("MSET", *words) == b"+OK\r\n"


def remove(connection, prefix, first, count):
    connection.call("UNLINK", *[f"{prefix}{number}" for number in range(first, first + count)])


def walks_over_cold_data_find_everything(server):
    connection = Connection(server.port)
    assert connection.call("RANDOMKEY") == b"$-1\r\n"
    fill(connection, "key:", 0, 3000)
    expected = sorted(b"key:%d" % number for number in range(3000))
    assert sorted(scan(connection)[0]) == expected
    assert sorted(text(key) for key in elements(connection.call("KEYS", "*"))) == expected
    for _ in range(20):
        assert text(connection.call("RANDOMKEY")) in expected
    digest = connection.call("DEBUG", "DIGEST")
    connection.call("MULTI")
    for command in ("RANDOMKEY", "DBSIZE"):
        connection.call(command)
    connection.call("DEBUG", "DIGEST")
    assert elements(connection.call("EXEC"))[1:] == [b":3000\r\n", digest]


def drop_cached_pages(directory):
    """As far as the file system lets them go."""
    for folder, _, names in os.walk(directory):
        for name in names:
            descriptor = os.open(os.path.join(folder, name), os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def walks_after_a_cold_start_find_everything(server):
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    words = [word for number in range(2000) for word in (f"key:{number}", "v" * 5000)]
    assert connection.call("MSET", *words) == b"+OK\r\n"
    expected = sorted(b"key:%d" % number for number in range(2000))
    digests = set()
    for walk in ("KEYS", "SCAN", "DIGEST", "RANDOMKEY"):
        server.terminate()
        drop_cached_pages(server.directory)
        server.start()
        connection = Connection(server.port)
        if walk == "KEYS":
            assert sorted(text(key) for key in elements(connection.call("KEYS", "*"))) == expected
        elif walk == "SCAN":
            assert sorted(scan(connection)[0]) == expected
        elif walk == "RANDOMKEY":
            assert text(connection.call("RANDOMKEY")) in expected
        else:
            digests.add(connection.call("DEBUG", "DIGEST"))
    assert digests == {connection.call("DEBUG", "DIGEST")}


def a_scan_of_a_quiet_database_returns_each_key_once(server):
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    keys, _ = scan(connection)
    assert keys == []
    fill(connection, "key:", 0, 3000)
    expected = sorted(b"key:%d" % number for number in range(3000))
    for options in ((), ("COUNT", 1), ("COUNT", 7), ("COUNT", 1000), ("COUNT", 10**9), ("COUNT", 2**63 - 1)):
        keys, cursors = scan(connection, *options)
        assert sorted(keys) == expected, options
        assert len(cursors) == len(set(cursors)), options
        assert all(0 < cursor < 2**63 for cursor in cursors), options
    assert sorted(text(key) for key in elements(connection.call("KEYS", "*"))) == expected
    assert sorted(scan(connection, "MATCH", "key:1?")[0]) == sorted(b"key:%d" % number for number in range(10, 20))
    assert scan(connection, "MATCH", "nothing")[0] == []
    assert scan(connection, "TYPE", "list")[0] == []
    assert sorted(scan(connection, "TYPE", "string", "COUNT", 100)[0]) == expected


def a_scan_sees_its_own_database_alone(server):
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    fill(connection, "first:", 0, 3000)
    connection.call("SELECT", 1)
    fill(connection, "second:", 0, 3)
    assert sorted(scan(connection)[0]) == [b"second:0", b"second:1", b"second:2"]
    connection.call("SWAPDB", 0, 1)
    assert len(scan(connection, "COUNT", 100)[0]) == 3000
    connection.call("SELECT", 0)
    assert len(scan(connection)[0]) == 3
    connection.call("SELECT", 2)
    assert scan(connection)[0] == []


def a_scan_goes_on_from_any_number(server):
    """A cursor that was never given out is no error, and its scan ends."""
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    fill(connection, "key:", 0, 500)
    for cursor in (1, 2, 3, 1000, 65535, 65536, 2**32, 2**63, 2**64 - 1):
        for _ in range(TURNS_MAX):
            next_cursor, page = elements(connection.call("SCAN", cursor, "COUNT", 50))
            assert set(text(key) for key in elements(page)) <= set(b"key:%d" % number for number in range(500))
            cursor = int(text(next_cursor))
            if cursor == 0:
                break
        assert cursor == 0


def what_stays_is_returned_while_others_come_and_go(server):
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    connection.call("DEBUG", "POPULATE", FILLED, "filler")
    fill(connection, "steady:", 0, STEADY)
    steady = set(b"steady:%d" % number for number in range(STEADY))
    ended = threading.Event()

    def write(name):
        writer = Connection(server.port)
        while not ended.is_set():
            for first in range(0, COMING, BATCH):
                fill(writer, name, first, BATCH)
            for first in range(0, COMING, BATCH):
                remove(writer, name, first, BATCH)
            # What stays is written again meanwhile, which moves its records.
            fill(writer, "steady:", 0, STEADY)
        writer.close()

    writers = [threading.Thread(target=write, args=(name,)) for name in ("one:", "two:")]
    for writer in writers:
        writer.start()
    try:
        keys, _ = scan(connection, "COUNT", 2000)
        assert not steady - set(keys), len(steady - set(keys))
        assert set(text(key) for key in elements(connection.call("KEYS", "steady:*"))) == steady
    finally:
        ended.set()
        for writer in writers:
            writer.join()


def random_keys_are_keys_that_are_there(server):
    connection = Connection(server.port)
    connection.call("FLUSHALL")
    assert connection.call("RANDOMKEY") == b"$-1\r\n"
    fill(connection, "r", 0, 10)
    # A draw looks at many empty places, which sanitizers make slow: with them, none draws all keys.
    seen = set(text(connection.call("RANDOMKEY")) for _ in range(10 if SANITIZE else 150))
    there = set(b"r%d" % number for number in range(10))
    assert seen <= there if SANITIZE else seen == there, seen


TESTS = [
    a_scan_of_a_quiet_database_returns_each_key_once,
    a_scan_sees_its_own_database_alone,
    a_scan_goes_on_from_any_number,
    random_keys_are_keys_that_are_there,
    what_stays_is_returned_while_others_come_and_go,
]


def main():
    if missing_program("stave-server"):
        return SKIPPED
    with Server(enable_debug_command="yes", environment={"STAVE_COLD_READS": "yes"}) as server:
        walks_over_cold_data_find_everything(server)
        walks_after_a_cold_start_find_everything(server)
    with Server(enable_debug_command="yes") as server:
        for test in TESTS:
            print(test.__name__, flush=True)
            test(server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
