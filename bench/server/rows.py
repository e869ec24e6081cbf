"""Rows of the throughput tables, and one measurement of a row."""

import subprocess
from typing import NamedTuple

KEYS_OF_ONE = 10  # of an MGET or MSET

COMMANDS = {
    "set": ["-t", "set"],
    "get": ["-t", "get"],
    "incr": ["-t", "incr"],
    "mset": ["-t", "mset"],
    "mget": ["mget"] + ["key:__rand_int__"] * KEYS_OF_ONE,
}


class Row(NamedTuple):
    test: str
    connections: int
    pipeline: int
    size: int
    count: int

    def title(self):
        return f"{self.test:4}  {self.connections:2} clients, pipeline {self.pipeline:2}, {self.size:5} bytes"


def rows(is_always):
    """Sizes and counts that take some tenths of a second each."""
    if is_always:
        counts = ((1, 1, 5_000), (50, 1, 100_000), (1, 16, 50_000), (50, 16, 500_000))
        return [Row("set", connections, pipeline, 100, count) for connections, pipeline, count in counts]
    result = []
    for connections, pipeline, count in ((1, 1, 15_000), (50, 1, 50_000), (1, 16, 150_000), (50, 16, 400_000)):
        for test in COMMANDS:
            many = test in ("mset", "mget")
            result.append(Row(test, connections, pipeline, 100, count // 3 if many and pipeline > 1 else count))
    for connections, pipeline, count in ((1, 1, 8_000), (50, 1, 20_000), (1, 16, 20_000), (50, 16, 30_000)):
        for test in ("set", "get", "mset", "mget"):
            many = test in ("mset", "mget")
            result.append(Row(test, connections, pipeline, 16384, count // 8 if many else count))
    return result


def measure(target, row, keys):
    """Commands a second, and microseconds of the server's CPU by command."""
    before = target.cpu_seconds()
    command = ["redis-benchmark", "-p", str(target.port), "-c", str(row.connections), "-P", str(row.pipeline),
               "-d", str(row.size), "-n", str(row.count), "-r", str(keys), "--csv"]
    result = subprocess.run(command + COMMANDS[row.test], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(f"{target.name}, {row.title()}: {result.stdout} {result.stderr}")
    output = result.stdout
    rate = float(output.strip().split("\n")[-1].split('","')[1].strip('"'))
    return rate, (target.cpu_seconds() - before) / row.count * 1e6
