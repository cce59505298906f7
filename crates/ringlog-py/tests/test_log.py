"""Logs: what is appended is read, exactly, or told as lost; by whom; and what is refused, and how."""

from __future__ import annotations

import csv
import datetime
import io
import os
import re
import subprocess
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringlog
from conftest import PATIENCE, Children, output
from ringlog import _ringlog

COLUMNS: list[Any] = [
    ("time", "M8[ns]"),
    ("symbol", "S8"),
    ("price", ringlog.decimal(4)),
    ("size", "u4"),
]
DECLARED = "time:timestamp,symbol:text8,price:decimal4,size:u32"
SAMPLE = (1_700_000_000_123_456_789, "AAPL", Decimal("189.45"), 100)


def counted(name: str, capacity: int = 1024, **options: Any) -> ringlog.Log:
    """A log of one number."""
    return ringlog.create(name, [("number", "u8")], capacity=capacity, **options)


def numbers(first: int, count: int) -> np.ndarray[Any, np.dtype[np.void]]:
    records = np.zeros(count, [("number", "u8")])
    records["number"] = np.arange(first, first + count)
    return records


# What a log is made of.


def test_a_list_a_dtype_and_a_declaration_are_the_same_schema(name: str) -> None:
    log = ringlog.create(name, COLUMNS)
    assert log.schema.text == "time timestamp 0\nsymbol text8 8\nprice decimal4 16\nsize u32 24\n"
    assert log.schema == ringlog.Schema.declared(DECLARED)
    assert log.schema == ringlog.Schema.of(np.dtype(COLUMNS, align=True))
    assert ringlog.Schema.of(log.schema.dtype) == log.schema
    assert (log.schema.dtype.itemsize, log.schema.entry_size) == (32, 32)
    assert log.schema.dtype["price"].metadata == {"scale": 4}
    assert log.schema.dtype["time"] == np.dtype("M8[ns]")
    opened = ringlog.open(name, timestamps="i8")
    assert opened.schema == log.schema
    assert opened.schema.dtype["time"] == np.dtype("i8")
    assert ringlog.Schema.of(opened.schema.dtype) == log.schema


def test_every_type_of_a_column_survives(name: str) -> None:
    kinds = "u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bool timestamp text13 decimal0 decimal18"
    declared = ",".join(f"c{i}:{kind}" for i, kind in enumerate(kinds.split()))
    log = ringlog.create(name, declared)
    values = (255, 65535, 2**32 - 1, 2**64 - 1, -128, -32768, -(2**31), -(2**63), 1.5, 0.1, True,
              -1, "grüße 😀", -5, Decimal("-9.223372036854775808"))  # fmt: skip
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.append(values)
        record = observer.read().array[0]
        writer.append(record)
        assert observer.read().array[0].tobytes() == record.tobytes()
    assert record.item()[:11] == values[:11]
    assert record["c11"] == np.datetime64(-1, "ns")
    assert record["c12"].decode() == "grüße 😀"
    assert (record["c13"], record["c14"]) == (-5, -(2**63))


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (("a", ">i8"), "other byte order"),
        (("a", "U8"), "use 'S8'"),
        (("a", "M8[us]"), "use 'M8[ns]'"),
        (("a", "O"), "make it the body"),
        (("a", "f8", 3), "give each of its fields a column"),
        (("a", "c16"), "use u1 to u8"),
        (("a", "f2"), "use u1 to u8"),
        (("seq", "u8"), "`seq` cannot be"),
    ],
)
def test_a_column_that_cannot_be_is_refused_with_a_cure(name: str, column: Any, says: str) -> None:
    with pytest.raises(ringlog.Invalid, match=re.escape(says)) as refused:
        ringlog.create(name, [column])
    assert refused.value.code == ringlog.Code.INVALID
    assert name not in ringlog.logs()


def test_a_log_is_made_once_and_opened_where_it_is_the_same(name: str) -> None:
    log = counted(name, lossless=[0, 3])
    assert (log.lossless, log.capacity) == ((0, 3), 1024)
    with pytest.raises(ringlog.Exists):
        counted(name)
    assert counted(name, exist_ok=True, lossless=[0, 3]).id == log.id
    with pytest.raises(ringlog.SchemaError, match="other|number"):
        ringlog.create(name, [("other", "u8")], exist_ok=True, lossless=[0, 3])
    with pytest.raises(ringlog.Unusable, match="gates"):
        counted(name, exist_ok=True, lossless=[1])
    assert name in ringlog.logs()


