"""Parts that are handed over to DuckDB and Parquet: each exactly once, whatever is killed in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ringlog
from conftest import PATIENCE, Children, needs, output

DECLARED = "time:timestamp,symbol:text8,price:decimal4,number:u64"


def part(directory: Path, first: int, rows: int, *, number: int = 0, price: str = "1.5000") -> Path:
    """A finished part, as a reporter leaves it."""
    infix = f"{first:015}" + (f".{number}" if number else "")
    path = directory / f"out.{infix}.csv"
    lines = [f"{i},{i * 10},S{i % 3},{price},{i}\n" for i in range(first, first + rows)]
    path.write_text("seq,time,symbol,price,number\n" + "".join(lines))
    return path


def sequence(values: Any) -> list[int]:
    return [it[0] if isinstance(it, tuple) else it for it in values]


def test_parts_are_found_in_their_order_and_nothing_else_is(tmp_path: Path) -> None:
    parts = [part(tmp_path, 1000, 1), part(tmp_path, 20, 1), part(tmp_path, 20, 1, number=1), part(tmp_path, 0, 1)]
    for other in ["out.csv", "out.1.csv", "out.000000000000012.jsonl", "other.000000000000012.csv"]:
        (tmp_path / other).write_text("seq\n")
    (tmp_path / "out.000000000000500.csv").touch()  # which a reporter reserves, and renames over
    assert ringlog.parts.finished(tmp_path / "out.csv") == [parts[3], parts[1], parts[2], parts[0]]
    (tmp_path / "out.000000000000900.csv.zst").write_text("x")
    with pytest.raises(ringlog.Invalid, match="without --compress"):
        ringlog.parts.finished(tmp_path / "out.csv")


def test_each_part_is_in_the_table_once(tmp_path: Path) -> None:
    duckdb, _ = needs("duckdb", "pyarrow")
    first, second = part(tmp_path, 0, 100), part(tmp_path, 100, 50)
    connection = duckdb.connect(str(tmp_path / "a.db"))

    def hand_over() -> list[Path]:
        return ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "a table", DECLARED)

    assert hand_over() == [first, second]
    assert hand_over() == []
    third = part(tmp_path, 150, 10)
    assert hand_over() == [third]
    rows = connection.execute('SELECT seq, time, symbol, price, number FROM "a table" ORDER BY seq').fetchall()
    assert sequence(rows) == list(range(160))
    assert rows[7][2:] == ("S1", Decimal("1.5000"), 7)
    types = connection.execute('SELECT typeof(time), typeof(price), typeof(number) FROM "a table"').fetchone()
    assert types == ("TIMESTAMP_NS", "DECIMAL(19,4)", "UBIGINT")
    assert connection.execute('SELECT epoch_ns(time) FROM "a table" WHERE seq = 7').fetchone() == (70,)
    # Into another table they go again, and from there they are removed.
    ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "other", remove=True)
    assert connection.execute("SELECT count(*), typeof(any_value(price)) FROM other").fetchone() == (160, "DOUBLE")
    assert not first.exists() and not third.exists()


def test_each_part_is_a_file_of_parquet_once(tmp_path: Path) -> None:
    parquet, pyarrow = needs("pyarrow.parquet", "pyarrow")
    part(tmp_path, 0, 100)
    part(tmp_path, 100, 50)
    files = tmp_path / "files"

    def hand_over(**options: Any) -> list[str]:
        done = ringlog.parts.to_parquet(tmp_path / "out.csv", files, DECLARED, **options)
        return [path.name for path in done]

    assert hand_over() == ["out.000000000000000.parquet", "out.000000000000100.parquet"]
    assert hand_over() == []
    table = pyarrow.concat_tables([parquet.read_table(path) for path in sorted(files.glob("*.parquet"))])
    assert table["seq"].to_pylist() == list(range(150))
    assert table["time"].type == pyarrow.timestamp("ns", "UTC")
    assert table["price"].to_pylist()[0] == Decimal("1.5000")
    assert table["number"].type == pyarrow.uint64()
    assert hand_over(remove=True) == []
    assert ringlog.parts.finished(tmp_path / "out.csv") == []


def test_a_part_of_another_log_with_an_old_name_is_another_part(tmp_path: Path) -> None:
    duckdb, _ = needs("duckdb", "pyarrow")
    connection = duckdb.connect()
    for price in ("1.5000", "2.5000", "2.5000"):
        part(tmp_path, 0, 10, price=price)
        ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", DECLARED)
        ringlog.parts.to_parquet(tmp_path / "out.csv", tmp_path / "files", DECLARED, remove=True)
    assert connection.execute("SELECT count(*), sum(price) FROM rows").fetchone() == (20, Decimal("40.0000"))
    assert sorted(path.name for path in (tmp_path / "files").glob("*.parquet")) == [
        "out.000000000000000-1.parquet",
        "out.000000000000000.parquet",
    ]


def test_a_part_that_its_reporter_has_is_left_until_later(tmp_path: Path, children: Children) -> None:
    duckdb, _ = needs("duckdb", "pyarrow")
    path = part(tmp_path, 0, 10)
    script = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked")
sys.stdin.read()
"""
    reporter = children.python(script, str(path), stdin=subprocess.PIPE)
    assert reporter.line() == "locked"
    connection = duckdb.connect()
    assert ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", remove=True) == []
    reporter.kill()
    assert ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", remove=True) == [path]


