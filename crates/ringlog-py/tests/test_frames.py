"""Entries as tables: of Arrow, pandas and polars, with the values that the log has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import ringlog
from conftest import needs

DECLARED = "time:timestamp,symbol:text8,price:decimal4,wide:decimal0,load:f64,on:bool,size:u32,note:text"


@pytest.fixture
def entries(name: str) -> ringlog.Entries:
    log = ringlog.create(name, DECLARED)
    with log.writer() as writer:
        writer.append((1_700_000_000_123_456_789, "AAPL", Decimal("189.45"), -(2**63), 1.5, True, 7), "one")
        writer.append((-1, b"\xffA\0B", Decimal("-0.0001"), 2**63 - 1, float("nan"), False, 8), "two é")
        writer.append((0, "", 0, 0, float("inf"), True, 9), b"\xfe")
    return log.last(3)


def test_a_table_of_arrow_has_the_values(entries: ringlog.Entries) -> None:
    (pyarrow,) = needs("pyarrow")
    table = entries.to_arrow("exact")
    assert table.column_names == ["seq", "time", "symbol", "price", "wide", "load", "on", "size", "note"]
    assert table["seq"].to_pylist() == [0, 1, 2]
    assert table["time"].type == pyarrow.timestamp("ns", "UTC")
    assert table["time"].cast(pyarrow.int64()).to_pylist() == [1_700_000_000_123_456_789, -1, 0]
    assert table["symbol"].to_pylist() == ["AAPL", "\ufffdA", ""]
    assert table["price"].to_pylist() == [Decimal("189.4500"), Decimal("-0.0001"), Decimal("0.0000")]
    assert table["wide"].to_pylist() == [Decimal(-(2**63)), Decimal(2**63 - 1), Decimal(0)]
    assert table["on"].to_pylist() == [True, False, True]
    assert table["size"].type == pyarrow.uint32()
    assert table["note"].to_pylist() == ["one", "two é", "\ufffd"]
    assert str(table["load"].to_pylist()) == "[1.5, nan, inf]"
    assert entries.to_arrow()["price"].to_pylist() == [189.45, -0.0001, 0.0]
    assert entries.to_arrow("units")["price"].to_pylist() == [1_894_500, -1, 0]


def test_a_frame_of_pandas_has_the_values(entries: ringlog.Entries) -> None:
    (pandas,) = needs("pandas")
    frame = entries.to_pandas()
    assert (frame.index.name, frame.index.tolist()) == ("seq", [0, 1, 2])
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    assert frame["time"].iloc[0] == pandas.Timestamp(1_700_000_000_123_456_789, unit="ns", tz="UTC")
    assert frame["symbol"].tolist() == ["AAPL", "\ufffdA", ""]
    assert frame["price"].tolist() == [189.45, -0.0001, 0.0]
    assert frame["note"].tolist() == ["one", "two é", "\ufffd"]
    exact = entries.to_pandas("exact")
    assert exact["price"].tolist() == [Decimal("189.4500"), Decimal("-0.0001"), Decimal("0.0000")]
    assert exact["wide"].tolist() == [Decimal(-(2**63)), Decimal(2**63 - 1), Decimal(0)]
    frame.loc[0, "size"] = 5  # it is the caller's
    assert entries.array["size"].tolist() == [7, 8, 9]


def test_a_frame_of_polars_has_the_values(entries: ringlog.Entries) -> None:
    needs("polars", "pyarrow")
    frame = entries.to_polars("exact")
    assert frame["price"].to_list() == [Decimal("189.4500"), Decimal("-0.0001"), Decimal("0.0000")]
    assert frame["symbol"].to_list() == ["AAPL", "\ufffdA", ""]
    assert frame["time"].to_physical().to_list() == [1_700_000_000_123_456_789, -1, 0]
    assert entries.to_polars()["price"].to_list() == [189.45, -0.0001, 0.0]


def test_a_table_of_nothing_has_the_columns(name: str) -> None:
    needs("pyarrow", "pandas", "polars")
    log = ringlog.create(name, DECLARED)
    nothing = log.last(5)
    assert (len(nothing.to_pandas()), list(nothing.to_pandas())[:2]) == (0, ["time", "symbol"])
    for decimals in ("float", "exact", "units"):
        assert nothing.to_arrow(decimals).num_rows == 0
    assert nothing.to_polars().shape == (0, 9)


def test_times_as_integers_are_times_in_tables(name: str) -> None:
    needs("pyarrow", "pandas")
    ringlog.create(name, [("pad", "u4"), ("time", "M8[ns]")]).writer().append((1, 5))
    entries = ringlog.open(name, timestamps="i8").last(1)
    assert entries.array["time"].tolist() == [5]
    assert str(entries.to_pandas()["time"].dtype) == "datetime64[ns, UTC]"
    assert str(entries.to_arrow()["time"].type) == "timestamp[ns, tz=UTC]"


def test_many_texts_are_the_same_as_few(name: str) -> None:
    needs("pandas")
    log = ringlog.create(name, [("symbol", "S8")], capacity=1 << 14)
    symbols = [f"S{i % 997}" for i in range(10_000)]
    with log.writer() as writer:
        writer.extend(np.array([(it.encode(),) for it in symbols], [("symbol", "S8")]))
    assert log.last(10_000).to_pandas()["symbol"].tolist() == symbols


def test_what_decimals_are_is_one_of_three(entries: ringlog.Entries) -> None:
    wrong: Any = "double"
    with pytest.raises(ringlog.Invalid, match="none of 'float'"):
        entries.to_arrow(wrong)


def test_what_a_table_takes_is_said(entries: ringlog.Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for module, table in [("pandas", "to_pandas"), ("pyarrow", "to_arrow"), ("polars", "to_polars")]:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ImportError, match="pip install"):
            getattr(entries, table)()
