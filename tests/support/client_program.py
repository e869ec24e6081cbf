"""Programs that test stave-server through client libraries: what they are started with, and what they may ask for.

A program of tests/system/clients is started with the port, the path of the Unix socket, the password and further words.
It does all with one library, ends with exit code 0 if everything was as it should be, and may write lines:

    restart    kills the server with SIGKILL, starts it again on the same port, then answers with an empty line
    say TEXT   is shown
"""

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
            watchdog = threading.Timer(120 * PATIENCE, program.kill)
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
