#!/usr/bin/env python3
"""ioredis (npm) against stave-server: clients/ioredis.js."""

import client_program

if __name__ == "__main__":
    client_program.run_node("ioredis.js", "ioredis")
