#!/bin/bash
# scripts/: a user without rights is told what to install, npm's clients are among it, a test that had to be skipped is
# named with its reason, and what make run says works.
. "$(dirname "$0")/tool.bash"
scripts=${STAVE_SOURCE_DIR:?}/scripts

# A machine on which nothing is installed, seen by a user who may install nothing.
mkdir bin
printf '#!/bin/sh\necho 1000\n' > bin/id
printf '#!/bin/sh\nexit 1\n' > bin/dpkg-query
chmod +x bin/id bin/dpkg-query
for wanted in build test fuzz bench; do
    expect_code 1 env PATH="$work/bin" /bin/sh "$scripts/install-packages.sh" "$wanted"
    expect_error 'Install as root, please: apt-get install build-essential cmake '
    case $wanted in test) expect_error ' nodejs npm' ;; *) grep -q npm err && fail "$wanted takes npm" ;; esac
done
ln -s /bin/true bin/npm
expect_code 1 env PATH="$work/bin" /bin/sh "$scripts/install-packages.sh" test
grep -q npm err && fail 'npm is there and is installed once more'
expect_code 2 "$scripts/install-packages.sh" all

cat > CTestTestfile.cmake <<'END'
add_test(system/loud sh -c "echo skipped: no bell; exit 77")
add_test(system/meant sh -c "echo not for this build; exit 77")
add_test(system/fine sh -c "echo this was not skipped: fine")
set_tests_properties(system/loud system/meant PROPERTIES SKIP_RETURN_CODE 77)
END
expect_code 0 ctest
expect_code 0 "$scripts/skipped-tests.sh" .
expect_text 'NOT TESTED in .: system/loud, skipped: no bell'

# The commands that are shown, run as they stand; what they wrote is there after kill -9.
export BIN_DIR=$STAVE_BIN_DIR DATA=$work/data
PORT=$(PYTHONPATH=$STAVE_SOURCE_DIR/tests/support python3 -Bc 'import stave_server; print(stave_server.free_port())')
export PORT
start() {
    : > shown # before it starts: the line of an earlier start is not its own
    "$scripts/run.sh" > shown 2>&1 &
    server=$!
    for ((i = 0; i < 600; i++)); do
        ! grep -q 'Ready to accept connections' shown || return 0
        sleep 0.1
    done
    fail "not ready: $(cat shown)"
}
start
grep -E 'stave-cli .*(SET|GET) ' shown > commands
expect_code 0 sh ./commands
expect_text $'OK\nhello'
kill -9 $server
wait $server 2> /dev/null || true
start
expect_code 0 stave-cli -p "$PORT" GET greeting
expect_text hello
kill $server
wait $server || fail "the end: $(cat shown)"