def test_a_log_in_a_file_is_named_by_its_path(tmp_path: Path) -> None:
    log = counted(str(tmp_path / "a.log"))
    assert log.name == str(tmp_path / "a.log")
    assert ringlog.open(tmp_path / "a.log").id == log.id
    ringlog.remove(tmp_path / "a.log")
    with pytest.raises(ringlog.NotFound):
        ringlog.open(tmp_path / "a.log")


# What is appended.


def test_a_record_is_the_same_in_each_form(name: str) -> None:
    log = ringlog.create(name, COLUMNS)
    by_name = dict(zip(["size", "price", "symbol", "time"], reversed(SAMPLE)))
    array = np.zeros(1, log.schema.dtype)
    array[0] = (SAMPLE[0], b"AAPL", 1_894_500, 100)
    with log.writer() as writer, log.observe("oldest") as observer:
        forms: list[Any] = [SAMPLE, list(SAMPLE), by_name, array[0], array[0].tobytes()]
        assert [writer.append(form) for form in forms] == [0, 1, 2, 3, 4]
        assert writer.extend(array) == range(5, 6)
        assert writer.extend([SAMPLE, by_name]) == range(6, 8)
        batch = observer.read()
    assert {record.tobytes() for record in batch.array} == {array[0].tobytes()}


@pytest.mark.parametrize(
    ("column", "value", "units"),
    [
        ("price", "189.45", 1_894_500),
        ("price", 189.45, 1_894_500),
        ("price", Decimal("-0.0001"), -1),
        ("price", 7, 7),
        ("price", "1.23456", None),
        ("price", 0.1 + 0.2, None),
        ("price", "nan", None),
        ("price", "1e30", None),
        ("price", None, None),
        ("size", 2**32, None),
        ("size", -1, None),
        ("size", 1.5, None),
        ("symbol", "LONGER ONE", None),
        ("symbol", "a\0b", None),
        ("symbol", 5, None),
        ("time", datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), 1_767_225_600 * 10**9),
        ("time", np.datetime64("2026-01-01", "D"), 1_767_225_600 * 10**9),
        ("time", datetime.datetime(2026, 1, 1), None),
    ],
)
def test_a_value_is_exact_or_refused_by_its_column(column: str, value: Any, units: int | None) -> None:
    schema = ringlog.Schema.declared(DECLARED, "i8")
    record = dict(zip(["time", "symbol", "price", "size"], SAMPLE)) | {column: value}
    if units is None:
        with pytest.raises(ringlog.Invalid, match=f"column `{column}` cannot be"):
            schema.pack(record)
    else:
        packed = np.frombuffer(schema.pack(record), schema.dtype)
        assert packed[column][0] == units


def test_records_of_another_shape_are_refused(name: str) -> None:
    log = ringlog.create(name, COLUMNS)
    with log.writer() as writer:
        for record, says in [
            (SAMPLE[:3], "3 values for 4 columns"),
            ({"time": 1}, "column `symbol` has no value"),
            (dict(zip("abcd", SAMPLE)), "column `time` has no value"),
            (b"short", "32 bytes, not 5"),
            (5, "a int is no record"),
            ("text", "a str is no record"),
        ]:
            with pytest.raises(ringlog.Invalid, match=says):
                writer.append(record)  # type: ignore[arg-type]
        with pytest.raises(ringlog.Invalid, match="no body"):
            writer.append(SAMPLE, b"body")
        assert writer.position == 0


def test_an_array_of_other_types_is_converted_exactly_or_refused(name: str) -> None:
    log = ringlog.create(name, COLUMNS)
    other = np.zeros(3, [("size", "i8"), ("price", "f8"), ("symbol", "U4"), ("time", "M8[us]")])
    other["size"], other["price"], other["symbol"] = [1, 2, 3], [189.45, -0.5, 1e6], ["A", "é", "long"]
    other["time"] = np.datetime64("2026-01-01T00:00:00.5", "us")
    with log.writer() as writer, log.observe("oldest") as observer:
        assert writer.extend(other) == range(3)
        array = observer.read().array
        assert array["price"].tolist() == [1_894_500, -5000, 10_000_000_000]
        assert [it.decode() for it in array["symbol"].tolist()] == ["A", "é", "long"]
        assert array["size"].tolist() == [1, 2, 3]
        assert (array["time"] == np.datetime64("2026-01-01T00:00:00.5", "ns")).all()
        for column, value, says in [
            ("size", -1, "no u32"),
            ("price", 0.00001, "no decimal4"),
            ("price", float("nan"), "no decimal4"),
        ]:
            wrong = other.copy()
            wrong[column][1] = value
            with pytest.raises(ringlog.Invalid, match=f"`{column}`.*{says}"):
                writer.extend(wrong)
        with pytest.raises(ringlog.Invalid, match="`symbol`.*too long"):
            wider = np.zeros(3, [("size", "u4"), ("price", "f8"), ("symbol", "U16"), ("time", "M8[us]")])
            wider["symbol"] = "too long one"
            writer.extend(wider)
        with pytest.raises(ringlog.Invalid, match="no column `extra`|column `time` has no value"):
            writer.extend(np.zeros(1, [("extra", "u8")]))
        assert writer.position == 3


