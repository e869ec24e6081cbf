"""A stave-server under test, and a small client of the Redis protocol, versions 2 and 3."""

import faulthandler
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BIN_DIR = os.environ.get("STAVE_BIN_DIR") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build", "bin")
SANITIZE = os.environ.get("STAVE_SANITIZE", "")
# Under sanitizers tests do so much less of what takes its time.
SLOWNESS = 10 if SANITIZE else 1
# How long is waited for what must come. That decides nothing: it ends a wait in vain, before ctest ends the test.
PATIENCE = 300


class RespError(Exception):
    """An error reply; two of the same text are equal."""

    def __eq__(self, other):
        return isinstance(other, RespError) and str(self) == str(other)

    def __hash__(self):
        return hash(str(self))

    @property
    def code(self):
        return str(self).split(" ", 1)[0]


class Push(list):
    """A push message of version 3."""


class Verbatim(bytes):
    """Verbatim text; `format` is its three letters."""


def encode(*arguments):
    """A request: strings, bytes and numbers."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        if not isinstance(argument, bytes):
            argument = str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Client:
    """One connection. `client("GET", "key")` returns the reply and raises error replies."""

    def __init__(self, port=None, path=None, timeout=PATIENCE, host="127.0.0.1"):
        if path is not None:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = b""
        self.at = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # Sending.
    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, *arguments):
        self.send_raw(encode(*arguments))

    def __call__(self, *arguments):
        self.send(*arguments)
        return self.read()

    def attempt(self, *arguments):
        """As a call, but an error reply is returned."""
        self.send(*arguments)
        return self.read(raises=False)

    def pipeline(self, requests):
        """Sends all, then reads as many replies; errors among them are returned."""
        self.send_raw(b"".join(encode(*request) for request in requests))
        return [self.read(raises=False) for _ in requests]

    # Receiving.
    def _fill(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server has closed the connection")
        if self.at > 0:
            self.input = self.input[self.at:]
            self.at = 0
        self.input += data

    def read_line(self):
        while True:
            end = self.input.find(b"\r\n", self.at)
            if end >= 0:
                line = self.input[self.at:end]
                self.at = end + 2
                return line
            self._fill()

    def read_bytes(self, size):
        if len(self.input) - self.at < size:
            parts = [self.input[self.at:]]
            missing = size - len(parts[0])
            self.input, self.at = b"", 0
            while missing > 0:
                data = self.socket.recv(min(missing, 1 << 20))
                if not data:
                    raise ConnectionError("the server has closed the connection")
                parts.append(data)
                missing -= len(data)
            return b"".join(parts)
        taken = self.input[self.at:self.at + size]
        self.at += size
        return taken

    def read(self, raises=True):
        """The next reply as a value of Python."""
        value = self._read_value()
        if raises and isinstance(value, RespError):
            raise value
        return value

    def _read_value(self):
        line = self.read_line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode("utf-8", "surrogateescape")
        if kind == b"-":
            return RespError(rest.decode("utf-8", "surrogateescape"))
        if kind == b":":
            return int(rest)
        if kind in b"$=!":
            if rest == b"-1":
                return None
            data = self.read_bytes(int(rest) + 2)[:-2]
            if kind == b"=":
                text = Verbatim(data[4:])
                text.format = data[:3].decode()
                return text
            return RespError(data.decode()) if kind == b"!" else data
        if kind in b"*~>":
            if rest == b"-1":
                return None
            items = [self._read_value() for _ in range(int(rest))]
            return Push(items) if kind == b">" else items
        if kind == b"%":
            return {hashable(self._read_value()): self._read_value() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise ValueError(f"no reply begins like this: {line!r}")

    def read_raw(self):
        """The next reply as the bytes that it came in."""
        parts = []
        missing = 1
        while missing > 0:
            line = self.read_line()
            parts.append(line + b"\r\n")
            missing -= 1
            kind, rest = line[:1], line[1:]
            if kind in b"$=!" and rest != b"-1":
                parts.append(self.read_bytes(int(rest) + 2))
            elif kind in b"*~>" and rest != b"-1":
                missing += int(rest)
            elif kind in b"%|":
                missing += 2 * int(rest) + (1 if kind == b"|" else 0)
        return b"".join(parts)

    def is_closed(self, timeout=PATIENCE):
        """Has the server closed the connection, within this time?"""
        self.socket.settimeout(timeout)
        try:
            while True:
                if not self.socket.recv(1 << 16):
                    return True
        except socket.timeout:
            return False
        except OSError:
            return True


def hashable(value):
    return tuple(value) if isinstance(value, list) else value


def free_port():
    """Below the ports that the system hands out: a client that knocks too early could be given such a one itself."""
    for _ in range(1000):
        port = random.randrange(10000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Server:
    """A server of its own port and directory; `options` are directives: Server(appendfsync="always")."""

    program = os.path.join(BIN_DIR, "stave-server")

    def __init__(self, directory=None, environment=None, arguments=(), **options):
        self.owns_directory = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="stave-server-")
        self.options = {name.replace("_", "-"): value for name, value in options.items()}
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.port = None
        self.process = None
        self.log_path = os.path.join(self.directory, "test.log")
        self.log_start = 0
        self.start()

    def command(self):
        options = {"port": self.port, "dir": self.directory, **self.options}
        line = [self.program, *self.arguments]
        for name, value in options.items():
            values = value if isinstance(value, (list, tuple)) else [value]
            line += ["--" + name, *(str(each) for each in values)]
        return line

    def start(self):
        for _ in range(20):  # another process may take the port before the server does
            self.port = self.options.get("port") or free_port()
            self.log_start = len(self.log()) if os.path.exists(self.log_path) else 0
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                env={**os.environ, **self.environment})
            if self._wait_until_ready():
                return
            if "Address already in use" not in self.log():
                break
        raise RuntimeError("the server did not start:\n" + self.log())

    def _wait_until_ready(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                return False
            if "Ready to accept connections" in self.log()[self.log_start:]:
                return True
            time.sleep(0.005)
        return False

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def client(self, **options):
        return Client(self.port, **options)

    def terminate(self, number=signal.SIGTERM):
        """Ends it by a signal; the result is its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.terminate()
        self.start()

    def close(self, shows_log=False):
        """Ends the server and removes what it leaves; a bad end is an error."""
        try:
            was_running = self.process.poll() is None
            code = self.terminate()
            log = self.log()
            if shows_log or (was_running and code != 0):
                sys.stderr.write(f"--- log of the server, exit code {code} ---\n{log}\n")
            if was_running and code != 0:
                raise RuntimeError(f"the server ended with {code}")
            if "Sanitizer" in log:
                sys.stderr.write(log)
                raise RuntimeError("a sanitizer has found something")
        finally:
            if self.owns_directory:
                shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close(shows_log=kind is not None)


