#!/usr/bin/env python3
"""Clang takes all sources, with the warnings that are on for gcc: the README promises both."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = os.environ.get("STAVE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STAVE_BUILD_DIR") or os.path.join(ROOT, "build")
SKIPPED = 77


def commands():
    """One of each C source, as it was compiled, but for the compiler and what it writes."""
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file) if entry["file"].endswith(".c")}
    for source, entry in sorted(entries.items()):
        words = shlex.split(entry["command"])
        options = [word for word in words[1:words.index("-o")] if word not in ("-MD", "-MT", "-MF")]
        yield source, ["clang", "-fsyntax-only", "-Werror", *options, source]


def check(command):
    return subprocess.run(command[1], capture_output=True, text=True, check=False)


def main():
    if shutil.which("clang") is None:
        print("clang is not installed")
        return SKIPPED
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(check, commands()))
    failed = [result for result in results if result.returncode != 0]
    print("".join(result.stderr for result in failed) or f"{len(results)} sources")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
