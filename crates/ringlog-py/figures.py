"""What Python costs, beside one copy of the same bytes, in one run: python figures.py

Each line is the best of many turns, in which what is compared comes one after the other.
"""

import os
import sys
import time
from collections.abc import Callable

import numpy as np

import ringlog

SLOTS = 1 << 20
BATCH = 4096
TURNS = 5 if "--quick" in sys.argv else 40
COLUMNS = [("time", "M8[ns]"), ("symbol", "S8"), ("price", ringlog.decimal(4)), ("bid", "f8"), ("size", "u8")]


def best(turns: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Nanoseconds of the quickest turn of each."""
    quickest = dict.fromkeys(turns, float("inf"))
    for _ in range(TURNS):
        for name, turn in turns.items():
            begin = time.perf_counter_ns()
            turn()
            quickest[name] = min(quickest[name], time.perf_counter_ns() - begin)
    return quickest


def main() -> None:
    name = f"/ringlog-py-figures-{os.getpid()}"
    log = ringlog.create(name, COLUMNS, capacity=SLOTS)
    try:
        records = np.zeros(SLOTS, log.schema.dtype)
        records["time"] = time.time_ns()
        records["size"] = np.arange(SLOTS)
        copy = np.empty_like(records[:BATCH]).view("u1")
        whole = records.view("u1")
        step = len(copy)
        record = records[0].tobytes()
        values = (time.time_ns(), "AAPL", 1894500, 189.44, 100)
        with log.writer() as writer, log.reader(0) as reader:
            writer.extend(records)

            def read() -> None:
                reader.seek("oldest")
                taken = sum(len(batch.array) for batch in reader.batches(BATCH, timeout=0))
                assert taken == SLOTS, taken

            def memcpy() -> None:
                for at in range(0, len(whole), step):
                    copy[:] = whole[at : at + step]

            def extend() -> None:
                for at in range(0, SLOTS, BATCH):
                    writer.extend(records[at : at + BATCH])

            def append_bytes() -> None:
                for _ in range(BATCH):
                    writer.append(record)

            def append_values() -> None:
                for _ in range(BATCH):
                    writer.append(values)

            def frame() -> None:
                log.last(1 << 16).to_pandas()

            many = best({"read": read, "memcpy": memcpy, "extend": extend})
            few = best({"append bytes": append_bytes, "append a tuple": append_values})
            minute = best({"to_pandas": frame})
    finally:
        ringlog.unlink(name)

    limit = many["memcpy"] / SLOTS
    size = log.schema.entry_size
    print(f"records of {size} bytes, ring of {SLOTS} slots, batches of {BATCH}")
    for what in ("read", "extend", "memcpy"):
        each = many[what] / SLOTS
        print(f"{what:16} {each:8.2f} ns an entry {1e3 / each:8.1f} M/s {each / limit:6.2f} of a memcpy")
    for what, time_ns in few.items():
        print(f"{what:16} {time_ns / BATCH:8.0f} ns an entry")
    print(f"the last 65,536 entries as a DataFrame: {minute['to_pandas'] / 1e6:.1f} ms")


main()
