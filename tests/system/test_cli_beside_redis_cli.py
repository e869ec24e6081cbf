#!/usr/bin/env python3
"""stave-cli and redis-cli, each on stave-server and on redis-server: the same commands give the same output."""

import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stave_cli as cli  # noqa: E402
from stave_server import Server, free_port, redis_server  # noqa: E402

REDIS_CLI = shutil.which("redis-cli")

SCRIPT = rb"""
FLUSHALL
PING
PING "hello \"there\"\n\x00\xff"
SET key 'it is'
GET key
GET none
SET key other NX
SET key other GET
MSET a 1 b 2 c "with\r\nlines" "\x00bin" "\xde\xad"
MGET a none b c "\x00bin"
INCR a
INCRBYFLOAT a 0.5
APPEND key ""
STRLEN c
SETRANGE key 3 xyz
GETRANGE key 0 -1
LCS key c IDX WITHMATCHLEN
BITFIELD bits SET u8 0 255 OVERFLOW FAIL INCRBY u8 0 10
EXISTS a b none
TTL a
OBJECT ENCODING a
TYPE none
SCAN 0 MATCH nothing:* COUNT 1000
KEYS "\x00*"
INCR key
GET
NOSUCH a b
SET key value SIDEWAYS
MULTI
SET x 1
INCR x
MGET x none
INCR key
EXEC
MULTI
GET
EXEC
WATCH a
UNWATCH
COMMAND COUNT ignored
COMMAND GETKEYS MSET a 1 b 2
COMMAND INFO get nosuch
CONFIG GET appendfsync
CLIENT GETNAME
CLIENT SETNAME tester
CLIENT GETNAME
CLIENT NO-EVICT maybe
SELECT 3
SET here 1
DBSIZE
MOVE here 0
SELECT 0
EXISTS here
RANDOMKEYS
ECHO "\x01\x7f\\"
ECHO ""
""".strip() + b"\n"

WORDS = [["SET", "key", "value"], ["GET", "key"], ["GET", "none"], ["INCR", "key"], ["NOSUCH", "a"], ["MGET", "key", "none"],
         ["GET"], ["-r", "3", "INCR", "n"], ["-n", "5", "SET", "k", "v"], ["-n", "5", "DBSIZE"], ["-e", "GET", "key"],
         ["-d", ";", "MGET", "key", "key"], ["--quoted-input", "SET", '"\\x00k"', '"\\xff"'],
         ["--quoted-input", "GET", '"\\x00k"'], ["HELLO", "9"], ["-x", "SET", "stdin"], ["GET", "stdin"],
         ["CONFIG", "GET", "appendonlyy"], ["-3", "MGET", "key", "none"], ["-2", "MGET", "key", "none"]]


def run_redis_cli(*words, stdin=b""):
    done = subprocess.run([REDIS_CLI, *words], input=stdin, capture_output=True, timeout=cli.TIMEOUT_SECONDS,
                          env=cli.environment({}), check=False)
    return done.returncode, done.stdout, done.stderr


RUNS = [("stave-cli", cli.run), ("redis-cli", run_redis_cli)]


def expect_same(outputs, what):
    """The outputs by (client, server) are equal, line by line."""
    first_name, first = next(iter(outputs.items()))
    for name, output in outputs.items():
        if output == first:
            continue
        lines, wanted = output[1].split(b"\n"), first[1].split(b"\n")
        at = next((i for i, (a, b) in enumerate(zip(lines, wanted)) if a != b), min(len(lines), len(wanted)))
        sys.exit(f"{what}, line {at + 1}\n  {first_name}: {first[0]} {wanted[max(0, at - 2):at + 3]}\n"
                 f"  {name}: {output[0]} {lines[max(0, at - 2):at + 3]}")


def said(run, *words, stdin=b""):
    """(exit code, output), without the lines that tell of a command that took half a second."""
    code, output, _ = run(*words, stdin=stdin)
    return code, re.sub(rb"(?m)^\([0-9.]+s\)\n", b"", output)


def ask_all(ports, *words, stdin=b""):
    """Each client at each server: (exit code, output)."""
    return {(client, server): said(run, "-p", port, *words, stdin=stdin)
            for server, port in ports.items() for client, run in RUNS}


def lines_give_the_same_output(ports):
    for options in ([], ["-3"], ["--no-raw"], ["--no-raw", "-3"]):
        expect_same(ask_all(ports, *options, stdin=SCRIPT), f"lines {options}")


def words_give_the_same_output_and_exit_code(ports):
    for options in ([], ["--no-raw"]):
        outputs = {}
        for server, port in ports.items():
            for client, run in RUNS:
                run("-p", port, "FLUSHALL")
                outputs[client, server] = [said(run, "-p", port, *options, *words, stdin=b"in\0put\n") for words in WORDS]
        for at, words in enumerate(WORDS):
            expect_same({name: output[at] for name, output in outputs.items()}, f"{options} {words}")
    # redis-cli writes this error to standard error, stave-cli beside the other replies.
    cli.expect({code for code, _ in ask_all(ports, "-e", "INCR", "key").values()}, {1})


