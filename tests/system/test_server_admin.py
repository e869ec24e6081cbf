#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an operator does: configuration, clients, logs, snapshots, the end of the server."""

import contextlib
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

from stave_server import (BIN_DIR, PATIENCE, Client, RespError, Server, ServerTest, free_port, main,  # noqa: E402
                          wait_until)


def info(client, section="everything"):
    lines = client("INFO", section).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def clients(client):
    lines = client("CLIENT", "LIST").decode().splitlines()
    return [dict(field.split("=", 1) for field in line.split(" ")) for line in lines]


class Clients(ServerTest):
    def test_the_list_names_each_client_with_its_state(self):
        other = self.connect()
        other("CLIENT", "SETNAME", "other")
        other("SELECT", 5)
        other("MULTI")
        other("SET", "a", "b")
        found = {each["name"]: each for each in clients(self.client)}["other"]
        self.assertEqual("5", found["db"])
        self.assertEqual("1", found["multi"])
        self.assertEqual("x", found["flags"])
        self.assertEqual("set", found["cmd"])
        own = str(self.client("CLIENT", "ID"))
        self.assertEqual(["client|list"], [each["cmd"] for each in clients(self.client) if each["id"] == own])

    def test_a_list_by_ids_keeps_their_order_and_names_none_twice(self):
        first, second = self.connect(), self.connect()
        ids = [second("CLIENT", "ID"), first("CLIENT", "ID")]
        lines = self.client("CLIENT", "LIST", "ID", *ids, 123456789, *ids).decode().splitlines()
        self.assertEqual([f"id={number}" for number in ids], [line.split(" ")[0] for line in lines])

    def test_a_killed_client_is_gone_and_does_no_more(self):
        other = self.connect()
        number = other("CLIENT", "ID")
        self.assertEqual(1, self.client("CLIENT", "KILL", "ID", number))
        self.assertTrue(other.is_closed())
        self.assertTrue(wait_until(lambda: str(number) not in [each["id"] for each in clients(self.client)]))
        self.assertEqual(0, self.client("CLIENT", "KILL", "ID", number))

    def test_a_client_that_kills_itself_gets_the_reply(self):
        other = self.connect()
        number = other("CLIENT", "ID")
        self.assertEqual(1, other("CLIENT", "KILL", "ID", number, "SKIPME", "no"))
        self.assertTrue(other.is_closed())

    def test_replies_are_switched_off_and_skipped(self):
        self.client.send("CLIENT", "REPLY", "OFF")
        self.client.send("SET", "a", "1")
        self.client.send("CLIENT", "REPLY", "ON")
        self.assertEqual("OK", self.client.read())
        self.client.send("CLIENT", "REPLY", "SKIP")
        self.client.send("SET", "a", "2")
        self.assertEqual(b"2", self.client("GET", "a"))

    def test_a_pause_of_writes_holds_writes_alone(self):
        other = self.connect()
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        self.assertIsNone(other("GET", "a"))
        other.send("SET", "a", "1")
        time.sleep(0.1)
        self.assertIsNone(self.client("GET", "a"))
        self.client("CLIENT", "UNPAUSE")
        self.assertEqual("OK", other.read())

    def test_a_pause_of_writes_holds_a_transaction_that_writes(self):
        writer, reader = self.connect(), self.connect()
        for command in (("MULTI",), ("SET", "a", "1")):
            writer(*command)
        for command in (("MULTI",), ("GET", "a")):
            reader(*command)
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        writer.send("EXEC")
        self.assertEqual([None], reader("EXEC"))
        time.sleep(0.1)
        self.assertIsNone(self.client("GET", "a"))
        self.client("CLIENT", "UNPAUSE")
        self.assertEqual(["OK"], writer.read())

    def test_a_pause_ends_by_itself(self):
        self.client("CLIENT", "PAUSE", 50, "ALL")
        self.assertEqual("OK", self.client("SET", "a", "1"))

    def test_a_second_pause_makes_the_first_no_weaker(self):
        other = self.connect()
        begin = time.monotonic()
        self.client.pipeline([("MULTI",), ("CLIENT", "PAUSE", 500, "ALL"), ("CLIENT", "PAUSE", 1, "WRITE"), ("EXEC",)])
        self.assertIsNone(other("GET", "a"))
        self.assertGreater(time.monotonic() - begin, 0.45)

    def test_a_second_pause_of_writes_does_not_shorten_the_first(self):
        other = self.connect()
        self.client("CLIENT", "PAUSE", 60000, "WRITE")
        self.client("CLIENT", "PAUSE", 1, "WRITE")
        other.send("SET", "a", 1)
        self.assertEqual([], select.select([other.socket], [], [], 0.1)[0])
        self.client("CLIENT", "UNPAUSE")
        self.assertEqual("OK", other.read())

    def test_a_monitor_sees_commands_in_order_and_no_password(self):
        monitor = self.connect()
        self.assertEqual("OK", monitor("MONITOR"))
        self.client("SET", "key", 'a "quoted" \x01 value')
        self.client.attempt("AUTH", "default", "secret")
        self.client("GET", "key")
        lines = [monitor.read_line().decode() for _ in range(3)]
        self.assertIn('"SET" "key" "a \\"quoted\\" \\x01 value"', lines[0])
        self.assertNotIn("secret", lines[1])
        self.assertIn('"GET" "key"', lines[2])
        self.client("SET", "key", "x" * 100000)
        self.assertTrue(monitor.read_line().endswith(b"... (34464 more bytes)"))
        monitor.close()
        self.assertTrue(wait_until(lambda: info(self.client)["monitor_clients"] == "0"))

    def test_a_monitor_sees_a_transaction_as_it_ran_and_what_did_not_run_not_at_all(self):
        monitor = self.connect()
        monitor("MONITOR")
        self.client.pipeline([("SELECT", 2), ("MULTI",), ("SET", "a", 1), ("SELECT", 3), ("GET", "a"), ("EXEC",),
                              ("SELECT", 0), ("WATCH", "k"), ("SET", "k", 1), ("MULTI",), ("GET", "not run"), ("EXEC",),
                              ("GET",), ("NOSUCH",), ("CONFIG", "GET", "port"), ("ECHO", "end")])
        lines = []
        while not lines or "ECHO" not in lines[-1]:
            lines.append(re.sub(r"^\+\S+ \[(\d+) \S+\]", r"\1", monitor.read_line().decode()))
        self.assertEqual(['2 "SELECT" "2"', '2 "MULTI"', '2 "SET" "a" "1"', '3 "SELECT" "3"', '3 "GET" "a"', '3 "EXEC"',
                          '0 "SELECT" "0"', '0 "WATCH" "k"', '0 "SET" "k" "1"', '0 "MULTI"', '0 "EXEC"',
                          '0 "ECHO" "end"'], lines)

    def test_reset_ends_everything_that_a_session_began(self):
        self.client("SELECT", 3)
        self.client("CLIENT", "SETNAME", "me")
        self.client("MULTI")
        self.assertEqual("RESET", self.client("RESET"))
        self.assertIsNone(self.client("CLIENT", "GETNAME"))
        self.client("SET", "where", "0")
        self.client("SELECT", 0)
        self.assertEqual(b"0", self.client("GET", "where"))

    def test_looking_at_a_key_is_no_use_of_it(self):
        self.client("SET", "key", 1)
        time.sleep(1.1)
        for look in (("OBJECT", "ENCODING", "key"), ("OBJECT", "IDLETIME", "key")):
            self.client(*look)
            self.assertGreaterEqual(self.client("OBJECT", "IDLETIME", "key"), 1)
        idle, took = None, 1
        while took >= 1:  # else the machine has stood still, and nothing follows
            begin = time.monotonic()
            self.client("SET", "other", 1)
            self.client("GET", "key")
            idle = [self.client("OBJECT", "IDLETIME", key) for key in ("key", "other")]
            took = time.monotonic() - begin
        self.assertEqual([0, 0], idle)


