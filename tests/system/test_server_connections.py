"""Connections: the protocol's edges, pipelines, limits, and what one client may do to another (P11)."""

import contextlib
import os
import resource
import socket
import struct
import time
import unittest

from stave_server import SLOWNESS, Client, RespError, Server, ServerTest, encode, main, wait_until


class Protocol(ServerTest):
    def test_inline_commands_follow_quotes(self):
        self.client.send_raw(b'SET "a key" \'it is\'\r\n  GET   "a key"\r\nPING\n\r\n\r\nPING\r\n')
        self.assertEqual(["OK", b"it is", "PONG", "PONG"], [self.client.read() for _ in range(4)])

    def test_a_request_that_breaks_the_protocol_is_answered_and_the_connection_closed(self):
        cases = {
            b"*1000000000\r\n": "ERR Protocol error: invalid multibulk length",
            b"*1\r\n$600000000\r\n": "ERR Protocol error: invalid bulk length",
            b"*1\r\n+PING\r\n": "ERR Protocol error: expected '$', got '+'",
            b'GET "a\r\n': "ERR Protocol error: unbalanced quotes in request",
            b"x" * 70000: "ERR Protocol error: too big inline request",
        }
        for request, error in cases.items():
            client = self.connect()
            client.send_raw(request)
            self.assertEqual(error, str(client.read(raises=False)), request[:40])
            self.assertTrue(client.is_closed(), request[:40])

    def test_requests_before_a_broken_one_are_run_and_answered(self):
        self.client.send_raw(encode("SET", "k", "v") + encode("GET", "k") + b"*x\r\n")
        self.assertEqual("OK", self.client.read())
        self.assertEqual(b"v", self.client.read())
        self.assertEqual("ERR Protocol error: invalid multibulk length", str(self.client.read(raises=False)))

    def test_http_ends_the_connection_without_an_answer(self):
        for request in (b"POST / HTTP/1.1\r\n", b"Host: example.org\r\n"):
            client = self.connect()
            client.send_raw(request + b"SET attacked yes\r\n")
            with self.assertRaises(ConnectionError):
                client.read()
        self.assertIsNone(self.client("GET", "attacked"))

    def test_a_request_may_come_byte_by_byte(self):
        request = encode("SET", "slow", "v" * 10) + encode("GET", "slow")
        for at in range(len(request)):
            self.client.send_raw(request[at:at + 1])
        self.assertEqual("OK", self.client.read())
        self.assertEqual(b"v" * 10, self.client.read())

    def test_unknown_commands_and_arity_have_redis_texts(self):
        self.assert_error("ERR unknown command 'foo', with args beginning with: 'a' 'b' ", "foo", "a", "b")
        self.assert_error("ERR unknown command 'foo', with args beginning with: ", "foo")
        self.assert_error("ERR wrong number of arguments for 'get' command", "GET")
        long = "x" * 200
        self.assert_error(f"ERR unknown command '{long[:128]}', with args beginning with: '{long[:128]}' ", long, long)


class Pipelines(ServerTest):
    def test_replies_of_a_huge_pipeline_come_in_order(self):
        count = 20000
        requests = []
        for i in range(count):
            requests += [encode("SET", f"key:{i % 100}", i), encode("GET", f"key:{i % 100}")]
        self.client.send_raw(b"".join(requests))
        for i in range(count):
            self.assertEqual("OK", self.client.read())
            self.assertEqual(str(i).encode(), self.client.read())

    def test_large_values_pass_in_pipelines(self):
        large = os.urandom(3 << 20)
        self.assertEqual(["OK", large, 7, large],
                         self.client.pipeline([("SET", "l", large), ("GET", "l"), ("APPEND", "s", "7 bytes"),
                                               ("GET", "l")]))

    def test_values_around_the_size_that_is_not_copied_are_whole(self):
        for size in (0, 1, 16383, 16384, 16385, 65535, 65536, 1 << 20):
            value = os.urandom(size)
            self.assertEqual("OK", self.client("SET", "v", value))
            self.assertEqual([value] * 40, self.client.pipeline([("GET", "v")] * 40))

    def test_a_value_overwritten_while_it_is_being_sent_arrives_as_it_was(self):
        old, new = b"o" * (4 << 20), b"n" * (4 << 20)
        self.client("SET", "v", old)
        self.client.send_raw(encode("GET", "v") * 4)
        time.sleep(0.05)
        other = self.connect()
        self.assertEqual("OK", other("SET", "v", new))
        self.assertEqual([old] * 4, [self.client.read() for _ in range(4)])
        self.assertEqual(new, self.client("GET", "v"))


