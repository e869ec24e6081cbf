#!/bin/bash
# Mistakes in the input of load are named by line or offset; what stood before them is stored.
. "$(dirname "$0")/tool.bash"

number=0
# refused FORMAT INPUT PART: with two good records before it.
refused() {
    number=$((number + 1))
    local good='{"key":"one","value":"1"}\n{"key":"two","value":"2"}\n'
    [ "$1" != tsv ] || good='one\t1\ntwo\t2\n'
    [ "$1" != resp ] || good='SET one 1\r\n*3\r\n$3\r\nSET\r\n$3\r\ntwo\r\n$1\r\n2\r\n'
    # shellcheck disable=SC2059
    { printf "$good"; printf "$2"; } > input
    expect_code 2 stave load "store-$number" input --format "$1"
    expect_error "$3"
    expect_code 0 stave get "store-$number" two
    expect_text 2
    expect_code 0 stave list "store-$number"
    [ "$(wc -l < out)" = 2 ] || fail "$2: more was stored than stood before the mistake"
}

refused jsonl 'x\n' 'input: line 3, byte 1: '
refused jsonl '{"key":"a"}\n' 'the value is missing'
refused jsonl '{"value":"a"}\n' 'the key is missing'
refused jsonl '\n\n{}\n' 'line 5'
refused jsonl '{"key":"a","value":"b"} {}\n' 'something follows'
refused jsonl '{"key":"a","value":"b",}\n' 'a string is missing'
refused jsonl '{"key":"a" "value":"b"}\n' 'a comma'
refused jsonl '{"key":"a","key_base64":"YQ==","value":"b"}\n' 'twice'
refused jsonl '{"key":"a","value":"b","colour":"red"}\n' 'no such member'
refused jsonl '{"key":"a","value":7}\n' 'a string is missing'
refused jsonl '{"key":"a","value":null}\n' 'a string is missing'
refused jsonl '{"key":"a","value":"\\ud800"}\n' 'surrogate'
refused jsonl '{"key":"a","value":"\\udc00"}\n' 'surrogate'
refused jsonl '{"key":"a","value":"\\u12g4"}\n' 'hexadecimal'
refused jsonl '{"key":"a","value":"\\q"}\n' 'escape'
refused jsonl '{"key":"a","value":"\\x41"}\n' 'escape'
refused jsonl '{"key":"a","value":"\377"}\n' 'UTF-8'
refused jsonl '{"key":"a","value":"\t"}\n' 'control character'
refused jsonl '{"key":"a","value":"b\n' 'has no end'
refused jsonl '{"key":"a","value":"\\' 'escape'
refused jsonl '{"key":"a","value_base64":"YQ"}\n' 'base64'
refused jsonl '{"key":"a","value_base64":"YQ=a"}\n' 'base64'
refused jsonl '{"key":"a","value_base64":"YR=="}\n' 'base64'
refused jsonl '{"key":"a","value_base64":"===="}\n' 'base64'
refused jsonl '{"key":"a","value_base64":"YQ==YQ=="}\n' 'base64'
refused jsonl '{"key":"a","value":"b","expires_at_ms":-1}\n' 'whole number'
refused jsonl '{"key":"a","value":"b","expires_at_ms":01}\n' 'whole number'
refused jsonl '{"key":"a","value":"b","expires_at_ms":18446744073709551616}\n' 'whole number'
refused jsonl '{"key":"a","value":"b","expires_at_ms":1.5}\n' 'a comma'
refused jsonl '{"key":"a","value":{"b":1}}\n' 'a string is missing'

refused tsv 'a\n' 'line 3, byte 2: there is no tab'
refused tsv 'a\t\\q\n' 'line 3, byte 3: there is no such escape'
refused tsv 'a\\\tb\n' 'escape'
refused tsv 'a\t\\x4\n' 'escape'
refused tsv 'a\tb\tsoon\n' 'line 3, byte 5: the third column'
refused tsv 'a\tb\t\n' 'the third column'
refused tsv 'a\tb\t1\t2\n' 'the third column'
refused tsv 'a\tb\t18446744073709551616\n' 'the third column'

refused resp 'GET a\r\n' 'byte offset 40: only SET'
refused resp '*2\r\n$3\r\nGET\r\n$1\r\na\r\n' 'only SET'
refused resp '*2\r\n$3\r\nSET\r\n$1\r\na\r\n' 'needs a key and a value'
refused resp 'SET a b NX\r\n' 'only the options'
refused resp 'SET a b EX\r\n' 'time is missing'
refused resp 'SET a b EX 1 NX\r\n' 'more than one option'
refused resp 'SET a b EX 0\r\n' 'above 0'
refused resp 'SET a b EX -1\r\n' 'above 0'
refused resp 'SET a b EX 99999999999999999999\r\n' 'too large'
refused resp 'SET a b c d e f g h\r\n' 'too many words'
refused resp 'SET a "b\r\n' 'quote'
refused resp 'SET a "b"c\r\n' 'blank must follow'
refused resp 'SET a b' 'ends within'
refused resp '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nb\r\n' 'ends within'
refused resp '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nbc\r\n' 'announced size'
refused resp '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$99999999999\r\nb\r\n' 'byte offset 60: a string'
refused resp '*3\r\n$3\r\nSET\r\n$-1\r\n' 'a string'
refused resp '*999999999\r\n' 'an array of'
refused resp '*3\n$3\r\nSET\r\n' 'an array of'
refused resp '*-1\r\n' 'an array of'
refused resp '*3\r\n+SET\r\n' 'a string'
refused resp '*00000000000000000000000000000000000003\r\n' 'an array of'

# A size that is announced takes no memory.
printf '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1073741824\r\nshort' > input
(ulimit -v 600000 && expect_code 2 stave load announced input --format resp) ||
    [ -n "${STAVE_SANITIZE:-}" ] || fail "announced"

# An inline command that never ends.
{ printf 'SET a '; head -c 100000 /dev/zero | tr '\0' x; } > input
expect_code 2 stave load endless input --format resp
expect_error 'longer than 65536'

expect_code 4 stave load s missing
expect_error 'missing: '
expect_code 4 stave load s .
printf 'x\n' > input
expect_code 2 stave load s input --json
head -n 1 err | python3 -c 'import json, sys; json.load(sys.stdin)["error"]'
