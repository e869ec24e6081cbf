#!/usr/bin/env python3
"""hiredis (Debian's libhiredis-dev) against stave-server: clients/hiredis.c, compiled here."""

import os
import subprocess
import tempfile

import client_program

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-Werror"]


def main():
    compiler = os.environ.get("CC", "cc")
    with tempfile.TemporaryDirectory(prefix="stave-hiredis-") as directory:
        program = os.path.join(directory, "hiredis")
        probe = subprocess.run([compiler, "-E", "-x", "c", "-"], input=b"#include <hiredis/hiredis.h>\n", check=False,
                               capture_output=True)
        if probe.returncode != 0:
            client_program.skip("no hiredis (Debian: libhiredis-dev)")
        source = os.path.join(client_program.SOURCES, "hiredis.c")
        subprocess.run([compiler, *FLAGS, "-o", program, source, "-lhiredis"], check=True)
        client_program.run([program])


if __name__ == "__main__":
    main()
