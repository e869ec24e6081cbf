"""Ten thousand connections, and clients that misbehave beside one that does not: it is served all the while (P11)."""

import os
import random
import resource
import selectors
import socket
import threading
import time
import unittest

from stave_server import PATIENCE, SANITIZE, Server, encode, main, wait_until

CROWD = 1000 if SANITIZE else 10000
DESCRIPTORS_SPARE = 200
HOSTILE_SECONDS = 1.5


def resident_size(server):
    """Memory that the process holds alone, in bytes."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("RssAnon"))


def info(client, field):
    lines = client("INFO", "everything").decode().splitlines()
    return next(line.split(":", 1)[1] for line in lines if line.startswith(field + ":"))


class Healthy(threading.Thread):
    """Writes and reads its own keys until told to stop, and notes how long each answer took."""

    def __init__(self, server):
        super().__init__()
        self.client = server.client()
        self.stopping = threading.Event()
        self.times = []
        self.error = None

    def run(self):
        try:
            number = 0
            while not self.stopping.is_set():
                start = time.monotonic()
                replies = self.client.pipeline([("SET", "healthy", number), ("GET", "healthy"), ("PING",)])
                self.times.append(time.monotonic() - start)
                if replies != ["OK", str(number).encode(), "PONG"]:
                    raise RuntimeError(f"wrong replies: {replies}")
                number += 1
                time.sleep(0.001)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def end(self, test, beside):
        """It was served; its latency is shown and judged by no figure."""
        self.stopping.set()
        self.join()
        self.client.close()
        if self.error is not None:
            raise self.error
        times = sorted(self.times)
        test.assertGreater(len(times), 0)
        print(f"beside {beside}: {len(times)} rounds, median {times[len(times) // 2] * 1e3:.2f} ms, "
              f"99 % {times[len(times) * 99 // 100] * 1e3:.2f} ms, most {times[-1] * 1e3:.2f} ms")


class Crowd(unittest.TestCase):
    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < CROWD + DESCRIPTORS_SPARE:
            self.skipTest(f"{hard} descriptors are not enough for {CROWD} connections")
        resource.setrlimit(resource.RLIMIT_NOFILE, (CROWD + DESCRIPTORS_SPARE, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_ten_thousand_connections_are_served_and_cost_little(self):
        with Server(io_threads=2, maxclients=CROWD + 50) as server, server.client() as client:
            before, used_before = resident_size(server), int(info(client, "used_memory"))
            healthy = Healthy(server)
            healthy.start()
            crowd = []
            for _ in range(CROWD):
                crowd.append(server.client())
                crowd[-1].send("PING")
            self.assertEqual({"PONG"}, {each.read() for each in crowd})
            self.assertEqual(CROWD + 2, int(info(client, "connected_clients")))
            each, used = (resident_size(server) - before) / CROWD, (int(info(client, "used_memory")) - used_before) / CROWD
            print(f"{CROWD} idle connections: {each:.0f} bytes each by /proc, {used:.0f} by INFO")
            if not SANITIZE:
                self.assertLess(each, 16 << 10)  # a few KiB, and room for the allocator

            # All of them wake at once, twice.
            for turn in range(2):
                for number, member in enumerate(crowd):
                    member.send_raw(encode("SET", f"crowd:{number}", turn) + encode("GET", f"crowd:{number}"))
                for member in crowd:
                    self.assertEqual(["OK", str(turn).encode()], [member.read(), member.read()])
            healthy.end(self, f"{CROWD} connections")
            for member in crowd:
                member.close()
            self.assertEqual(CROWD, client("DBSIZE") - client("EXISTS", "healthy"))
            self.assertTrue(wait_until(lambda: info(client, "connected_clients") == "1"))


class Hostile(unittest.TestCase):
    """On one loop, so that all share it with the healthy client."""

    def setUp(self):
        self.server = Server(io_threads=1)
        self.addCleanup(self.server.close)
        self.hostile = []
        self.addCleanup(lambda: [each.close() for each in self.hostile])

    def clients(self, count):
        new = [self.server.client() for _ in range(count)]
        self.hostile += new
        for client in new:
            client.socket.setblocking(False)
        return new

    def push(self, clients, data, seconds=HOSTILE_SECONDS):
        """Each sends the data, again and again, as far as its socket takes it; the result is how many bytes each sent."""
        sent = {client: 0 for client in clients}
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_WRITE, client)
            end = time.monotonic() + seconds
            while time.monotonic() < end and selector.get_map():
                for key, _ in selector.select(0.1):
                    try:
                        sent[key.data] += key.data.socket.send(data[sent[key.data] % len(data):])
                    except BlockingIOError:
                        pass
                    except OSError:  # closed by the server, which is its right
                        selector.unregister(key.fileobj)
        return sent

    def test_clients_that_never_read_are_held_up_alone(self):
        with self.server.client() as client:
            client("SET", "small", b"s" * 1000)
            client("SET", "large", b"l" * (1 << 20))
            before = resident_size(self.server)
            healthy = Healthy(self.server)
            healthy.start()
            some, others = self.clients(10), self.clients(10)
            threads = [threading.Thread(target=self.push, args=(some, encode("GET", "small") * 100)),
                       threading.Thread(target=self.push, args=(others, encode("GET", "large") * 10))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            grown = resident_size(self.server) - before
            healthy.end(self, "20 clients that never read")
            print(f"the server grew by {grown >> 10} KiB for them")
            if not SANITIZE:
                self.assertLess(grown, 200 << 20)
            # One that reads after all gets everything it asked for, in order.
            late = others[0]
            late.socket.setblocking(True)
            late.socket.settimeout(PATIENCE)
            for _ in range(3):
                self.assertEqual(b"l" * (1 << 20), late.read())

    def test_clients_that_send_byte_by_byte_are_answered_beside_others(self):
        requests = [encode("SET", f"slow:{i}", "v" * 20) + b"GET slow:%d\r\n" % i for i in range(50)]
        healthy = Healthy(self.server)
        healthy.start()
        slow = [self.server.client() for _ in requests]
        self.hostile += slow
        for at in range(max(len(request) for request in requests)):
            for client, request in zip(slow, requests):
                client.send_raw(request[at:at + 1])
            time.sleep(0.005)
        for client in slow:
            self.assertEqual("OK", client.read())
            self.assertEqual(b"v" * 20, client.read())
        healthy.end(self, f"{len(slow)} clients that send byte by byte")

    def test_requests_that_are_announced_and_never_end_cost_nothing(self):
        before = resident_size(self.server)
        healthy = Healthy(self.server)
        healthy.start()
        heads = (b"*1048576\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\nx", b"*2\r\n$536870912\r\n", b"*2\r\n$3\r\nGET\r\n$1",
                 b'SET "unfinished')
        for number, client in enumerate(self.clients(200)):
            client.send_raw(heads[number % len(heads)])
        time.sleep(HOSTILE_SECONDS)
        grown = resident_size(self.server) - before
        healthy.end(self, "200 requests that never end")
        print(f"the server grew by {grown >> 10} KiB for them")
        if not SANITIZE:
            self.assertLess(grown, 16 << 20)

    @unittest.skipIf(SANITIZE, "the allocator is another")
    def test_memory_that_clients_have_given_back_is_given_to_the_system(self):
        with self.server.client() as client:  # from then on the allocator keeps what is of such a size
            client("SET", "large", b"l" * (5 << 20))
        before = resident_size(self.server)
        half = b"*2\r\n$3\r\nGET\r\n$100000000\r\n" + b"x" * 200000
        crowd = [self.server.client() for _ in range(400)]
        for client in crowd:
            client.send_raw(half)
        self.assertTrue(wait_until(lambda: resident_size(self.server) - before > 70 << 20))
        for number, client in enumerate(crowd):
            if number % 20 != 19:  # those who stay are scattered over it
                client.close()
        self.hostile += crowd[19::20]
        self.assertTrue(wait_until(lambda: resident_size(self.server) - before < 20 << 20))

    def test_noise_is_refused_and_harms_nobody(self):
        seed = int(os.environ.get("STAVE_TEST_SEED", "1"))
        noise = random.Random(seed)
        healthy = Healthy(self.server)
        healthy.start()
        end = time.monotonic() + HOSTILE_SECONDS
        while time.monotonic() < end:
            kinds = (noise.randbytes(noise.randrange(1, 3000)), b"*%d\r\n$" % noise.randrange(-5, 5) + noise.randbytes(50),
                     encode(*(noise.randbytes(9) for _ in range(noise.randrange(1, 9)))))
            client = self.server.client()
            client.send_raw(noise.choice(kinds))
            if noise.random() < 0.5:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # an end by reset
            client.close()
        healthy.end(self, f"noise of seed {seed}")

    def test_large_commands_of_others_do_not_end_the_service(self):
        """Many keys in one command, and many commands in one transaction."""
        healthy = Healthy(self.server)
        healthy.start()
        with self.server.client() as client:
            pairs = [word for i in range(20000) for word in (f"k{i}", "v" * 100)]
            self.assertEqual("OK", client("MSET", *pairs))
            self.assertEqual([b"v" * 100] * 20000, client("MGET", *pairs[::2]))
            replies = client.pipeline([("MULTI",), *(("APPEND", f"k{i}", "w") for i in range(5000)), ("EXEC",)])
            self.assertEqual([101] * 5000, replies[-1])
            self.assertEqual(20000, client("DEL", *pairs[::2]))
        healthy.end(self, "large commands")


if __name__ == "__main__":
    main()