class Logs(ServerTest):
    def test_slow_commands_are_kept_cut_and_without_passwords(self):
        self.client("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 5)
        self.client("SLOWLOG", "RESET")
        self.client("CLIENT", "SETNAME", "slow")
        self.client("SET", "key", "v" * 200)
        self.client("MSET", *[word for i in range(40) for word in (f"k{i}", i)])
        self.client.attempt("AUTH", "default", "secret")
        self.client("CONFIG", "SET", "requirepass", "")
        entries = self.client("SLOWLOG", "GET", -1)
        texts = [[bytes(word) for word in entry[3]] for entry in entries]
        self.assertLessEqual(len(entries), 5)
        self.assertIn([b"SET", b"key", b"v" * 128 + b"... (72 more bytes)"], texts)
        many = [text for text in texts if text[0] == b"MSET"][0]
        self.assertEqual(32, len(many))
        self.assertEqual(b"... (50 more arguments)", many[-1])
        self.assertFalse(any(b"secret" in word for text in texts for word in text))
        self.assertEqual(b"slow", entries[0][5])
        self.client("CONFIG", "SET", "slowlog-log-slower-than", 10000, "slowlog-max-len", 128)

    def test_the_slowlog_keeps_the_newest_and_only_what_is_slow(self):
        self.client("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 5)
        for number in range(20):
            self.client("ECHO", number)
        self.client("CONFIG", "SET", "slowlog-log-slower-than", 10000000)
        self.client("ECHO", "quick")
        entries = self.client("SLOWLOG", "GET", -1)
        self.assertEqual([b"19", b"18", b"17", b"16", b"15"], [entry[3][1] for entry in entries])
        self.assertEqual([entries[0][0] - i for i in range(5)], [entry[0] for entry in entries])
        self.assertEqual(2, len(self.client("SLOWLOG", "GET", 2)))
        self.client("CONFIG", "SET", "slowlog-max-len", 2)
        self.client("CONFIG", "SET", "slowlog-log-slower-than", -1)
        self.client("SLOWLOG", "RESET")
        self.assertEqual(0, self.client("SLOWLOG", "LEN"))
        self.client("CONFIG", "SET", "slowlog-log-slower-than", 10000, "slowlog-max-len", 128)

    def test_latencies_are_kept_by_event(self):
        self.client("CONFIG", "SET", "latency-monitor-threshold", 1)
        self.client("SET", "big", "x" * 100)
        self.client("DEBUG", "SLEEP", "0.02")
        events = {bytes(each[0]): each for each in self.client("LATENCY", "LATEST")}
        self.assertIn(b"command", events)
        self.assertGreaterEqual(events[b"command"][3], 20)
        self.assertTrue(self.client("LATENCY", "HISTORY", "command"))
        self.client("CONFIG", "SET", "latency-monitor-threshold", 0)
        self.assertGreaterEqual(self.client("LATENCY", "RESET"), 1)
        self.assertEqual([], self.client("LATENCY", "LATEST"))

    def test_counters_count_and_are_set_to_zero(self):
        self.client("CONFIG", "RESETSTAT")
        self.client("SET", "a", 1)
        self.client("GET", "a")
        self.client("GET", "missing")
        self.client.attempt("INCR", "a", "b")
        self.client.attempt("NOSUCH")
        found = info(self.client)
        self.assertEqual("1", found["keyspace_hits"])
        self.assertEqual("1", found["keyspace_misses"])
        self.assertIn("calls=2,", found["cmdstat_get"])
        self.assertIn("rejected_calls=1", found["cmdstat_incr"])
        self.assertEqual("count=2", found["errorstat_ERR"])
        self.assertEqual("keys=1,expires=0,avg_ttl=0", found["db0"])
        self.client("CONFIG", "RESETSTAT")
        self.assertNotIn("cmdstat_get", info(self.client))

    def test_commands_of_an_exec_are_counted_as_any_and_refused_ones_not_as_processed(self):
        self.client("CONFIG", "RESETSTAT")
        self.client.pipeline([("SET", "a", "word"), ("MULTI",), ("INCR", "a"), ("AUTH", "nobody", "wrong"), ("GET", "a"), ("EXEC",),
                              ("GET",), ("NOSUCH",)])
        found = info(self.client)
        self.assertEqual("7", found["total_commands_processed"])  # with RESETSTAT
        self.assertRegex(found["cmdstat_incr"], "^calls=1,.*,failed_calls=1$")
        self.assertRegex(found["cmdstat_exec"], "^calls=1,.*,failed_calls=0$")
        self.assertEqual(["count=3", "count=1"], [found["errorstat_ERR"], found["errorstat_WRONGPASS"]])
        self.assertNotIn("p50=0.000", found["latency_percentiles_usec_incr"])


    def test_a_histogram_has_the_calls_of_each_command_cumulated_by_their_time(self):
        self.client("HELLO", 3)
        self.client("CONFIG", "RESETSTAT")
        self.client.pipeline([("DEBUG", "SLEEP", 0.02), *[("GET", "a")] * 10, ("CONFIG", "GET", "hz"), ("MULTI",), ("GET", "a"), ("EXEC",)])
        found = self.client("LATENCY", "HISTOGRAM", "debug", "GET", "config", "nosuch", "strlen", "config|get")
        self.assertEqual({b"debug", b"get", b"config|get", b"config|resetstat"}, set(found))
        self.assertEqual(11, found[b"get"][b"calls"])
        limits, calls = zip(*found[b"get"][b"histogram_usec"].items())
        self.assertEqual((sorted(limits), sorted(calls), 11), (list(limits), list(calls), calls[-1]))
        self.assertTrue(all((limit + 1).bit_count() == 1 for limit in limits), limits)
        ((limit, calls),) = found[b"debug"][b"histogram_usec"].items()
        self.assertEqual((1, 1), (found[b"debug"][b"calls"], calls))
        self.assertGreaterEqual(limit, 20000)
        self.assertEqual({b"multi", b"exec", b"latency|histogram", *found}, set(self.client("LATENCY", "HISTOGRAM")))
        self.client("CONFIG", "RESETSTAT")
        self.assertEqual({}, self.client("LATENCY", "HISTOGRAM", "get", "nosuch"))


    def test_memory_is_known_from_the_start_and_mapped_files_are_no_fragmentation(self):
        with Server(hz=100, enable_debug_command="yes") as server, server.client() as client:
            self.assertGreater(int(info(client)["used_memory_rss"]), 1 << 20)
            client("DEBUG", "POPULATE", 1000, "key", 100000)
            client.pipeline([("GET", f"key:{number}") for number in range(1000)])
            self.assertTrue(wait_until(lambda: 0.8 < float(info(client)["mem_fragmentation_ratio"]) < 1.2))
            found = info(client)
            self.assertGreater(int(found["used_memory_rss"]), 100000000)
            self.assertIn("mem_fragmentation_bytes", found)
            self.assertEqual(found["store_log_size"], found["aof_current_size"])

    def test_the_time_spent_on_expiry_is_counted(self):
        with Server(hz=100) as server, server.client() as client:
            client.pipeline([("PSETEX", number, 1, "v") for number in range(20000)])
            self.assertTrue(wait_until(lambda: int(info(client)["expire_cycle_cpu_milliseconds"]) > 0))
            self.assertEqual("0", info(client)["io_threaded_reads_processed"])


class Protection(ServerTest):
    def test_debug_is_refused_before_it_is_queued(self):
        for arguments in (("DEBUG", "SLEEP", "0"), ("DEBUG", "HELP")):
            self.assertRegex(str(self.client.attempt(*arguments)), "^ERR DEBUG command not allowed")
        self.client("MULTI")
        self.assertRegex(str(self.client.attempt("DEBUG", "SLEEP", "0")), "^ERR DEBUG command not allowed")
        self.client("SET", "a", "1")
        self.assertEqual("EXECABORT", self.client.attempt("EXEC").code)
        found = info(self.client)
        self.assertIn("calls=0,", found["cmdstat_debug"])
        self.assertIn("rejected_calls=3,", found["cmdstat_debug"])


Logs.options = {"enable_debug_command": "yes"}


class Configuration(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="stave-config-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.file = os.path.join(self.directory, "stave.conf")

    def run_server(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        return subprocess.run([os.path.join(BIN_DIR, "stave-server"), self.file], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)

    def test_a_typing_error_ends_the_start_with_file_and_line(self):
        result = self.run_server("# fine\ntimeuot 5\n")
        self.assertEqual(1, result.returncode)
        self.assertIn("stave.conf:2", result.stderr)
        self.assertIn("timeuot", result.stderr)

    def test_a_list_may_stand_in_one_argument(self):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write('save "60 1000"\nsave 5 6 7 8\nbind "127.0.0.1 -::1"\nclient-output-buffer-limit "normal 1 2 3 slave 4 5 6"\n')
        limits = "normal 1 2 3 slave 4 5 6 pubsub 33554432 8388608 60"
        for options, periods in (([], "60 1000 5 6 7 8"), (["--save", "9 10"], "60 1000 5 6 7 8 9 10"), (["--save", ""], ""),
                                 (["--save"], ""), (["--save", "--save", "1 2 3 4"], "1 2 3 4")):
            with Server(directory=self.directory, arguments=[self.file, *options]) as server, server.client() as client:
                client("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")
                found = client("CONFIG", "GET", "save", "bind", "client-output-buffer-limit")
                found = {found[i]: found[i + 1].decode() for i in range(0, len(found), 2)}
                self.assertEqual([periods, "127.0.0.1 -::1", limits.replace("1 2 3", "0 0 0", 1)],
                                 [found[b"save"], found[b"bind"], found[b"client-output-buffer-limit"]])

    def test_a_server_that_nobody_could_reach_does_not_start(self):
        result = self.run_server(f"port 0\ndir {self.directory}\n")
        self.assertEqual(1, result.returncode)
        self.assertIn("Configured to not listen anywhere, exiting.", result.stdout)

    def test_what_is_set_is_written_into_the_file_and_read_again(self):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("# mine\ntimeout 100\n")
        with Server(directory=self.directory, arguments=[self.file]) as server:
            client = server.client()
            client("CONFIG", "SET", "timeout", 200, "requirepass", 'se"cret')
            client("CONFIG", "REWRITE")
            client.close()
            with open(self.file, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith("# mine\ntimeout 200\n"))
            server.restart()
            client = server.client()
            self.assertEqual("NOAUTH", client.attempt("GET", "a").code)
            self.assertEqual("OK", client("AUTH", 'se"cret'))
            self.assertEqual([b"timeout", b"200"], client("CONFIG", "GET", "timeout"))
            client.close()

    def test_a_port_that_cannot_be_had_changes_nothing(self):
        with Server() as first, Server() as second:
            client = second.client()
            reply = client.attempt("CONFIG", "SET", "timeout", 9, "port", first.port)
            self.assertIsInstance(reply, RespError)
            self.assertEqual([b"timeout", b"0"], client("CONFIG", "GET", "timeout"))
            self.assertEqual([b"port", str(second.port).encode()], client("CONFIG", "GET", "port"))
            other = second.client()
            self.assertEqual("PONG", other("PING"))
            other.close()
            client.close()

    def test_addresses_may_be_added_beside_those_that_stay(self):
        with Server(unixsocket=os.path.join(self.directory, "socket")) as server, server.client() as client:
            self.assertEqual("OK", client("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2"))
            for host in ("127.0.0.1", "127.0.0.2"):
                with Client(server.port, host=host) as other:
                    self.assertEqual("PONG", other("PING"))
            self.assertEqual("OK", client("CONFIG", "SET", "bind", "127.0.0.1"))
            self.assertTrue(wait_until(lambda: not self.can_connect("127.0.0.2", server.port)))
            with Client(server.port) as one, Client(path=os.path.join(self.directory, "socket")) as two:
                self.assertEqual(["PONG", "PONG", "PONG"], [each("PING") for each in (client, one, two)])

    def can_connect(self, host, port):
        try:
            with Client(port, host=host) as client:
                return client("PING") == "PONG"
        except OSError:
            return False

    def test_more_clients_are_allowed_only_with_descriptors_for_them(self):
        """P11: clients may not take those of the store's files."""
        with Server(maxclients=10) as server, server.client() as client:
            def soft_limit():
                return resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0]

            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (4200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            self.assertEqual("OK", client("CONFIG", "SET", "maxclients", 500))
            self.assertGreaterEqual(soft_limit(), 500 + 4096)
            self.assertRegex(str(client.attempt("CONFIG", "SET", "maxclients", 4000000000)),
                             "^ERR CONFIG SET failed.* - The operating system is not able to handle the specified "
                             "number of clients, try with [0-9]+$")
            self.assertEqual([b"maxclients", b"500"], client("CONFIG", "GET", "maxclients"))

    def test_directory_log_level_and_options_of_the_store_change_while_it_runs(self):
        with Server(enable_protected_configs="yes") as server, server.client() as client:
            client("CONFIG", "SET", "dir", self.directory)
            client("SET", "key", b"x" * 100000)
            client("SAVE")
            self.assertTrue(os.path.isdir(os.path.join(self.directory, "stave-snapshot")))
            self.assertEqual("ERR CONFIG SET failed", str(client.attempt("CONFIG", "SET", "dir", "/no/such"))[:21])
            self.assertEqual([b"dir", self.directory.encode()], client("CONFIG", "GET", "dir"))

            client("CONFIG", "SET", "loglevel", "verbose")
            with server.client() as broken:
                broken.send_raw(b"*x\r\n")
                self.assertTrue(broken.is_closed())
            self.assertIn("Protocol error from client", server.log())
            client("CONFIG", "SET", "loglevel", "warning")

            client("CONFIG", "SET", "segment-size", "1mb")
            for turn in range(3):  # the present segment, and the spare one, have the old size
                client.pipeline([("SET", f"key:{turn}:{i}", b"x" * 100000) for i in range(60)])
                client("SAVE")
            self.assertGreater(int(info(client, "store")["store_segments"]), 6)

    def test_a_log_that_is_moved_away_is_begun_anew(self):
        log, moved = (os.path.join(self.directory, name) for name in ("server.log", "server.log.1"))
        port = free_port()
        process = subprocess.Popen([os.path.join(BIN_DIR, "stave-server"), "--port", str(port), "--dir", self.directory,
                                    "--logfile", "server.log", "--loglevel", "verbose"])
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.assertTrue(wait_until(lambda: self.can_connect("127.0.0.1", port)))
        os.rename(log, moved)
        self.assertTrue(wait_until(lambda: os.path.exists(log)))
        with Client(port) as client:
            client.send_raw(b"*x\r\n")
            self.assertTrue(client.is_closed())
        with open(log, encoding="utf-8") as new, open(moved, encoding="utf-8") as old:
            self.assertIn("Protocol error", new.read())
            self.assertIn("Ready to accept connections", old.read())

    def test_the_beat_of_upkeep_changes_while_it_runs(self):
        with Server(hz=1, maxmemory="1gb") as server, server.client() as client:
            client("CONFIG", "SET", "hz", 100)
            client("CLIENT", "NO-EVICT", "on")
            client("CONFIG", "SET", "maxmemory-clients", 1000)
            ends = []
            for _ in range(6):  # each goes with the next beat; the first may be the last slow one
                with server.client() as large:
                    self.assertTrue(large.is_closed())
                ends.append(time.monotonic())
            self.assertLess(min(later - end for end, later in zip(ends, ends[1:])), 0.5)


class Snapshots(ServerTest):
    def snapshot_path(self):
        return os.path.join(self.server.directory, "stave-snapshot")

    def dumped(self):
        tool = os.path.join(BIN_DIR, "stave")
        copy = os.path.join(self.server.directory, "copy")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.snapshot_path(), copy)
        result = subprocess.run([tool, "get", copy, "key"], capture_output=True, text=True, timeout=PATIENCE,
                                check=True)
        return result.stdout.strip()

    def test_a_snapshot_is_a_store_and_is_replaced_whole(self):
        self.client("SET", "key", "one")
        self.assertEqual("OK", self.client("SAVE"))
        self.assertEqual("one", self.dumped())
        self.client("SET", "key", "two")
        self.assertEqual("Background saving started", self.client("BGSAVE"))
        self.assertTrue(wait_until(lambda: info(self.client)["rdb_bgsave_in_progress"] == "0"))
        self.assertEqual("two", self.dumped())
        self.assertEqual("ok", info(self.client)["rdb_last_bgsave_status"])
        self.assertLess(abs(self.client("LASTSAVE") - time.time()), 60)
        self.assertEqual([], [name for name in os.listdir(self.server.directory) if name.startswith("temp-")])

    def test_a_snapshot_that_an_exec_asks_for_has_all_of_its_writes(self):
        """SN4 of snapshot.h."""
        before = info(self.client)
        requests = [("MULTI",), ("SET", "key", "begin"), ("BGSAVE", "SCHEDULE"), ("BGREWRITEAOF",), ("BGSAVE",),
                    *[("SET", number, "v") for number in range(5000)], ("SET", "key", "end"), ("EXEC",)]
        replies = self.client.pipeline(requests)[-1]
        self.assertEqual(["Background saving scheduled", "Background append only file rewriting scheduled", "Background saving scheduled"],
                         replies[1:4])

        def is_done(found):
            counts = [int(found[name]) - int(before[name]) for name in ("rdb_saves", "aof_rewrites")]
            return counts == [1, 1] and [found["rdb_bgsave_in_progress"], found["aof_rewrite_scheduled"]] == ["0", "0"]

        self.assertTrue(wait_until(lambda: is_done(info(self.client))))
        self.assertEqual("end", self.dumped())

    def test_save_begins_snapshots_by_itself(self):
        saves = int(info(self.client)["rdb_saves"])
        self.client("CONFIG", "SET", "save", "1 1")
        self.client("SET", "key", "three")
        self.assertTrue(wait_until(lambda: int(info(self.client)["rdb_saves"]) > saves))
        self.client("CONFIG", "SET", "save", "")

    def test_the_log_is_compacted_on_demand(self):
        for _ in range(100):
            self.client("SET", "key", "x" * 1000)
        self.assertEqual("Background append only file rewriting started", self.client("BGREWRITEAOF"))
        self.assertTrue(wait_until(lambda: info(self.client)["aof_rewrite_in_progress"] == "0"))
        self.assertEqual("ok", info(self.client)["aof_last_bgrewrite_status"])
        self.assertEqual(b"x" * 1000, self.client("GET", "key"))


    def test_a_snapshot_replaces_nothing_but_a_snapshot(self):
        with Server(enable_protected_configs="yes") as server, server.client() as client:
            client("SET", "key", "value")
            letter = os.path.join(server.directory, "documents", "letter")
            os.mkdir(os.path.dirname(letter))
            for path in (letter, os.path.join(server.directory, "file")):
                with open(path, "w", encoding="utf-8") as file:
                    file.write("dear")
            for name, reason in (("documents", "no snapshot"), ("file", "no snapshot"), ("stave-data", "the store itself")):
                client("CONFIG", "SET", "dbfilename", name)
                self.assertRegex(str(client.attempt("SAVE")), f"^ERR '{name}' is .*{reason}")
            self.assertRegex(str(client.attempt("SHUTDOWN", "SAVE")), "^ERR Errors trying to SHUTDOWN")
            for name in ("../elsewhere", "a/b", ".", "..", ""):
                self.assertRegex(str(client.attempt("CONFIG", "SET", "dbfilename", name)), "can't be a path")
            self.assertEqual(["documents", "file", "stave-data", "test.log"], sorted(os.listdir(server.directory)))
            self.assertTrue(os.path.exists(letter))
            client("SET", "key", "changed")
            server.kill()
            server.start()
            with server.client() as again:
                self.assertEqual(b"changed", again("GET", "key"))


class Ends(unittest.TestCase):
    def end_by(self, end):
        with Server() as server:
            client = server.client()
            client("SET", "key", "value")
            end(server, client)
            self.assertEqual(0, server.process.wait(PATIENCE))
            server.start()
            again = server.client()
            self.assertEqual(b"value", again("GET", "key"))
            again.close()
            client.close()

    def test_shutdown_closes_the_store(self):
        self.end_by(lambda _, client: client.send("SHUTDOWN"))

    def test_shutdown_without_saving_closes_the_store(self):
        self.end_by(lambda _, client: client.send("SHUTDOWN", "NOSAVE", "NOW", "FORCE"))

    def test_shutdown_makes_a_snapshot_if_it_is_to(self):
        with Server() as server, server.client() as client:
            client("SET", "key", "value")
            client.send("SHUTDOWN", "SAVE")
            self.assertEqual(0, server.process.wait(PATIENCE))
            result = subprocess.run([os.path.join(BIN_DIR, "stave"), "get", os.path.join(server.directory, "stave-snapshot"),
                                     "key"], capture_output=True, text=True, timeout=PATIENCE, check=True)
            self.assertEqual("value", result.stdout.strip())

    def test_a_signal_closes_the_store(self):
        self.end_by(lambda server, _: server.process.send_signal(signal.SIGTERM))

    def test_a_server_in_the_background_leaves_its_pid_and_its_log_in_its_directory(self):
        directory = tempfile.mkdtemp(prefix="stave-daemon-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        port, log = free_port(), os.path.join(directory, "server.log")
        result = subprocess.run([os.path.join(BIN_DIR, "stave-server"), "--port", str(port), "--dir", directory,
                                 "--daemonize", "yes", "--pidfile", "server.pid", "--logfile", "server.log"],
                                capture_output=True, timeout=PATIENCE, check=True, cwd="/")
        self.assertEqual((b"", b""), (result.stdout, result.stderr))

        def logged(text):
            with contextlib.suppress(FileNotFoundError), open(log, encoding="utf-8") as file:
                return text in file.read()
            return False

        self.assertTrue(wait_until(lambda: logged("Ready to accept connections")))
        with open(os.path.join(directory, "server.pid"), encoding="ascii") as file:
            number = int(file.read())
        with Client(port) as client:
            self.assertEqual(str(number), info(client)["process_id"])
            client.send("SHUTDOWN")
            self.assertTrue(client.is_closed())
        self.assertTrue(wait_until(lambda: logged("bye bye")))
        self.assertFalse(os.path.exists(os.path.join(directory, "server.pid")))

    def test_tools_that_start_a_redis_find_their_lines(self):
        with Server() as server:
            self.assertIn(f" PID: {server.process.pid}", server.log())
            self.assertIn("Ready to accept connections", server.log())


if __name__ == "__main__":
    main()
