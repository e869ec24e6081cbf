#!/usr/bin/env python3
"""What leaves the libraries: symbols of stave_ alone, each declared in stave.h, defined, and described in the manual."""

import glob
import os
import re
import subprocess
import sys

ROOT = os.environ.get("STAVE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("STAVE_BUILD_DIR") or os.path.join(ROOT, "build")

problems = []


def symbols(library, *options):
    output = subprocess.run(["nm", "--defined-only", "--extern-only", *options, library], check=True, capture_output=True,
                            text=True).stdout
    return {line.split()[-1] for line in output.split("\n") if len(line.split()) == 3}


def declared():
    with open(os.path.join(ROOT, "include", "stave.h"), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    return set(re.findall(r"STAVE_API[^;{]*?\b(stave_\w+)\s*\(", text))


def manual():
    pages = [open(path, encoding="utf-8").read() for path in glob.glob(os.path.join(ROOT, "docs", "man", "*.3"))]
    return "\n".join(pages).replace("\\_", "_").replace("\\-", "-")


def check_library(library, functions, *options):
    found = symbols(os.path.join(BUILD, "lib", library), *options)
    for name in sorted(found - functions):
        problems.append(f"{library}: {name} leaves the library and is not declared in stave.h")
    for name in sorted(functions - found):
        problems.append(f"{library}: {name} is declared in stave.h and not defined")
    for name in sorted(name for name in found if not name.startswith("stave_")):
        problems.append(f"{library}: {name} does not begin with stave_")


def check_manual(functions):
    if not os.path.exists(os.path.join(ROOT, "docs", "man", "stave.3")):
        print("docs/man/stave.3 does not exist: the manual is not checked")
        return
    text = manual()
    for name in sorted(functions):
        if not re.search(rf"\b{name}\b", text):
            problems.append(f"docs/man: no page names {name}")


def main():
    functions = declared()
    check_library("libstave.so", functions, "--dynamic")
    check_library("libstave.a", functions)
    check_manual(functions)
    print("\n".join(problems) if problems else f"{len(functions)} public functions")
    return 1 if problems or not functions else 0


if __name__ == "__main__":
    sys.exit(main())
