#!/usr/bin/env python3
"""Wraps block comments that are too wide, in place, keeping the indent of lists: what clang-format cannot do."""

import re
import sys

COLUMNS_MAX = 110
MARKER = re.compile(r"(\(?\w{1,3}[.)]|[A-Z]+\d+|-)\s+")  # of a list: "(1) ", "1. ", "S3  ", "- "


def wrapped(prefix, first, rest, words):
    """Lines of at most COLUMNS_MAX: `first` and then `rest` is the indent after the comment's prefix."""
    lines, line = [], prefix + first
    empty = True
    for word in words:
        if not empty and len(line) + 1 + len(word) > COLUMNS_MAX:
            lines.append(line)
            line, empty = prefix + rest, True
        line += word if empty else " " + word
        empty = False
    return lines + [line]


def paragraph(prefix, texts):
    """One item or paragraph: rewrapped if a line of it is too wide."""
    if all(len(prefix + text) <= COLUMNS_MAX for text in texts):
        return [prefix + text for text in texts]
    first = re.match(r"\s*", texts[0]).group()
    marker = MARKER.match(texts[0][len(first):])
    body = texts[0][len(first):]
    head = first
    if marker:
        head += marker.group()
        body = body[marker.end():]
    rest = re.match(r"\s*", texts[1]).group() if len(texts) > 1 else " " * len(head)
    return wrapped(prefix, head, rest, " ".join([body, *texts[1:]]).split())


def block(lines):
    """The inner lines of a block comment: " * text"."""
    prefix = re.match(r"\s*\* ?", lines[0]).group()
    output, texts = [], []

    def flush():
        if texts:
            output.extend(paragraph(prefix if prefix.endswith(" ") else prefix + " ", list(texts)))
            texts.clear()

    for line in lines:
        text = line[len(prefix):] if line.startswith(prefix) else line.strip().lstrip("*").lstrip(" ")
        indent = len(text) - len(text.lstrip())
        if not text.strip():
            flush()
            output.append(prefix.rstrip())
            continue
        if texts:
            begun = len(texts[0]) - len(texts[0].lstrip())
            last = len(texts[-1]) - len(texts[-1].lstrip())
            continues = indent == last if len(texts) > 1 else indent >= begun
            if MARKER.match(text.strip()) and indent == begun or not continues:
                flush()
        texts.append(text)
    flush()
    return output


def single(line):
    """A comment on a line of its own that is too wide becomes a block."""
    match = re.match(r"(\s*)/\* (.*) \*/$", line)
    if len(line) <= COLUMNS_MAX or not match:
        return [line]
    indent = match.group(1)
    return [indent + "/*", *wrapped(indent + " * ", "", "", match.group(2).split()), indent + " */"]


def wrap(lines):
    output, at = [], 0
    while at < len(lines):
        if not re.match(r"\s*/\*$", lines[at]):
            output.extend(single(lines[at]))
            at += 1
            continue
        end = next((i for i in range(at, len(lines)) if lines[i].rstrip().endswith("*/")), at)
        output.append(lines[at])
        inner = lines[at + 1:end]
        if inner and all(re.match(r"\s*\*", line) for line in inner):
            output.extend(block(inner))
        else:
            output.extend(inner)
        if end > at:
            output.append(lines[end])
        at = max(end, at) + 1
    return output


for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    result = "\n".join(wrap(text.split("\n")))
    if result != text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(result)