class SlowReaders(ServerTest):
    options = {"io_threads": 2}

    def test_a_client_that_never_reads_is_held_up_and_holds_up_nobody(self):
        self.client("SET", "v", b"x" * 10000)
        slow = self.connect()
        slow.socket.setblocking(False)
        request = encode("GET", "v") * 100
        sent = 0
        try:
            while sent < 200 << 20:  # a server that went on reading would answer with gigabytes
                sent += slow.socket.send(request)
                self.assertEqual("PONG", self.client("PING"))
        except BlockingIOError:
            pass
        self.assertLess(sent, 100 << 20)
        memory = [line for line in self.status() if line.startswith("RssAnon")][0]
        self.assertLess(int(memory.split()[1]), (64 if SLOWNESS == 1 else 2000) << 10)
        slow.socket.setblocking(True)
        self.assertEqual(b"x" * 10000, slow.read())

    def status(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as file:
            return file.readlines()


class Limits(unittest.TestCase):
    def test_a_query_above_its_limit_closes_the_connection(self):
        with Server(client_query_buffer_limit="1mb") as server, server.client() as client, server.client() as other:
            with contextlib.suppress(OSError):
                client.send_raw(b"*2\r\n$3\r\nGET\r\n$20000000\r\n" + b"x" * (10 << 20))  # it would go on
            self.assertTrue(client.is_closed())
            self.assertIn("reached max query buffer length", server.log())
            self.assertEqual("1", figure(other, "client_query_buffer_limit_disconnections"))

    def test_what_is_queued_after_multi_counts_as_query(self):
        with Server(client_query_buffer_limit="1mb") as server, server.client() as client, server.client() as other:
            client("MULTI")
            with contextlib.suppress(OSError):
                for _ in range(100):
                    client.send("SET", "k", b"x" * 20000)
            self.assertTrue(client.is_closed())
            self.assertEqual("1", figure(other, "client_query_buffer_limit_disconnections"))

    def test_more_clients_than_maxclients_are_refused_with_redis_text(self):
        with Server(maxclients=5) as server:
            wait_until(lambda: True)
            clients = []
            refused = None
            for _ in range(8):
                client = server.client()
                try:
                    client("PING")
                    clients.append(client)
                except (RespError, OSError) as error:
                    refused = refused or error
                    client.close()
            self.assertEqual(5, len(clients))
            self.assertEqual("ERR max number of clients reached", str(refused))
            clients.pop().close()
            self.assertTrue(wait_until(lambda: can_ping(server)))
            for client in clients:
                client.close()

    def test_an_idle_client_is_closed_after_the_timeout(self):
        with Server(timeout=1) as server, server.client() as client:
            self.assertEqual("PONG", client("PING"))
            self.assertTrue(client.is_closed())

    def test_time_goes_on_within_a_pipeline(self):
        with Server(enable_debug_command="yes") as server, server.client() as client:
            set_and_look = [("SET", "k", "v", "PX", 100000), ("PEXPIRETIME", "k")]
            replies = client.pipeline([*set_and_look, ("DEBUG", "SLEEP", 0.5), *set_and_look])
            self.assertGreaterEqual(replies[4] - replies[1], 490)

    def test_a_client_that_does_not_read_is_idle(self):
        with Server(timeout=1) as server, server.client() as client:
            client("SET", "v", b"x" * 1000000)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.send_raw(b"GET v\r\n" * 100)
            self.assertTrue(wait_until(lambda: clients_of(server) == 1))

    def test_a_password_that_is_taken_away_is_asked_of_nobody(self):
        with Server(requirepass="secret") as server, server.client() as client, server.client() as other:
            self.assert_noauth(other)
            client("AUTH", "secret")
            client("CONFIG", "SET", "requirepass", "")
            self.assertEqual("OK", other("SET", "k", b"x" * 20000))
            self.assertEqual(b"3", str(other("HELLO", "3")[b"proto"]).encode())
            client("CONFIG", "SET", "requirepass", "another")
            self.assert_noauth(other)
            self.assertEqual("PONG", client("PING"))  # gave one once

    def assert_noauth(self, client):
        self.assertEqual("NOAUTH Authentication required.", str(client.attempt("GET", "k")))

    def test_before_the_password_requests_are_tiny(self):
        with Server(requirepass="secret") as server:
            with server.client() as client:
                client.send_raw(b"*11\r\n")
                self.assertEqual("ERR Protocol error: unauthenticated multibulk length",
                                 str(client.read(raises=False)))
                self.assertTrue(client.is_closed())
            with server.client() as client:
                client.send_raw(b"*2\r\n$4\r\nAUTH\r\n$20000\r\n")
                self.assertEqual("ERR Protocol error: unauthenticated bulk length", str(client.read(raises=False)))
            with server.client() as client:
                self.assertEqual("NOAUTH Authentication required.", str(client.attempt("GET", "k")))

    def test_the_output_limit_closes_a_client_whose_replies_pile_up(self):
        with Server(client_output_buffer_limit=("normal", "500kb", 0, 0)) as server:
            with server.client() as client:
                client("SET", "v", b"x" * 15000)  # small enough to be copied
                self.assertEqual(b"x" * 15000, client("GET", "v"))
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.send("MGET", *["v"] * 5000)
                self.assertTrue(wait_until(lambda: "output buffer limits" in server.log()))

    def fill_output(self, server):
        """A client with a megabyte or so of replies that it does not read."""
        with server.client() as client:
            client("SET", "v", b"x" * 15000)
        slow = server.client()
        self.addCleanup(slow.close)
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with contextlib.suppress(OSError):
            slow.send_raw(encode("GET", "v") * 2000)
        return slow

    def test_replies_that_pile_up_are_bounded_at_once_by_the_hard_limit_and_in_time_by_the_soft_one(self):
        with Server(client_output_buffer_limit=("normal", "500kb", 0, 0)) as server, server.client() as client:
            self.fill_output(server)
            self.assertTrue(wait_until(lambda: figure(client, "client_output_buffer_limit_disconnections") == "1"))
            client("CONFIG", "SET", "client-output-buffer-limit", "normal 0 100kb 1")
            begin = time.monotonic()
            self.fill_output(server)
            self.assertTrue(wait_until(lambda: figure(client, "client_output_buffer_limit_disconnections") == "2"))
            self.assertGreater(time.monotonic() - begin, 1)

    def test_clients_above_maxmemory_clients_go_the_largest_first(self):
        with Server(maxmemory_clients="4mb", hz=100) as server, server.client() as small, server.client() as large:
            self.assertEqual("PONG", small("PING"))
            with contextlib.suppress(ConnectionError):  # it may be closed before all is sent
                large.send_raw(b"*2\r\n$3\r\nGET\r\n$20000000\r\n" + b"x" * (6 << 20))
            self.assertTrue(large.is_closed())
            self.assertEqual("PONG", small("PING"))

    def test_arguments_that_have_come_count_as_memory_of_their_client(self):
        with Server() as server, server.client() as client, server.client() as other:
            number = client("CLIENT", "ID")
            client.send_raw(b"*1000000\r\n" + b"$0\r\n\r\n" * 100000)
            self.assertTrue(wait_until(lambda: self.memory_of(other, number, "argv-mem") >= 100000 * 16))
            self.assertGreater(self.memory_of(other, number, "tot-mem"), 100000 * (16 + 6))

    def memory_of(self, client, number, field):
        line = client("CLIENT", "LIST", "ID", number).decode()
        return int(line.split(f" {field}=")[1].split(" ")[0])

    def test_maxmemory_clients_may_be_a_share_of_maxmemory(self):
        with Server(maxmemory="400mb", maxmemory_clients="1%", hz=100) as server:
            with server.client() as small, server.client() as large:
                large.send_raw(b"*2\r\n$3\r\nGET\r\n$20000000\r\n" + b"x" * (1 << 20))
                time.sleep(0.1)
                self.assertEqual("0", figure(small, "evicted_clients"))
                with contextlib.suppress(ConnectionError):
                    large.send_raw(b"x" * (5 << 20))
                self.assertTrue(large.is_closed())
                self.assertEqual("1", figure(small, "evicted_clients"))

    @unittest.skipIf(not os.path.exists("/proc/net/tcp"), "the system does not show timers")
    def test_connections_are_kept_alive_as_configured(self):
        def timer(server, client):
            ours, theirs = f":{server.port:04X}", f":{client.socket.getsockname()[1]:04X}"
            with open("/proc/net/tcp", encoding="ascii") as file:
                for fields in (line.split() for line in file):
                    if fields[1].endswith(ours) and fields[2].endswith(theirs):
                        return fields[5].split(":")[0]
            return None

        with Server() as server, server.client() as client:
            client("CONFIG", "SET", "tcp-keepalive", 0)
            with server.client() as other:
                other("PING")
                client("PING")
                self.assertTrue(wait_until(lambda: [timer(server, each) for each in (client, other)] == ["02", "00"]))

    def test_a_client_that_is_not_to_be_evicted_stays_and_others_go(self):
        with Server(maxmemory_clients="4mb", hz=100) as server, server.client() as kept, server.client() as other:
            kept("CLIENT", "NO-EVICT", "on")
            kept.send_raw(b"*2\r\n$3\r\nGET\r\n$6000000\r\n" + b"x" * 5999999)
            self.assertTrue(other.is_closed())
            kept.send_raw(b"x\r\n")
            self.assertIsNone(kept.read())
            self.assertEqual("1", figure(kept, "evicted_clients"))

    def test_what_lcs_would_compute_is_bounded(self):
        with Server() as server, server.client() as client:
            client.pipeline([("SETRANGE", key, 199999, "x") for key in ("a", "b")] + [("SETRANGE", "c", 4999, "x")])
            for words in ((), ("LEN",), ("IDX",)):
                self.assertRegex(str(client.attempt("LCS", "a", "b", *words)), "^ERR Insufficient memory")
            self.assertEqual(4999, client("LCS", "a", "c", "LEN") - 1)

    def test_keys_that_exceed_the_output_limit_are_refused(self):
        with Server(client_output_buffer_limit=("normal", "100kb", 0, 0)) as server, server.client() as client:
            client.pipeline([("SET", "k" * 100 + str(i), "") for i in range(2000)])
            self.assertEqual("ERR the keys exceed client-output-buffer-limit, SCAN gives them in parts",
                             str(client.attempt("KEYS", "*")))
            self.assertEqual(10, len(client("KEYS", "*199?")))

    def test_no_descriptors_left_is_no_end(self):
        with Server(maxclients=50) as server:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (60, 60))
            clients = [server.client() for _ in range(60)]
            time.sleep(0.3)
            self.assertLess(server.log().count("Accepting client connection"), 200)
            for client in clients:
                client.close()
            self.assertTrue(wait_until(lambda: can_ping(server)))

    def test_a_unix_socket_serves_as_well(self):
        with Server() as first:
            path = os.path.join(first.directory, "socket")
            with Server(unixsocket=path, unixsocketperm="700") as server, Client(path=path) as client:
                self.assertEqual("OK", client("SET", "k", "v"))
                self.assertEqual(0o700, os.stat(path).st_mode & 0o777)
                with server.client() as other:
                    self.assertEqual(b"v", other("GET", "k"))
                    self.assertEqual("OK", other("MONITOR"))
                    client("GET", "k")
                    self.assertIn(f'[0 unix:{path}] "GET" "k"', other.read_line().decode())
            self.assertFalse(os.path.exists(path))


