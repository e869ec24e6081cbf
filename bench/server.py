#!/usr/bin/env python3
"""stave-server beside redis-server with its append-only file, at the same fsync policy, in one run, by redis-benchmark.

    bench/server.py [--repeat N] [--fsync everysec|always|no] [--threads N ...]

Each row is measured N times in turn on each server; medians are shown. Server CPU is user and system time of the
whole process, background work included, by command.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import stave_server  # noqa: E402

KEYS = 1_000_000  # of 100 bytes; of large values a tenth, so that both servers hold them in memory
# Connections, pipeline, bytes of a value, commands.
ROWS = [(1, 1, 100, 20_000), (50, 1, 100, 80_000), (1, 16, 100, 100_000), (50, 16, 100, 600_000),
        (50, 1, 16384, 40_000), (50, 16, 16384, 60_000)]
ROWS_ALWAYS = [(1, 1, 100, 2_000), (50, 1, 100, 20_000), (50, 16, 100, 100_000)]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(target, test, row):
    """Commands a second, and microseconds of the server's CPU by command."""
    connections, pipeline, size, count = row
    keys = KEYS if size <= 1000 else KEYS // 10
    before = cpu_seconds(target["pid"])
    output = subprocess.run(["redis-benchmark", "-p", str(target["port"]), "-t", test, "-c", str(connections),
                             "-P", str(pipeline), "-d", str(size), "-n", str(count), "-r", str(keys), "--csv"],
                            capture_output=True, text=True, check=True).stdout
    rate = float(output.strip().split("\n")[-1].split(",")[1].strip('"'))
    return rate, (cpu_seconds(target["pid"]) - before) / count * 1e6


def show(test, row, targets, results):
    connections, pipeline, size, _ = row
    medians = {name: [statistics.median(values) for values in zip(*results[name])] for name in targets}
    base = medians["redis"]
    cells = [f"{test:3}  {connections:2} clients  pipeline {pipeline:2}  {size:5} bytes"]
    for name, (rate, cpu) in medians.items():
        cells.append(f"{name} {rate:9,.0f}/s x {rate / base[0]:4.2f}  cpu {cpu:6.2f} us x {cpu / max(base[1], 0.01):4.2f}")
    print("  |  ".join(cells), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--fsync", default="everysec", choices=("everysec", "always", "no"))
    parser.add_argument("--rows", type=int, nargs="+", help="only these, from 0")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()

    folder = tempfile.mkdtemp(prefix="bench-server-")
    port = stave_server.free_port()
    redis = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--appendonly", "yes", "--appendfsync",
                              options.fsync, "--dir", folder, "--daemonize", "no"], stdout=subprocess.DEVNULL)
    servers = [stave_server.Server(io_threads=count, appendfsync=options.fsync) for count in options.threads]
    targets = {"redis": {"port": port, "pid": redis.pid}}
    for count, server in zip(options.threads, servers):
        targets[f"stave, {count} io"] = {"port": server.port, "pid": server.process.pid}
    try:
        stave_server.wait_until(lambda: answers(port))
        rows = ROWS_ALWAYS if options.fsync == "always" else ROWS
        for row in [rows[at] for at in options.rows or range(len(rows))]:
            for test in ("set", "get"):
                results = {name: [] for name in targets}
                for _ in range(options.repeat):
                    for name, target in targets.items():
                        results[name].append(measure(target, test, row))
                show(test, row, targets, results)
    finally:
        redis.terminate()
        redis.wait()
        for server in servers:
            server.close()
        shutil.rmtree(folder, ignore_errors=True)


def answers(port):
    try:
        with stave_server.Client(port) as client:
            return client("PING") == "PONG"
    except OSError:
        return False


if __name__ == "__main__":
    main()
