# What the tests of the command `stave` share: a directory of their own, and checks that say what they expected.
set -euo pipefail
PATH=${STAVE_BIN_DIR:?}:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/stave-tool-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() { printf '%s: %s\n' "${BASH_SOURCE[-1]##*/}:${BASH_LINENO[1]}" "$*" >&2; exit 1; }

# expect_code CODE COMMAND...: runs it, keeps its output in `out` and `err`.
expect_code() {
    local wanted=$1 code=0
    shift
    "$@" > out 2> err < /dev/null || code=$?
    [ "$code" = "$wanted" ] || fail "$*: exit code $code instead of $wanted: $(head -c 500 out err)"
}
# expect_text TEXT: the last output.
expect_text() { [ "$(cat out)" = "$1" ] || fail "output \"$(head -c 300 out)\" instead of \"$1\""; }
# expect_error PART: of the last message.
expect_error() { grep -qF -- "$1" err || fail "message \"$(head -c 300 err)\" without \"$1\""; }
# expect_json EXPRESSION: holds for the last output, as Python with the object as `it`.
expect_json() {
    python3 -c 'import json, sys; it = json.load(open("out")); sys.exit(not eval(sys.argv[1]))' "$1" ||
        fail "not so: $1: $(head -c 300 out)"
}
