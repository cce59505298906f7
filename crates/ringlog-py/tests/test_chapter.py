"""Each block of docs/python.md runs, in its order, on logs of the test's own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import ringlog
from conftest import PATIENCE, ROOT, Children, needs

CHAPTER = (ROOT / "docs/python.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", CHAPTER, re.DOTALL | re.MULTILINE)


def test_each_block_runs(
    name: str,
    programs: Path,
    children: Children,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    needs("pandas", "polars", "pyarrow", "duckdb")
    monkeypatch.chdir(tmp_path)
    columns = [("time", "M8[ns]"), ("symbol", "S8"), ("price", ringlog.decimal(4)), ("size", "u4")]
    quotes = ringlog.create(f"{name}-quotes", columns)
    with quotes.writer() as writer:
        records = np.zeros(100, quotes.schema.dtype)
        records["time"], records["symbol"] = time.time_ns(), b"AAPL"
        writer.extend(records)
    names: dict[str, object] = {}
    for kind, block in BLOCKS:
        # The chapter's names are others here; and a part is finished soon.
        block = re.sub(r"(?<=[\" ])/(?=[a-z])", f"{name}-", block).replace("1G,1h", "10k")
        if kind == "sh":
            command = f"exec {programs / block.strip()}"
            reporter = children.run("sh", "-c", command, stderr=subprocess.DEVNULL)
            end = time.monotonic() + PATIENCE
            while not ringlog.parts.finished("output_0.csv"):
                assert reporter.process.poll() is None and time.monotonic() < end
                time.sleep(0.01)
        elif "ringlog.serve(" in block:
            children.run(sys.executable, "-c", f"import ringlog\n{block}")
            exec(compile(block.split("ringlog.serve(")[0], "python.md", "exec"), names)
            ringlog.connect(f"{name}-calc", PATIENCE).close()
        else:
            assert kind == "python", kind
            exec(compile(block, "python.md", "exec"), names)
    said = capsys.readouterr().out
    # What the comments behind a `print` say is what it printed.
    for due in ("range(2, 1002)", "reader 0, which the writer waits for, is 1024 entries behind",
                '{"symbol":"AAPL","venues":["X","Y"]}', "b'a division by zero'", "4.0\n",
                "5 /ringlog", "no such log; start its writer", "decimal128(19, 4)"):  # fmt: skip
        assert due in said, f"{due}\n{said}"
    frame = names["frame"]
    assert len(frame) == 100  # type: ignore[arg-type]
    assert re.search(r"189\.44[^4]*189\.45", said)
    assert len(list(Path("parquet").glob("*.parquet"))) > 0


def test_the_dataframe_takes_five_lines() -> None:
    _, first = BLOCKS[0]
    lines = [line for line in first.splitlines() if line]
    assert len(lines) <= 5 and "last(minutes=1).to_pandas()" in first


def test_each_exception_is_in_the_chapter_with_its_code() -> None:
    rows = re.findall(r"^\| (\d) \| (.*) \|$", CHAPTER, re.MULTILINE)
    codes = {name: int(code) for code, names in rows for name in re.findall(r"`([A-Z]\w+)`", names)}
    for name, error in vars(ringlog).items():
        if isinstance(error, type) and issubclass(error, ringlog.RinglogError):
            if error not in (ringlog.RinglogError, ringlog.CallError):
                assert codes.get(name) == error.code, name
