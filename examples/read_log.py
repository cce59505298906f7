#!/usr/bin/env python3
"""Prints the entries that a log holds as CSV. Usage: read_log.py /NAME (shared memory) | PATH (a file)

Written from docs/format.md alone. It looks without a claim and stores nothing.
"""
import ctypes, decimal, math, mmap, os, struct, sys

PLAIN = dict(u8="B", u16="H", u32="I", u64="Q", i8="b", i16="h", i32="i", i64="q", f32="f", f64="d",
             bool="?", timestamp="q")

def float_text(x, kind):
    if not math.isfinite(x):
        return "NaN" if math.isnan(x) else str(x)
    near = (f"{y:.{n}e}" for n in range(9) for y in (x, x * (1 + 2**-25)))  # fewest digits first
    short = repr(x) if kind == "f64" else next(s for s in near if ctypes.c_float(float(s)).value == x)
    number = decimal.Decimal(short).normalize()
    exponent = number.adjusted()
    if not (-5 <= exponent <= 15 if kind == "f64" else -6 <= exponent <= 12):
        return f"{number.scaleb(-exponent):f}e{exponent:+d}"
    return f"{number:f}" if "." in f"{number:f}" else f"{number:f}.0"

def value_text(kind, record, offset):
    if kind.startswith("text"):
        text = record[offset:offset + int(kind[4:])].split(b"\0")[0].decode("utf-8", "replace")
        return '"' + text.replace('"', '""') + '"' if set(text) & set('",\r\n') else text
    value, = struct.unpack_from("<" + PLAIN.get(kind, "q"), record, offset)
    if kind.startswith("decimal"):
        return f"{decimal.Decimal(value).scaleb(-int(kind[7:])):f}"
    return float_text(value, kind) if kind in ("f32", "f64") else str(value).lower()

def rows(log):
    if len(log) < 0x2000 or log[0x80:0x90] != b"RINGLOG1\3\0\0\0\0\0\0\0":
        sys.exit("not a log of format 3")
    arena, inline, _, _, role, _, base = struct.unpack_from("<7Q", log, 0xC8)
    if arena or inline or role:
        sys.exit("the log has bodies or a role, which this script does not read")
    capacity, slot_size, entry_size, _, _, _, schema_len = struct.unpack_from("<7Q", log, 0x90)
    used = 8 + (entry_size + 7) // 8 * 8
    stride = 1 << (used - 1).bit_length() if used <= 4096 else (used + 4095) // 4096 * 4096
    if (capacity < 2 or capacity & (capacity - 1) or not entry_size or slot_size != stride
            or len(log) != 0x2000 + capacity * slot_size or schema_len > 2560):
        sys.exit("sizes that do not fit each other")
    lines = log[0xC00:0xC00 + schema_len].decode().split("\n")[:-1]
    columns = [(name, kind, int(offset)) for name, kind, offset in (line.split(" ") for line in lines)]
    yield ",".join(["seq"] + [name for name, _, _ in columns])
    words = memoryview(log).cast("Q")  # an index is one aligned load of 8 bytes
    stamps = enumerate(words[0x400::slot_size // 8].tolist())
    end = max((s for i, s in stamps if s < 1 << 62 and (s - 1) % capacity == i), default=0)
    for position in range(max(base, end - capacity), end):
        at = 0x2000 + position % capacity * slot_size
        if words[at // 8] == position + 1:
            record = log[at + 8:at + 8 + entry_size]
            if words[at // 8] == position + 1:  # the second look: the copy is of this entry
                yield ",".join([str(position)] + [value_text(k, record, o) for _, k, o in columns])

sys.stdout.reconfigure(encoding="utf-8", newline="\n")
name = sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)
with open(name if os.path.exists(name) else "/dev/shm/" + name.strip("/"), "rb") as file:
    for row in rows(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)):
        print(row)
