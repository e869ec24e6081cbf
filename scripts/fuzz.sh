#!/bin/sh
# fuzz.sh BUILD SECONDS: runs every fuzz target of a build folder for so long, from its seeds and what it found before.
set -eu
cd "$1/fuzz"
for target in fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=${target#fuzz_}
    mkdir -p "corpus-$name"
    "./replay_$name" --seeds "corpus-$name"
    echo "== $name, $2 s"
    "./$target" -max_total_time="$2" -max_len=16384 -timeout=20 -print_final_stats=0 -verbosity=0 "corpus-$name"
done