# What is read.


def test_batches_have_each_entry_once_and_in_order(name: str) -> None:
    log = counted(name)
    with log.writer() as writer, log.reader(1) as reader:
        assert writer.extend(numbers(0, 1000)) == range(1000)
        batches = list(reader.batches(300, timeout=0))
        assert [(batch.position, len(batch)) for batch in batches] == [(0, 300), (300, 300), (600, 300), (900, 100)]
        assert np.concatenate([batch.array["number"] for batch in batches]).tolist() == list(range(1000))
        assert all(len(batch.lost) == 0 for batch in batches)
        assert batches[1].positions.tolist() == list(range(300, 600))
        empty = reader.read()
        assert (len(empty), bool(empty), empty.position, empty.lost) == (0, False, 1000, range(1000, 1000))


def test_what_is_delivered_and_lost_is_all_that_was_passed(name: str) -> None:
    log = counted(name, capacity=64)
    with log.writer() as writer, log.reader(0) as reader:
        delivered, lost, expected = 0, 0, 0
        for round in range(200):
            writer.extend(numbers(writer.position, 1 + round * 7 % 150))
            for batch in reader.batches(32, timeout=0):
                lost += len(batch.lost)
                if batch.lost:
                    assert batch.lost == range(expected, batch.position)
                assert batch.position == expected + len(batch.lost)
                assert (batch.array["number"] == batch.positions).all()
                expected = batch.position + len(batch)
                delivered += len(batch)
                reader.commit()
        assert expected == writer.position == delivered + lost
        assert lost == reader.lost > 0 and delivered > 0
        snapshot = log.snapshot()
        assert (snapshot.end, snapshot.readers[0].lost, snapshot.lag(0)) == (expected, lost, 0)
        assert snapshot.readers[0].last_lost is not None


def test_an_array_is_the_callers_to_change(name: str) -> None:
    log = counted(name)
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.extend(numbers(0, 10))
        first = observer.read()
        first.array["number"] += 5
        writer.extend(numbers(10, 10))
        observer.read()
        assert first.array["number"].tolist() == list(range(5, 15))


def test_a_reader_begins_where_the_last_one_committed(name: str) -> None:
    log = counted(name)
    with log.writer() as writer:
        writer.extend(numbers(0, 100))
        with log.reader(3) as reader:
            assert len(reader.read(40)) == 40
            reader.commit()
            assert len(reader.read(30)) == 30  # and is not committed
            assert (reader.position, reader.committed, reader.lag) == (70, 40, 60)
        with log.reader(3) as reader:
            assert reader.read().array["number"][0] == 40
        with log.reader(3, start=-5) as reader:
            assert reader.read().array["number"].tolist() == [95, 96, 97, 98, 99]
        with log.reader(3, start=50) as reader:
            assert reader.read(1).position == 50
            reader.seek("newest")
            assert reader.position == 100
            with pytest.raises(ringlog.Invalid, match="no position 101 yet"):
                reader.seek(101)


def test_the_writer_and_each_reader_are_one_process(name: str, children: Children) -> None:
    log = counted(name)
    script = """
import sys, ringlog
log = ringlog.open(sys.argv[1])
writer, reader = log.writer(), log.reader(2)
print("claimed")
sys.stdin.read()
"""
    child = children.python(script, name, stdin=subprocess.PIPE)
    assert child.line() == "claimed"
    for claim in (log.writer, lambda: log.reader(2)):
        with pytest.raises(ringlog.Claimed) as claimed:
            claim()
        assert (claimed.value.code, claimed.value.pid) == (ringlog.Code.CLAIMED, child.process.pid)
    assert claimed.value.reader == 2
    child.kill()
    log.writer().close()
    log.reader(2).close()


