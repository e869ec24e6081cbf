#!/bin/bash
# get, put, delete and list: results, conditions, expiry, spaces, exit codes.
. "$(dirname "$0")/tool.bash"

expect_code 4 stave get s city
[ "$(cat err)" = 'stave: s: cannot open the directory: No such file or directory' ] || fail "$(cat err)"
[ ! -e s ] || fail "get made a store"
expect_code 0 stave put s city Bern
expect_text ""
expect_code 0 stave get s city
expect_text Bern
[ "$(wc -c < out)" = 4 ] || fail "get writes more than the value"
expect_code 1 stave get s nothing
expect_code 0 stave get --json s city
expect_json 'it["value"] == "Bern" and it["sequence"] > 0'
sequence=$(python3 -c 'import json; print(json.load(open("out"))["sequence"])')
expect_code 1 stave get s nothing --json
expect_json 'it["found"] is False'

# Conditions.
expect_code 1 stave put s city Basel --if-absent
expect_code 1 stave put s other x --if-present
expect_code 1 stave put s city Basel --if-sequence 1
expect_code 0 stave put s city Basel --if-sequence "$sequence" --durable --json
expect_json 'it["stored"] and it["sequence"] > '"$sequence"
expect_code 1 stave put s city Genf --if-sequence "$sequence" --json
expect_json 'it["stored"] is False'
expect_code 0 stave get s city
expect_text Basel

# Standard input, any bytes, empty keys and values.
head -c 3000000 /dev/urandom > random
stave put s random - < random
stave get s random | cmp - random
printf '\0\1\377\n' | stave put s '' -
stave get s '' | cmp - <(printf '\0\1\377\n')
expect_code 0 stave put s empty ''
expect_code 0 stave get s empty
expect_text ""
expect_code 0 stave put s 'a\0b\x01' 'c\td' --escaped
expect_code 0 stave get s 'a\0b\x01' --escaped
expect_text "$(printf 'c\td')"
expect_code 0 stave get s 'a\x00b\x01' --escaped --json
expect_json 'it["value"] == "c\td"'
expect_code 2 stave get s 'a\q' --escaped
expect_code 0 stave put s -- -x -y
expect_code 0 stave get s -- -x
expect_text "-y"

# Expiry.
expect_code 0 stave put s brief here --expire-in 1h
expect_code 0 stave get s brief
expect_text here
expect_code 0 stave get s brief --json
expect_json 'it["expires_at_ms"] > 1700000000000'
expect_code 0 stave put s brief here --expire-in 1ms
sleep 0.1
expect_code 1 stave get s brief
expect_code 2 stave put s brief here --expire-in soon

# Spaces.
expect_code 0 stave put s city Rom --space 7
expect_code 0 stave get s city --space=7
expect_text Rom
expect_code 0 stave get s city
expect_text Basel
expect_code 2 stave get s city --space 1024

# list.
mkdir listing
for i in 1 2 3; do stave put l "key/$i" "value $i"; done
stave put l $'tab\tline\n' back\\slash
expect_code 0 stave list l --prefix key/
[ "$(sort out | tr '\n' ,)" = "key/1,key/2,key/3," ] || fail "list: $(cat out)"
expect_code 0 stave list l --prefix 'tab\t' --escaped --values
expect_text "$(printf 'tab\\tline\\n\tback\\\\slash')"
expect_code 0 stave list l --limit 2
[ "$(wc -l < out)" = 2 ] || fail "limit"
expect_code 0 stave list l --prefix tab --values --json
expect_json 'it["key"] == "tab\tline\n" and it["value"] == "back\\slash" and it["value_size"] == 10'
expect_code 0 stave list l --prefix none
expect_text ""

# delete.
expect_code 0 stave delete l key/1 key/2
expect_code 1 stave delete l key/1 key/3
expect_code 1 stave get l key/3
expect_code 1 stave delete l key/3 --json
expect_json 'it == {"deleted": 0, "absent": 1}'

# A full output is a failure.
if [ -e /dev/full ]; then
    code=0
    stave get s random > /dev/full 2> err || code=$?
    [ "$code" = 4 ] || fail "get to a full device: exit code $code"
fi
