"""What the tests of stave-cli share: the program run, a terminal for it, and a server that answers as it is told."""

import fcntl
import os
import pty
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

CLI = os.path.join(os.environ.get("STAVE_BIN_DIR", "build/bin"), "stave-cli")
TIMEOUT_SECONDS = 300  # for what must come: it decides nothing


def environment(extra):
    kept = {name: value for name, value in os.environ.items() if name not in ("REDISCLI_AUTH", "NO_COLOR")}
    return {**kept, "TERM": "xterm", "LC_ALL": "C.UTF-8", "STAVE_CLI_HISTORY": "/dev/null", **extra}


def run(*words, stdin=b"", **extra):
    """Runs stave-cli; its exit code, output and messages."""
    done = subprocess.run([CLI, *words], input=stdin, capture_output=True, timeout=TIMEOUT_SECONDS, env=environment(extra))
    return done.returncode, done.stdout, done.stderr


def expect(found, wanted, what=""):
    if found != wanted:
        sys.exit(f"{what}\n  found  {found!r}\n  wanted {wanted!r}")


def expect_in(part, whole, what=""):
    if part not in whole:
        sys.exit(f"{what}\n  found  {whole!r}\n  wanted {part!r} in it")


class Requests:
    """Requests read from a socket: arrays of bulk strings alone."""

    def __init__(self, connection):
        self.file = connection.makefile("rb")

    def __iter__(self):
        while True:
            line = self.file.readline()
            if not line:
                return
            if line == b"\r\n":
                continue
            words = []
            for _ in range(int(line[1:])):
                size = int(self.file.readline()[1:])
                words.append(self.file.read(size + 2)[:-2])
            yield words


class Server:
    """A server whose replies are those of `answer(words)`: bytes, or None to close the connection."""

    def __init__(self, answer, path=None, delay=None):
        self.answer = answer
        self.delay = delay  # between the bytes of a reply
        self.seen = []
        self.replies_sent = 0
        self.connections = []
        self.listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.listener.bind(path or ("127.0.0.1", 0))
        self.listener.listen()
        self.port = None if path else str(self.listener.getsockname()[1])
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def send(self, connection, reply):
        if self.delay is None:
            connection.sendall(reply)
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in reply:
            connection.sendall(bytes([byte]))
            time.sleep(self.delay)

    def serve(self, connection):
        try:
            for words in Requests(connection):
                self.seen.append(words)
                reply = self.answer(words)
                if reply is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send(connection, reply)
                self.replies_sent += 1
        except OSError:
            return

    def drop_connections(self):
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.connections.clear()


def shown_line(output):
    """The line that the cursor is on, after all this output: what a terminal does with it, as far as libedit needs."""
    cells, column = [], 0
    for match in re.finditer(rb"\x1b\[(\d*)([A-Za-z@])|(.)", output[output.rfind(b"\n") + 1:], re.S):
        number, action, byte = int(match[1] or 1), match[2], match[3]
        if action == b"G":
            column = number - 1
        elif action == b"K":
            del cells[column:]
        elif action == b"@":
            cells[column:column] = number * [" "]
        elif action == b"P":
            del cells[column:column + number]
        elif byte == b"\r":
            column = 0
        elif byte == b"\b":
            column -= 1
        elif byte is not None:
            cells += (column + 1 - len(cells)) * [" "]
            cells[column] = byte.decode("latin-1")
            column += 1
    return "".join(cells).rstrip()


class Terminal:
    """stave-cli on a terminal of its own."""

    def __init__(self, *words, columns=100, **extra):
        self.text = b""
        self.all = b""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execve(CLI, [CLI, *words], environment(extra))
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def read_more(self, deadline):
        ready, _, _ = select.select([self.file], [], [], max(0, deadline - time.monotonic()))
        try:
            got = os.read(self.file, 65536) if ready else b""
        except OSError:
            got = b""
        self.text += got
        self.all += got
        return bool(got)

    def wait_for_editor(self, deadline):
        """What is typed before libedit reads is shown twice, and the key that ends the input is lost."""
        while termios.tcgetattr(self.file)[3] & termios.ICANON and time.monotonic() < deadline:
            time.sleep(0.001)

    def wait_line(self, parts, seconds=TIMEOUT_SECONDS):
        """Reads until the cursor's line consists of these, with any space between them."""
        deadline = time.monotonic() + seconds
        while shown_line(self.all).split() != parts.split():
            if not self.read_more(deadline):
                sys.exit(f"the line does not become {parts!r}: {shown_line(self.all)!r} of {self.all[-500:]!r}")

    def wait_for(self, part, seconds=TIMEOUT_SECONDS):
        """Reads until the part has come; what came up to its end is dropped and returned."""
        deadline = time.monotonic() + seconds
        while part not in self.text:
            if not self.read_more(deadline):
                sys.exit(f"{part!r} does not come: {self.text!r}")
        end = self.text.index(part) + len(part)
        before, self.text = self.text[:end], self.text[end:]
        return before

    def type(self, keys):
        if keys != b"\x03":  # that one may end a wait
            self.wait_for_editor(time.monotonic() + TIMEOUT_SECONDS)
        os.write(self.file, keys)

    def rest(self):
        """All until the program ends; its exit code."""
        while True:
            try:
                got = os.read(self.file, 65536)
            except OSError:
                break
            if not got:
                break
            self.text += got
        _, status = os.waitpid(self.pid, 0)
        return self.text, os.waitstatus_to_exitcode(status)


def scratch():
    return tempfile.TemporaryDirectory(prefix="stave-cli-")
