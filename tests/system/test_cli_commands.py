#!/usr/bin/env python3
"""stave-cli's options, exit codes and ways of giving it commands."""

import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stave_cli as cli  # noqa: E402


def answer(words):
    name = words[0].upper()
    if name == b"ECHO":
        return b"$%d\r\n%s\r\n" % (len(words[1]), words[1])
    if name == b"FAIL":
        return b"-ERR failed\r\n"
    if name == b"HELLO":
        return b"%1\r\n+proto\r\n:3\r\n"
    if name == b"CLOSE":
        return None
    if name == b"GARBAGE":
        return b"HTTP/1.1 400 Bad Request\r\n"
    if name == b"PUSHED":
        return b">2\r\n+message\r\n+a\r\n+OK\r\n"
    if name == b"SUBSCRIBE":
        return b"".join(b"*3\r\n$9\r\nsubscribe\r\n$1\r\n%s\r\n:%d\r\n" % (word, i) for i, word in enumerate(words[1:], 1))
    return b"+OK\r\n"


server = cli.Server(answer)


def run(*words, **extra):
    server.seen.clear()
    return cli.run("-p", server.port, *words, **extra)


def exit_codes_tell_what_happened():
    cli.expect(run("PING")[0], 0)
    cli.expect(run("FAIL")[:2], (0, b"ERR failed\n\n"))
    cli.expect(run("-e", "FAIL")[:2], (1, b"ERR failed\n\n"))
    for words in (["--nosuch"], ["-p"], ["-p", "x", "PING"], ["-n", "-1", "PING"], ["-r", "z", "PING"], ["-x"],
                  ["-i", "nan", "PING"], ["--scan", "PING"], ["-u", "http://x", "PING"], ["-u", "rediss://x", "PING"],
                  ["-u", "redis://x:99999", "PING"], ["-u", "redis://x/a", "PING"],
                  ["--pattern", "a*", "PING"], ["--count", "9", "--pipe"], ["--type", "string"], ["--quoted-input", "GET", '"a']):
        code, output, errors = run(*words)
        cli.expect((code, output, server.seen), (2, b"", []), words)
        cli.expect_in(b"stave-cli: ", errors)
    for command, reason in (("CLOSE", b"closed"), ("GARBAGE", b"not the Redis protocol")):
        code, _, errors = run(command)
        cli.expect(code, 4)
        cli.expect_in(reason, errors)
    code, _, errors = cli.run("-p", "1", "PING")
    cli.expect(code, 4)
    cli.expect_in(b"no connection to 127.0.0.1:1: Connection refused", errors)
    with cli.scratch() as directory:
        cli.expect(cli.run("-s", directory + "/none", "PING")[0], 4)


def help_and_version_need_no_server():
    code, output, _ = cli.run("--help")
    cli.expect(code, 0)
    for option in (b"--pipe", b"--scan", b"-u URI", b"Exit codes"):
        cli.expect_in(option, output)
    with open(os.path.join(os.environ["STAVE_SOURCE_DIR"], "docs", "man", "stave-cli.1"), "rb") as file:
        words = re.findall(rb"[\w-]+", re.sub(rb"\\f[BIR]", b" ", file.read()).replace(b"\\-", b"-"))
    cli.expect(set(re.findall(rb"^  (-[\w-]+)", output, re.M)) - set(words), set(), "the manual names every option")
    cli.expect_in(b"stave-cli ", cli.run("--version")[1])


