#!/usr/bin/env python3
"""node-redis (npm) against stave-server: clients/node_redis.js."""

import client_program

if __name__ == "__main__":
    client_program.run_node("node_redis.js", "@redis/client")
