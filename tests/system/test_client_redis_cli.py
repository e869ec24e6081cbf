#!/usr/bin/env python3
"""redis-cli and redis-benchmark of Debian's redis-tools against stave-server."""

import os
import shutil
import subprocess
import sys
import time
import unittest

from stave_server import PATIENCE, Server, ServerTest, main

if shutil.which("redis-cli") is None or shutil.which("redis-benchmark") is None:
    print("skipped: no redis-cli and redis-benchmark (Debian: redis-tools)")
    sys.exit(77)

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "REDISCLI_AUTH"}


def run(program, *words, stdin=b"", code=0, **extra):
    """Its output; whatever it says on standard error is in it."""
    done = subprocess.run([program, *(str(word) for word in words)], input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=PATIENCE, env={**ENVIRONMENT, **extra}, check=False)
    if done.returncode != code:
        raise AssertionError(f"{program} {words}: exit code {done.returncode}\n{done.stdout[-2000:]!r}")
    return done.stdout


class OneShot(ServerTest):
    def cli(self, *words, **extra):
        return run("redis-cli", "-p", self.server.port, *words, **extra)

    def test_commands_are_answered_in_both_protocols(self):
        self.assertEqual(b"OK\n", self.cli("SET", "key", "a value"))
        for version in ("-2", "-3"):
            self.assertEqual(b"a value\n", self.cli(version, "GET", "key"))
            self.assertEqual(b"\n", self.cli(version, "GET", "none"))
            self.assertEqual(b"(nil)\n", self.cli(version, "--no-raw", "GET", "none"))
            self.assertIn(b"(integer) 2\n", self.cli(version, "--no-raw", "INCRBY", "n" + version, 2))
            self.assertEqual(b"ERR syntax error\n\n", self.cli(version, "SET", "key", "v", "SIDEWAYS"))
        self.assertEqual(b'{"proto":3}\n', b"{" + self.cli("-3", "--json", "HELLO").split(b",")[2] + b"}\n")
        self.assertIn(b"# Server\r\n", self.cli("-3", "INFO"))

    def test_values_are_bytes_and_may_be_large(self):
        value = bytes(range(256)) * 4096
        self.assertEqual(b"OK\n", self.cli("-x", "SET", "bytes", stdin=value))
        self.assertEqual(value + b"\n", self.cli("GET", "bytes"))
        large = os.urandom(32 << 20)
        self.assertEqual(b"OK\n", self.cli("-x", "SET", "large", stdin=large))
        self.assertTrue(self.cli("GET", "large") == large + b"\n")

    def test_a_database_is_chosen_by_number(self):
        self.cli("-n", 9, "SET", "there", 1)
        self.assertEqual(b"1\n", self.cli("-n", 9, "DBSIZE"))
        self.assertEqual(b"0\n", self.cli("DBSIZE"))

    def test_lines_are_commands_and_transactions(self):
        script = b"MULTI\nSET a 1\nINCR a\nEXEC\nCLIENT SETNAME me\nCLIENT GETNAME\n"
        self.assertEqual(b"OK\nQUEUED\nQUEUED\nOK\n2\nOK\nme\n", self.cli(stdin=script))


