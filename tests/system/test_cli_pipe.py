#!/usr/bin/env python3
"""stave-cli --pipe: everything is sent, replies and errors are counted, memory stays bounded (pipe.h, P1)."""

import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stave_cli as cli  # noqa: E402

SET = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\n" + 100 * b"v" + b"\r\n"
FAIL = b"*1\r\n$4\r\nFAIL\r\n"
MEMORY_MAX_KIB = 30000


def answer(words):
    if words[0] == b"ECHO":
        return b"$%d\r\n%s\r\n" % (len(words[1]), words[1])
    return b"-ERR failed\r\n" if words[0] == b"FAIL" else b"+OK\r\n"


def replies_and_errors_are_counted():
    server = cli.Server(answer)
    code, output, errors = cli.run("-p", server.port, "--pipe", stdin=2000 * SET)
    cli.expect((code, output.splitlines()[-2:], errors), (0, [b"Last reply received from server.", b"errors: 0, replies: 2000"], b""))
    cli.expect(len(server.seen), 2001)
    code, output, errors = cli.run("-p", server.port, "--pipe", stdin=10 * SET + 3 * FAIL + SET)
    cli.expect((code, output.splitlines()[-1], errors), (1, b"errors: 3, replies: 14", 3 * b"ERR failed\n"))
    code, output, _ = cli.run("-p", server.port, "--pipe", stdin=b"")
    cli.expect((code, output.splitlines()[-1]), (0, b"errors: 0, replies: 0"))


def an_input_that_ends_too_early_is_noticed():
    server = cli.Server(answer)
    words = [cli.CLI, "-p", server.port, "--pipe", "--pipe-timeout", "0.3"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=cli.environment({})) as process:
        process.stdin.write(SET)
        process.stdin.flush()
        while server.replies_sent == 0 and process.poll() is None:  # the time runs from the end of the input
            time.sleep(0.01)
        output, errors = process.communicate(SET[:60], cli.TIMEOUT_SECONDS)
    cli.expect((process.returncode, output.splitlines()[-1]), (4, b"errors: 0, replies: 1"))
    cli.expect_in(b"in the middle of a command", errors)


def a_lost_connection_is_told():
    server = cli.Server(lambda words: None if words[0] == b"FAIL" else answer(words))
    code, _, errors = cli.run("-p", server.port, "--pipe", stdin=SET + FAIL + 1000 * SET)
    cli.expect(code, 4)
    cli.expect_in(b"the connection was lost", errors)


def memory_is_bounded_beside_a_server_that_does_not_read():
    reads = threading.Event()

    def slow(words):
        reads.wait()
        return answer(words)

    server = cli.Server(slow)
    process = subprocess.Popen([cli.CLI, "-p", server.port, "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=cli.environment({}))
    count = 400000  # 50 MB, and replies of 2 MB while none is read here

    def feed():
        try:
            for _ in range(count // 1000):
                process.stdin.write(1000 * SET)
        except BrokenPipeError:  # the process was ended
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(0.3)
    cli.expect(feeder.is_alive(), True, "the input is taken although the server does not read")
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    cli.expect(resident < MEMORY_MAX_KIB or bool(os.environ.get("STAVE_SANITIZE")), True, f"{resident} KiB")
    process.kill()
    process.wait()
    process.stdout.close()
    reads.set()
    feeder.join(cli.TIMEOUT_SECONDS)


def shown_on_a_terminal(columns, *words, stdin=b""):
    """The lines that come on a terminal of this width, each with all that was written over."""
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        terminal = cli.Terminal.__new__(cli.Terminal)
        terminal.text = b""
        terminal.pid, terminal.file = cli.pty.fork()
        if terminal.pid == 0:
            cli.fcntl.ioctl(1, cli.termios.TIOCSWINSZ, cli.struct.pack("HHHH", 24, columns, 0, 0))
            os.dup2(file.fileno(), 0)
            os.execve(cli.CLI, [cli.CLI, *words], cli.environment({}))
        text, code = terminal.rest()
    cli.expect(code, 0)
    return [line.split(b"\r\x1b[K") for line in text.split(b"\r\n")]


def a_terminal_gets_a_progress_bar():
    server = cli.Server(answer)
    lines = shown_on_a_terminal(80, "-p", server.port, "--pipe", stdin=20 * SET)
    cli.expect([line[-1] for line in lines[-4:]],
               [b"[##############################] 100 %  0.0 MiB, 20 replies, 0 errors",
                b"Last reply received from server.", b"errors: 0, replies: 20", b""])
    cli.expect([line[-1] for line in lines[:-4]] in ([], [b"All data transferred. Waiting for the last reply..."]), True, lines)


def what_is_written_over_fits_into_a_line():
    server = cli.Server(answer)
    for columns, bar in ((60, b"[####################] 100 %  0.0 MiB"), (48, b"100 %  0.0 MiB"), (20, b"0.0 MiB, 20 replies")):
        lines = shown_on_a_terminal(columns, "-p", server.port, "--pipe", stdin=20 * SET)
        bars = [part for line in lines for part in line if b"MiB" in part]
        cli.expect(bars[-1][:len(bar)], bar)
        cli.expect([part for part in bars if len(part) >= columns], [])


def main():
    replies_and_errors_are_counted()
    an_input_that_ends_too_early_is_noticed()
    a_lost_connection_is_told()
    memory_is_bounded_beside_a_server_that_does_not_read()
    a_terminal_gets_a_progress_bar()
    what_is_written_over_fits_into_a_line()


if __name__ == "__main__":
    main()
