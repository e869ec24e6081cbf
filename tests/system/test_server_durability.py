"""What survives: kill -9 under load, appendfsync always, a sync that fails, a clean stop, data on disk (P1, P2, P13)."""

import contextlib
import ctypes
import mmap
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from stave_server import BIN_DIR, PATIENCE, SANITIZE, RespError, Server, encode, main, wait_until


COMPILER = os.environ.get("CC", "cc")
WRITE_COUNT_MAX = 10000  # of one writer
PROCESS_MADVISE, MADV_PAGEOUT = 440, 21  # process_madvise(2)


class Writer(threading.Thread):
    """Writes numbered keys over one connection until the server goes, and remembers what was answered."""

    def __init__(self, server, name, depth):
        super().__init__()
        self.client = server.client()
        self.key, self.depth = name, depth
        self.answered = 0

    def run(self):
        try:
            number = 0
            while number < WRITE_COUNT_MAX:
                self.client.send_raw(b"".join(encode("SET", f"{self.key}:{number + i}", number + i)
                                              for i in range(self.depth)))
                for i in range(self.depth):
                    if self.client.read() != "OK":
                        return
                    self.answered = number + i + 1
                number += self.depth
        except (OSError, RespError, ConnectionError):
            pass
        finally:
            self.client.close()


class Kill(unittest.TestCase):
    def check_nothing_is_lost(self, **options):
        with Server(io_threads=2, **options) as server:
            for round_number in range(2):
                writers = [Writer(server, f"r{round_number}w{i}", depth) for i, depth in enumerate((1, 1, 16, 100))]
                for writer in writers:
                    writer.start()
                self.assertTrue(wait_until(lambda: all(writer.answered > 0 for writer in writers)))
                time.sleep(0.2)
                server.kill()
                for writer in writers:
                    writer.join()
                server.start()
                with server.client() as client:
                    for writer in writers:
                        self.assertGreater(writer.answered, 0)
                        keys = [f"{writer.key}:{i}" for i in range(writer.answered)]
                        for at in range(0, len(keys), 1000):
                            part = keys[at:at + 1000]
                            self.assertEqual([str(at + i).encode() for i in range(len(part))],
                                             client("MGET", *part))

    def test_kill_loses_nothing_that_was_answered(self):
        self.check_nothing_is_lost()

    def test_kill_loses_nothing_in_always_mode(self):
        self.check_nothing_is_lost(appendfsync="always")

    def test_kill_loses_nothing_without_syncs(self):
        self.check_nothing_is_lost(appendfsync="no")