def text_for_people_is_shown_as_it_is(ports):
    """With values that differ between two calls left out."""
    for words in (["INFO", "cluster"], ["info", "Cluster"], ["CLIENT", "INFO"], ["CLIENT", "LIST", "TYPE", "pubsub"]):
        outputs = ask_all(ports, "--no-raw", *words)
        shapes = {name: (code, re.sub(rb"[0-9][0-9.:]*|(cmd|lib-name|lib-ver|sub|ssub|psub)=\S*", b"", output))
                  for name, (code, output) in outputs.items()}
        for server in ports:
            expect_same({name: shape for name, shape in shapes.items() if name[1] == server}, f"{words}")


def json_means_the_same(ports):
    commands = [["FLUSHALL"], ["SET", "k", 'a "quoted" \u00e9'], ["GET", "k"], ["GET", "none"], ["MGET", "k", "none"],
                ["CONFIG", "GET", "appendfsync"], ["STRLEN", "k"], ["SCAN", "0"], ["COMMAND", "INFO", "get"]]
    for words in commands:
        for options in (["--json"], ["--json", "-2"]):
            if options == ["--json"] and words[0] == "COMMAND":
                continue  # redis-cli prints the sets of version 3 as it prints no other
            outputs = ask_all(ports, *options, *words)
            expect_same({name: (code, json.dumps(json.loads(output)).encode()) for name, (code, output) in outputs.items()},
                        f"{options} {words}")


def bulk_loads_and_scans_agree(ports):
    count = 20000
    data = b"".join(b"*3\r\n$3\r\nSET\r\n$9\r\nkey:%05d\r\n$5\r\n%05d\r\n" % (i, i) for i in range(count))
    failing = data[:len(data) // count * 100] + b"INCR\r\n" + b"*1\r\n$4\r\nNONE\r\n"
    ask_all(ports, "FLUSHALL")
    wanted = {b"key:%05d" % i for i in range(count)}
    for server, port in ports.items():
        for client, run in RUNS:
            run("-p", port, "FLUSHALL")
            code, output, _ = run("-p", port, "--pipe", stdin=data)
            cli.expect((code, output.splitlines()[-1]), (0, b"errors: 0, replies: %d" % count), f"{client} {server}")
            code, output, _ = run("-p", port, "--pipe", stdin=failing)
            cli.expect((code, output.splitlines()[-1]), (1, b"errors: 2, replies: 102"), f"{client} {server}")
        for client, run in RUNS:
            code, output, _ = run("-p", port, "--scan")
            cli.expect((code, set(output.split())), (0, wanted), f"{client} {server}")
            code, output, _ = run("-p", port, "--scan", "--pattern", "key:0000?")
            cli.expect((code, set(output.split())), (0, {b"key:0000%d" % i for i in range(10)}), f"{client} {server}")


def a_session_goes_on_after_a_kill(stave):
    prompt = b"127.0.0.1:%d> " % stave.port
    terminal = cli.Terminal("-p", str(stave.port), NO_COLOR="1")
    terminal.wait_for(prompt)
    for line, wanted in ((b"set name 'a b'", b"OK"), (b"get name", b'"a b"'), (b"incr name", b"(error) ERR value is not"),
                         (b"mget name none", b'1) "a b"\r\n2) (nil)'), (b"multi", b"(TX)> "), (b"incr turns", b"QUEUED"),
                         (b"exec", b"1) (integer) 1"), (b"select 2", b"[2]> "), (b"set there yes", b"OK"),
                         (b"help getrange", b"key start end")):
        terminal.type(line + b"\r")
        terminal.wait_for(wanted)
    stave.kill()
    stave.start()
    terminal.type(b"get there\r")
    terminal.wait_for(b'"yes"')
    terminal.type(b"quit\r")
    cli.expect(terminal.rest()[1], 0)


def exit_codes_tell_about_the_connection(stave):
    port = str(stave.port)
    cli.expect(cli.run("-p", port, "-a", "word", "--no-auth-warning", "PING")[:2][1].endswith(b"PONG\n"), True)
    stave.kill()
    cli.expect(cli.run("-p", port, "PING")[0], 4)
    cli.expect(cli.run("-p", port, "--scan")[0], 4)
    cli.expect(cli.run("-p", port, "--pipe", stdin=SCRIPT)[0], 4)
    stave.start()
    cli.expect(cli.run("-p", port, "GET", "n")[0], 0)


def main():
    if REDIS_CLI is None or shutil.which("redis-server") is None:
        print("skipped: no redis-cli and redis-server (Debian: redis-tools, redis-server)")
        sys.exit(77)
    process, port = redis_server()
    try:
        # A port that stays: the session comes back to it after the server was killed.
        with Server(port=free_port()) as stave:
            ports = {"redis-server": str(port), "stave-server": str(stave.port)}
            lines_give_the_same_output(ports)
            words_give_the_same_output_and_exit_code(ports)
            text_for_people_is_shown_as_it_is(ports)
            json_means_the_same(ports)
            bulk_loads_and_scans_agree(ports)
            a_session_goes_on_after_a_kill(stave)
            exit_codes_tell_about_the_connection(stave)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