class ServerTest(unittest.TestCase):
    """Tests on one server for the class, emptied before each test; `options` are its directives."""

    options = {}
    server = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(**cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.client = self.connect()
        self.client.attempt("FLUSHALL")

    def connect(self, **options):
        client = self.server.client(**options)
        self.addCleanup(client.close)
        return client

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result is not None else 0
        super().run(result)
        if result is not None and len(result.failures) + len(result.errors) > before and self.server is not None:
            sys.stderr.write(f"--- log of the server ---\n{self.server.log()}\n")
        return result

    def assert_error(self, text, *arguments, client=None):
        """The command is answered with this error."""
        reply = (client or self.client).attempt(*arguments)
        self.assertIsInstance(reply, RespError)
        self.assertEqual(text, str(reply))


def wait_until(condition, timeout=PATIENCE):
    """Until the condition holds; False if it does not within this time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def watch_expiring(client, key):
    """Watches a key that was there when it was watched, and expires; the result is after how many milliseconds."""
    for milliseconds in (30 * 4 ** tries for tries in range(5)):  # a machine that stands still can eat up the first ones
        replies = client.pipeline([("SET", key, "1", "PX", milliseconds), ("WATCH", key), ("EXISTS", key)])
        if replies == ["OK", "OK", 1]:
            return milliseconds
        client("UNWATCH")
    raise RuntimeError("the key expires at once")


def redis_server(*arguments):
    """A redis-server to compare with: (process, port); None if none is installed."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    port = free_port()
    process = subprocess.Popen([program, "--port", str(port), "--save", "", "--daemonize", "no", *arguments],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    for _ in range(1000):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.01)
    process.kill()
    raise RuntimeError("redis-server did not start")


def main():
    """
    Runs the tests of the calling file. One that hangs says where, before ctest ends it after 600 seconds; what was
    skipped is named at the end of `make test`.
    """
    faulthandler.dump_traceback_later(540)
    result = unittest.main(verbosity=1, warnings="ignore", exit=False).result
    for reason in sorted({reason for _, reason in result.skipped}):
        print(f"skipped: {reason}", flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)
