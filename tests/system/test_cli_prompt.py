#!/usr/bin/env python3
"""stave-cli on a terminal: prompt, completion, hints, history, interruption, connecting again, pushes."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import stave_cli as cli  # noqa: E402

ENTER, TAB, CONTROL_C, CONTROL_D, CONTROL_U, UP = b"\r", b"\t", b"\x03", b"\x04", b"\x15", b"\x1b[A"


def text(string):
    return b"$%d\r\n%s\r\n" % (len(string), string)


def array(*parts):
    return b"*%d\r\n" % len(parts) + b"".join(parts)


def argument(name, kind=b"string", flags=(), token=None, inner=()):
    parts = [text(b"name"), text(name), text(b"type"), text(kind)]
    if flags:
        parts += [text(b"flags"), array(*(b"+%s\r\n" % flag for flag in flags))]
    if token is not None:
        parts += [text(b"token"), text(token)]
    if inner:
        parts += [text(b"arguments"), array(*inner)]
    return array(*parts)


def command(name, summary, arguments=(), subcommands=()):
    parts = [text(b"summary"), text(summary), text(b"since"), text(b"1.0.0"), text(b"group"), text(b"string")]
    if arguments:
        parts += [text(b"arguments"), array(*arguments)]
    if subcommands:
        parts += [text(b"subcommands"), b"*%d\r\n" % (2 * len(subcommands)) + b"".join(subcommands)]
    return text(name) + array(*parts)


EXPIRY = argument(b"expiry", b"oneof", [b"optional"], inner=[argument(b"seconds", b"integer", token=b"EX"),
                                                           argument(b"keepttl", b"pure-token", token=b"KEEPTTL")])
DOCS = [
    command(b"set", b"Stores a value", [argument(b"key", b"key"), argument(b"value"), EXPIRY]),
    command(b"setrange", b"Overwrites a part"),
    command(b"mset", b"Stores many", [argument(b"data", b"block", [b"multiple"], inner=[argument(b"key"), argument(b"value")])]),
    command(b"scan", b"Walks", [argument(b"pattern", flags=[b"optional"], token=b"MATCH")]),
    command(b"sort", b"Sorts", [argument(b"get", flags=[b"optional", b"multiple", b"multiple_token"], token=b"GET")]),
    command(b"config", b"Holds commands", (), [command(b"config|get", b"Reads", [argument(b"parameter")]),
                                             command(b"config|set", b"Writes")]),
]

stall = threading.Event()


def answer(words):
    name = words[0].upper()
    if name == b"COMMAND":
        return b"*%d\r\n" % (2 * len(DOCS)) + b"".join(DOCS)
    if name == b"HELLO":
        return b"%1\r\n+proto\r\n:3\r\n"
    if name == b"EXEC":
        return b"*1\r\n:1\r\n" if len(words) == 1 else b"-EXECABORT discarded\r\n"
    if name == b"STALL":
        stall.wait()
    if name == b"MONITOR":
        return b"+OK\r\n+1.5 [0 127.0.0.1:1] \"PING\"\r\n"
    if name == b"SUBSCRIBE":
        return b"".join(b">3\r\n" + text(b"subscribe") + text(word) + b":1\r\n" for word in words[1:])
    return b"+OK\r\n"


server = cli.Server(answer)
prompt = b"127.0.0.1:%s> " % server.port.encode()


def start(*words, **extra):
    terminal = cli.Terminal("-p", server.port, *words, NO_COLOR="1", **extra)
    terminal.wait_for(prompt)
    return terminal


def enter(terminal, line, wanted):
    terminal.type(line + ENTER)
    return terminal.wait_for(wanted)


def the_prompt_shows_database_and_transaction():
    terminal = start()
    enter(terminal, b"select 2", b"%s[2]> " % prompt[:-2])
    enter(terminal, b"multi", b"%s[2](TX)> " % prompt[:-2])
    enter(terminal, b"exec", b"1) (integer) 1\r\n%s[2]> " % prompt[:-2])
    enter(terminal, b"multi", b"%s[2](TX)> " % prompt[:-2])
    enter(terminal, b"exec wrong", b"(error) EXECABORT discarded\r\n%s[2]> " % prompt[:-2])
    enter(terminal, b"clear", b"\x1b[H\x1b[2J")
    enter(terminal, b'get "a', b"quotes do not match")
    enter(terminal, b'get "a\\x00 b"', b"OK\r\n")
    cli.expect(server.seen[-1], [b"get", b"a\0 b"])
    terminal.type(b"quit" + ENTER)
    cli.expect(terminal.rest()[1], 0)


def tab_completes_and_shows():
    terminal = start()
    terminal.type(b"conf" + TAB)
    terminal.wait_for(b"ig ")
    terminal.type(TAB)
    terminal.wait_for(b"GET  SET")
    terminal.type(b"g" + TAB + b"x" + ENTER)
    terminal.wait_for(b"OK\r\n" + prompt)
    cli.expect(server.seen[-1], [b"config", b"get", b"x"])
    terminal.type(b"SETR" + TAB + b"1" + ENTER)
    terminal.wait_for(b"OK\r\n" + prompt)
    cli.expect(server.seen[-1], [b"SETRANGE", b"1"])
    for line, syntax in ((b"set ", b"SET key value [EX seconds | KEEPTTL]"), (b"mset ", b"MSET key value [key value ...]"),
                         (b"scan ", b"SCAN [MATCH pattern]"), (b"sort ", b"SORT [GET get [GET get ...]]")):
        terminal.type(line + TAB)
        terminal.wait_for(syntax)
        terminal.type(CONTROL_U)
    terminal.type(CONTROL_D)
    cli.expect(terminal.rest()[1], 0)


def a_hint_names_the_arguments_that_may_follow():
    terminal = start()
    shown = prompt.decode()
    terminal.type(b"set ")
    terminal.wait_line(shown + "set key value [EX seconds | KEEPTTL]")
    terminal.type(b"k ")
    terminal.wait_line(shown + "set k value [EX seconds | KEEPTTL]")
    terminal.type(b"v ")
    terminal.wait_line(shown + "set k v [EX seconds | KEEPTTL]")
    output = enter(terminal, b"", b"\r\nOK\r\n" + prompt)
    cli.expect(cli.shown_line(output[:output.rfind(b"\r\nOK")]), shown + "set k v", "the hint goes with the line")
    terminal.type(b"set ")
    terminal.wait_line(shown + "set key value [EX seconds | KEEPTTL]")
    terminal.type(CONTROL_C)
    terminal.wait_for(b"^C\x1b[K\r\n" + prompt)
    terminal.type(b"config ")
    terminal.wait_line(shown + "config")
    terminal.type(b"get ")
    terminal.wait_line(shown + "config get parameter")
    terminal.type(CONTROL_U + CONTROL_D)
    terminal.rest()
    terminal = cli.Terminal("-p", server.port)
    terminal.wait_for(prompt)
    terminal.type(b"set ")
    terminal.wait_for(b"\x1b[2m")
    terminal.wait_for(b"\x1b[0m")  # or what is typed on would be faint, too
    terminal.type(CONTROL_U + CONTROL_D)
    terminal.rest()


def help_comes_from_the_server():
    terminal = start()
    enter(terminal, b"help set", b"SET key value [EX seconds | KEEPTTL]\r\n  Stores a value\r\n")
    enter(terminal, b"help config", b"CONFIG GET parameter\r\n")
    enter(terminal, b"help @string", b"MSET ")
    enter(terminal, b"help nosuch", b"There is no such command")
    enter(terminal, b"help", b"help COMMAND")
    terminal.type(CONTROL_D)
    terminal.rest()


def history_is_kept_without_passwords():
    with cli.scratch() as directory:
        path = os.path.join(directory, "history")
        terminal = start(STAVE_CLI_HISTORY=path)
        for line in (b"echo first", b"auth secret", b"config set requirepass secret", b"hello 3 auth a secret",
                     b"acl setuser a >secret", b" echo secret", b"echo last"):
            enter(terminal, line, b"\r\n" + prompt)
        terminal.type(UP + UP)
        terminal.wait_for(b"first")
        terminal.type(CONTROL_C)
        terminal.wait_for(prompt)
        terminal.type(CONTROL_D)
        terminal.rest()
        with open(path, "rb") as file:
            kept = file.read()
        cli.expect(b"secret" in kept, False, kept)
        cli.expect(os.stat(path).st_mode & 0o077, 0, "others may read the history")
        terminal = start(STAVE_CLI_HISTORY=path)
        terminal.type(UP + ENTER)
        terminal.wait_for(b"OK\r\n")
        cli.expect(server.seen[-1], [b"echo", b"last"])
        terminal.type(CONTROL_D)
        terminal.rest()


def only_a_file_is_taken_for_a_history():
    """libedit would take the rights of all other users from it; tests run with /dev/null."""
    with cli.scratch() as directory:
        path = os.path.join(directory, "pipe")
        os.mkfifo(path)
        os.chmod(path, 0o644)
        terminal = start(STAVE_CLI_HISTORY=path)
        enter(terminal, b"echo word", b"OK\r\n" + prompt)
        terminal.type(CONTROL_D)
        terminal.rest()
        cli.expect(os.stat(path).st_mode & 0o777, 0o644)


def control_c_drops_the_line_or_ends_waiting():
    terminal = start()
    terminal.type(b"never" + CONTROL_C)
    terminal.wait_for(b"^C\r\n" + prompt)
    enter(terminal, b"ping", b"OK\r\n" + prompt)
    terminal.type(b"stall" + ENTER)
    terminal.wait_for(b"\r\n")
    terminal.type(CONTROL_C)
    terminal.wait_for(b"not connected> ")
    stall.set()
    enter(terminal, b"ping", b"OK\r\n" + prompt)
    enter(terminal, b"monitor", b"\"PING\"\r\n")
    terminal.type(CONTROL_C)
    terminal.wait_for(b"not connected> ")
    cli.expect([b"never"] in server.seen, False)
    terminal.type(CONTROL_D)
    terminal.rest()


def a_lost_connection_is_made_again():
    terminal = start()
    enter(terminal, b"select 3", b"[3]> ")
    enter(terminal, b"auth word", b"[3]> ")
    server.drop_connections()
    terminal.wait_for(b"the connection was lost")
    terminal.wait_for(b"not connected> ")
    server.seen.clear()
    enter(terminal, b"ping", b"OK\r\n%s[3]> " % prompt[:-2])
    cli.expect(server.seen, [[b"AUTH", b"word"], [b"SELECT", b"3"], [b"ping"]])
    terminal.type(CONTROL_D)
    terminal.rest()


def pushes_are_shown_beside_the_prompt():
    terminal = start("-3")
    connection = server.connections[-1]
    enter(terminal, b"subscribe a b", b'"b"\r\n3) (integer) 1\r\n' + prompt)
    terminal.type(b"ec")
    terminal.wait_for(b"ec")
    connection.sendall(b">3\r\n" + text(b"message") + text(b"a") + text(b"hi"))
    terminal.wait_for(b'1) "message"\r\n2) "a"\r\n3) "hi"\r\n')
    terminal.wait_line(prompt.decode() + "ec")
    enter(terminal, b"ho x", b"OK\r\n" + prompt)
    cli.expect(server.seen[-1], [b"echo", b"x"])
    terminal.type(CONTROL_D)
    terminal.rest()


def a_server_that_is_not_there_is_no_end():
    terminal = cli.Terminal("-p", "1")
    terminal.wait_for(b"no connection to 127.0.0.1:1")
    terminal.wait_for(b"not connected> ")
    enter(terminal, b"ping", b"no connection to 127.0.0.1:1")
    terminal.type(b"exit" + ENTER)
    cli.expect(terminal.rest()[1], 0)


def main():
    the_prompt_shows_database_and_transaction()
    tab_completes_and_shows()
    a_hint_names_the_arguments_that_may_follow()
    help_comes_from_the_server()
    history_is_kept_without_passwords()
    only_a_file_is_taken_for_a_history()
    control_c_drops_the_line_or_ends_waiting()
    a_lost_connection_is_made_again()
    pushes_are_shown_beside_the_prompt()
    a_server_that_is_not_there_is_no_end()


if __name__ == "__main__":
    main()
