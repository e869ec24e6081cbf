#!/usr/bin/env python3
"""What of the style can be read off the sources: includes, sizes, layout, first lines, banned functions."""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.environ.get("STAVE_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("include", "src", "net", "server", "cli", "tools", "bench", "fuzz", "examples", "tests")

# The layers of docs/ARCHITECTURE.md: what a folder may include besides itself and stave.h.
MAY_INCLUDE = {
    "src/base": set(),
    "src/os": {"base"},
    "src/log": {"os", "base"},
    "src/index": {"base"},
    "src/store": {"log", "index", "os", "base"},
    "net": {"base"},
    "server": {"net", "base"},
    "cli": {"net", "base"},
    "tools": set(),
    "bench": set(),
    "examples": set(),
    "include": set(),
}
# Folders whose files stand from the bottom up in a table of docs/ARCHITECTURE.md.
ORDERED = ("src/store", "server")
# Modules of several files, by how their names begin, in the other folders: no circle inside them.
FAMILIES = ("src/index/keydir",)
LAYERS = {"base", "os", "log", "index", "store", "net", "server", "cli", "tools", "bench"}

FILE_LINES_MAX = 1000
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 110
SPDX = "/* SPDX-License-Identifier: MIT */"
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|alloca)\s*\(")
ALLOCATORS = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|strdup|strndup|asprintf)\s*\(")
SYSTEM_CALLS = re.compile(r"(?<![\w.>])(open|openat|read|write|pread|pwrite|mmap|munmap|madvise|fsync|fdatasync|ftruncate|"
                          r"fallocate|rename|unlink|close|fcntl|fopen|abort|exit|printf|fprintf|puts)\s*\(")

# Functions that other files can call; a definition's body opens in the first column.
DECLARED = re.compile(r"^(?!static|typedef|#|\s)[\w *]*?\b([a-z_]\w*)\([^;{}]*\)[^;{}]*;", re.M)
DEFINED = re.compile(r"^(?!static)[\w *]*?\b([a-z_]\w*)\([^;{}]*\)\n\{", re.M)

problems = []


def report(path, line, text):
    problems.append(f"{os.path.relpath(path, ROOT)}:{line}: {text}")


def sources():
    for folder in FOLDERS:
        for directory, names, files in os.walk(os.path.join(ROOT, folder)):
            names[:] = [name for name in names if not name.startswith("build")]
            yield from (os.path.join(directory, name) for name in sorted(files) if name.endswith((".c", ".h")))


def folder_of(path):
    relative = os.path.relpath(path, ROOT)
    parts = relative.split(os.sep)
    return "/".join(parts[:2]) if parts[0] == "src" else parts[0]


def without_comments_and_strings(text):
    """The code alone, with its line breaks where they were."""

    def blank(match):
        kept = "\n" * match.group().count("\n")
        return '""' + kept if match.group().startswith('"') else kept

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def check_includes(path, lines):
    folder = folder_of(path)
    if folder not in MAY_INCLUDE:
        return
    allowed = MAY_INCLUDE[folder] | {folder.split("/")[-1]}
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match or match.group(1) == "stave.h":
            continue
        layer = match.group(1).split("/")[0]
        if "/" in match.group(1) and layer in LAYERS and layer not in allowed:
            report(path, number, f"{folder} may not include {match.group(1)} (docs/ARCHITECTURE.md)")
        if folder in ("examples", "include"):
            report(path, number, f"{folder} includes only stave.h")


def order_of(folder):
    """The names in the table of the folder, in their order."""
    with open(os.path.join(ROOT, "docs", "ARCHITECTURE.md"), encoding="utf-8") as file:
        text = file.read()
    match = re.search(rf"^Inside `{folder}`, from the bottom up.*?\n\n((?:\|.*\n)+)", text, flags=re.M)
    rows = match.group(1).splitlines()[2:] if match else []
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def place_of(module, order):
    """Where a module stands: by its name, as one of a family (`config*`), or in a folder (`command/`)."""
    if module in order:
        return order.index(module)
    for place, name in enumerate(order):
        if name.endswith("*") and (module + "_").startswith(name[:-1] + "_"):
            return place
        if name.endswith("/") and module.startswith(name):
            return place
    return None


def included_modules(path, folder):
    """The modules of the same folder that a file includes, with the line."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = re.match(rf'#include "{folder.split("/")[-1]}/([^"]+)\.h"', line)
            if match:
                yield number, match.group(1)


def module_of(path, folder):
    return os.path.relpath(path, os.path.join(ROOT, folder)).rsplit(".", 1)[0]


def family_of(module, folder):
    families = [family.split("/")[-1] for family in FAMILIES if os.path.dirname(family) == folder]
    return next((family for family in families if (module + "_").startswith(family + "_")), module)


def check_order(folder, paths):
    """Nothing includes upwards, by the table."""
    order = order_of(folder)
    used = set()
    for path in paths:
        place = place_of(module_of(path, folder), order)
        if place is None:
            report(path, 1, "has no place in docs/ARCHITECTURE.md")
            continue
        used.add(place)
        for number, included in included_modules(path, folder):
            other = place_of(included, order)
            if other is not None and other > place:
                report(path, number, f"{included} stands above it in docs/ARCHITECTURE.md")
    for place in sorted(set(range(len(order))) - used):
        report(os.path.join(ROOT, "docs", "ARCHITECTURE.md"), 1, f"{folder} has no {order[place]}")


def check_circles(folder, paths):
    """A module is a source and its header. None reaches itself by what they include."""
    includes = {}
    for path in paths:
        module = family_of(module_of(path, folder), folder)
        others = [family_of(other, folder) for _, other in included_modules(path, folder)]
        includes.setdefault(module, set()).update(others)
        includes[module].discard(module)
    for module in sorted(includes):
        seen, left = set(), list(includes[module])
        while left:
            other = left.pop()
            if other not in seen:
                seen.add(other)
                left.extend(includes.get(other, ()))
        if module in seen:
            report(os.path.join(ROOT, folder), 1, f"{module} is in a circle of modules that include each other")


def check_declarations(folder, paths):
    """What a header declares is defined in NAME.c, NAME_*.c or its family; in server/command, in its group."""
    order = order_of(folder)
    headers, sources = {}, {}
    for path in paths:
        module = module_of(path, folder)
        with open(path, encoding="utf-8") as file:
            code = without_comments_and_strings(file.read())
        if path.endswith(".h"):
            headers[path] = (module, DECLARED.findall(code))
        else:
            sources.update((name, module) for name in DEFINED.findall(code))

    def home(module):
        return place_of(module, order) if order else family_of(module, folder)

    for path, (module, names) in headers.items():
        for name in names:
            source = sources.get(name, module)
            if not (source + "_").startswith(module + "_") and home(source) != home(module):
                report(path, 1, f"{name} is defined in {source}.c")


def check_modules_of_folders(paths):
    folders = {}
    for path in paths:
        folders.setdefault(folder_of(path), []).append(path)
    for folder in MAY_INCLUDE:
        (check_order if folder in ORDERED else check_circles)(folder, folders.get(folder, []))
        check_declarations(folder, folders.get(folder, []))


def check_lines(path, lines):
    if lines[:1] != [SPDX]:
        report(path, 1, f"the first line is not {SPDX}")
    if len(lines) > 1 and not lines[1].startswith("/*"):
        report(path, 2, "no comment on the file's purpose")
    if len(lines) > FILE_LINES_MAX:
        report(path, len(lines), f"more than {FILE_LINES_MAX} lines")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX:
            report(path, number, f"{len(line)} columns, more than {COLUMNS_MAX}")


def check_header(path, lines):
    """The public header is the product's face: no comment cuts a declaration or makes a banner, one style of them."""
    if os.path.relpath(path, ROOT) != os.path.join("include", "stave.h"):
        return
    for number, line in enumerate(lines, 1):
        before = lines[number - 2] if number > 1 else ""
        if re.fullmatch(r"\s*(const\s+)?(bool|size_t|int|u?int\d+_t|struct \w+|enum \w+)\s*", line):
            report(path, number, "a declaration is cut in two")
        if "-----" in line:
            report(path, number, "a banner")
        if line.startswith("STAVE_API") and not before.endswith("*/") and before != "" and not before.startswith("#"):
            report(path, number, "no empty line or comment before a declaration")


def check_functions(path, lines):
    """A function's body opens and closes with a brace in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            if number - start + 1 > FUNCTION_LINES_MAX:
                report(path, start, f"a function of {number - start + 1} lines, more than {FUNCTION_LINES_MAX}")
            start = None


def check_calls(path, code):
    folder = folder_of(path)
    relative = os.path.relpath(path, ROOT)
    for number, line in enumerate(code.split("\n"), 1):
        for match in BANNED.finditer(line):
            report(path, number, f"{match.group(1)} is banned")
        if not folder.startswith("src/"):
            continue
        if relative != "src/base/memory.c" and ALLOCATORS.search(line):
            report(path, number, f"{ALLOCATORS.search(line).group(1)}: memory comes from base/memory.h")
        if relative != "src/os/system_linux.c" and SYSTEM_CALLS.search(line):
            report(path, number, f"{SYSTEM_CALLS.search(line).group(1)}: calls to the system stand in os/system_linux.c, "
                                 "and the library neither prints nor exits")


def check_modules(path):
    """A source of a library layer includes its own header first; system_linux.c is one of several for system.h."""
    relative = os.path.relpath(path, ROOT)
    if not relative.startswith("src/") or not path.endswith(".c"):
        return
    header = re.sub(r"(_linux)?\.c$", ".h", path)
    if header.endswith(".h") and os.path.exists(header):
        name = "/".join(os.path.relpath(header, ROOT).split(os.sep)[1:])
        with open(path, encoding="utf-8") as file:
            first = re.search(r'#include\s+([<"][^>"]+[>"])', file.read())
        if first and first.group(1) != f'"{name}"':
            report(path, 1, f"does not include its own header, {name}, first")


def check_layout(paths):
    if shutil.which("clang-format") is None:
        problems.append("clang-format is not installed")
        return
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *paths], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        found = [line for line in result.stderr.split("\n") if "error:" in line]
        problems.extend(found[:20])
        problems.append("run `make format`")


def main():
    paths = list(sources())
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
        check_lines(path, lines)
        check_includes(path, lines)
        check_header(path, lines)
        check_functions(path, lines)
        check_calls(path, without_comments_and_strings(text))
        check_modules(path)
    check_modules_of_folders(paths)
    check_layout(paths)
    print("\n".join(problems) if problems else f"{len(paths)} files are tidy")
    return 1 if problems or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
