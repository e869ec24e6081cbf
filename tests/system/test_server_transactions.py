"""MULTI, EXEC and WATCH; strict serializability over keys, connections and loops."""

import threading
import time
import unittest

from stave_server import SLOWNESS, RespError, Server, ServerTest, encode, main, watch_expiring


def peak_memory(server):
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


class Multi(ServerTest):
    options = {"io_threads": 2}

    def test_commands_are_queued_and_run_at_exec(self):
        requests = [("MULTI",), ("SET", "a", "1"), ("INCR", "a"), ("GET", "a"), ("EXEC",), ("GET", "a")]
        self.assertEqual(["OK", "QUEUED", "QUEUED", "QUEUED", ["OK", 2, b"2"], b"2"],
                         self.client.pipeline(requests))

    def test_nothing_is_seen_before_exec(self):
        other = self.connect()
        self.client("MULTI")
        self.client("SET", "a", "1")
        self.assertIsNone(other("GET", "a"))
        self.client("EXEC")
        self.assertEqual(b"1", other("GET", "a"))

    def test_a_command_that_cannot_be_queued_spoils_the_exec(self):
        self.client("MULTI")
        self.client("SET", "a", "1")
        self.assert_error("ERR unknown command 'NOSUCH', with args beginning with: ", "NOSUCH")
        self.assert_error("EXECABORT Transaction discarded because of previous errors.", "EXEC")
        self.assertIsNone(self.client("GET", "a"))
        self.assert_error("ERR EXEC without MULTI", "EXEC")

    def test_an_error_while_running_does_not_stop_the_others(self):
        self.client.pipeline([("MULTI",), ("SET", "a", "word"), ("INCR", "a"), ("SET", "b", "2")])
        replies = self.client("EXEC")
        self.assertEqual(["OK", RespError("ERR value is not an integer or out of range"), "OK"], replies)
        self.assertEqual(b"2", self.client("GET", "b"))

    def test_rules_of_nesting_have_redis_texts(self):
        self.assert_error("ERR DISCARD without MULTI", "DISCARD")
        self.assert_error("ERR EXEC without MULTI", "EXEC")
        self.client("MULTI")
        self.assert_error("ERR MULTI calls can not be nested", "MULTI")
        self.assert_error("ERR WATCH inside MULTI is not allowed", "WATCH", "a")
        self.assertEqual("OK", self.client("DISCARD"))

    def test_databases_inside_exec_belong_to_it(self):
        self.client("SET", "kept", "0")
        requests = [("MULTI",), ("SELECT", 1), ("SET", "k", "one"), ("SELECT", 0), ("MOVE", "kept", 1),
                    ("EXISTS", "kept"), ("SWAPDB", 0, 1), ("GET", "k"), ("GET", "kept"), ("FLUSHDB",), ("DBSIZE",),
                    ("SET", "after", "flush"), ("DBSIZE",), ("EXEC",)]
        self.assertEqual(["OK", "OK", "OK", 1, 0, "OK", b"one", b"0", "OK", 0, "OK", 1],
                         self.client.pipeline(requests)[-1])
        self.assertEqual([b"after"], self.client("KEYS", "*"))
        self.client("SELECT", 1)
        self.assertEqual([], self.client("KEYS", "*"))

    def test_a_random_key_is_found_among_many_that_are_deleted(self):
        keys = [f"k{i}" for i in range(5000)]
        self.client.pipeline([("SET", key, "v") for key in keys])
        replies = self.client.pipeline([("MULTI",), ("DEL", *keys[1:]), ("RANDOMKEY",), ("DEL", keys[0]), ("RANDOMKEY",),
                                        ("SELECT", 1), ("SET", "new", "v"), ("RANDOMKEY",), ("EXEC",)])[-1]
        self.assertEqual([4999, b"k0", 1, None, "OK", "OK", b"new"], replies)

    def test_a_large_transaction_is_one(self):
        count = 20000
        self.client.pipeline([("MULTI",)] + [("SET", f"k{i}", i) for i in range(count)])
        self.assertEqual(["OK"] * count, self.client("EXEC"))
        self.assertEqual(count, self.client("DBSIZE"))

    def test_a_value_changed_by_every_command_is_not_kept_for_each(self):
        """Nothing but what is to be committed stays in memory, whatever an EXEC computes."""
        size = (4 if SLOWNESS == 1 else 1) << 20  # a gigabyte, were all kept; sanitizers see no more in it
        with Server(io_threads=1) as server, server.client() as client:
            client("SET", "a", b"a" * size)
            requests = [("MULTI",), ("SETBIT", "a", 0, 1), ("COPY", "a", "b"), ("RENAME", "b", "c")]
            requests += [("SETRANGE", "a", i, b"z") for i in range(250)]
            requests += [("LCS", "small", "a")] * 3 + [("APPEND", "c", "end"), ("EXEC",)]
            replies = client.pipeline(requests)[-1]
            self.assertEqual([0, 1, "OK"] + [size] * 250 + [b""] * 3 + [size + 3], replies)
            self.assertTrue(client("GET", "a") == b"z" * 250 + b"a" * (size - 250))
            self.assertTrue(client("GET", "c") == bytes([ord("a") | 128]) + b"a" * (size - 1) + b"end")
            self.assertLess(peak_memory(server), 700 << 20)

    def test_what_an_exec_may_compute_is_bounded(self):
        with Server(io_threads=1, proto_max_bulk_len="64mb") as server, server.client() as client:
            requests = [("SET", "kept", "1"), ("MULTI",), ("SET", "kept", "2"), ("SELECT", 1)]
            requests += [("SETBIT", f"k{i}", (64 << 23) - 1, 0) for i in range(30)] + [("EXEC",)]
            reply = client.pipeline(requests)[-1]
            self.assertIsInstance(reply, RespError)
            self.assertEqual(b"1", client("GET", "kept"))
            self.assertEqual(1, client("DBSIZE"))


