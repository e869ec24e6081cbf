#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may do what: protected mode, passwords, the delay after wrong ones."""

import os
import socket
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

from stave_server import Client, RespError, Server, encode, main  # noqa: E402

WRONG = RespError("WRONGPASS invalid username-password pair or user is disabled.")


def foreign_address():
    """An address of this machine that is not the loopback's; None: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            address = probe.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


class ProtectedMode(unittest.TestCase):
    def setUp(self):
        self.address = foreign_address()
        if self.address is None:
            self.skipTest("this machine has no address but the loopback's")

    def test_without_a_password_only_this_host_is_served(self):
        with Server(bind=("127.0.0.1", self.address)) as server, server.client() as client:
            self.assertEqual("DENIED", self.first_reply(server).code)
            client("CONFIG", "SET", "protected-mode", "no")
            self.assertEqual("PONG", self.first_reply(server))
            client("CONFIG", "SET", "protected-mode", "yes", "requirepass", "secret")
            self.assertEqual("NOAUTH", self.first_reply(server).code)

    def test_debug_for_local_clients_is_not_for_others(self):
        with Server(bind=("127.0.0.1", self.address), protected_mode="no", enable_debug_command="local",
                    enable_protected_configs="local") as server:
            with server.client() as local, Client(server.port, host=self.address) as other:
                self.assertEqual("OK", local("DEBUG", "SLEEP", 0))
                self.assertEqual("OK", local("CONFIG", "SET", "dir", server.directory))
                self.assertRegex(str(other.attempt("DEBUG", "SLEEP", 0)), "^ERR DEBUG command not allowed")
                self.assertRegex(str(other.attempt("CONFIG", "SET", "dir", server.directory)), "protected config")

    def first_reply(self, server):
        with Client(server.port, host=self.address) as client:
            try:
                client.send("PING")
            except OSError:
                pass
            return client.read(raises=False)


class Local(unittest.TestCase):
    def test_loopback_and_the_unix_socket_are_local(self):
        with Server(enable_debug_command="local") as first:
            path = os.path.join(first.directory, "socket")
            with Server(enable_debug_command="local", unixsocket=path) as server:
                for client in (server.client(), Client(path=path)):
                    with client:
                        self.assertEqual("OK", client("DEBUG", "SLEEP", 0))


class Passwords(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(requirepass="secret", io_threads=1)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_a_password_is_right_as_a_whole_or_not_at_all(self):
        for wrong in ("", "s", "secre", "secreu", "tecret", "secrets", "secretsecret", "SECRET", b"secret\0"):
            with self.server.client() as client:
                self.assertEqual(WRONG, client.attempt("AUTH", wrong), wrong)
                self.assertEqual("NOAUTH", client.attempt("GET", "k").code)
        for user, right in (("default", True), ("Default", False), ("", False), ("root", False)):
            with self.server.client() as client:
                self.assertEqual("OK" if right else WRONG, client.attempt("AUTH", user, "secret"))
                self.assertEqual(right, client.attempt("GET", "k") is None)

    def test_after_wrong_passwords_a_client_waits_longer_and_longer_until_it_gives_the_right_one(self):
        with self.server.client() as client:
            begin = time.monotonic()
            client.send_raw(encode("AUTH", "wrong") * 5 + encode("AUTH", "secret"))
            self.assertEqual([WRONG] * 5 + ["OK"], [client.read(raises=False) for _ in range(6)])
            self.assertGreater(time.monotonic() - begin, 0.05 + 0.1 + 0.2 + 0.4 + 0.8)
            waits = []
            for _ in range(5):  # the quickest of them: if it went on, each would take 1.6 s at least
                begin = time.monotonic()
                self.assertEqual([WRONG, "OK"], client.pipeline([("AUTH", "wrong"), ("AUTH", "secret")]))
                waits.append(time.monotonic() - begin)
            self.assertLess(min(waits), 1.5)

    def test_while_a_client_waits_others_are_served(self):
        with self.server.client() as client, self.server.client() as other:
            client.send_raw(encode("AUTH", "wrong") * 15 + encode("AUTH", "secret"))  # for 21 seconds
            self.assertEqual(WRONG, client.read(raises=False))
            self.assertEqual("OK", other("AUTH", "secret"))
            self.assertEqual([None] * 20, [other("GET", "k") for _ in range(20)])
            self.assertNotIn(b"OK", client.socket.recv(1 << 16, socket.MSG_PEEK))

    def test_what_comes_with_the_password_is_bounded_as_what_comes_after_it(self):
        with self.server.client() as client:
            self.assertEqual(["OK", "OK", b"x" * 50000],
                             client.pipeline([("AUTH", "secret"), ("SET", "k", b"x" * 50000), ("GET", "k")]))
            client("DEL", "k")

    def test_reset_takes_back_what_a_password_gave(self):
        with self.server.client() as client:
            self.assertEqual("OK", client("AUTH", "secret"))
            self.assertEqual("RESET", client("RESET"))
            self.assertEqual("NOAUTH", client.attempt("GET", "k").code)


if __name__ == "__main__":
    main()