class Always(unittest.TestCase):
    def test_pipelines_of_reads_and_writes_stay_in_order(self):
        with Server(appendfsync="always", io_threads=2) as server:
            clients = [server.client() for _ in range(4)]
            for turn in range(5):
                for number, client in enumerate(clients):
                    client.send_raw(b"".join(encode("INCR", f"n{number}") + encode("GET", f"n{number}")
                                             for _ in range(50)))
                for client in clients:
                    for i in range(turn * 50 + 1, turn * 50 + 51):
                        self.assertEqual(i, client.read())
                        self.assertEqual(str(i).encode(), client.read())
            for client in clients:
                client.close()

    def test_the_mode_can_change_while_it_runs(self):
        with Server(appendfsync="everysec") as server, server.client() as client:
            for mode in ("always", "no", "everysec", "always"):
                self.assertEqual("OK", client("CONFIG", "SET", "appendfsync", mode))
                self.assertEqual(["OK"] * 100, client.pipeline([("SET", f"k{i}", mode) for i in range(100)]))
                self.assertEqual([b"appendfsync", mode.encode()], client("CONFIG", "GET", "appendfsync"))


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int fdatasync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    while (access(getenv("SYNC_WAITS"), F_OK) == 0 && unlink(getenv("SYNC_PASSES")) != 0)
        nanosleep(&(struct timespec){0, 2000000}, NULL);
    if (access(getenv("SYNC_FAILS"), F_OK) != 0) return real(descriptor);
    errno = EIO;
    return -1;
}
"""


@unittest.skipIf(SANITIZE or shutil.which(COMPILER) is None, "a library loaded before the sanitizer's is refused")
class Syncs(unittest.TestCase):
    """Syncs that take long, and that fail: a library loaded before the C library has them do so."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="stave-sync-")
        self.addCleanup(shutil.rmtree, self.folder)
        source, library = os.path.join(self.folder, "shim.c"), os.path.join(self.folder, "shim.so")
        with open(source, "w", encoding="ascii") as file:
            file.write(SHIM)
        subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        self.waits, self.passes, self.fails = (os.path.join(self.folder, name) for name in ("waits", "passes", "fails"))
        self.environment = {"LD_PRELOAD": library, "SYNC_WAITS": self.waits, "SYNC_PASSES": self.passes,
                            "SYNC_FAILS": self.fails}

    @contextlib.contextmanager
    def held_syncs(self):
        """Meanwhile no sync comes to its end."""
        open(self.waits, "wb").close()
        try:
            yield
        finally:
            os.remove(self.waits)

    def assert_silent(self, *clients):
        """None of them is answered."""
        self.assertEqual([], select.select([client.socket for client in clients], [], [], 0.1)[0])

    def test_replies_wait_for_the_sync_and_the_loop_does_not(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as writer, server.client() as reader, server.client() as other:
                self.assertEqual("OK", writer("SET", "k", "old"))
                with self.held_syncs():
                    self.assertEqual("PONG", other("PING"))
                    writer.send("SET", "k", "new")
                    self.assert_silent(writer)
                    reader.send("GET", "k")  # sees what is not durable yet: it must not be told
                    self.assertEqual("PONG", other("PING"))
                    self.assert_silent(writer, reader)
                self.assertEqual(b"new", reader.read())
                self.assertEqual("OK", writer.read())

    def test_a_large_value_is_not_synced_on_the_loop(self):
        value = b"x" * (9 << 20)
        with Server(appendfsync="everysec", io_threads=1, environment=self.environment) as server:
            with server.client() as writer, server.client() as other:
                with self.held_syncs():
                    self.assertEqual("OK", writer("SET", "k", value))
                    self.assertEqual(len(value) + 1, writer("APPEND", "k", "x"))
                    self.assertEqual([len(value) + 2, len(value) + 2],
                                     writer.pipeline([("MULTI",), ("APPEND", "k", "x"), ("BITOP", "NOT", "d", "k"),
                                                      ("EXEC",)])[-1])
                    self.assertEqual("PONG", other("PING"))
                other("CONFIG", "SET", "appendfsync", "always")
                with self.held_syncs():
                    writer.send("SETRANGE", "k", 0, "y")
                    self.assert_silent(writer)
                    self.assertEqual("PONG", other("PING"))
                self.assertEqual(len(value) + 2, writer.read())
            server.kill()
            server.start()
            with server.client() as client:
                self.assertEqual(b"y" + value[1:] + b"xx", client("GET", "k"))

    def test_who_comes_beside_a_lone_client_waits_for_one_sync_at_most(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as writer:
                self.assertEqual("OK", writer("SET", "k", "0"))
                with self.held_syncs():
                    writer.send("SET", "k", "1")  # the loop syncs
                    self.assert_silent(writer)
                    writer.send("SET", "k", "2")
                    with server.client() as other:
                        other.send("PING")
                        time.sleep(0.2)  # the loop is to find both when it goes on
                        open(self.passes, "wb").close()
                        self.assertEqual("PONG", other.read())
                        self.assertEqual("OK", writer.read())
                        self.assert_silent(writer)
                        self.assertEqual("PONG", other("PING"))
                self.assertEqual("OK", writer.read())

    def test_a_sync_that_fails_turns_what_waits_into_errors_and_closes(self):
        with Server(appendfsync="always", io_threads=2, environment=self.environment) as server:
            with server.client() as client:
                self.assertEqual("OK", client("SET", "before", "1"))
                open(self.fails, "wb").close()
                client.send_raw(encode("SET", "k", "v") + encode("GET", "k") + encode("INCR", "n"))
                replies = []
                try:
                    while True:
                        replies.append(client.read(raises=False))
                except ConnectionError:
                    pass
                self.assertEqual(3, len(replies))
                for reply in replies:
                    self.assertIsInstance(reply, RespError)
                    self.assertEqual("MISCONF", reply.code)
            with server.client() as client:
                self.assertEqual(b"1", client("GET", "before"))  # durable, and shown still
                self.assertEqual("MISCONF", client.attempt("SET", "k", "v").code)
            os.remove(self.fails)
            server.kill()
            server.start()
            with server.client() as client:
                self.assertEqual(b"1", client("GET", "before"))
                self.assertEqual("OK", client("SET", "k", "v"))

    def test_after_a_sync_has_failed_the_server_can_be_looked_at_and_shut_down(self):
        """What shows a value, counts keys or may show what was written is an error, and ends the connection."""
        reports = [("INFO",), ("CONFIG", "GET", "appendfsync"), ("CLIENT", "LIST"), ("MEMORY", "STATS"), ("PING",),
                   ("LATENCY", "HISTOGRAM"), ("CONFIG", "RESETSTAT"), ("SLOWLOG", "LEN"), ("COMMAND", "COUNT")]
        for threads in (1, 2):
            with Server(appendfsync="always", io_threads=threads, environment=self.environment) as server:
                with server.client() as client:
                    open(self.fails, "wb").close()
                    self.assertEqual("MISCONF", client.attempt("SET", "k", "v").code)
                for request in (("GET", "k"), ("DBSIZE",), ("SLOWLOG", "GET")):
                    with server.client() as client:
                        self.assertEqual("MISCONF", client.attempt(*request).code)
                        self.assertTrue(client.is_closed())
                with server.client() as client:
                    self.assertIn(b"\r\naof_last_write_status:err\r\n", client("INFO", "persistence"))
                    for request in reports:
                        client(*request)
                        client.pipeline([("MULTI",), request])
                        self.assertNotIsInstance(client("EXEC")[0], RespError)
                    client.send("SHUTDOWN")
                    self.assertTrue(client.is_closed())
                self.assertEqual(1, server.process.wait(60 * PATIENCE))  # not all could be made durable
                os.remove(self.fails)

    def test_a_mode_set_while_it_runs_is_the_mode_from_then_on(self):
        with Server(appendfsync="everysec", io_threads=1, environment=self.environment) as server:
            with server.client() as client:
                for mode in ("always", "no", "always"):
                    client("CONFIG", "SET", "appendfsync", mode)
                    with self.held_syncs():
                        client.send("SET", "k", mode)
                        if mode == "always":
                            self.assert_silent(client)
                        else:
                            self.assertEqual("OK", client.read())
                    if mode == "always":
                        self.assertEqual("OK", client.read())

    def test_everysec_syncs_without_being_asked(self):
        for arguments, later in (({"appendfsync": "everysec"}, None), ({"appendfsync": "no"}, "everysec")):
            with Server(environment=self.environment, **arguments) as server, server.client() as client:
                if later is not None:
                    client("CONFIG", "SET", "appendfsync", later)
                open(self.fails, "wb").close()
                client("SET", "k", "v")
                self.assertTrue(wait_until(lambda: "sync of the store has failed" in server.log()))
                os.remove(self.fails)
                server.kill()

    def test_what_is_written_without_a_reply_is_synced_as_well(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as client:
                client.send("CLIENT", "REPLY", "OFF")
                open(self.fails, "wb").close()
                client.send("SET", "k", "v")
                self.assertTrue(wait_until(lambda: "sync of the store has failed" in server.log()))
            server.kill()

    def test_only_replies_that_are_owed_become_errors(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as client:
                open(self.fails, "wb").close()
                client.send_raw(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "a", "1") + encode("SET", "b", "1"))
                self.assertEqual("MISCONF", client.read(raises=False).code)
                self.assertTrue(client.is_closed())
            server.kill()

    def test_an_exec_that_tells_of_a_change_waits_for_its_sync(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as writer, server.client() as watcher:
                watcher.pipeline([("WATCH", "k"), ("MULTI",), ("PING",)])
                with self.held_syncs():
                    writer.send("SET", "k", "new")
                    self.assert_silent(writer)
                    watcher.send("EXEC")
                    self.assert_silent(watcher)
                self.assertIsNone(watcher.read())
                self.assertEqual("OK", writer.read())

    def test_monitors_are_shown_no_command_before_what_it_wrote_is_durable(self):
        for threads in (1, 2):
            with Server(appendfsync="always", io_threads=threads, environment=self.environment) as server:
                with server.client() as monitor, server.client() as writer, server.client() as other:
                    monitor("MONITOR")
                    with self.held_syncs():
                        other("PING")
                        self.assertTrue(monitor.read_line().endswith(b'"PING"'))
                        writer.send("SET", "k", "new")
                        self.assert_silent(writer, monitor)
                    self.assertTrue(monitor.read_line().endswith(b'"SET" "k" "new"'))
                    self.assertEqual("OK", writer.read())
                    open(self.fails, "wb").close()
                    self.assertEqual("MISCONF", writer.attempt("SET", "k", "lost").code)
                    self.assertRaises(ConnectionError, monitor.read_line)
                os.remove(self.fails)
                server.kill()

    def test_what_counts_keys_or_shows_commands_waits_for_the_sync(self):
        exec_of = lambda *request: [("MULTI",), request, ("EXEC",)]
        requests = [[("INFO", "keyspace")], exec_of("INFO", "keyspace"), [("MEMORY", "STATS")], [("DBSIZE",)],
                    exec_of("MEMORY", "STATS"), [("SLOWLOG", "GET")], exec_of("SLOWLOG", "GET"), [("SCAN", 0)],
                    [("LATENCY", "HISTOGRAM", "set")]]
        with Server(appendfsync="always", io_threads=1, slowlog_log_slower_than=0,
                    environment=self.environment) as server:
            with server.client() as writer, server.client() as reader, server.client() as other:
                self.assertEqual(["PONG"] * 3, [client("PING") for client in (writer, reader, other)])
                for number, pipeline in enumerate(requests):
                    reader.pipeline(pipeline[:-1])
                    with self.held_syncs():
                        writer.send("SET", f"k{number}", "new")
                        self.assertEqual(["PONG", "PONG"], [other("PING"), other("PING")])  # the loop has run it
                        self.assert_silent(writer)
                        reader.send(*pipeline[-1])
                        self.assert_silent(reader)
                    self.assertEqual("OK", writer.read())
                    reader.read()

    def test_a_key_that_comes_while_a_walk_is_under_way_is_not_shown_before_it_is_durable(self):
        with Server(appendfsync="always", io_threads=2, environment=self.environment) as server:
            with server.client() as reader, server.client() as writer:
                for number in range(20):
                    writer("FLUSHALL")
                    writer("SET", "old", "1")
                    with self.held_syncs():
                        timer = threading.Timer(0.003, writer.send_raw, [b"".join(encode("SET", f"new{i}", "1")
                                                                                  for i in range(2000))])
                        timer.start()
                        while True:
                            reader.send("RANDOMKEY")
                            if not select.select([reader.socket], [], [], 0.1)[0]:
                                break
                            self.assertEqual(b"old", reader.read(), number)
                        timer.join()
                    reader.read()
                    for _ in range(2000):
                        self.assertEqual("OK", writer.read())

    def test_any_number_of_replies_wait_and_come_in_order(self):
        with Server(appendfsync="always", io_threads=1, environment=self.environment) as server:
            with server.client() as client, server.client() as other:
                with self.held_syncs():
                    other.send("SET", "older", "1")
                    self.assert_silent(other)
                    for i in range(20):  # each in a packet, and a reply, of its own
                        client.send("SET", f"k{i}", i)
                        client.send("GET", "older")
                        time.sleep(0.005)
                    self.assert_silent(client, other)
                self.assertEqual(["OK", b"1"] * 20, [client.read() for _ in range(40)])


class Stop(unittest.TestCase):
    def test_sigterm_and_sigint_close_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server() as server:
                with server.client() as client:
                    client("SET", "k", number)
                    self.assertEqual(0, server.terminate(number))
                    self.assertTrue(client.is_closed())
                server.start()
                with server.client() as client:
                    self.assertEqual(str(int(number)).encode(), client("GET", "k").replace(b"Signals.", b""))

    def test_a_sigint_while_stopping_does_not_wait_for_the_command_that_runs(self):
        with Server(enable_debug_command="yes") as server, server.client() as client:
            client.send_raw(encode("SET", "begun", "1") + encode("DEBUG", "SLEEP", 60 * PATIENCE))
            store = os.path.join(server.directory, "stave-data")
            read = [os.path.join(BIN_DIR, "stave"), "get", store, "begun"]
            self.assertTrue(wait_until(lambda: subprocess.run(read, capture_output=True, check=False).returncode == 0))
            for count in (1, 2):  # a second SIGTERM asks for nothing new
                server.process.send_signal(signal.SIGTERM)
                self.assertTrue(wait_until(lambda count=count: server.log().count("Received SIGTERM") == count))
            server.process.send_signal(signal.SIGINT)
            self.assertEqual(1, server.process.wait(10 * PATIENCE))
            self.assertIn("You insist... exiting now.", server.log())
            server.start()
            with server.client() as again:
                self.assertEqual(b"1", again("GET", "begun"))

    def test_a_stop_in_the_middle_of_load_is_clean(self):
        with Server(appendfsync="always", io_threads=2) as server:
            writers = [Writer(server, f"w{i}", 50) for i in range(4)]
            for writer in writers:
                writer.start()
            self.assertTrue(wait_until(lambda: all(writer.answered > 0 for writer in writers)))
            self.assertEqual(0, server.terminate())
            for writer in writers:
                writer.join()
            server.start()
            with server.client() as client:
                for writer in writers:
                    for i in range(0, writer.answered, 7):
                        self.assertEqual(str(i).encode(), client("GET", f"{writer.key}:{i}"))

    def test_the_service_manager_is_told(self):
        with Server() as first:
            path = os.path.join(first.directory, "notify")
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path)
                manager.settimeout(PATIENCE)
                with Server(environment={"NOTIFY_SOCKET": path}):
                    self.assertIn(b"READY=1", manager.recv(1000))
                self.assertIn(b"STOPPING=1", manager.recv(1000))

    def test_the_log_has_the_lines_that_tools_wait_for(self):
        with Server() as server:
            self.assertTrue(wait_until(lambda: "Ready to accept connections" in server.log()))
            self.assertIn(f" PID: {server.process.pid}\n", server.log())

    def test_a_port_in_use_is_an_error_with_an_exit_code(self):
        with Server() as server:
            with self.assertRaises(RuntimeError) as raised:
                Server(port=server.port)
            self.assertIn("Address already in use", str(raised.exception))


class Cold(unittest.TestCase):
    """The server is made to believe that reads may meet the disk, and the page cache is emptied of the store."""

    def open_files(self, server):
        """Those of its directory, one by one; the server may remove, or put in another's place, what was just listed."""
        for folder, _, names in os.walk(server.directory):
            for name in names:
                with contextlib.suppress(FileNotFoundError), open(os.path.join(folder, name), "rb") as file:
                    yield file

    def drop_pages(self, server):
        for file in self.open_files(server):
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def test_cold_values_are_read_beside_the_loop_and_in_order(self):
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1, segment_size="1mb") as server:
            values = {f"k{i}": os.urandom(20000) for i in range(500)}
            with server.client() as client:
                client.pipeline([("SET", key, value) for key, value in values.items()])
            server.restart()
            self.drop_pages(server)
            with server.client() as client, server.client() as other:
                keys = list(values)
                client.send_raw(b"".join(encode("GET", key) for key in keys))
                self.assertEqual("OK", other("SET", "hot", "1"))
                self.assertEqual(b"1", other("GET", "hot"))
                for key in keys:
                    self.assertEqual(values[key], client.read())
            self.drop_pages(server)
            with server.client() as client:
                self.assertEqual(list(values.values()), client("MGET", *values))
                stats = dict(line.split(b":") for line in client("INFO", "stats").splitlines() if b":" in line)
                self.assertGreater(int(stats[b"cold_reads"]), 0)
            server.restart()
            self.drop_pages(server)
            with server.client() as client:
                replies = client.pipeline([("MULTI",), *(("APPEND", key, "x") for key in keys[:50]), ("EXEC",)])
                self.assertEqual([20001] * 50, replies[-1])

    def test_a_command_that_waits_for_the_disk_is_shown_to_monitors_once(self):
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1) as server:
            with server.client() as client:
                client.pipeline([("SET", f"k{i}", b"x" * 20000) for i in range(20)])
            server.restart()
            self.drop_pages(server)
            with server.client() as client, server.client() as monitor:
                monitor("MONITOR")
                client.pipeline([("GET", "k1"), ("MULTI",), ("GET", "k2"), ("GET", "k3"), ("EXEC",), ("ECHO", "end")])
                lines = []
                while not lines or b"ECHO" not in lines[-1]:
                    lines.append(monitor.read_line().split(b"] ")[1])
                self.assertEqual([b'"GET" "k1"', b'"MULTI"', b'"GET" "k2"', b'"GET" "k3"', b'"EXEC"', b'"ECHO" "end"'],
                                 lines)

    def cold_reads(self, client):
        lines = client("INFO", "stats").decode().split("\r\n")
        return int(dict(line.split(":", 1) for line in lines if ":" in line)["cold_reads"])

    def start_cold(self, server, size):
        """`size`: of values in the largest file, most of which is then on disk, as the system has it."""
        server.terminate()
        self.drop_pages(server)
        server.start()
        self.drop_pages(server)  # of what the start has read
        if self.resident_size(server) > size // 2:
            self.skipTest("the file system keeps its pages")

    def is_noticed(self, environment):
        """Whether the disk is met beside the loop, sooner or later in 300 reads of cold values."""
        with Server(environment=environment, io_threads=1, segment_size="1mb") as server:
            with server.client() as client:
                client.pipeline([("SET", f"k{i}", os.urandom(20000)) for i in range(300)])
            self.start_cold(server, 1 << 20)
            with server.client() as client:
                for i in range(300):
                    self.assertEqual(20000, len(client("GET", f"k{i}")))
                    if self.cold_reads(client) > 0:
                        return True
                    time.sleep(0.002)
        return False

    def test_a_read_that_waited_for_the_disk_lets_the_next_wait_beside_the_loop(self):
        self.assertTrue(self.is_noticed({"STAVE_COLD_READS": "yes"}))
        self.assertTrue(self.is_noticed({}))

    def reads_of_cold(self, server, name, rest, attempt):
        """How often a command of 20 keys waits for the disk; some share a page with another one's header."""
        self.start_cold(server, 5 << 20)
        with server.client() as client:
            before = self.cold_reads(client)
            client.pipeline([(name, f"{name}{attempt}:{i}", *rest) for i in range(20)])
            return self.cold_reads(client) - before

    def test_commands_that_need_no_value_wait_for_the_disk_beside_the_loop(self):
        """And so do those that write: they look at what they take the place of."""
        rests = {("GET", "EXISTS", "TTL", "PTTL", "EXPIRETIME", "TYPE", "STRLEN", "TOUCH", "WATCH", "DEL", "UNLINK",
                  "PERSIST"): (),
                 ("SET", "SETNX", "GETSET", "APPEND"): ("y",), ("EXPIRE",): (1000,), ("MSET", "MSETNX"): ("y", "z", "y")}
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1, dead_ratio=95) as server:
            with server.client() as client:
                for name in sum(rests, ()):
                    client.pipeline([("SET", f"{name}{i // 20}:{i % 20}", b"x" * 5000) for i in range(100)])
            for names, rest in rests.items():
                for name in names:  # what is in use by others just then stays in memory
                    was_cold = any(self.reads_of_cold(server, name, rest, attempt) >= 5 for attempt in range(5))
                    self.assertTrue(was_cold, name)

    def bring_together(self, server, requests):
        """Whether 100 keys on disk were brought; what an EXEC of them did beside."""
        self.start_cold(server, 500000)
        with server.client() as client:
            before = self.cold_reads(client)
            replies = client.pipeline(requests)
            brought = self.cold_reads(client) - before
            calls = re.search(r"cmdstat_append:calls=(\d+)", client("INFO", "commandstats").decode())
            self.assertIn(calls and calls.group(1), (None, "100"))
            return brought >= 40, replies[-1]

    def test_the_keys_of_an_exec_or_a_command_are_brought_together(self):
        """One by one, they would be waited for on the loop after a few; and a part of an EXEC would run each time."""
        keys = [f"k{i}" for i in range(100)]
        append = [("SELECT", 1), ("MULTI",), ("SELECT", 0), *(("APPEND", key, "y") for key in keys), ("EXEC",)]
        expected = {"MGET": [b"x" * 5000] * 100, "EXISTS": 100, "DEL": 100, "EXEC": ["OK"] + [5001] * 100}
        for requests in ([("MGET", *keys)], [("EXISTS", *keys)], [("DEL", *keys)], append):
            name = requests[-1][0]
            for attempt in range(5):
                with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1) as server:
                    with server.client() as client:
                        client.pipeline([("SET", key, b"x" * 5000) for key in keys])
                    is_brought, reply = self.bring_together(server, requests)
                    self.assertEqual(expected[name], reply)
                if is_brought:
                    break
            else:
                self.fail(name)

    def test_commands_of_an_exec_run_once_whatever_it_meets_on_disk(self):
        """A walk cannot be foreseen: it is waited for."""
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1, slowlog_log_slower_than=0) as server:
            with server.client() as client:
                client.pipeline([("SET", f"k{i}", b"x" * 5000) for i in range(200)])
            self.start_cold(server, 1000000)
            with server.client() as client:
                replies = client.pipeline([("MULTI",), ("ECHO", "1"), ("KEYS", "*"), ("RANDOMKEY",), ("EXEC",)])[-1]
                self.assertEqual((b"1", 200), (replies[0], len(replies[1])))
                calls = re.findall(r"cmdstat_(echo|keys|randomkey):calls=(\d+)", client("INFO", "commandstats").decode())
                self.assertEqual({"echo": "1", "keys": "1", "randomkey": "1"}, dict(calls))
                self.assertEqual(1, sum(entry[3][0] == b"ECHO" for entry in client("SLOWLOG", "GET", -1)))

    def resident_size(self, server):
        """How much of the store's largest file is in memory."""
        size, path = max((os.fstat(file.fileno()).st_size, file.name) for file in self.open_files(server))
        with open(path, "rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as pages:
            first = ctypes.c_char.from_buffer(pages)
            states = (ctypes.c_ubyte * ((size + mmap.PAGESIZE - 1) // mmap.PAGESIZE))()
            result = ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size), states)
            del first
        self.assertEqual(0, result)
        return sum(state & 1 for state in states) * mmap.PAGESIZE

    def test_of_a_large_value_on_disk_the_part_asked_for_is_read(self):
        size = 32 << 20
        requests = {("GETRANGE", "k", size // 2, size // 2 + 4): b"xxxxx", ("SUBSTR", "k", -5, -1): b"xxxxx",
                    ("GETBIT", "k", size * 4 + 1): 1, ("BITCOUNT", "k", size // 2, size // 2 + 9): 40,
                    ("BITPOS", "k", 1, size // 2, size // 2 + 9): size * 4 + 1, ("STRLEN", "k"): size,
                    ("BITFIELD_RO", "k", "GET", "u8", size * 4): [ord("x")]}
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1) as server:
            with server.client() as client:
                client("SET", "k", b"x" * size)
            for request, expected in requests.items():
                for form in ([request], [("MULTI",), request, ("EXEC",)]):
                    self.start_cold(server, size // 2)
                    with server.client() as client:
                        reply = client.pipeline(form)[-1]
                        self.assertEqual(expected, reply if len(form) == 1 else reply[0])
                        # Header and part; an EXEC looks for the beginning first, which is mostly all.
                        self.assertIn(self.cold_reads(client), range(1, 3 if len(form) == 1 else 4), request)
                        self.assertLess(self.resident_size(server), size // 4, request)
            self.start_cold(server, size)
            with server.client() as client:
                self.assertEqual(b"x" * size, client("GET", "k"))
                self.assertGreaterEqual(self.resident_size(server), size)

    def test_a_client_that_leaves_while_its_value_is_read_harms_nobody(self):
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=2) as server:
            with server.client() as client:
                client.pipeline([("SET", f"k{i}", b"x" * 50000) for i in range(100)])
            server.restart()
            for _ in range(5):
                self.drop_pages(server)
                leavers = [server.client() for _ in range(10)]
                for i, leaver in enumerate(leavers):
                    leaver.send("GET", f"k{i}")
                for leaver in leavers:
                    leaver.close()
            with server.client() as client:
                self.assertEqual(b"x" * 50000, client("GET", "k1"))

    def evict(self, server):
        """Takes what the server has mapped of its store out of its memory, as a lack of memory would."""
        system_call = ctypes.CDLL(None, use_errno=True).syscall
        system_call.restype = ctypes.c_long
        process = os.pidfd_open(server.process.pid)
        try:
            with open(f"/proc/{server.process.pid}/maps", encoding="ascii") as maps:
                areas = [line.split()[0].split("-") for line in maps if server.directory in line]
            for begin, end in ((int(begin, 16), int(end, 16)) for begin, end in areas):
                area = (ctypes.c_size_t * 2)(begin, end - begin)
                if system_call(PROCESS_MADVISE, process, area, ctypes.c_size_t(1), MADV_PAGEOUT, 0) < 0:
                    self.skipTest(f"process_madvise: {os.strerror(ctypes.get_errno())}")
        finally:
            os.close(process)

    def reads_of_loop(self, server):
        """How often the thread of the loop has waited for a page of a mapping."""
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            with open(f"/proc/{server.process.pid}/task/{thread}/stat", encoding="ascii") as file:
                name, fields = file.read().split("(")[1].rsplit(")", 1)
            if name == "stave-io-0":
                return int(fields.split()[9])
        return self.fail("the loop has no thread")

    def begin_to_send(self, server, client, *request):
        """What the kernel does not take at once is then on disk."""
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.send(*request)
        with server.client() as other:
            self.assertTrue(wait_until(lambda: re.search(r" obl=\d{7}", other("CLIENT", "LIST").decode())))
        self.evict(server)
        if self.resident_size(server) > 8 << 20:
            self.skipTest("the system keeps its pages")

    def test_what_has_left_memory_before_it_is_sent_is_read_beside_the_loop(self):
        size = 32 << 20
        value = os.urandom(size)
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1) as server:
            with server.client() as client:
                client("SET", "k", value)
            self.start_cold(server, size)
            with server.client() as client:
                self.begin_to_send(server, client, "GET", "k")
                before = self.reads_of_loop(server)
                self.assertEqual(value, client.read())
                self.assertLess(self.reads_of_loop(server) - before, 100)
                self.assertGreater(self.cold_reads(client), 8)

    def test_a_client_that_is_killed_while_the_rest_is_read_harms_nobody(self):
        keys = [f"k{i}" for i in range(1000)]
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=1) as server:
            with server.client() as client:
                client.pipeline([("SET", key, b"x" * 20000) for key in keys])
            self.start_cold(server, 20000 * len(keys))
            for _ in range(10):
                with server.client() as victim, server.client() as killer:
                    self.begin_to_send(server, victim, "MGET", *keys)
                    before = self.cold_reads(killer)
                    while self.cold_reads(killer) == before:
                        victim.read_bytes(1 << 16)
                    killer("CLIENT", "KILL", "SKIPME", "yes")
            with server.client() as client:
                self.assertEqual([b"x" * 20000] * len(keys), client("MGET", *keys))

    def test_a_digest_of_cold_values_is_that_of_warm_ones(self):
        with Server(environment={"STAVE_COLD_READS": "yes"}, io_threads=2, enable_debug_command="yes") as server:
            with server.client() as client:
                client.pipeline([("SET", f"key{i}", b"x" * 20000) for i in range(300)])
                warm = client("DEBUG", "DIGEST")
            server.restart()
            self.drop_pages(server)
            with server.client() as client:
                self.assertEqual(warm, client("DEBUG", "DIGEST"))


class Memory(unittest.TestCase):
    def test_writes_beyond_maxmemory_are_refused_and_deletes_work(self):
        with Server(maxmemory="1mb") as server, server.client() as client:
            error = RespError("OOM command not allowed when used memory > 'maxmemory'.")
            self.assertEqual(error, client.attempt("SET", "k", "v"))
            self.assertEqual(0, client("DEL", "k"))
            self.assertIsNone(client("GET", "k"))
            replies = client.pipeline([("MULTI",), ("GET", "k"), ("EXEC",)])  # nothing is queued, as in Redis
            self.assertEqual(["OK", error], replies[:2])
            self.assertEqual("EXECABORT", replies[2].code)

    def test_writes_beyond_max_disk_are_refused_and_deletes_work(self):
        with Server(max_disk="20mb", segment_size="1mb", hz=100) as server, server.client() as client:
            answers = set()
            for i in range(1000):
                reply = client.attempt("SET", f"k{i}", b"x" * 100000)
                answers.add(str(reply))
                if isinstance(reply, RespError):
                    break
                time.sleep(0.001)
            self.assertIn("OOM command not allowed when the store takes more than 'max-disk'.", answers)
            self.assertEqual(1, client("DEL", "k1"))
            self.assertEqual(b"x" * 100000, client("GET", "k2"))


if __name__ == "__main__":
    main()
