# SPDX-License-Identifier: MIT
"""A redis-server beside ours, connections that see replies as raw bytes, and lists of commands in redis-cli's quoting."""

import io
import os
import re
import shutil
import socket
import subprocess
import tempfile

from stave_server import PATIENCE, free_port, wait_until

SKIPPED = 77
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}


class Connection:
    """Sends commands, and returns replies as the bytes that came."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb", buffering=1 << 16)

    def close(self):
        self.input.close()
        self.socket.close()

    def send(self, *commands):
        self.socket.sendall(b"".join(encoded(command) for command in commands))

    def receive(self):
        """One reply, whole; b"" when the connection has been closed."""
        raw = []
        missing = 1
        while missing > 0:
            line = self.input.readline()
            raw.append(line)
            if not line.endswith(b"\r\n"):
                return b"".join(raw)
            missing -= 1
            kind, size = line[:1], line[1:-2]
            if kind in b"$=!" and size != b"-1":
                raw.append(self.input.read(int(size) + 2))
            elif kind in b"*~>" and size != b"-1":
                missing += int(size)
            elif kind == b"%":
                missing += 2 * int(size)
            elif kind == b"|":
                missing += 2 * int(size) + 1
        return b"".join(raw)

    def call(self, *command):
        self.send(command)
        return self.receive()


def as_bytes(word):
    return word if isinstance(word, bytes) else str(word).encode("latin-1")


def encoded(command):
    words = [as_bytes(word) for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def elements(raw):
    """The elements of a flat array or set, each as its bytes; None for any other reply."""
    if raw[:1] not in (b"*", b"~"):
        return None
    reader = Connection.__new__(Connection)
    reader.input = io.BytesIO(raw)
    count = int(reader.input.readline()[1:])
    return [reader.receive() for _ in range(count)] if count >= 0 else None


def value_of(raw):
    """A reply of version 2 as a value of Python; an error as the bytes that came."""
    parts = elements(raw)
    if parts is not None:
        return [value_of(part) for part in parts]
    line, _, rest = raw.partition(b"\r\n")
    if line[:1] == b"$":
        return None if line == b"$-1" else rest[:-2].decode("latin-1")
    if line[:1] == b":":
        return int(line[1:])
    return None if line == b"*-1" else line[1:].decode("latin-1") if line[:1] == b"+" else line


# ---------------------------------------------------------------- words of a line


def split_words(line):
    """The words of a line, with the quoting of redis-cli, and {text*count} for `text` repeated."""
    words = []
    at = 0
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if at == len(line):
            return words
        if line[at] in "\"'":
            word, at = quoted_word(line, at)
        else:
            end = at
            while end < len(line) and not line[end].isspace():
                end += 1
            word, at = line[at:end], end
            repeated = re.fullmatch(r"\{(.+)\*(\d+)\}", word)
            if repeated:
                word = repeated.group(1) * int(repeated.group(2))
        words.append(word.encode("latin-1"))


def quoted_word(line, at):
    quote = line[at]
    word = []
    at += 1
    while line[at] != quote:
        if line[at] == "\\" and quote == '"':
            match = re.compile(r"\\x([0-9a-fA-F]{2})").match(line, at)
            word.append(chr(int(match.group(1), 16)) if match else ESCAPES.get(line[at + 1], line[at + 1]))
            at = match.end() if match else at + 2
        elif line.startswith("\\'", at):
            word.append("'")
            at += 2
        else:
            word.append(line[at])
            at += 1
    return "".join(word), at + 1


# ---------------------------------------------------------------- the other server


class RedisServer:
    """A redis-server of its own, without persistence, in a temporary directory."""

    def __init__(self, *options):
        self.directory = tempfile.mkdtemp(prefix="parity-")
        self.port = free_port()
        self.log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", self.directory,
             "--enable-debug-command", "yes", *options], stdout=self.log, stderr=subprocess.STDOUT)
        if not wait_until(self.answers):
            raise RuntimeError("redis-server does not answer")

    def answers(self):
        try:
            connection = Connection(self.port)
            connection.call("PING")
            connection.close()
            return True
        except OSError:
            return False

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def missing_program(*names):
    """Says which of the programs is not installed, if any."""
    for name in names:
        if shutil.which(name) is None:
            print(f"skipped: no {name}")
            return True
    return False
