#!/bin/bash
# What load reported as stored survives kill -9 (P1), and batches are whole (P5).
. "$(dirname "$0")/tool.bash"

python3 - > records.tsv <<'END'
for i in range(300000): print(f"{i:08d}\t{'value ' * (i % 20)}{i}")
END
for round in 1 2 3; do
    rm -rf s
    : > acknowledged # what the round before reported is not this one's
    stave load s records.tsv --format tsv --batch 100 --acknowledge > acknowledged &
    loader=$!
    wanted=$((round * 20000))
    while kill -0 $loader 2> /dev/null; do
        stored=$(grep -E '^[0-9]+$' acknowledged | tail -n 1 || true)
        [ "${stored:-0}" -lt $wanted ] || break
    done
    kill -9 $loader 2> /dev/null || true
    wait $loader 2> /dev/null || true
    reported=$(grep -E '^[0-9]+$' acknowledged | tail -n 1)
    stave dump s --format tsv | sort > after
    found=$(wc -l < after)
    [ "$found" -ge "$reported" ] || fail "$reported reported, $found found"
    [ $((found % 100)) = 0 ] || fail "$found found: a batch came in part"
    head -n "$found" records.tsv | cmp - after || fail "round $round: what is there is not what was written"
    expect_code 0 stave check s
done
