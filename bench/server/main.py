#!/usr/bin/env python3
"""stave-server beside redis-server with its append-only file, at the same fsync policy, in one run.

    bench/server/main.py [--parts throughput always memory start] [--repeat N] [--rows WORD ...]
                         [--stave NAME=PROGRAM[,OPTION...] ...] [--keys N] [--start-keys N]

Servers take turns within each repetition, and medians are shown. redis-benchmark shares the processors with the
server; so what counts is the server's CPU: user and system time of all its threads, background work included.
"""

import argparse
import os
import statistics

from rows import measure, rows
from target import Target

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def make_targets(options, fsync):
    targets = [Target("redis", ["redis-server", "--save", "", "--appendonly", "yes", "--daemonize", "no"], fsync)]
    for spec in options.stave:
        name, _, program = spec.partition("=")
        targets.append(Target(name, program.split(","), fsync))
    return targets


def show_row(row, targets, results):
    medians = [[statistics.median(values) for values in zip(*results[target.name])] for target in targets]
    base_rate, base_cpu = medians[0]
    cells = [row.title(), f"{base_rate:9,.0f}/s {base_cpu:7.2f} us"]
    for rate, cpu in medians[1:]:
        cells.append(f"{rate:9,.0f}/s x {rate / base_rate:4.2f}  {cpu:7.2f} us x {cpu / max(base_cpu, 0.001):4.2f}")
    print("  |  ".join(cells), flush=True)


def show_throughput(options, targets, table, keys):
    for row in table:
        if options.rows and not all(word in row.title() for word in options.rows):
            continue
        results = {target.name: [] for target in targets}
        for repetition in range(options.repeat):
            turns = targets if repetition % 2 == 0 else targets[::-1]
            for target in turns:
                results[target.name].append(measure(target, row, keys))
        show_row(row, targets, results)


def throughput(options, fsync):
    print(f"\nappendfsync {fsync}: commands a second and CPU by command: redis, {', '.join(names(options))};"
          f" load {os.getloadavg()[0]:.1f}")
    for size, keys in ((100, options.keys), (16384, max(1, options.keys // 20))):
        table = [row for row in rows(fsync == "always") if row.size == size]
        if not table:
            continue
        with_targets(options, fsync, lambda targets: fill_and_show(options, targets, table, size, keys))


def fill_and_show(options, targets, table, size, keys):
    for target in targets:
        target.fill(keys, size)
    show_throughput(options, targets, table, keys)


def names(options):
    return [spec.partition("=")[0] for spec in options.stave]


def with_targets(options, fsync, work):
    targets = make_targets(options, fsync)
    try:
        for target in targets:
            target.start()
        work(targets)
    finally:
        for target in targets:
            target.close()


def memory(options):
    print(f"\nMemory: bytes a key, {options.keys:,} keys of 16 bytes, values of 100 bytes")

    def show(targets):
        for target in targets:
            resident, private = target.memory()
            target.fill(options.keys, 100)
            after = target.memory()
            print(f"{target.name:12}  resident {(after[0] - resident) / options.keys:6.1f}"
                  f"  private {(after[1] - private) / options.keys:6.1f}"
                  f"  disk {target.disk() / options.keys:6.1f}", flush=True)

    with_targets(options, "everysec", show)


def start(options):
    keys = options.start_keys
    print(f"\nStart to first reply, {keys:,} keys of 16 bytes, values of 100 bytes, a tenth of them written since")

    def show(targets):
        for target in targets:
            target.fill(keys, 100)
            target.settle()
            target.fill(keys // 10, 100)
            target.stop()
            clean = target.start()
            target.fill(keys // 10, 100)
            target.kill()
            killed = target.start()
            print(f"{target.name:12}  after a clean stop {clean * 1e3:9,.0f} ms"
                  f"  after kill -9 {killed * 1e3:9,.0f} ms", flush=True)
            target.close()

    with_targets(options, "everysec", show)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["throughput", "always", "memory", "start"],
                        choices=("throughput", "always", "memory", "start"))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=[], help="only rows with all these words in their title")
    parser.add_argument("--stave", nargs="+", default=["stave=" + os.path.join(ROOT, "build", "bin", "stave-server")],
                        help="servers of this kind, with options behind commas")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--start-keys", type=int, default=10_000_000)
    options = parser.parse_args()

    parts = {"throughput": lambda: throughput(options, "everysec"), "always": lambda: throughput(options, "always"),
             "memory": lambda: memory(options), "start": lambda: start(options)}
    for part in options.parts:
        parts[part]()


if __name__ == "__main__":
    main()
