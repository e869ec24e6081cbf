#!/bin/bash
# What `make install` leaves works for a program in C, one in C++, and one built with CMake.
set -eu
if [ -n "${STAVE_SANITIZE:-}" ]; then
    echo "only the plain build is installed"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/stave-install-XXXXXX")
trap 'rm -rf "$work"' EXIT
cmake --install "$STAVE_BUILD_DIR" --prefix "$work/usr" >/dev/null
libdir=$(dirname "$(find "$work/usr" -name libstave.a)")

cat >"$work/program.c" <<'END'
#include <stave.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct stave *store = NULL;
    struct stave_value value;
    memset(&value, 0, sizeof(value));
    if (argc < 2 || stave_open(argv[1], NULL, &store, NULL) != STAVE_OK) return 1;
    if (stave_put(store, stave_text("city"), stave_text("Bern")) < 0) return 1;
    if (stave_get(store, stave_text("city"), &value) != STAVE_OK) return 1;
    printf("%s\n", (const char *)value.data);
    stave_free(value.data);
    return stave_close(store) == STAVE_OK ? 0 : 1;
}
END
cp "$work/program.c" "$work/program.cc"

export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
flags=$(pkg-config --define-variable=prefix="$work/usr" --define-variable=libdir="$libdir" \
    --define-variable=includedir="$work/usr/include" --cflags --libs stave)
expect() {
    [ "$("$1" "$work/store.$RANDOM")" = Bern ] || { echo "$1 does not work" >&2; exit 1; }
}

# shellcheck disable=SC2086
"${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror "$work/program.c" -o "$work/c" $flags
expect "$work/c"
# shellcheck disable=SC2086
"${CC:-cc}" -std=c11 "$work/program.c" -o "$work/c-static" -I"$work/usr/include" "$libdir/libstave.a" -pthread
expect "$work/c-static"
if command -v c++ >/dev/null; then
    # shellcheck disable=SC2086
    c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror "$work/program.cc" -o "$work/cc" $flags
    expect "$work/cc"
fi

mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(stave 0.1 REQUIRED)
foreach(library stave stave_static)
  add_executable(with_${library} ../program.c)
  target_link_libraries(with_${library} PRIVATE stave::${library})
endforeach()
END
cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$work/usr" >/dev/null
cmake --build "$work/project/build" >/dev/null
expect "$work/project/build/with_stave"
expect "$work/project/build/with_stave_static"

# What a package is made of, with a configuration to begin with; and all of it can be taken away again.
make() { command make -C "$STAVE_SOURCE_DIR" -s -o all BUILD="$STAVE_BUILD_DIR" INSTALLED="$work/installed" \
    DESTDIR="$work/package" "$@"; }
make install >/dev/null
[ ! -e "$STAVE_BUILD_DIR/install_manifest.txt" ] || { echo "root's list is in the way of the next user" >&2; exit 1; }
root=$(dirname "$(dirname "$(find "$work/package" -name stave-server)")")
for name in bin/stave bin/stave-cli share/man/man1/{stave,stave-cli,stave-server}.1 share/man/man3/stave.3; do
    [ -e "$root/$name" ] || { echo "$name is not installed" >&2; exit 1; }
done
cp "$root/share/doc/stave/examples/stave.conf" "$work/mine.conf"
"$root/bin/stave-server" "$work/mine.conf" --port 0 --unixsocket "$work/socket" --dir "$work" >"$work/log" &
server=$!
for ((i = 0; i < 600; i++)); do
    [ ! -S "$work/socket" ] || break
    sleep 0.1
done
[ "$("$root/bin/stave-cli" -s "$work/socket" PING)" = PONG ] || { cat "$work/log" >&2; exit 1; }
kill "$server"
wait "$server"
make uninstall
left=$(find "$work/package" ! -type d)
[ -z "$left" ] || { echo "left behind: $left" >&2; exit 1; }