def test_an_observer_takes_the_latest_or_begins_where_it_is_told(name: str) -> None:
    log = counted(name, capacity=16)
    with log.observe() as observer, log.writer() as writer:
        assert observer.latest() is None
        writer.extend(numbers(0, 40))
        latest = observer.latest()
        assert latest is not None
        assert (latest.position, latest.record["number"], latest.body) == (39, 39, b"")
        assert log.observe("oldest").read().position >= 24
        assert log.observe(-3).read().array["number"].tolist() == [37, 38, 39]
        assert log.observe(30).read(1).position == 30
        assert not log.observe("newest").read()
        assert not observer.read()
        with pytest.raises(AttributeError):
            observer.commit()  # type: ignore[attr-defined]
        with pytest.raises(ringlog.Invalid, match="no beginning"):
            log.observe("somewhere")  # type: ignore[arg-type]


def test_the_last_minute_is_what_is_not_older(name: str) -> None:
    log = ringlog.create(name, COLUMNS, capacity=1 << 15)
    now = time.time_ns()
    with log.writer() as writer:
        records = np.zeros(20_000, log.schema.dtype)
        records["time"] = (now - 1_000_000_000 * np.arange(20_000)[::-1]).astype("M8[ns]")
        records["size"] = np.arange(20_000)
        writer.extend(records)
        minute = log.last(minutes=1)
        assert 55 <= len(minute) <= 61
        assert minute.array["size"].tolist() == list(range(20_000 - len(minute), 20_000))
        assert minute.positions.tolist() == minute.array["size"].tolist()
        assert len(log.last(hours=3)) in range(10_790, 10_802)
        assert len(log.last(hours=24)) == 20_000
        assert log.last(5).array["size"].tolist() == list(range(19_995, 20_000))
        assert (len(log.last(0)), len(log.last(50_000))) == (0, 20_000)
        assert len(log.last(minutes=1, by="time")) == len(log.last(seconds=60))
    for wrong in ({}, {"entries": 5, "minutes": 1}):
        with pytest.raises(ringlog.Invalid, match="number of entries, or a time"):
            log.last(**wrong)  # type: ignore[arg-type]


def test_the_last_minute_of_nothing_is_empty(name: str) -> None:
    log = ringlog.create(name, COLUMNS)
    assert len(log.last(minutes=1)) == 0
    with log.writer() as writer:
        writer.append(SAMPLE)
    assert len(log.last(minutes=1)) == 0
    ringlog.unlink(name)
    with pytest.raises(ringlog.Invalid, match="no column is a timestamp"):
        counted(name).last(minutes=1)


def test_any_byte_but_zero_is_true(name: str) -> None:
    log = ringlog.create(name, [("flag", "?"), ("other", "?")])
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.append(b"\x02\x00")
        writer.append((True, False))
        batch = observer.read()
    assert batch.array["flag"].view("u1").tolist() == [1, 1]
    assert batch.array["other"].tolist() == [False, False]


# Lossless logs.


def test_a_lossless_log_is_full_and_says_for_whom(name: str) -> None:
    log = counted(name, capacity=8, lossless=[0])
    with log.writer() as writer, log.reader(0) as reader:
        assert reader.is_gate and writer.room == 8
        with pytest.raises(ringlog.Full) as full:
            writer.extend(numbers(0, 20), timeout=0)
        assert (full.value.appended, full.value.reader, full.value.behind) == (8, 0, 8)
        with pytest.raises(ringlog.Full, match="reader 0.* is 8 entries behind"):
            writer.append((8,), timeout=0.01)
        assert writer.position == 8
        assert reader.read(3).array["number"].tolist() == [0, 1, 2]
        reader.commit()
        assert writer.extend(numbers(8, 3), timeout=0) == range(8, 11)
        assert writer.room == 0


def test_a_lossless_writer_waits_for_its_reader(name: str) -> None:
    log = counted(name, capacity=16, lossless=[0])
    got: list[int] = []

    def read() -> None:
        with log.reader(0) as reader:
            for batch in reader.batches(5, timeout=PATIENCE):
                got.extend(batch.array["number"].tolist())
                reader.commit()
                if len(got) == 2000:
                    return

    thread = threading.Thread(target=read)
    thread.start()
    with log.writer() as writer:
        for number in range(1000):
            writer.append((number,))
        writer.extend(numbers(1000, 1000))
        writer.wake()
        thread.join(PATIENCE)
    assert got == list(range(2000))


