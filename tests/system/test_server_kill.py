"""kill -9 under a load of all sorts of writes: what was answered is there, and what follows is a prefix (P1, P3, P4, P5)."""

import os
import random
import threading
import time
import unittest

from stave_server import Server, encode, main, wait_until

KEY_COUNT = 20  # of one writer: few, so that overwrites and deletes of one key meet
CONNECTIONS = 8
ROUNDS = 3
SENT_MAX = 30000  # steps of one writer in a round
TRANSACTION_REPLIES = 5  # of MULTI, three commands and EXEC


class Writer(threading.Thread):
    """One connection with keys of its own, to which it does a sequence of steps; each step is done whole or not at all."""

    def __init__(self, server, name, depth, state, seed):
        super().__init__()
        self.client = server.client()
        self.name, self.depth = name, depth
        self.random = random.Random(seed)
        self.state = dict(state)  # before the first step
        self.steps = []  # what each changes: {key: value, or None if it is deleted}
        self.answered = 0

    def key(self):
        return b"%s:%d" % (self.name.encode(), self.random.randrange(KEY_COUNT))

    def step(self, state):
        """(request, number of replies, changes) of a step from this state."""
        kind = self.random.randrange(7)
        key, other = self.key(), self.key()
        text = b"%d" % self.random.randrange(1 << 30)
        if kind <= 1:
            text *= self.random.choice((1, 1, 1, 100))
            return encode("SET", key, text), 1, {key: text}
        if kind == 2:
            return encode("DEL", key, other), 1, {key: None, other: None}
        if kind == 3:
            counter = key + b":n"
            return encode("INCR", counter), 1, {counter: b"%d" % (int(state.get(counter) or 0) + 1)}
        if kind == 4:
            value = ((state.get(key) or b"") + text)[:2000]
            if len(value) < 2000:
                return encode("APPEND", key, text), 1, {key: value}
            return encode("GETDEL", key), 1, {key: None}
        if kind == 5:
            changes = {self.key(): b"%d" % i + text for i in range(4)}
            return encode("MSET", *(word for pair in changes.items() for word in pair)), 1, changes
        counter = key + b":n"
        request = encode("MULTI") + encode("SET", key, text) + encode("INCR", counter) + encode("DEL", other) + encode("EXEC")
        count = b"%d" % (int(state.get(counter) or 0) + 1)
        return request, TRANSACTION_REPLIES, {key: text, counter: count, other: None}

    def run(self):
        state = dict(self.state)
        try:
            while len(self.steps) < SENT_MAX:
                requests, replies = [], []
                for _ in range(self.depth):
                    request, reply_count, changes = self.step(state)
                    requests.append(request)
                    replies.append(reply_count)
                    self.steps.append(changes)
                    state.update(changes)
                self.client.send_raw(b"".join(requests))
                for reply_count in replies:
                    for _ in range(reply_count):
                        self.client.read()
                    self.answered += 1
        except OSError:  # the server is gone
            pass
        finally:
            self.client.close()

    def find_end(self, found):
        """How many steps give what was found, at least those that were answered; None if no number does."""
        state = dict(self.state)
        for at in range(len(self.steps) + 1):
            if at >= self.answered and {key: value for key, value in state.items() if value is not None} == found:
                return at
            if at < len(self.steps):
                state.update(self.steps[at])
        return None


def stored(client, name):
    """All keys of a writer with their values."""
    keys = [b"%s:%d%s" % (name.encode(), i, suffix) for i in range(KEY_COUNT) for suffix in (b"", b":n")]
    return {key: value for key, value in zip(keys, client("MGET", *keys)) if value is not None}


class Kill(unittest.TestCase):
    def check(self, **options):
        seed = int(os.environ.get("STAVE_TEST_SEED") or random.randrange(1 << 30))
        chance = random.Random(seed)
        answered = 0
        with Server(io_threads=2, **options) as server:
            states = {f"w{i}": {} for i in range(CONNECTIONS)}
            for _ in range(ROUNDS):
                writers = [Writer(server, name, (1, 1, 10, 100)[i % 4], state, chance.random())
                           for i, (name, state) in enumerate(states.items())]
                for writer in writers:
                    writer.start()
                self.assertTrue(wait_until(lambda: all(each.answered > 0 for each in writers)))
                time.sleep(chance.uniform(0, 0.4))
                server.kill()
                for writer in writers:
                    writer.join()
                server.start()
                with server.client() as client:
                    for writer in writers:
                        found = stored(client, writer.name)
                        end = writer.find_end(found)
                        self.assertIsNotNone(end, f"seed {seed}: {writer.name} was answered {writer.answered} of "
                                                  f"{len(writer.steps)} steps; none of them leads to {found}")
                        answered += writer.answered
                        states[writer.name] = found
        print(f"{options}: {answered} answered steps of {CONNECTIONS} connections, {ROUNDS} kills, seed {seed}")

    def test_everysec(self):
        self.check(appendfsync="everysec")

    def test_always(self):
        self.check(appendfsync="always")

    def test_no(self):
        self.check(appendfsync="no")


if __name__ == "__main__":
    main()