class OfManyKeys(ServerTest):
    """Keys so long that one batch holds them once, and not a second time as what the command has looked at."""

    options = {"io_threads": 2}
    keys = [f"{number:02}" + "k" * (1 << 20) for number in range(40)]

    def test_what_is_deleted_need_not_fit_a_batch_twice(self):
        for command in ("DEL", "UNLINK"):
            for key in self.keys:
                self.client("SET", key, "v")
            self.assertEqual(40, self.client(command, *self.keys))
            self.assertEqual(0, self.client("DBSIZE"))

    def test_what_msetnx_sets_need_not_fit_a_batch_twice(self):
        pairs = [word for key in self.keys for word in (key, "v")]
        self.assertEqual([1, 0], [self.client("MSETNX", *pairs) for _ in range(2)])
        self.assertEqual(40, self.client("EXISTS", *self.keys))

    def test_what_does_not_fit_a_batch_once_is_refused_and_not_begun(self):
        more = [key + "m" for key in self.keys]
        for key in self.keys + more:
            self.client("SET", key, "v")
        self.assert_error("ERR too large: a batch may have 1048576 writes and 67108864 bytes", "DEL", *self.keys, *more)
        self.assertEqual(80, self.client("DBSIZE"))


class TimeStandsStill(unittest.TestCase):
    """A key that expires while an EXEC, or a command, runs is there for all of it, or for none of it."""

    def exec_past_expiry(self, client, milliseconds):
        """False: the keys had expired before the EXEC."""
        sleep = ("DEBUG", "SLEEP", milliseconds * 0.0015)
        requests = [*(("SET", key, "1", "PX", milliseconds) for key in "abcde"), ("MULTI",), ("GET", "a"), sleep,
                    ("BGREWRITEAOF",), sleep, ("GET", "a"), ("PTTL", "a"), ("MGET", "b", "a"), ("STRLEN", "a"), ("GETRANGE", "a", -1, -1),
                    ("EXPIRE", "b", 1000), ("APPEND", "c", "2"), ("PERSIST", "c"), ("SET", "d", "2", "XX", "KEEPTTL"),
                    ("DEL", "e"), ("KEYS", "*"), ("SCAN", 0), ("DBSIZE",), ("EXEC",)]
        replies = client.pipeline(requests)[-1]
        if replies[0] is None:
            return False
        self.assertEqual([b"1", "OK", "Background append only file rewriting scheduled", "OK", b"1"], replies[:5])
        replies = replies[2:]
        self.assertTrue(0 < replies[3] <= milliseconds, replies[3])
        self.assertEqual([[b"1", b"1"], 1, b"1", 1, 2, 1, "OK", 1], replies[4:12])
        self.assertEqual([b"a", b"b", b"c", b"d"], sorted(replies[12]))
        self.assertEqual([b"a", b"b", b"c", b"d"], sorted(replies[13][1]))
        self.assertEqual(4, replies[14])
        self.assertEqual([None, b"1", b"12", None, None], client("MGET", *"abcde"))
        self.assertEqual(["OK", [None, None]],
                         client.pipeline([("MULTI",), ("GET", "a"), ("GET", "d"), ("EXEC",)])[::3])
        return True

    def exec_on(self, environment, threads, milliseconds):
        with Server(environment=environment, io_threads=threads, enable_debug_command="yes", hz=500) as server:
            with server.client() as client:
                return self.exec_past_expiry(client, milliseconds)

    def test_no_key_expires_within_an_exec(self):
        for environment in ({}, {"STAVE_COLD_READS": "yes"}):
            for threads in (1, 2):
                self.assertTrue(any(self.exec_on(environment, threads, 150 * 3 ** tries) for tries in range(4)))

    def random_key_past_expiry(self, threads, milliseconds):
        """None: the key had expired before the EXEC."""
        with Server(io_threads=threads, enable_debug_command="yes", hz=500) as server, server.client() as client:
            replies = client.pipeline([("SET", "only", "1", "PX", milliseconds), ("MULTI",), ("GET", "only"),
                                       ("DEBUG", "SLEEP", milliseconds * 0.0015), ("RANDOMKEY",), ("EXEC",)])[-1]
            self.assertIsNone(client("RANDOMKEY"))
            return replies[2] == b"only" if replies[0] is not None else None

    def test_a_key_that_is_there_for_an_exec_can_be_its_random_key(self):
        for threads in (1, 2):
            tries = (self.random_key_past_expiry(threads, 100 * 3 ** tries) for tries in range(4))
            self.assertTrue(next(there for there in tries if there is not None))

    def test_no_key_expires_within_a_command(self):
        keys = ["k"] * (100000 // SLOWNESS)
        request = encode("EXISTS", *keys)
        for threads in (1, 2):
            with Server(io_threads=threads, hz=500) as server, server.client() as client:
                counts = set()
                for milliseconds in range(1, 200):
                    client("SET", "k", "1", "PX", milliseconds)
                    client.send_raw(request)
                    counts.add(client.read())
                    if counts >= {0, len(keys)} and milliseconds > 40:
                        break
                self.assertLessEqual(counts, {0, len(keys)})

    def test_keys_that_expire_together_are_there_for_a_command_together(self):
        """Also where the cycle is at work while the command begins."""
        keys = [f"k{i}" for i in range(50)]
        count = 1500 // SLOWNESS
        requests = encode("EXISTS", *keys) * count
        for threads in (1, 2):
            with Server(io_threads=threads, hz=500) as server, server.client() as client:
                lead_ms = 10
                for _ in range(40):
                    at_ms = int(time.time() * 1000) + lead_ms + 5
                    client.pipeline([("SET", key, "1", "PXAT", at_ms) for key in keys])
                    time.sleep(max(0, at_ms / 1000 - time.time() - lead_ms / 1000))
                    client.send_raw(requests)
                    counts = {client.read() for _ in range(count)}
                    self.assertLessEqual(counts, {0, len(keys)})
                    lead_ms = max(1, lead_ms + (2 if 0 in counts else -2))

    def test_a_key_that_is_said_to_be_kept_is_kept(self):
        """Its value is large, so that the cycle has time to come between the command's look and its write."""
        value = b"x" * (2 << 20)
        with Server(io_threads=1, hz=500) as server, server.client() as client:
            for request in (("EXPIRE", "k", 1000), ("PERSIST", "k"), ("GETEX", "k", "EX", 1000)):
                milliseconds = 5
                for _ in range(60 // SLOWNESS):
                    _, reply, count = client.pipeline([("SET", "k", value, "PX", milliseconds), request, ("EXISTS", "k")])
                    was_there = reply not in (0, None)
                    self.assertEqual(int(was_there), count)
                    milliseconds = max(1, milliseconds + (-1 if was_there else 1))

    def test_a_key_is_not_moved_when_it_expires_with_the_one_in_its_way(self):
        value = b"x" * (2 << 20)
        requests = encode("MOVE", "k", 1) * 40
        with Server(io_threads=1, hz=500) as server, server.client() as client, server.client() as other:
            other("SELECT", 1)
            lead_ms = 2
            for _ in range(150 // SLOWNESS):
                client("SET", "k", value)
                at_ms = int(time.time() * 1000) + 10
                client("PEXPIREAT", "k", at_ms)
                other("SET", "k", "in the way", "PXAT", at_ms)
                time.sleep(max(0, at_ms / 1000 - time.time() - lead_ms / 1000))
                client.send_raw(requests)
                self.assertEqual({0}, {client.read() for _ in range(40)})
                lead_ms = max(0.2, lead_ms + (0.3 if time.time() * 1000 < at_ms else -0.2))


class Watch(ServerTest):
    options = {"io_threads": 2}

    def test_a_hundred_thousand_keys_are_watched_at_once(self):
        keys = [f"key{i}" for i in range(100000 // SLOWNESS)]
        for _ in range(2):
            self.assertEqual("OK", self.client("WATCH", *keys))
        self.connect()("SET", keys[len(keys) * 7 // 9], "1")
        self.assertEqual(["OK", None], self.client.pipeline([("MULTI",), ("EXEC",)]))
        self.assertEqual("OK", self.client("WATCH", *keys))
        self.assertEqual(["OK", []], self.client.pipeline([("MULTI",), ("EXEC",)]))

    def test_what_could_not_be_watched_aborts(self):
        large, small = b"a" * (63 << 20), b"b" * (2 << 20)
        self.assertEqual("OK", self.client("WATCH", large))
        self.assert_error("ERR too many keys are watched", "WATCH", small)
        self.assertEqual(["OK", "QUEUED", None], self.client.pipeline([("MULTI",), ("SET", "done", 1), ("EXEC",)]))
        self.assertEqual(["OK", "OK", []], self.client.pipeline([("WATCH", small), ("MULTI",), ("EXEC",)]))

    def exec_after(self, change, *watched):
        """Result of EXEC when `change` has been made by another between WATCH and EXEC."""
        client, other = self.connect(), self.connect()
        client("WATCH", *(watched or ("k",)))
        change(other)
        client("MULTI")
        client("SET", "done", "1")
        return client("EXEC")

    def test_a_change_of_a_watched_key_aborts(self):
        self.assertIsNone(self.exec_after(lambda other: other("SET", "k", "1")))
        self.assertEqual(["OK"], self.exec_after(lambda other: other("SET", "other", "1")))

    def test_the_same_value_written_again_aborts(self):
        self.client("SET", "k", "1")
        self.assertIsNone(self.exec_after(lambda other: other("SET", "k", "1")))

    def test_a_key_made_and_deleted_again_aborts(self):
        def change(other):
            other("SET", "k", "1")
            other("DEL", "k")
        self.assertIsNone(self.exec_after(change))

    def test_a_key_set_with_an_expiry_that_is_past_aborts(self):
        self.assertIsNone(self.exec_after(lambda other: other("SET", "k", "1", "PXAT", "1")))
        self.assertEqual(0, self.client("DBSIZE"))

    def test_ones_own_change_aborts_too(self):
        self.client("WATCH", "k")
        self.client("SET", "k", "1")
        self.client("MULTI")
        self.assertEqual([None], [self.client("EXEC")])

    def test_unwatch_discard_and_exec_forget_what_was_watched(self):
        for forget in (["UNWATCH"], ["MULTI", "DISCARD"], ["MULTI", "EXEC"]):
            self.client("WATCH", "k")
            for command in forget:
                self.client(command)
            self.client("SET", "k", "1")
            self.client("MULTI")
            self.assertEqual([], self.client("EXEC"))

    def test_flush_aborts_only_for_keys_that_were_there(self):
        self.client("SET", "there", "1")
        self.assertIsNone(self.exec_after(lambda other: other("FLUSHALL"), "there"))
        self.assertEqual(["OK"], self.exec_after(lambda other: other("FLUSHALL"), "absent"))
        self.assertIsNone(self.exec_after(lambda other: (other("SET", "there", 1), other("FLUSHDB")), "there"))

    def test_swapdb_aborts_for_keys_of_either_database(self):
        self.client("SELECT", 1)
        self.client("SET", "k", "in 1")
        self.assertIsNone(self.exec_after(lambda other: other("SWAPDB", 0, 1), "k"))
        self.assertEqual(["OK"], self.exec_after(lambda other: other("SWAPDB", 0, 1), "absent"))

    def test_swapdb_aborts_whichever_of_the_two_is_watched(self):
        self.client("SET", "k", "in 0")
        for watched, swapped in ((0, (0, 1)), (1, (0, 1)), (0, (1, 0)), (1, (1, 0))):
            client = self.connect()
            client("SELECT", watched)
            client.pipeline([("WATCH", "k"), ("MULTI",), ("PING",)])
            self.connect()("SWAPDB", *swapped)
            self.assertIsNone(client("EXEC"))

    def test_what_is_watched_can_be_given_up_by_an_exec_that_swaps_it(self):
        """Keys that had expired, more than a command removes of those that it meets."""
        keys = [f"a key of some length:{i}" for i in range(2000)]
        with Server(enable_debug_command="yes") as server, server.client() as client:
            client("DEBUG", "SET-ACTIVE-EXPIRE", 0)
            client.pipeline([("SET", key, "1", "PX", 1) for key in keys])
            time.sleep(0.01)
            self.assertEqual("OK", client("WATCH", *keys))
            for swap in (("SWAPDB", 0, 1), ("SWAPDB", 0, 1), ("FLUSHALL",)):
                self.assertEqual(["OK", "OK"], client.pipeline([("MULTI",), swap, ("UNWATCH",), ("EXEC",)])[-1])
                client("WATCH", *keys)
            self.assertEqual(0, client("DBSIZE"))

    def test_a_watched_key_that_expires_aborts(self):
        milliseconds = watch_expiring(self.client, "k")
        time.sleep(milliseconds / 1000 + 0.01)
        self.assertEqual(["OK", "QUEUED", None], self.client.pipeline([("MULTI",), ("SET", "done", "1"), ("EXEC",)]))

    def test_a_change_by_exec_aborts_others(self):
        self.assertIsNone(self.exec_after(lambda other: other.pipeline([("MULTI",), ("SET", "k", 1), ("EXEC",)])))

    def test_a_change_of_the_expiry_aborts(self):
        self.client("SET", "k", "1")
        self.assertIsNone(self.exec_after(lambda other: other("EXPIRE", "k", 100)))


ACCOUNTS = 20
TOTAL = ACCOUNTS * 1000


class Isolation(unittest.TestCase):
    """Money moves between accounts from many connections while others sum it up: the sum never changes."""

    def setUp(self):
        self.server = Server(io_threads=3)
        self.addCleanup(self.server.close)
        self.failures = []
        self.end = time.monotonic() + (3 if SLOWNESS == 1 else 8)
        self.keys = [f"account:{i}" for i in range(ACCOUNTS)]
        with self.server.client() as client:
            client("MSET", *(part for key in self.keys for part in (key, 1000)))

    def run_all(self, *works):
        def guarded(work, number):
            try:
                with self.server.client() as client:
                    turn = number
                    while time.monotonic() < self.end and not self.failures:
                        turn = (turn * 1103515245 + 12345) % (1 << 31)
                        work(client, turn >> 8)
            except Exception as error:  # reported by the main thread
                self.failures.append(repr(error))
        threads = [threading.Thread(target=guarded, args=(work, i + 1)) for i, work in enumerate(works)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([], self.failures)
        with self.server.client() as client:
            self.assertEqual(TOTAL, sum(map(int, client("MGET", *self.keys))))

    def move_by_exec(self, client, turn):
        source, target = self.keys[turn % ACCOUNTS], self.keys[turn // ACCOUNTS % ACCOUNTS]
        client.pipeline([("MULTI",), ("DECRBY", source, 7), ("INCRBY", target, 7), ("EXEC",)])

    def move_by_watch(self, client, turn):
        source, target = self.keys[turn % ACCOUNTS], self.keys[turn // ACCOUNTS % ACCOUNTS]
        if source == target:
            return
        replies = client.pipeline([("WATCH", source, target), ("GET", source), ("GET", target)])
        client.pipeline([("MULTI",), ("SET", source, int(replies[1]) - 3), ("SET", target, int(replies[2]) + 3),
                         ("EXEC",)])

    def sum_by_mget(self, client, _):
        total = sum(map(int, client("MGET", *self.keys)))
        if total != TOTAL:
            self.failures.append(f"MGET saw {total}")

    def sum_by_exec(self, client, _):
        replies = client.pipeline([("MULTI",), *(("GET", key) for key in self.keys), ("EXEC",)])
        total = sum(map(int, replies[-1]))
        if total != TOTAL:
            self.failures.append(f"EXEC saw {total}")

    def test_the_sum_of_all_accounts_never_changes(self):
        self.run_all(self.move_by_exec, self.move_by_exec, self.move_by_watch, self.move_by_watch, self.sum_by_mget,
                     self.sum_by_exec, self.sum_by_mget, self.sum_by_exec)

    def test_a_key_that_is_renamed_to_and_fro_is_always_in_one_place(self):
        with self.server.client() as client:
            client("SET", "left", "ball")

        def throw(client, turn):
            client.attempt("RENAME", *(("left", "right") if turn % 2 else ("right", "left")))

        def look(client, _):
            count = client("EXISTS", "left", "right")
            if count != 1:
                self.failures.append(f"the ball was seen in {count} places")

        self.run_all(throw, throw, look, look, throw)

    def test_commands_on_two_keys_exclude_each_other(self):
        """Locks made of MSETNX and DEL, and of RENAME: what they protect is counted without a loss."""
        holders = 6
        done = [0] * holders
        with self.server.client() as client:
            client("SET", "free", "token")

        def lock_and_count(client, _, number):
            by_name = number % 2 == 0
            if by_name:
                if client("MSETNX", "lock:1", number, "lock:2", number) == 0:
                    return
            elif client.attempt("RENAME", "free", f"taken:{number}") != "OK":
                return
            counter = "by name" if by_name else "by token"
            client("SET", counter, int(client("GET", counter) or 0) + 1)
            done[number] += 1
            if by_name and client("DEL", "lock:1", "lock:2") != 2:
                self.failures.append("a lock was taken away")
            if not by_name:
                client("RENAME", f"taken:{number}", "free")

        self.run_all(*(lambda client, turn, number=i: lock_and_count(client, turn, number) for i in range(holders)))
        with self.server.client() as client:
            self.assertEqual([sum(done[::2]), sum(done[1::2])],
                             [int(each or 0) for each in client("MGET", "by name", "by token")])

    def test_counters_count_every_increment(self):
        done = [0] * 6

        def count(client, _, number):
            done[number] += sum(1 for reply in client.pipeline([("INCR", "n")] * 20) if isinstance(reply, int))

        self.run_all(*(lambda client, turn, number=i: count(client, turn, number) for i in range(6)))
        with self.server.client() as client:
            self.assertEqual(sum(done), int(client("GET", "n")))


if __name__ == "__main__":
    main()