def sessions_begin_as_the_options_say():
    run("-n", "3", "-3", "--user", "joe", "-a", "secret", "PING")
    cli.expect(server.seen, [[b"AUTH", b"joe", b"secret"], [b"HELLO", b"3"], [b"SELECT", b"3"], [b"PING"]])
    cli.expect_in(b"can be seen by other users", run("-a", "secret", "PING")[2])
    cli.expect(run("-a", "secret", "--no-auth-warning", "PING")[2], b"")
    cli.expect(run("PING", REDISCLI_AUTH="hidden")[2], b"")
    cli.expect(server.seen, [[b"AUTH", b"hidden"], [b"PING"]])
    cli.run("--no-auth-warning", "-u", f"redis://a%20b:p%3a@127.0.0.1:{server.port}/12", "PING")
    cli.expect(server.seen[-3:], [[b"AUTH", b"a b", b"p:"], [b"SELECT", b"12"], [b"PING"]])
    server.seen.clear()
    cli.run("--no-auth-warning", "-u", f"redis://word@127.0.0.1:{server.port}", "PING")
    cli.expect(server.seen, [[b"AUTH", b"word"], [b"PING"]])
    run("--json", "PING")
    cli.expect(server.seen[0], [b"HELLO", b"3"])
    with cli.scratch() as directory:
        local = cli.Server(answer, path=directory + "/socket")
        cli.expect(cli.run("-s", directory + "/socket", "PING")[:2], (0, b"OK\n"))
        cli.expect(local.seen, [[b"PING"]])


def nothing_is_done_to_another_database_than_the_one_asked_for():
    def refuse(words):
        return b"-ERR DB index is out of range\r\n" if words[0] == b"SELECT" else answer(words)

    refusing = cli.Server(refuse)
    for words in (["FLUSHDB"], ["--scan"], ["--pipe"], []):
        code, output, errors = cli.run("-p", refusing.port, "-n", "99", *words, stdin=b"FLUSHDB\n")
        cli.expect((code, output, errors), (4, b"", b"stave-cli: SELECT failed: ERR DB index is out of range\n"), words)
    cli.expect(refusing.seen, 4 * [[b"SELECT", b"99"]])


def a_database_is_selected_once_the_password_is_there():
    allowed = []

    def guard(words):
        if words[0] == b"AUTH":
            allowed.append(True)
        return b"+OK\r\n" if allowed else b"-NOAUTH Authentication required.\r\n"

    guarding = cli.Server(guard)
    code, output, _ = cli.run("-p", guarding.port, "-n", "2", stdin=b"AUTH word\nGET a\n")
    cli.expect((code, output), (0, b"OK\nOK\n"))
    cli.expect(guarding.seen, [[b"SELECT", b"2"], [b"AUTH", b"word"], [b"SELECT", b"2"], [b"GET", b"a"]])


