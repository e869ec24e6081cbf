#!/usr/bin/env python3
"""How stave-cli shows replies of all types: for programs, for terminals, as JSON."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stave_cli as cli  # noqa: E402

ATTRIBUTE = b"|1\r\n+ttl\r\n:60\r\n"

# Reply, then raw, quoted, JSON. The first two shapes are those of redis-cli 7.0.
REPLIES = [
    (b"+OK\r\n", b"OK\n", b"OK\n", b'"OK"\n'),
    (b"-ERR no\r\n", b"ERR no\n\n", b"(error) ERR no\n", b'{"error":"ERR no"}\n'),
    (b"!10\r\nERR a\r\nb c\r\n", b"ERR a\r\nb c\n\n", b"(error) ERR a\r\nb c\n", b'{"error":"ERR a\\r\\nb c"}\n'),
    (b":-12\r\n", b"-12\n", b"(integer) -12\n", b"-12\n"),
    (b"$5\r\na\x00\"\\\n\r\n", b'a\x00"\\\n\n', b'"a\\x00\\"\\\\\\n"\n', b'"a\\u0000\\"\\\\\\n"\n'),
    (b"$3\r\n\xc3\xa9\xff\r\n", b"\xc3\xa9\xff\n", b'"\\xc3\\xa9\\xff"\n', b'"\xc3\xa9\\ufffd"\n'),
    (b"$0\r\n\r\n", b"\n", b'""\n', b'""\n'),
    (b"$-1\r\n", b"\n", b"(nil)\n", b"null\n"),
    (b"*-1\r\n", b"\n", b"(nil)\n", b"null\n"),
    (b"_\r\n", b"\n", b"(nil)\n", b"null\n"),
    (b"#t\r\n", b"(true)\n", b"(true)\n", b"true\n"),
    (b"#f\r\n", b"(false)\n", b"(false)\n", b"false\n"),
    (b",3.141\r\n", b"3.141\n", b"(double) 3.141\n", b"3.141\n"),
    (b",1e+20\r\n", b"1e+20\n", b"(double) 1e+20\n", b"1e+20\n"),
    (b",inf\r\n", b"inf\n", b"(double) inf\n", b'"inf"\n'),
    (b",.5\r\n", b".5\n", b"(double) .5\n", b'".5"\n'),
    (b"(12345678901234567890\r\n", b"12345678901234567890\n", b"(big number) 12345678901234567890\n",
     b"12345678901234567890\n"),
    (b"=8\r\ntxt:a\nbc\r\n", b"a\nbc\n", b"a\nbc\n", b'"a\\nbc"\n'),
    (b"*0\r\n", b"\n", b"(empty array)\n", b"[]\n"),
    (b"%0\r\n", b"\n", b"(empty hash)\n", b"{}\n"),
    (b"~0\r\n", b"\n", b"(empty set)\n", b"[]\n"),
    (b"*2\r\n:1\r\n:2\r\n", b"1\n2\n", b"1) (integer) 1\n2) (integer) 2\n", b"[1,2]\n"),
    (b"~2\r\n:1\r\n:2\r\n", b"1\n2\n", b"1~ (integer) 1\n2~ (integer) 2\n", b"[1,2]\n"),
    (b"%2\r\n:0\r\n#f\r\n$1\r\nk\r\n*0\r\n", b"0 (false)\nk \n", b'1# (integer) 0 => (false)\n2# "k" => (empty array)\n',
     b'{"0":false,"k":[]}\n'),
    (b"*3\r\n:1\r\n*3\r\n:2\r\n*2\r\n:3\r\n:4\r\n*0\r\n$3\r\na\nb\r\n", b"1\n2\n3\n4\n\na\nb\n",
     b'1) (integer) 1\n2) 1) (integer) 2\n   2) 1) (integer) 3\n      2) (integer) 4\n   3) (empty array)\n3) "a\\nb"\n',
     b'[1,[2,[3,4],[]],"a\\nb"]\n'),
    (b"*10\r\n" + 9 * b":1\r\n" + b"*1\r\n:2\r\n", 9 * b"1\n" + b"2\n",
     b"".join(b" %d) (integer) 1\n" % i for i in range(1, 10)) + b"10) 1) (integer) 2\n", b"[1,1,1,1,1,1,1,1,1,[2]]\n"),
    (b"%1\r\n$1\r\na\r\n%2\r\n$1\r\nb\r\n:1\r\n$1\r\nc\r\n:2\r\n", b"a b 1\nc 2\n",
     b'1# "a" => \n   1# "b" => (integer) 1\n   2# "c" => (integer) 2\n', b'{"a":{"b":1,"c":2}}\n'),
    (b"%1\r\n$1\r\na\r\n*2\r\n*0\r\n%1\r\n$1\r\nb\r\n~2\r\n:1\r\n:2\r\n", b"a \nb 1\n2\n",
     b'1# "a" => \n   1) (empty array)\n   2) 1# "b" => \n         1~ (integer) 1\n         2~ (integer) 2\n',
     b'{"a":[[],{"b":[1,2]}]}\n'),
    (b"%1\r\n$1\r\na\r\n*1\r\n%1\r\n$1\r\nb\r\n~1\r\n:1\r\n", b"a b 1\n", b'1# "a" => 1) 1# "b" => 1~ (integer) 1\n',
     b'{"a":[{"b":[1]}]}\n'),
    (b"*1\r\n-ERR x\r\n", b"ERR x\n\n", b"1) (error) ERR x\n", b'[{"error":"ERR x"}]\n'),
    (ATTRIBUTE + b"*2\r\n" + ATTRIBUTE + b":1\r\n:2\r\n", b"1\n2\n", b"1) (integer) 1\n2) (integer) 2\n", b"[1,2]\n"),
    (b"$?\r\n;2\r\nab\r\n;1\r\nc\r\n;0\r\n", b"abc\n", b'"abc"\n', b'"abc"\n'),
    (b"*?\r\n:1\r\n.\r\n", b"1\n", b"1) (integer) 1\n", b"[1]\n"),
]


def main():
    server = cli.Server(lambda words: next_reply[0])
    next_reply = [b""]
    for reply, raw, quoted, as_json in REPLIES:
        next_reply[0] = reply
        cli.expect(cli.run("-p", server.port, "GET", "k")[:2], (0, raw), f"raw {reply!r}")
        cli.expect(cli.run("-p", server.port, "--no-raw", "GET", "k")[:2], (0, quoted), f"quoted {reply!r}")
        cli.expect(cli.run("-p", server.port, "--json", "-2", "GET", "k")[:2], (0, as_json), f"JSON {reply!r}")
        json.loads(as_json)

    next_reply[0] = b"$6\r\n\"\x01\xc3\xa9\\\n\r\n"
    _, output, _ = cli.run("-p", server.port, "--quoted-json", "GET", "k")
    cli.expect(json.loads(output), '\\"\\x01\\xc3\\xa9\\\\\\n', "--quoted-json")

    next_reply[0] = b"*3\r\n:1\r\n*2\r\n:2\r\n:3\r\n:4\r\n"
    cli.expect(cli.run("-p", server.port, "-d", ";", "-D", "|", "GET", "k")[1], b"1;2;3;4|", "delimiters")

    # A terminal gets quotes, types and colours, unless NO_COLOR is set.
    next_reply[0] = b"*2\r\n:1\r\n$1\r\na\r\n"
    text, _ = cli.Terminal("-p", server.port, "GET", "k").rest()
    cli.expect(text, b'\x1b[2m1) \x1b[0m\x1b[36m(integer) 1\x1b[0m\r\n\x1b[2m2) \x1b[0m\x1b[32m"a"\x1b[0m\r\n', "colours")
    next_reply[0] = b"*2\r\n-ERR no\r\n_\r\n"
    text, _ = cli.Terminal("-p", server.port, "GET", "k").rest()
    cli.expect(text, b"\x1b[2m1) \x1b[0m\x1b[31m(error) ERR no\x1b[0m\r\n\x1b[2m2) \x1b[0m\x1b[2m(nil)\x1b[0m\r\n",
               "colours of an error and of nothing")
    next_reply[0] = b"*2\r\n:1\r\n$1\r\na\r\n"
    text, _ = cli.Terminal("-p", server.port, "GET", "k", NO_COLOR="1").rest()
    cli.expect(text, b'1) (integer) 1\r\n2) "a"\r\n', "NO_COLOR")

    # Whatever the pieces in which a reply comes.
    slow = cli.Server(lambda words: b"%1\r\n$2\r\n\r\n\r\n,1.5\r\n", delay=0.001)
    cli.expect(cli.run("-p", slow.port, "--no-raw", "GET", "k")[1], b'1# "\\r\\n" => (double) 1.5\n', "byte by byte")


if __name__ == "__main__":
    main()
