#!/bin/bash
# The programs of README.md, of the head of stave.h and of the manual compile and run; so do those of examples/.
. "$(dirname "$0")/tool.bash"
root=${STAVE_SOURCE_DIR:?}
library=$(find "$STAVE_BIN_DIR/.." -maxdepth 2 -name libstave.a | head -n 1)
[ -n "$library" ] || fail "libstave.a is not there"

python3 - "$root" <<'END'
import re, sys
root = sys.argv[1]
readme = open(root + "/README.md", encoding="utf-8").read()
for i, program in enumerate(re.findall(r"^```c\n(.*?)^```", readme, re.M | re.S)): open(f"readme{i}.c", "w").write(program)
header = open(root + "/include/stave.h", encoding="utf-8").read().split("*/")[1]
lines = [line[7:] for line in header.split("\n") if line.startswith(" *     ") or line == " *"]
text = "\n".join(lines)
open("header.c", "w").write(text[text.index("#include"):text.index("\n}\n") + 3])
# The commands shown; watch is told to end by itself.
shown = [block for block in re.findall(r"^```sh\n(.*?)^```", readme, re.M | re.S) if block.startswith("stave ")]
page = open(root + "/docs/man/stave.1", encoding="utf-8").read()
examples = re.search(r"^\.SH EXAMPLES\n\.nf\n(.*?)^\.fi", page, re.M | re.S).group(1)
shown.append(examples.replace("\\-", "-").replace("| redis-cli --pipe", "> commands.resp"))
lines = [line for block in shown for line in block.split("\n")]
open("commands", "w").write("\n".join(re.sub(r"(stave watch [^#]*)", r"\1 --once ", line) for line in lines) + "\n")
manual = open(root + "/docs/man/stave.3", encoding="utf-8").read()
for i, program in enumerate(re.findall(r"^\.EX\n(.*?)^\.EE", manual, re.M | re.S)):
    open(f"manual{i}.c", "w").write(program.replace("\\e", "\\"))
END
[ -e readme0.c ] || fail "README.md holds no program"
[ -s commands ] || fail "README.md and stave.1 show no commands"
mkdir commands-run
(cd commands-run && bash -euo pipefail ../commands) > out 2> err || fail "the commands shown: $(cat out err)"
grep -q Bern out || fail "the commands shown: $(cat out)"

flags=(-std=c11 -Wall -Wextra -Wpedantic -Werror -I"$root/include")
[ -z "${STAVE_SANITIZE:-}" ] || flags+=(-fsanitize="$STAVE_SANITIZE")
for source in readme*.c header.c manual*.c "$root"/examples/*.c; do
    name=$(basename "$source" .c)
    "${CC:-cc}" "${flags[@]}" "$source" -o "./$name.run" "$library" -pthread || fail "$source does not compile"
    mkdir "in-$name"
    (cd "in-$name" && "../$name.run") > out 2> err || fail "$source: $(cat out err)"
    [ -s out ] || fail "$source shows nothing"
    case $name in readme0 | header | manual0) expect_text Bern ;; esac
    # Most examples can be run again on the store that they left; a snapshot's directory is there already.
    [ "$name" = snapshot ] || (cd "in-$name" && "../$name.run") > out 2> err || fail "$source, again: $(cat out err)"
done
