#!/bin/sh
# Installs the Debian packages that building and testing needs and that are missing: `build`, `test`, `fuzz`
# or `bench`.
set -eu

build="build-essential cmake ninja-build pkg-config libxxhash-dev libuv1-dev libedit-dev libssl-dev"
test="$build libcmocka-dev clang clang-format python3 redis-server redis-tools python3-redis libhiredis-dev"
# Node's own packages bring npm with them, and do not stand beside Debian's.
command -v npm >/dev/null 2>&1 || test="$test nodejs npm"
fuzz="$build clang libclang-rt-14-dev"
bench="$build g++ liblmdb-dev libleveldb-dev librocksdb-dev libtkrzw-dev libkyotocabinet-dev"

case "${1:-build}" in
build) wanted=$build ;;
test) wanted=$test ;;
fuzz) wanted=$fuzz ;;
bench) wanted=$bench ;;
*) echo "usage: $0 [build|test|fuzz|bench]" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "Not a Debian system; these packages, or what corresponds to them, are needed: $wanted"
    exit 0
fi

missing=
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "Install as root, please: apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi

# The redis-server that tests compare with is started by them, on ports of their own: its service stays off.
policy=/usr/sbin/policy-rc.d
case "$missing" in
*redis-server*)
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod 755 $policy
        trap '$as_root rm -f $policy' EXIT
    fi
    ;;
esac

echo "Installing what is missing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
$as_root apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 && exit 0
$as_root apt-get update
# shellcheck disable=SC2086
$as_root apt-get install -y --no-install-recommends $missing
