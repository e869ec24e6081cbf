#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Keys that have expired go without anybody asking for them, and do not come back."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

from stave_server import SANITIZE, Server, ServerTest, main, wait_until, watch_expiring  # noqa: E402

COUNT = 500


def expired_keys(client):
    lines = client("INFO", "stats").decode().split("\r\n")
    return int(dict(line.split(":", 1) for line in lines if ":" in line)["expired_keys"])


class Expiry(ServerTest):
    options = {"enable_debug_command": "yes"}

    def setUp(self):
        super().setUp()
        self.client("FLUSHALL")
        self.client("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        self.client("CONFIG", "RESETSTAT")

    def fill(self, client, count, milliseconds):
        client.pipeline([("SET", f"key:{number}", "value", "PX", milliseconds) for number in range(count)])

    def test_expired_keys_go_without_being_asked_for(self):
        self.fill(self.client, COUNT, 50)
        self.client("SET", "kept", "1")
        self.client("SET", "later", "1", "EX", 1000)
        other = self.connect()
        other("SELECT", 7)
        self.fill(other, COUNT, 80)
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == 2 and other("DBSIZE") == 0))
        self.assertEqual(2 * COUNT, expired_keys(self.client))
        self.assertEqual(b"1", self.client("GET", "later"))
        self.client("CONFIG", "RESETSTAT")
        self.assertEqual(0, expired_keys(self.client))
        self.fill(self.client, 10, 300)  # the cycle has come to rest: it wakes
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == 2))
        self.assertEqual(10, expired_keys(self.client))

    def test_the_cycle_can_be_stopped(self):
        self.client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        self.fill(self.client, COUNT, 1)
        time.sleep(0.5)
        self.assertEqual(COUNT, self.client("DBSIZE"))
        self.assertEqual(0, expired_keys(self.client))
        self.client("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == 0))

    def test_a_cycle_stopped_on_its_way_misses_nothing_later(self):
        for _ in range(20):
            self.fill(self.client, 50, 1)
            self.client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            self.client("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == 0))

    def test_expired_keys_stay_away_after_a_restart(self):
        self.fill(self.client, COUNT, 1)
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == 0))
        self.server.kill()
        self.server.start()
        client = self.connect()
        self.assertEqual(0, client("DBSIZE"))
        self.assertIsNone(client("GET", "key:1"))

    def test_a_watched_key_that_expires_aborts_and_one_that_had_does_not(self):
        watch_expiring(self.client, "watched")
        watcher = self.connect()
        self.connect()("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        watcher("SET", "gone", "1", "PX", 1)
        time.sleep(0.05)
        watcher("WATCH", "gone")
        self.connect()("DEBUG", "SET-ACTIVE-EXPIRE", 1)
        self.assertTrue(wait_until(lambda: self.connect()("DBSIZE") == 0))
        self.client("MULTI")
        self.client("PING")
        self.assertIsNone(self.client("EXEC"))
        watcher("MULTI")
        watcher("PING")
        self.assertEqual(["PONG"], watcher("EXEC"))


class ColdExpiry(Expiry):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(environment={"STAVE_COLD_READS": "yes"}, **cls.options)


class ManyKeys(ServerTest):
    def setUp(self):
        super().setUp()
        self.client("FLUSHALL")
        self.client("CONFIG", "RESETSTAT")

    def test_many_expired_keys_among_more_that_stay_go(self):
        count = 9000 if SANITIZE else 300000
        for start in range(0, count, 3000):
            self.client.pipeline([("SET", f"key:{number}", "v", *(("PX", 100) if number % 3 == 0 else ()))
                                  for number in range(start, start + 3000)])
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == count - count // 3))
        self.assertEqual(count // 3, expired_keys(self.client))
        self.assertEqual(b"v", self.client("GET", "key:1"))

    def test_few_expired_keys_among_many_that_are_to_expire_go(self):
        count = 9000 if SANITIZE else 90000
        for start in range(0, count, 3000):
            self.client.pipeline([("SET", f"key:{number}", "v", "EX", 1000) for number in range(start, start + 3000)])
        self.client.pipeline([("SET", f"soon:{number}", "v", "PX", 1) for number in range(30)])
        self.assertTrue(wait_until(lambda: self.client("DBSIZE") == count))
        self.assertEqual(30, expired_keys(self.client))


if __name__ == "__main__":
    main()