def passwords_cannot_be_read_off_the_process():
    port = str(server.port)
    for words in (["-p", port, "-a", "topsecret"], ["-p", port, "--pass", "topsecret"],
                  ["-u", f"redis://joe:topsecret@127.0.0.1:{port}"], ["-u", f"redis://topsecret@127.0.0.1:{port}"]):
        process = subprocess.Popen([cli.CLI, *words, "SUBSCRIBE", "a"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdout.readline()
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            text = file.read()
        process.terminate()
        process.wait()
        process.stdout.close()
        cli.expect(b"topsecret" in text, False, f"the password is seen: {words}")
        cli.expect_in(b"*********", text)


def arguments_are_bytes():
    cli.expect(run("-x", "ECHO", stdin=b"a\0\r\nb\n")[1], b"a\0\r\nb\n\n")
    cli.expect(run("--quoted-input", "ECHO", '"\\x00\\n "')[1], b"\0\n \n")
    cli.expect(run("ECHO", '"\\x00"')[1], b'"\\x00"\n')
    cli.expect(run("-x", "ECHO", stdin=b"x" * 3000000)[1], b"x" * 3000000 + b"\n")


def commands_repeat():
    run("-r", "3", "PING")
    cli.expect(server.seen, 3 * [[b"PING"]])
    start = time.monotonic()
    run("-r", "3", "-i", "0.1", "PING")
    cli.expect(0.2 <= time.monotonic() - start < 30, True, "-i")


def lines_are_commands():
    code, output, _ = run(stdin=b'ECHO "a b"\n\n  \n3 ping\necho \'c\'')
    cli.expect((code, output), (0, b"a b\nOK\nOK\nOK\nc\n"))
    cli.expect(run(stdin=b"FAIL\nPING\n")[:2], (0, b"ERR failed\n\nOK\n"))
    cli.expect(run("-e", stdin=b"FAIL\nPING\n")[:2], (1, b"ERR failed\n\n"))
    cli.expect(run(stdin=b"quit\nPING\n")[:2], (0, b"OK\n"))
    cli.expect(run(stdin=b"exit\nPING\n")[:2], (0, b""))
    cli.expect(run(stdin=b'ECHO "a\nPING\n')[:2], (2, b""))
    cli.expect(run(stdin=b"CLOSE\nPING\n")[0], 4)


def pushes_are_shown_as_they_come():
    cli.expect(run("PUSHED")[1], b"message\na\nOK\n")
    process = subprocess.Popen([cli.CLI, "-p", server.port, "SUBSCRIBE", "a", "b"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    cli.expect(process.stdout.read(len(b"subscribe\na\n1\nsubscribe\nb\n2\n")), b"subscribe\na\n1\nsubscribe\nb\n2\n")
    server.connections[-1].sendall(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n")
    cli.expect(process.stdout.read(len(b"message\na\nhi\n")), b"message\na\nhi\n")
    server.drop_connections()
    cli.expect((process.wait(cli.TIMEOUT_SECONDS), process.stdout.read()), (4, b""))
    process.stdout.close()
    process.stderr.close()


def keys_are_listed():
    steps = {b"0": b"*2\r\n$2\r\n17\r\n*2\r\n$1\r\na\r\n$2\r\nb\n\r\n", b"17": b"*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n"}
    keys = cli.Server(lambda words: steps[words[1]])
    cli.expect(cli.run("-p", keys.port, "--scan")[:2], (0, b"a\nb\n\nc\n"))
    cli.expect(keys.seen, [[b"SCAN", b"0"], [b"SCAN", b"17"]])
    keys.seen.clear()
    output = cli.run("-p", keys.port, "--scan", "--pattern", "a*", "--count", "7", "--type", "string", "--no-raw")[1]
    cli.expect(output, b'"a"\n"b\\n"\n"c"\n')
    cli.expect(keys.seen[0], [b"SCAN", b"0", b"MATCH", b"a*", b"COUNT", b"7", b"TYPE", b"string"])
    keys.seen.clear()
    cli.run("-p", keys.port, "--scan", "--quoted-pattern", '"\\x00*"')
    cli.expect(keys.seen[0], [b"SCAN", b"0", b"MATCH", b"\0*"])
    cli.expect(cli.run("-p", cli.Server(lambda words: b"-ERR no\r\n").port, "--scan")[0], 1)
    cli.expect(cli.run("-p", cli.Server(lambda words: b"*2\r\n:1\r\n:2\r\n").port, "--scan")[0], 4)


def latency_is_measured():
    code, output, _ = run("--latency", "-i", "0.2")
    least, most, mean, count = output.split()
    cli.expect(code, 0)
    cli.expect(0 <= float(least) <= float(mean) <= float(most) and int(count) > 0, True, output)
    figures = json.loads(run("--latency", "-i", "0.2", "--json", "-2")[1])
    cli.expect(sorted(figures), ["avg", "count", "max", "min"])
    terminal = cli.Terminal("-p", server.port, "--latency")
    terminal.wait_for(b"samples)")
    terminal.type(b"\x03")
    cli.expect(terminal.rest()[1], 0, "Ctrl-C ends --latency")


def main():
    exit_codes_tell_what_happened()
    help_and_version_need_no_server()
    sessions_begin_as_the_options_say()
    nothing_is_done_to_another_database_than_the_one_asked_for()
    a_database_is_selected_once_the_password_is_there()
    passwords_cannot_be_read_off_the_process()
    arguments_are_bytes()
    commands_repeat()
    lines_are_commands()
    pushes_are_shown_as_they_come()
    keys_are_listed()
    latency_is_measured()


if __name__ == "__main__":
    main()