class Many(unittest.TestCase):
    def test_a_thousand_connections_come_and_go(self):
        with Server(io_threads=2) as server:
            for _ in range(3):
                clients = [server.client() for _ in range(1000)]
                for client in clients:
                    client.send("PING")
                self.assertEqual(["PONG"] * 1000, [client.read() for client in clients])
                for at, client in enumerate(clients):
                    if at % 3 == 0:  # an end without a farewell
                        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
            self.assertTrue(can_ping(server))

    def test_clients_that_leave_in_the_middle_of_replies_harm_nobody(self):
        with Server(io_threads=2) as server, server.client() as client:
            client("SET", "v", b"x" * 100000)
            for _ in range(50):
                leaver = server.client()
                leaver.send_raw(encode("GET", "v") * 200)
                leaver.close()
            self.assertEqual(b"x" * 100000, client("GET", "v"))


def figure(client, name):
    """A field of INFO."""
    for line in client("INFO", "everything").decode().split("\r\n"):
        if line.startswith(name + ":"):
            return line.split(":", 1)[1]
    raise KeyError(name)


def clients_of(server):
    """How many there are, with the one that asks."""
    with server.client() as client:
        return len(client("CLIENT", "LIST").splitlines())


def can_ping(server):
    try:
        with server.client() as client:
            return client("PING") == "PONG"
    except (RespError, OSError):
        return False


if __name__ == "__main__":
    main()