def test_a_part_of_other_columns_is_refused_and_nothing_of_it_stays(tmp_path: Path) -> None:
    duckdb, _ = needs("duckdb", "pyarrow")
    path = part(tmp_path, 0, 10)
    connection = duckdb.connect()
    with pytest.raises(ringlog.Invalid, match="its columns are seq, time, symbol, price, number"):
        ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", "time:timestamp")
    path.write_text(path.read_text() + "10,nonsense,S,1.0,1\n")
    with pytest.raises(Exception, match="nonsense"):
        ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", DECLARED)
    assert connection.execute("SELECT count(*) FROM ringlog_parts").fetchone() == (0,)
    with pytest.raises(Exception, match="nonsense"):
        ringlog.parts.to_parquet(tmp_path / "out.csv", tmp_path / "files", DECLARED)
    assert list((tmp_path / "files").glob("*.parquet")) == []


@pytest.mark.parametrize("time", ["ns", "rfc3339"])
def test_what_a_reporter_exports_arrives_as_it_was(name: str, programs: Path, tmp_path: Path, time: str) -> None:
    duckdb, _ = needs("duckdb", "pyarrow")
    kinds = "u8 u64 i8 i64 f32 f64 bool timestamp text13 decimal0 decimal18 timestamp"
    declared = ",".join(f"c{i}:{kind}" for i, kind in enumerate(kinds.split())) + ",body:bytes"
    log = ringlog.create(name, declared)
    rows = [
        (255, 2**64 - 1, -128, -(2**63), 1.5, 0.1, True, 1_700_000_000_123_456_789, 'a,"b"\nc', -5, "0.5", -1),
        (0, 0, 0, 0, float("inf"), float("-inf"), False, 0, "", 0, Decimal("-9.223372036854775808"), 1),
        (1, 1, 1, 1, 1e30, 5e-324, True, 1, "é", 2**63 - 1, 0, 2),
    ]
    bodies = [b"\xff\x00", b"", b"x" * 100_000]
    with log.writer() as writer:
        writer.extend(rows, bodies)
    output(programs / "reporter", "0", "--shm", name, "--once", "--output", "out.csv", "--time", time, cwd=tmp_path)
    (tmp_path / "out.csv").rename(tmp_path / "out.000000000000000.csv")
    connection = duckdb.connect()
    ringlog.parts.to_duckdb(tmp_path / "out.csv", connection, "rows", log.schema)
    ringlog.parts.to_parquet(tmp_path / "out.csv", tmp_path, log.schema)
    expected = log.last(3).to_arrow("exact").to_pylist()
    query = "SELECT * REPLACE (epoch_ns(c7) AS c7, epoch_ns(c11) AS c11) FROM rows ORDER BY seq"
    cursor = connection.execute(query)
    names = [it[0] for it in cursor.description]
    for row, entry in zip(cursor.fetchall(), expected, strict=True):
        for column, value in zip(names, row, strict=True):
            due = entry[column].value if column in ("c7", "c11") else entry[column]
            due = b"" if column == "body" and due is None else due
            assert value == due or value != value and due != due, (column, value, due)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "out.000000000000000.parquet")
    assert table.to_pylist() == expected


