#!/bin/bash
# stat, check, salvage, compact and backup: on a sound store, on a damaged one, beside a writer.
. "$(dirname "$0")/tool.bash"

python3 - > records.jsonl <<'END'
import json
for i in range(20000): print(json.dumps({"key": f"key {i}", "value": f"{i} " * 60}))
END
stave load s records.jsonl > out
sed 's/"value": "[0-9]* /&two /; s/7777 7777/7777-7777/g' records.jsonl > two.jsonl
stave load s two.jsonl --space 2 > out
stave load s records.jsonl > out

expect_code 0 stave stat s
grep -qE '^keys +40,000' out || fail "keys: $(cat out)"
grep -q '# live  - dead' out || fail "no legend"
! grep -q $'\033' out || fail "colours in a file"
expect_code 0 stave stat s --json --space 2
expect_json 'it["key_count"] == 40000 and it["space_key_count"] == 20000 and it["space"] == 2'
expect_json 'len(it["segments"]) == it["segment_count"] and it["disk_size"] > it["live_size"] > 0'
expect_json 'all(segment["live_size"] <= segment["size"] for segment in it["segments"])'

expect_code 0 stave check s
grep -q '^no damage' out || fail "check: $(cat out)"
expect_code 0 stave check s --json
expect_json 'it["sound"] and it["damage_count"] == 0'
expect_code 4 stave check missing

# compact gives room back and changes nothing.
stave dump s | sort > before
expect_code 0 stave compact s --all --json
expect_json 'it["log_size"] < it["log_size_before"]'
stave dump s | sort | cmp - before
expect_code 0 stave compact s
expect_code 0 stave check s

# backup.
expect_code 0 stave backup s copy
stave dump copy | sort | cmp - before
expect_code 0 stave put s more x
expect_code 1 stave get copy more
expect_code 0 stave put copy other y
expect_code 1 stave get s other
expect_code 4 stave backup s copy
expect_code 0 stave backup s copy2 --json
expect_json 'it["path"] == "copy2"'
expect_code 0 stave check copy

# Beside a writer: reads work, writes and check are refused.
mkfifo pipe
stave load s pipe --format tsv --batch 1 --acknowledge > acknowledged &
writer=$!
exec 3> pipe
printf 'beside\twritten\n' >&3
until [ -s acknowledged ]; do sleep 0.05; done
[ "$(cat acknowledged)" = 1 ] || fail "acknowledged: $(cat acknowledged)"
expect_code 0 stave get s beside
expect_text written
expect_code 0 stave list s --limit 1
expect_code 0 stave stat s
expect_code 4 stave put s x y
expect_code 4 stave check s
expect_code 4 stave compact s
exec 3>&-
wait $writer || fail "the writer"

# Damage: one byte of a value in the middle of a sealed segment.
[ -n "$(ls copy/*.seg)" ] || fail "no segments"
segment=$(ls -S copy/*.seg | head -n 1)
offset=$(grep -obaF '7777 7777 7777' "$segment" | head -n 1 | cut -d : -f 1)
[ -n "$offset" ] || fail "the value is nowhere"
cp "$segment" kept && mv kept "$segment" # no longer the file that s has a link to
printf 'X' | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
find copy -type f -exec md5sum {} + | sort > sums
expect_code 3 stave check copy
grep -q "^$(basename "$segment") at [0-9]*: payload: .*key 7777$" out || fail "check: $(cat out)"
expect_code 3 stave check copy --json
head -n 1 out > first && mv first out
expect_json 'it["file"] == "'"$(basename "$segment")"'" and it["damage"] == "payload" and not it["harmless"]'
expect_json "it['offset'] <= $offset and it['message']"
find copy -type f -exec md5sum {} + | sort | cmp - sums || fail "check changed something"
expect_code 3 stave get copy 'key 7777'
expect_error "$(basename "$segment")"
expect_code 3 stave dump copy
[ "$(wc -l < out)" -ge 19990 ] || fail "dump left out more than what is damaged"
expect_code 3 stave salvage copy saved
find copy -type f -exec md5sum {} + | sort | cmp - sums || fail "salvage changed something"
expect_code 0 stave check saved
expect_code 0 stave list saved
[ "$(wc -l < out)" = 20000 ] || fail "salvage: $(wc -l < out) keys instead of 20000"
expect_code 0 stave list saved --space 2
[ "$(wc -l < out)" = 20000 ] || fail "salvage: $(wc -l < out) keys in space 2"
expect_code 0 stave get saved 'key 7778'
expect_code 4 stave salvage copy saved
expect_code 0 stave salvage s saved-sound --json
expect_json 'it["damage_count"] == 0 and it["lost_size"] == 0'
