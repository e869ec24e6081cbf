#!/bin/sh
# Starts stave-server on loopback with its data in ./stave-data, and says how to talk to it. PORT, DATA: elsewhere.
set -eu

BIN_DIR=${BIN_DIR:-build/bin}
PORT=${PORT:-6379}
DATA=${DATA:-stave-data}
mkdir -p "$DATA"

cat <<TEXT

Stave listens on 127.0.0.1:$PORT and keeps its data in $DATA/. From another terminal:

    $BIN_DIR/stave-cli -p $PORT SET greeting hello    # or redis-cli
    $BIN_DIR/stave-cli -p $PORT GET greeting
    $BIN_DIR/stave-cli -p $PORT                       # a prompt

What was answered is kept: kill -9 the server, run this again, and GET once more. Ctrl-C ends it.
TEXT

exec "$BIN_DIR/stave-server" - --port "$PORT" --dir "$DATA" --store store "$@" <<CONFIGURATION
bind 127.0.0.1 -::1
protected-mode yes
appendfsync everysec
databases 16
maxclients 10000
CONFIGURATION
