"""Programs that test stave-server through client libraries: what they are started with, and what they may ask for.

A program of tests/system/clients is started with the port, the path of the Unix socket, the password and further words.
It does all with one library, ends with exit code 0 if everything was as it should be, and may write lines:

    restart    kills the server with SIGKILL, starts it again on the same port, then answers with an empty line
    say TEXT   is shown
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading

from stave_server import PATIENCE, Server, free_port

SKIPPED = 77
PASSWORD = "pass word"
SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "system", "clients")
BUILD_DIR = os.environ.get("STAVE_BUILD_DIR") or os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "build")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def run(command, environment=None, **options):
    """Runs the program beside a server with a password; the result is whether all was well."""
    directory = tempfile.mkdtemp(prefix="stave-client-")
    path = os.path.join(directory, "socket")
    # A port that stays: the client comes back to it after the server was killed.
    with Server(port=free_port(), requirepass=PASSWORD, unixsocket=path, **options) as server:
        words = [*command, str(server.port), path, PASSWORD]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, **(environment or {})}) as program:
            watchdog = threading.Timer(PATIENCE, program.kill)
            watchdog.start()
            for line in program.stdout:
                if line == "restart\n":
                    server.kill()
                    server.start()
                    program.stdin.write("\n")
                    program.stdin.flush()
                else:
                    print(line.removeprefix("say "), end="", flush=True)
            program.stdin.close()
            code = program.wait()
            watchdog.cancel()
        if code != 0:
            raise RuntimeError(f"the client ended with {code}")
    shutil.rmtree(directory, ignore_errors=True)


def node_modules():
    """The folder with the libraries of clients/package.json, installed once a build folder; skips the test without them."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        skip("no node and npm in PATH (Debian: nodejs, npm)")
    folder = os.path.join(BUILD_DIR, "clients")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = os.path.join(folder, "installed.json")
        wanted = os.path.join(SOURCES, "package-lock.json")
        if not os.path.exists(installed) or read(installed) != read(wanted):
            for name in ("package.json", "package-lock.json"):
                shutil.copy(os.path.join(SOURCES, name), folder)
            install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--prefix", folder]
            try:
                done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
            except subprocess.TimeoutExpired:
                skip("npm takes too long")
            if done.returncode != 0:
                skip("npm cannot install what clients/package.json names: " + done.stderr[-500:])
            shutil.copy(wanted, installed)
    return os.path.join(folder, "node_modules")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def run_node(script, library):
    """Runs a script of tests/system/clients with node."""
    modules = node_modules()
    with open(os.path.join(modules, library, "package.json"), encoding="utf-8") as file:
        print(library, json.load(file)["version"], flush=True)
    # A script finds packages beside itself.
    copy = os.path.join(os.path.dirname(modules), script)
    shutil.copy(os.path.join(SOURCES, script), copy)
    run(["node", copy])
