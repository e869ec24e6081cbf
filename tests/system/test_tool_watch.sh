#!/bin/bash
# watch, and interruptions: changes come in order, beside a writer; SIGINT ends long work cleanly.
. "$(dirname "$0")/tool.bash"

stave put s a 1
stave put s $'b\t' 2 --expire-in 1h
stave delete s a
stave put s c 3 --space 5
expect_code 0 stave watch s --from oldest --once
[ "$(cut -f 2- out | cut -f 1-4 | head -n 4 | tr '\t\n' ' ,')" = '0 put a 1,0 put b\t 2,0 delete a,5 put c 3,' ] ||
    fail "changes: $(cat out)"
expect_code 0 stave watch s --from 0 --once --space 5 --json
expect_json 'it["change"] == "put" and it["key"] == "c" and it["value"] == "3" and it["space"] == 5'
sequence=$(python3 -c 'import json; print(json.load(open("out"))["sequence"])')
expect_code 0 stave watch s --from "$sequence" --once
[ "$(wc -l < out)" = 1 ] || fail "--from begins with that change"
expect_code 0 stave watch s --from oldest --limit 2
[ "$(wc -l < out)" = 2 ] || fail "limit"
expect_code 0 stave watch s --once
expect_text ""

# Beside a writer, until interrupted. (Of a process in the background bash ignores SIGINT; so Python passes it on.)
python3 - <<'END'
import fcntl, json, select, signal, struct, subprocess, termios, time

signal.alarm(500) # what waits for ever is ended
started = []

def start(*words, **more):
    started.append(subprocess.Popen(["stave", *words], stderr=subprocess.PIPE, **more))
    return started[-1]

def interrupt(process, code):
    process.send_signal(signal.SIGINT)
    if process.stdout: process.stdout.read()
    assert process.wait() == code, (process.args, process.returncode)

# Nothing is left in the pipe to the process's input, and it waits in read(0, buffer, size): it is done with what came.
def wants_more(process):
    unread = struct.unpack("i", fcntl.ioctl(process.stdin, termios.FIONREAD, b"\0" * 4))[0]
    try:
        with open(f"/proc/{process.pid}/syscall") as file: call = file.read().split()
    except OSError: # not shown on this machine
        time.sleep(0.5)
        return unread == 0
    return unread == 0 and len(call) > 2 and call[1] == "0x0" and int(call[2], 16) > 1 << 16

def follow():
    watch = start("watch", "s", "--json", stdout=subprocess.PIPE)
    ready = False # once it has begun, it sees every change
    while not ready:
        subprocess.run(["stave", "put", "s", "ready", "x", "--durable"], check=True)
        ready = bool(select.select([watch.stdout], [], [], 0.2)[0])
    for i in range(5):
        subprocess.run(["stave", "put", "s", f"new {i}", "x", "--durable"], check=True)
    seen = []
    while len(seen) < 5:
        key = json.loads(watch.stdout.readline())["key"]
        if key != "ready": seen.append(key)
    assert seen == [f"new {i}" for i in range(5)], seen
    interrupt(watch, 0)

# A load that waits for input: what was read is stored, the exit code is 5.
def load_in_part():
    load = start("load", "s", "--format", "tsv", stdin=subprocess.PIPE)
    load.stdin.write(b"".join(b"loaded %d\tx\n" % i for i in range(1500)))
    load.stdin.flush()
    while not wants_more(load): time.sleep(0.05)
    interrupt(load, 5)
    assert b"1500 records" in load.stderr.read()
    keys = subprocess.run(["stave", "list", "s", "--prefix", "loaded "], check=True, stdout=subprocess.PIPE).stdout
    assert keys.count(b"\n") == 1500

# A large dump into a pipe that is full.
def dump_in_part():
    subprocess.run(["stave", "load", "s", "--format", "tsv"], check=True, stdout=subprocess.DEVNULL,
                   input=b"".join(b"bulk %d\t%s\n" % (i, b"x" * 500) for i in range(20000)))
    dump = start("dump", "s", stdout=subprocess.PIPE)
    select.select([dump.stdout], [], [])
    interrupt(dump, 5)

signal.signal(signal.SIGALRM, lambda number, frame: (_ for _ in ()).throw(TimeoutError()))
try:
    follow()
    load_in_part()
    dump_in_part()
finally:
    for process in started:
        if process.poll() is None: process.kill()
END
expect_code 0 stave check s