HAND_OVER = """
import os, signal, sys
import ringlog, ringlog.parts

output, where, log, steps = sys.argv[1:5]
schema = ringlog.open(log).schema

def killer(steps):
    # Kills this process before so many lines of the package have been run.
    left = steps
    def line(frame, event, arg):
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return line
    return lambda frame, event, arg: line if frame.f_code.co_filename == ringlog.parts.__file__ else None

import pyarrow.csv, pyarrow.parquet
if where.endswith(".db"):
    import duckdb
    connection = duckdb.connect(where)
    hand_over = lambda: ringlog.parts.to_duckdb(output, connection, "rows", schema, remove=True)
else:
    hand_over = lambda: ringlog.parts.to_parquet(output, where, schema, remove=True)
sys.settrace(killer(int(steps)))
hand_over()
sys.settrace(None)
print("done")
"""


@pytest.mark.parametrize("where", ["rows.db", "files"])
def test_each_row_is_there_once_whoever_is_killed(
    name: str, programs: Path, tmp_path: Path, children: Children, where: str
) -> None:
    needs("duckdb", "pyarrow")
    log = ringlog.create(name, DECLARED, capacity=1 << 16, lossless=[0])
    report: list[str | Path] = [programs / "reporter", "0", "--shm", name, "--output", "out.csv", "--rotate", "10k"]
    records = np.zeros(300, log.schema.dtype)
    records["price"] = 15_000
    kills, steps, done = 0, 1, 0
    writer = log.writer()
    while done < 3:  # until nothing is left of it that is not killed
        records["number"] = np.arange(writer.position, writer.position + len(records))
        if writer.room and writer.room > len(records):
            writer.extend(records)
        reporter = children.run(*report, "--once", cwd=tmp_path, stderr=subprocess.DEVNULL)
        if kills % 3 == 0:
            reporter.kill()  # it continues, too
        else:
            assert reporter.end() == 0
        child = children.python(HAND_OVER, "out.csv", where, name, str(steps), cwd=tmp_path)
        ended = child.end()
        assert ended in (0, -signal.SIGKILL), ended
        if ended == 0:
            done += 1
        else:
            kills += 1
            steps += 7
    writer.close()
    # The rest of it.
    output(*report, "--once", cwd=tmp_path)
    (tmp_path / "out.csv").rename(tmp_path / f"out.{10**14:015}.csv")
    output(sys.executable, "-c", HAND_OVER, "out.csv", where, name, "0", cwd=tmp_path)
    assert ringlog.parts.finished(tmp_path / "out.csv") == []
    print(f"{kills} kills")
    assert kills > 10
    end = log.snapshot().end
    if where == "files":
        import pyarrow.parquet

        files = sorted((tmp_path / "files").glob("*.parquet"))
        got = [seq for path in files for seq in pyarrow.parquet.read_table(path)["seq"].to_pylist()]
        assert len(files) > 5
    else:
        import duckdb

        with duckdb.connect(str(tmp_path / "rows.db")) as connection:
            got = sequence(connection.execute("SELECT seq FROM rows ORDER BY rowid").fetchall())
            assert connection.execute("SELECT count(*) FROM rows WHERE seq <> number").fetchone() == (0,)
    assert sorted(got) == list(range(end))
