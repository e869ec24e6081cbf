#!/usr/bin/env python3
"""Every promise is cited by a test, and every line of the catalogue of what went wrong in relatives has its test."""

import glob
import os
import re
import sys

ROOT = os.environ.get("STAVE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

PROMISES = [f"P{number}" for number in range(1, 14)]

# What went wrong in relatives: quoted above the test that guards against it.
CATALOGUE = [
    "old value back after a partial merge and restart",
    "delete racing the move of its record",
    "put racing the move",
    "expiry on the read path deleting a value just rewritten",
    "the active segment picked for merging",
    "a victim deleted although its merge failed",
    "copies not synced before originals are removed",
    "the segment that filled between two syncs never synced",
    "iterating while files are removed",
    "crash between copied and removed",
    "empty or header-only newest segment",
    "a failed open that blocks the next",
    "descriptors leaked at open or after merge",
    "sizes across 2 and 4 GiB",
    "clock set back",
    "store with thousands of small segments",
    "an overwrite that drops a TTL forgotten after restart",
    "a stale checkpoint beside newer segments",
    "a put that failed coming back after a later delete that had nothing to do",
    "a failed unlink leaving a segment that the next compaction or open takes for live",
    "power lost again during recovery",
    "a disk that fills at any byte",
    "a durable old value destroyed by compaction because of a newer one that power loss then took",
]

TEST = re.compile(r"/\*((?:(?!\*/).)*)\*/\nstatic void (\w+)\(void \*\*state\)([^\n{]*)", re.S)


def main():
    problems = []
    cited, quoted = set(), {}
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "*", "test_*.c"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for comment, name, _ in TEST.findall(text):
            cited |= set(re.findall(r"\bP\d+\b", comment))
            words = re.sub(r"[\s*]+", " ", comment)
            for quote in re.findall(r'"([^"]+)"', words):
                quoted.setdefault(re.sub(r" \(.*", "", quote), []).append(name)
            if len(re.findall(rf"\b{name}\b", text)) < 2:
                problems.append(f"{os.path.relpath(path, ROOT)}: {name} is not run")
    problems += [f"{promise}: no test cites it in the comment above it" for promise in PROMISES if promise not in cited]
    problems += [f'"{line}": no test quotes it' for line in CATALOGUE if line not in quoted]
    print("\n".join(problems) if problems else f"{len(PROMISES)} promises and {len(CATALOGUE)} mishaps have their tests")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
