#!/bin/bash
# The command line: help, mistakes, and that every command and option is in the manual.
. "$(dirname "$0")/tool.bash"
manual=${STAVE_SOURCE_DIR:?}/docs/man/stave.1

expect_code 0 stave --help
commands=$(sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' out)
[ "$(wc -w <<< "$commands")" = 12 ] || fail "commands: $commands"
for command in $commands; do
    grep -qE "^\.B $command\$" "$manual" || fail "$command is not in the manual"
    expect_code 0 stave "$command" --help
    head -n 1 out | grep -q "^Usage: stave $command STORE" || fail "usage of $command"
    for option in $(grep -oE '^  --[a-z-]+' out); do
        grep -qF -- "${option//-/\\-}" "$manual" || fail "$option of $command is not in the manual"
    done
    expect_code 2 stave "$command"
    expect_error "usage: stave $command STORE"
    expect_code 2 stave "$command" s a b c d e --no-such-option
    expect_error "--no-such-option"
done

expect_code 0 stave --version
grep -qE '^stave [0-9]+\.[0-9]+\.[0-9]+$' out || fail "version"
expect_code 2 stave
expect_code 2 stave fetch s key
expect_error "fetch"
expect_code 2 stave get s key --durable
expect_error "--durable"
expect_code 2 stave get s key --json=yes
expect_code 2 stave get s key --space
expect_code 2 stave list s --limit -1
expect_code 2 stave list s --limit 99999999999999999999
expect_code 2 stave load s --batch 0
expect_code 2 stave dump s --format xml
expect_code 2 stave put s key --json
expect_error '{"error": "usage'
