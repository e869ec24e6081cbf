#!/bin/sh
# Names the tests that were skipped in the last run of each build folder because something is missing here, and what:
# skipped-tests.sh BUILD...  A test says so in a line that begins with "skipped: ".
set -eu

for build in "$@"; do
    awk -v build="$build" '
        /^[0-9]+\/[0-9]+ Test: / { name = $3 }
        /^skipped: / { print "NOT TESTED in " build ": " name ", " $0 }
    ' "$build/Testing/Temporary/LastTest.log"
done
