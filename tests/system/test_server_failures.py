"""Starts that fail, files that are damaged, disks that are full: what the server says, and what it leaves alone."""

import os
import resource
import subprocess
import unittest

from stave_server import PATIENCE, Client, Server, free_port, main


class FailedStart(unittest.TestCase):
    """A second server is told to use what the first one has, or what is not its own."""

    def setUp(self):
        self.server = Server(pidfile="server.pid", unixsocket="server.sock")
        self.addCleanup(self.server.close)

    def path(self, name):
        return os.path.join(self.server.directory, name)

    def start_beside(self, preexec_fn=None, **options):
        """The log of a server that does not start."""
        line = [Server.program]
        for name, value in {"port": free_port(), "dir": self.server.directory, **options}.items():
            line += ["--" + name, str(value)]
        result = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False,
                                preexec_fn=preexec_fn)
        self.assertEqual(1, result.returncode)
        return result.stdout

    def assert_untouched(self):
        with open(self.path("server.pid"), encoding="ascii") as file:
            self.assertEqual(self.server.process.pid, int(file.read()))
        with Client(path=self.path("server.sock")) as client:
            self.assertEqual("PONG", client("PING"))

    def test_a_store_that_is_open_elsewhere_leaves_pid_file_and_socket_to_their_server(self):
        log = self.start_beside(pidfile="server.pid", unixsocket="server.sock")
        self.assertIn("stave-data/LOCK: locked: the store is open elsewhere", log)
        self.assert_untouched()

    def test_a_port_in_use_leaves_pid_file_and_socket_to_their_server(self):
        log = self.start_beside(port=self.server.port, store="other", pidfile="server.pid", unixsocket="server.sock")
        self.assertIn("Address already in use", log)
        self.assert_untouched()

    def test_a_file_in_the_place_of_the_unix_socket_stays(self):
        with open(self.path("precious"), "w", encoding="ascii") as file:
            file.write("text")
        log = self.start_beside(store="other", unixsocket="precious")
        self.assertIn("Failed opening Unix socket precious: Address already in use", log)
        with open(self.path("precious"), encoding="ascii") as file:
            self.assertEqual("text", file.read())

    def test_a_socket_that_cannot_be_made_is_an_error_with_its_path(self):
        self.assertIn("unixsocket: the path is too long", self.start_beside(store="other", unixsocket="s" * 108))
        self.assertIn("Failed opening Unix socket absent/s: No such file or directory",
                      self.start_beside(store="other", unixsocket="absent/s"))

    def test_too_few_descriptors_for_the_server_itself_are_an_error(self):
        # So many clients that root is not granted descriptors for them either.
        log = self.start_beside(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)), store="other",
                                maxclients=4000000000)
        self.assertIn("Your current 'ulimit -n' of 32 is not enough for the server to start. Please increase your open "
                      "file limit to at least 4000004096. Exiting.", log)

    def test_what_the_server_has_made_goes_with_it(self):
        self.assert_untouched()
        self.assertEqual(0, self.server.terminate())
        self.assertFalse(os.path.exists(self.path("server.pid")))
        self.assertFalse(os.path.exists(self.path("server.sock")))


if __name__ == "__main__":
    main()
