#!/usr/bin/env python3
"""redis-py (Debian's python3-redis) against stave-server."""

import os
import sys
import threading
import time
import unittest

from stave_server import PATIENCE, Server, free_port, main

# Debian's modules are not on the path of another Python than its own.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import redis
except ImportError:
    print("skipped: no redis-py (Debian: python3-redis)")
    sys.exit(77)

VERSION = tuple(int(part) for part in redis.__version__.split(".")[:2])
PROTOCOLS = (2, 3) if VERSION >= (5, 0) else (2,)
PASSWORD = "pass word"


def options(protocol, **more):
    """Versions that know one protocol only do not know the option."""
    chosen = {"protocol": protocol} if len(PROTOCOLS) > 1 else {}
    return {"password": PASSWORD, "socket_timeout": PATIENCE, **chosen, **more}


class RedisPy(unittest.TestCase):
    protocol = 2

    @classmethod
    def setUpClass(cls):
        print(f"redis-py {redis.__version__}, protocol {cls.protocol}")
        cls.first = Server()
        cls.path = os.path.join(cls.first.directory, "socket")
        # A port that stays: connections come back to it after the server was killed.
        cls.server = Server(port=free_port(), requirepass=PASSWORD, unixsocket=cls.path)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.first.close()

    def setUp(self):
        self.redis = self.connect()
        self.redis.flushall()

    def connect(self, **more):
        client = redis.Redis(host="127.0.0.1", port=self.server.port, **options(self.protocol, **more))
        self.addCleanup(client.close)
        return client

    def test_connections_of_all_kinds_reach_their_database(self):
        self.connect(db=7).set("where", "seven")
        by_socket = redis.Redis(unix_socket_path=self.path, **options(self.protocol, db=7))
        by_uri = redis.Redis.from_url(f"redis://default:pass%20word@127.0.0.1:{self.server.port}/7")
        for client in (by_socket, by_uri, self.connect(db=7, username="default")):
            self.assertEqual(b"seven", client.get("where"))
            client.close()
        self.assertIsNone(self.redis.get("where"))
        with self.assertRaisesRegex(redis.RedisError, "WRONGPASS|invalid username-password"):
            self.connect(password="wrong").ping()
        with self.assertRaises(redis.AuthenticationError):
            self.connect(password=None).ping()
        with self.assertRaises(redis.ResponseError):
            self.connect(db=16).ping()

    def test_strings_counters_and_expiry(self):
        r = self.redis
        self.assertTrue(r.set("k", "v", ex=100, nx=True))
        self.assertIsNone(r.set("k", "w", nx=True))
        self.assertEqual(b"v", r.set("k", "w", get=True, keepttl=True))
        self.assertTrue(50 <= r.ttl("k") <= 100)
        self.assertEqual([b"w", None], r.mget("k", "none"))
        self.assertTrue(r.mset({"a": 1, b"\0\xff\r\n": b"\0\n"}))
        self.assertEqual((b"\0\n", 1), (r.get(b"\0\xff\r\n"), r.exists(b"\0\xff\r\n")))
        self.assertEqual((11, 10, 12.5), (r.incr("a", 10), r.decr("a"), r.incrbyfloat("a", 2.5)))
        self.assertEqual((3, b"wxy", b"xy"), (r.append("k", "xy"), r.get("k"), r.getrange("k", 1, -1)))
        self.assertEqual((True, True), (r.pexpire("k", 30), r.persist("b") is False))
        time.sleep(0.05)
        self.assertIsNone(r.getdel("k"))
        self.assertEqual((0, 1, 2), (r.setbit("bits", 7, 1), r.getbit("bits", 7), r.bitfield("f").set("u8", 0, 2)
                                     .get("u8", 0).execute()[1]))
        with self.assertRaises(redis.ResponseError) as raised:
            r.incr(b"\0\xff\r\n")
        self.assertEqual("value is not an integer or out of range", str(raised.exception))

    def test_two_clients_that_race_for_a_counter_lose_no_turn(self):
        def count(client):
            for _ in range(100):
                client.transaction(lambda pipe: raise_by_one(pipe), "counter")

        def raise_by_one(pipe):
            value = int(pipe.get("counter") or 0)
            pipe.multi()
            pipe.set("counter", value + 1)

        threads = [threading.Thread(target=count, args=(self.connect(),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(b"200", self.redis.get("counter"))

    def test_pipelines_of_ten_thousand_and_a_scan_of_them(self):
        for transaction in (False, True):
            pipe = self.redis.pipeline(transaction=transaction)
            for i in range(10000):
                pipe.set(f"key:{i}", i)
            self.assertEqual([True] * 10000, pipe.execute())
        self.assertEqual({b"key:%d" % i for i in range(10000)}, set(self.redis.scan_iter(count=500)))
        self.assertEqual({b"key:%d" % i for i in range(1000, 2000)}, set(self.redis.scan_iter(match="key:1???")))
        self.assertEqual(10000, self.redis.dbsize())
        pipe = self.redis.pipeline(transaction=False)
        pipe.get("key:1").incr("key:2").execute_command("NOSUCH").get("key:2")
        replies = pipe.execute(raise_on_error=False)
        self.assertEqual([b"1", 3, b"3"], [replies[0], replies[1], replies[3]])
        self.assertIsInstance(replies[2], redis.ResponseError)

    def test_large_values_pass(self):
        value = os.urandom(32 << 20)
        self.assertTrue(self.redis.set("large", value))
        self.assertTrue(self.redis.get("large") == value)
        self.assertEqual(value[5 << 20:(5 << 20) + 10], self.redis.getrange("large", 5 << 20, (5 << 20) + 9))

    def test_a_client_tells_about_itself(self):
        self.connect(client_name="teller").ping()
        client = self.connect(client_name="teller")
        self.assertEqual("teller", client.client_getname())
        self.assertIn("teller", [each["name"] for each in self.redis.client_list()])
        self.assertGreater(self.redis.client_id(), 0)
        if VERSION >= (5, 0):
            self.assertEqual("redis-py", self.redis.client_info()["lib-name"])
        self.assertEqual("OK", self.redis.execute_command("CLIENT", "SETINFO", "LIB-VER", "1").decode())

    def test_introspection_is_understood(self):
        self.assertIn("redis_version", self.redis.info())
        self.assertEqual("standalone", self.redis.info("server")["redis_mode"])
        self.assertEqual({"appendfsync": "everysec"}, self.redis.config_get("appendfsync"))
        self.assertEqual(2, self.redis.command_info("get")["get"]["arity"] if VERSION >= (5, 0) else 2)
        self.assertEqual(self.redis.command_count(), len(self.redis.command()))
        self.assertEqual(2, len(self.redis.time()))
        self.redis.config_set("slowlog-log-slower-than", 0)
        self.redis.ping()
        self.assertIn(b"PING", [entry["command"] for entry in self.redis.slowlog_get()])
        self.redis.config_set("slowlog-log-slower-than", 10000)

    def test_connections_come_back_after_a_kill_and_find_everything(self):
        pipe = self.redis.pipeline(transaction=False)
        for i in range(1000):
            pipe.set(f"key:{i}", i)
        pipe.execute()
        self.connect(db=3).set("k", "v")
        self.server.kill()
        with self.assertRaises(redis.ConnectionError):
            self.redis.get("key:1")
        self.server.start()
        self.assertEqual([b"%d" % i for i in range(1000)], self.redis.mget([f"key:{i}" for i in range(1000)]))
        self.assertEqual(b"v", self.connect(db=3).get("k"))


if 3 in PROTOCOLS:
    class RedisPyResp3(RedisPy):
        protocol = 3


if __name__ == "__main__":
    main()
