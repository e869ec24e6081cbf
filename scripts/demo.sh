#!/usr/bin/env bash
# Shows Stave at work on the package index of this system: load, compare, overwrite, compact, kill, reopen.
set -euo pipefail

BIN_DIR=${BIN_DIR:-build/bin}
BIN_DIR=$(cd "$BIN_DIR" && pwd)
PATH=$BIN_DIR:$PATH
WORK=$(mktemp -d "$BIN_DIR/../demo.XXXXXX")
STORE=$WORK/packages.stave
loader=

finish() {
    local code=$?
    [ -z "$loader" ] || kill -9 "$loader" 2>/dev/null || true
    rm -rf "$WORK"
    exit $code
}
trap finish EXIT

heading() { printf '\n== %s\n\n' "$*"; }
fail() { printf 'MISMATCH: %s\n' "$*" >&2; exit 1; }
run() { printf '$ stave %s\n' "${*//$WORK\//}"; stave "$@"; }
# Names of files, of whatever compression.
package_lists() { find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -type f | sort; }
# JSON Lines in the order of their keys, to compare.
sorted() { LC_ALL=C sort "$1"; }

read_package_lists() {
    if [ -z "$(package_lists)" ]; then
        echo "There are no package lists here: fetching them with apt-get update."
        local as_root=
        [ "$(id -u)" -eq 0 ] || as_root=sudo
        $as_root apt-get update -qq
    fi
    local list
    while read -r list; do
        /usr/lib/apt/apt-helper cat-file "$list"
        echo
    done < <(package_lists)
}

# Stanzas to JSON Lines: "name version" -> the stanza. A stanza that comes twice is kept once.
stanzas_to_json() {
    awk 'BEGIN { RS = ""; FS = "\n" }
    function field(name,    i) {
        for (i = 1; i <= NF; i++) if (index($i, name ": ") == 1) return substr($i, length(name) + 3)
        return ""
    }
    function quoted(text) {
        gsub(/\\/, "&&", text); gsub(/"/, "\\\"", text); gsub(/\n/, "\\n", text); gsub(/\t/, "\\t", text)
        return "\"" text "\""
    }
    {
        key = field("Package") " " field("Version")
        if (key in seen) next
        seen[key] = 1
        print "{\"key\": " quoted(key) ", \"value\": " quoted($0) "}"
    }'
}

compare() {
    stave dump "$STORE" > "$WORK/dump.jsonl"
    sorted "$1" > "$WORK/expected.sorted"
    sorted "$WORK/dump.jsonl" > "$WORK/dump.sorted"
    cmp "$WORK/expected.sorted" "$WORK/dump.sorted" || fail "$2"
    printf '%s records read back, each as it was written\n' "$(wc -l < "$WORK/dump.jsonl")"
}

heading "Records from the package index: name and version -> stanza"
read_package_lists | stanzas_to_json > "$WORK/packages.jsonl"
COUNT=$(wc -l < "$WORK/packages.jsonl")
[ "$COUNT" -ge 1000 ] || fail "only $COUNT packages were found"
printf '%s records, %s of JSON Lines. The first one:\n\n' "$COUNT" "$(du -h "$WORK/packages.jsonl" | cut -f 1)"
head -n 1 "$WORK/packages.jsonl" | cut -c 1-160

heading "Load them"
time run load "$STORE" "$WORK/packages.jsonl"

heading "Read everything back and compare"
compare "$WORK/packages.jsonl" "what was read is not what was written"
KEY=$(stave list "$STORE" --limit 1)
printf '$ stave get packages.stave "%s"\n' "$KEY"
stave get "$STORE" "$KEY" > "$WORK/value"
head -n 4 "$WORK/value"

heading "Overwrite a third, delete a ninth"
awk 'NR % 3 == 0 { sub(/"value": "/, "\"value\": \"Changed: yes\\n"); print }' "$WORK/packages.jsonl" > "$WORK/changed.jsonl"
run load "$STORE" "$WORK/changed.jsonl"
echo '$ stave delete packages.stave ...'
awk 'NR % 9 == 1' "$WORK/packages.jsonl" | sed 's/^{"key": "//; s/", "value".*//' |
    tr '\n' '\0' | xargs -0 -n 2000 "$BIN_DIR/stave" delete "$STORE" --
awk 'NR % 3 == 0 { sub(/"value": "/, "\"value\": \"Changed: yes\\n") } NR % 9 != 1' "$WORK/packages.jsonl" \
    > "$WORK/now.jsonl"
compare "$WORK/now.jsonl" "the changes are not all there"

heading "Compact, and look at the store"
run compact "$STORE"
run stat "$STORE"
compare "$WORK/now.jsonl" "compaction changed something"
run check "$STORE"

heading "Load again with other values, and kill -9 in the middle"
awk '{ sub(/"value": "/, "\"value\": \"Round: second\\n"); print }' "$WORK/packages.jsonl" > "$WORK/second.jsonl"
stave load "$STORE" "$WORK/second.jsonl" --acknowledge --batch 100 > "$WORK/acknowledged" &
loader=$!
HALF=$((COUNT / 2))
until [ "$(tail -n 1 "$WORK/acknowledged" || true)" -ge "$HALF" ] 2>/dev/null; do
    kill -0 "$loader" 2>/dev/null || break
done
{ kill -9 "$loader"; wait "$loader"; } 2>/dev/null || true # the shell would report the end of its job
loader=
ACKNOWLEDGED=$(grep -E '^[0-9]+$' "$WORK/acknowledged" | tail -n 1)
printf 'killed after %s of %s records were reported as written\n' "$ACKNOWLEDGED" "$COUNT"
[ "$ACKNOWLEDGED" -lt "$COUNT" ] || echo "(the load was done before the signal came)"

heading "Reopen: what was reported as written must be there, and batches must be whole"
stave dump "$STORE" > "$WORK/after.jsonl"
head -n "$ACKNOWLEDGED" "$WORK/second.jsonl" | LC_ALL=C sort > "$WORK/reported.sorted"
sorted "$WORK/after.jsonl" > "$WORK/after.sorted"
LOST=$(LC_ALL=C comm -23 "$WORK/reported.sorted" "$WORK/after.sorted" | wc -l)
[ "$LOST" -eq 0 ] || fail "$LOST records that were reported as written are lost"
NEW=$(grep -c '"value": "Round: second' "$WORK/after.jsonl")
[ "$NEW" -eq "$COUNT" ] || [ $((NEW % 100)) -eq 0 ] || fail "$NEW records of the second load: a batch came in part"
# What is there is the first $NEW records of the second load over what was there before.
awk -v new="$NEW" 'NR == FNR { split($0, part, "\", \"value\": \""); if (FNR <= new) { print; done[part[1]] = 1 } next }
    { split($0, part, "\", \"value\": \"") } !(part[1] in done)' "$WORK/second.jsonl" "$WORK/now.jsonl" \
    | LC_ALL=C sort > "$WORK/expected.sorted"
cmp "$WORK/expected.sorted" "$WORK/after.sorted" || fail "the rest of the store changed"
printf '%s reported, %s found: nothing that was reported is lost, and nothing else changed\n' "$ACKNOWLEDGED" "$NEW"
run check "$STORE"

heading "All as it should be"