class Bulk(ServerTest):
    def cli(self, *words, **extra):
        return run("redis-cli", "-p", self.server.port, *words, **extra)

    def test_pipe_loads_a_hundred_thousand_and_scan_lists_them(self):
        count = 100000
        data = b"".join(b"*3\r\n$3\r\nSET\r\n$10\r\nkey:%06d\r\n$6\r\n%06d\r\n" % (i, i) for i in range(count))
        start = time.monotonic()
        output = self.cli("--pipe", stdin=data)
        print(f"redis-cli --pipe: {count} SETs in {time.monotonic() - start:.2f} s")
        self.assertIn(b"errors: 0, replies: %d\n" % count, output)
        self.assertEqual(b"%d\n" % count, self.cli("DBSIZE"))
        keys = self.cli("--scan").split()
        self.assertEqual({b"key:%06d" % i for i in range(count)}, set(keys))
        self.assertEqual({b"key:0000%02d" % i for i in range(100)},
                         set(self.cli("--scan", "--pattern", "key:0000*").split()))
        self.assertEqual(b"003456\n", self.cli("GET", "key:003456"))

    def test_pipe_reports_errors(self):
        data = b"SET a 1\r\nSET a\r\nINCR a\r\n"
        self.assertIn(b"errors: 1, replies: 3\n", self.cli("--pipe", stdin=data, code=1))

    def test_big_keys_and_memory_keys_are_found(self):
        self.client.pipeline([("SET", f"k{i}", "x" * i) for i in range(500)])
        output = self.cli("--bigkeys")
        self.assertIn(b'Biggest string found \'"k499"\' has 499 bytes', output.replace(b"  ", b" "))
        self.assertIn(b"500 strings with 124750 bytes", output)
        self.assertIn(b"500 strings with", self.cli("--memkeys"))

    def test_a_monitor_sees_what_others_do(self):
        with subprocess.Popen(["redis-cli", "-p", str(self.server.port), "MONITOR"], stdout=subprocess.PIPE,
                              env=ENVIRONMENT) as monitor:
            try:
                self.assertEqual(b"OK\n", monitor.stdout.readline())
                self.cli("SET", "seen", 'a "quoted" value')
                line = monitor.stdout.readline()
                while b"seen" not in line:
                    line = monitor.stdout.readline()
                self.assertRegex(line, rb'^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET" "seen" "a \\"quoted\\" value"\n$')
            finally:
                monitor.terminate()

    def test_statistics_and_latency_are_read_from_info(self):
        self.assertRegex(self.cli("--latency", "-i", 1, "--raw"), rb"^\d+ \d+ [\d.]+ \d+\n")
        self.assertRegex(self.cli("-r", 2, "-i", 0.01, "INFO", "clients"), rb"(connected_clients:\d+(.|\n)*){2}")


class Access(unittest.TestCase):
    def test_passwords_and_unix_sockets_work(self):
        with Server() as first:
            path = os.path.join(first.directory, "socket")
            with Server(requirepass="secret", unixsocket=path) as server:
                reach = ("-p", server.port)
                self.assertEqual(b"NOAUTH Authentication required.\n\n", run("redis-cli", *reach, "GET", "k"))
                self.assertEqual(b"PONG\n", run("redis-cli", *reach, "PING", REDISCLI_AUTH="secret"))
                self.assertEqual(b"PONG\n", run("redis-cli", *reach, "--user", "default", "--pass", "secret",
                                                "--no-auth-warning", "-3", "PING"))
                self.assertEqual(b"OK\n", run("redis-cli", "-u", f"redis://default:secret@127.0.0.1:{server.port}/3",
                                              "--no-auth-warning", "SET", "k", "v"))
                self.assertEqual(b"v\n", run("redis-cli", "-s", path, "-n", "3", "GET", "k", REDISCLI_AUTH="secret"))
                self.assertIn(b"WRONGPASS", run("redis-cli", *reach, "PING", REDISCLI_AUTH="wrong"))

    def test_what_was_answered_is_there_after_a_kill(self):
        with Server() as server:
            self.assertEqual(b"OK\n", run("redis-cli", "-p", server.port, "SET", "k", "v"))
            server.kill()
            self.assertIn(b"Connection refused", run("redis-cli", "-p", server.port, "GET", "k", code=1))
            server.start()
            self.assertEqual(b"v\n", run("redis-cli", "-p", server.port, "GET", "k"))


class Benchmark(unittest.TestCase):
    COUNT = 20000

    def benchmark(self, server, *words):
        output = run("redis-benchmark", "-p", server.port, "-n", self.COUNT, "-c", 50, "-q", *words).decode()
        lines = [line.split("\r")[-1].strip() for line in output.split("\n")]
        lines = [line for line in lines if line]
        for line in lines:
            self.assertRegex(line, r"^[\w \-()+:]+: [\d.]+ requests per second, p50=[\d.]+ msec$")
        print(*lines, sep="\n")
        return lines

    def test_benchmarks_end_without_an_error(self):
        with Server() as server, server.client() as client:
            lines = self.benchmark(server, "-t", "set,get,incr,mset,ping", "-P", "16")
            self.assertEqual(6, len(lines))
            self.assertEqual(self.COUNT, int(client("GET", "counter:__rand_int__")))
            self.benchmark(server, "-t", "set,get", "-P", "16", "-r", "100000", "-d", "200", "--threads", "2")
            self.benchmark(server, "-t", "get", "-P", "16", "-3")
            self.assertGreater(client("DBSIZE"), 10000)
            self.assertEqual("PONG", client("PING"))


if __name__ == "__main__":
    main()
