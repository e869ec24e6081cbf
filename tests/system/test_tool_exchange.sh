#!/bin/bash
# dump and load: any bytes come back exactly, in every format; sizes, expiry, spaces, empty keys and values.
. "$(dirname "$0")/tool.bash"

# Records of odd bytes as JSON Lines, in the form that dump writes; and as other forms that load takes.
python3 - <<'END'
import base64, json, random
random.seed(7)
far = 4102444800000
odd = [b"", b"\0", b"\t\n\r\\", b"\xff\xfe", "käse \u2028 \U0001f9c0".encode(), b"\xed\xa0\x80", b"\xc0\x80", b'"quoted"',
       b"\x7f\x1b\x08\x0c", b"\\x41\\0", b"*3\r\n$3\r\nSET\r\n", bytes(range(256)), b"\r", b" ", b"{}", b"a" * 70000,
       bytes(random.randrange(256) for _ in range(5_000_000))]
records = {key: (random.choice(odd[:-1]), far + i if i % 2 else 0) for i, key in enumerate(odd[:-1])}
records[b"large"] = (odd[-1], far)
records[b"one byte"] = (b"x", 0)
for i in range(256): records[b"byte " + bytes([i])] = (bytes([255 - i]), 0)
for i in range(3000):
    records[bytes(random.randrange(256) for _ in range(random.randrange(1, 40)))] = (
        bytes(random.randrange(256) for _ in range(random.randrange(300))), random.choice([0, 0, far + i]))

def member(name, data):
    try:
        text = data.decode()
        if all(c >= " " or c in "\b\t\n\f\r" for c in text): return f'"{name}": ' + json.dumps(text, ensure_ascii=False)
    except UnicodeDecodeError:
        pass
    return f'"{name}_base64": "' + base64.b64encode(data).decode() + '"'

with open("records.jsonl", "wb") as out:
    for key, (value, expiry) in records.items():
        end = f', "expires_at_ms": {expiry}' if expiry else ""
        out.write(("{" + member("key", key) + ", " + member("value", value) + end + "}\n").encode())

# The same records, members turned round, everything that can be escaped escaped, blanks in between.
with open("other.jsonl", "wb") as out:
    for key, (value, expiry) in records.items():
        def other(name, data):
            try: return f' "{name}" : ' + json.dumps(data.decode())
            except UnicodeDecodeError: return f' "{name}_base64"\t: "' + base64.b64encode(data).decode() + '"'
        out.write((f'\t{{"expires_at_ms":{expiry} ,' + other("value", value) + " ," + other("key", key) + " } \r\n\n").encode())

def bulk(data): return b"$%d\r\n%s\r\n" % (len(data), data)
with open("records.resp", "wb") as out:
    for key, (value, expiry) in records.items():
        end = bulk(b"pxat") + bulk(b"%d" % expiry) if expiry else b""
        out.write(b"*%d\r\n" % (5 if expiry else 3) + bulk(b"set") + bulk(key) + bulk(value) + end)

# Inline commands: every byte in double quotes.
with open("inline.resp", "wb") as out:
    small = {key: pair for key, pair in records.items() if len(key) + len(pair[0]) < 10000}
    for key, (value, expiry) in small.items():
        def quoted(data): return b'"' + b"".join(b"\\x%02x" % byte for byte in data) + b'"'
        out.write(b"SET " + quoted(key) + b"  " + quoted(value) + (b" PXAT %d" % expiry if expiry else b"") + b"\r\n")
END
LC_ALL=C sort records.jsonl > expected
same() { stave dump "$1" | LC_ALL=C sort | cmp - "${2:-expected}" || fail "$1 holds something else"; }

expect_code 0 stave load first records.jsonl --json
expect_json "it['stored'] == $(wc -l < records.jsonl)"
same first
for format in jsonl tsv resp; do
    stave dump first --format $format > "dump.$format"
    stave load "from-$format" --format $format < "dump.$format" > out
    same "from-$format"
    stave load "batch-$format" --format $format --batch 7 --durable "dump.$format" > out
    same "batch-$format"
done
! grep -qP '[\x00-\x08\x0b-\x1f]' dump.tsv || fail "control characters in TSV"
iconv -f UTF-8 -t UTF-8 dump.tsv > /dev/null && iconv -f UTF-8 -t UTF-8 dump.jsonl > /dev/null || fail "not UTF-8"
stave load other other.jsonl > out
same other
stave load resp --format resp records.resp > out
same resp
stave load inline --format resp inline.resp > out
python3 - <<'END'
import base64, json
def size(line):
    record = json.loads(line)
    return sum(len(base64.b64decode(record[name + "_base64"]) if name + "_base64" in record else record[name].encode())
               for name in ("key", "value"))
with open("expected", "rb") as lines, open("expected.small", "wb") as out:
    out.writelines(line for line in lines if size(line) < 10000)
END
same inline expected.small

# Input that comes in pieces.
python3 - <<'END' | stave load pieces --format resp > out
import sys, time
data = open("dump.resp", "rb").read()
at = 0
for i, size in enumerate([1, 1, 1, 5, 7, 60000, 65536, 1, 3] * 3):
    sys.stdout.buffer.write(data[at:at + size]); sys.stdout.buffer.flush(); at += size
    time.sleep(0.005)
sys.stdout.buffer.write(data[at:])
END
same pieces

# Spaces are dumped one by one.
expect_code 0 stave load spaces records.jsonl --space 3
expect_code 0 stave dump spaces
expect_text ""
stave dump spaces --space 3 | LC_ALL=C sort | cmp - expected || fail "space 3"

# EX and PX count from now; what is quoted, and what is not, as in Redis.
printf 'SET a 1 EX 1000\r\nset b 2 px 500000\r\nSET c '"'"'it\\'"'"'s'"'"' EXAT 4102444800\n\r\n  SET   "d\\n\\"" x"y"\r\nSET e ""\n' > commands
expect_code 0 stave load times --format resp commands
expect_code 0 stave get times a --json
expect_json 'abs(it["expires_at_ms"] - __import__("time").time() * 1000 - 1000000) < 60000'
expect_code 0 stave get times b --json
expect_json 'abs(it["expires_at_ms"] - __import__("time").time() * 1000 - 500000) < 60000'
expect_code 0 stave get times c --json
expect_json 'it["value"] == "it'"'"'s" and it["expires_at_ms"] == 4102444800000'
expect_code 0 stave get times $'d\n"'
expect_text xy
expect_code 0 stave get times e
expect_text ""

# The last line needs no line end; a record that expired long ago is not there.
printf '{"key":"k","value":"v"}\n{"key":"old","value":"v","expires_at_ms":1}' | stave load last > out
expect_code 0 stave get last k
expect_code 1 stave get last old
