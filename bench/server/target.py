"""The servers that are compared: started alike, measured from outside."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time

FILL_STEP = 10_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Target:
    """A server with a folder of its own. `command` is its program and the options that it alone has."""

    def __init__(self, name, command, fsync):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="bench-server-")
        self.port = free_port()
        self.command = command + ["--port", str(self.port), "--dir", self.folder, "--appendfsync", fsync]
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        """Starts it; the result is the seconds until its first reply."""
        begin = time.monotonic()
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.process.poll() is None:
            try:
                if self.ask("GET", "key:000000000000").startswith(b"$"):
                    return time.monotonic() - begin
            except OSError:
                pass
            time.sleep(0.001)
        raise RuntimeError(f"{self.name} has ended by itself")

    def ask(self, *words):
        """The first bytes of the reply to a request."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(65536)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fill(self, count, value_size):
        """Keys as redis-benchmark names them."""
        request = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%%012d\r\n$%d\r\n%s\r\n" % (value_size, b"v" * value_size)
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            reader = threading.Thread(target=self._read_replies, args=(connection, count))
            reader.start()
            for first in range(0, count, FILL_STEP):
                connection.sendall(b"".join([request % at for at in range(first, min(count, first + FILL_STEP))]))
            reader.join()

    @staticmethod
    def _read_replies(connection, count):
        missing = count * len(b"+OK\r\n")
        while missing > 0:
            data = connection.recv(1 << 20)
            if not data or b"-" in data:
                raise RuntimeError(f"not filled: {data[:100]}")
            missing -= len(data)

    def cpu_seconds(self):
        """User and system time of all threads, and of children that have ended (of redis-server: rewrites)."""
        nanoseconds = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                nanoseconds += int(file.read().split()[0])
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return nanoseconds / 1e9 + (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident and anonymous bytes."""
        sizes = {}
        with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if rest.endswith("kB\n"):
                    sizes[name] = int(rest.split()[0]) * 1024
        return sizes["Rss"], sizes["Anonymous"]

    def disk(self):
        return sum(os.stat(os.path.join(path, name)).st_blocks * 512
                   for path, _, names in os.walk(self.folder) for name in names)

    def settle(self):
        """redis-server: its append-only file is rewritten, so that it loads at its fastest."""
        if "redis" not in self.name:
            return
        self.ask("BGREWRITEAOF")
        while b"aof_rewrite_in_progress:1" in self.ask("INFO", "persistence") or \
                b"aof_rewrite_scheduled:1" in self.ask("INFO", "persistence"):
            time.sleep(0.1)