# What is refused, and how.


def test_codes_are_those_of_the_one_table() -> None:
    assert {code.name: int(code) for code in ringlog.Code} == dict(_ringlog.codes())
    assert int(ringlog.Code.NOT_FOUND) == 5
    with pytest.raises(ringlog.NotFound) as missing:
        ringlog.open("/ringlog-no-such-log")
    assert (missing.value.code, str(missing.value)) == (
        5,
        "/ringlog-no-such-log: no such log; start its writer, which makes it",
    )


def test_what_has_not_been_read_is_not_removed(name: str) -> None:
    log = counted(name)
    with log.writer() as writer, log.reader(4) as reader:
        writer.append((1,))
        reader.read()
        with pytest.raises(ringlog.Claimed):
            ringlog.remove(name)
    with pytest.raises(ringlog.Undelivered) as undelivered:
        ringlog.remove(name)
    assert undelivered.value.reader == 4
    ringlog.unlink(name)


def test_what_is_no_log_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "no.log").write_bytes(b"x" * 10_000)
    with pytest.raises(ringlog.Unusable) as unusable:
        ringlog.open(tmp_path / "no.log")
    assert unusable.value.code == ringlog.Code.UNUSABLE
    (tmp_path / "mine").mkdir(0)
    with pytest.raises(ringlog.RinglogError):
        ringlog.create(tmp_path / "no such directory" / "a.log", [("a", "u8")])


def test_what_is_closed_says_so(name: str) -> None:
    log = counted(name)
    writer, reader, observer = log.writer(), log.reader(0), log.observe()
    for it in (writer, reader, observer):
        it.close()
        it.close()
    with pytest.raises(ringlog.Invalid, match="the writer is closed"):
        writer.append((1,))
    with pytest.raises(ringlog.Invalid, match="the reader is closed"):
        reader.read()
    with pytest.raises(ringlog.Invalid, match="the observer is closed"):
        observer.latest()


def test_a_child_by_fork_has_no_part_in_a_log(name: str) -> None:
    log = counted(name)
    with log.writer() as writer, log.reader(0) as reader:
        writer.append((1,))
        pid = os.fork()
        if pid == 0:
            said = []
            for use in (lambda: writer.append((2,)), lambda: reader.read()):
                try:
                    use()
                except ringlog.Invalid as e:
                    said.append("before a fork" in str(e))
            writer.close()
            # A log of its own it can have.
            said.append(len(ringlog.open(name).observe("oldest").read()) == 1)
            os._exit(0 if said == [True, True, True] else 1)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert writer.append((2,)) == 1
        with pytest.raises(ringlog.Claimed):
            log.writer()


def test_threads_take_turns(name: str) -> None:
    log = counted(name, capacity=1 << 15)
    with log.writer() as writer, log.reader(0) as reader:

        def append() -> None:
            for _ in range(2000):
                writer.append((7,))

        def read() -> None:
            for batch in reader.batches(100, timeout=0.5):
                taken.append(batch.positions)

        taken: list[Any] = []
        threads = [threading.Thread(target=it) for it in (append, append, append, read, read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert writer.position == 6000
        assert sorted(np.concatenate(taken).tolist()) == list(range(6000))


# With the programs.


def test_the_reporter_exports_what_python_appends(name: str, programs: Path, tmp_path: Path) -> None:
    log = ringlog.create(name, COLUMNS)
    with log.writer() as writer:
        for i in range(100):
            writer.append((i, f"S{i}", Decimal(i) / 100, i))
    rows = output(programs / "reporter", "0", "--shm", name, "--once", "--output", "-", cwd=tmp_path)
    table = list(csv.DictReader(io.StringIO(rows)))
    assert [row["seq"] for row in table] == [str(i) for i in range(100)]
    assert table[7] == {"seq": "7", "time": "7", "symbol": "S7", "price": "0.0700", "size": "7"}


def test_python_reads_what_the_writer_appends(name: str, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("time,symbol,price,size\n5,AAPL,189.4500,100\n6,MSFT,-0.0001,200\n")
    output(programs / "writer", "--shm", name, "--input", tmp_path / "in.csv", "--schema", DECLARED,
           "--time-unit", "ns", "--rate", "max")  # fmt: skip
    batch = ringlog.open(name, timestamps="i8").observe("oldest").read()
    assert batch.array.tolist() == [(5, b"AAPL", 1_894_500, 100), (6, b"MSFT", -1, 200)]
