"""Entries as tables of Arrow, pandas and polars, which are imported when they are asked for."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .errors import Invalid
from .schema import Column

if TYPE_CHECKING:
    import pandas
    import polars

    from .batch import Entries

#: What a decimal is in a table: the nearest float, itself, or its integer.
Decimals = Literal["float", "exact", "units"]


def to_arrow(entries: Entries, decimals: Decimals = "float") -> Any:
    """Returns the entries as a `pyarrow.Table`."""
    _check(decimals)
    try:
        import pyarrow
    except ImportError:
        raise ImportError("a table of Arrow takes pyarrow: pip install 'ringlog[arrow]'") from None

    columns = {"seq": pyarrow.array(entries.positions)}
    for column in entries.schema.columns:
        columns[column.name] = _arrow(pyarrow, column, entries.array[column.name], decimals)
    body = entries.schema.body
    if body is not None:
        name, kind = body
        of_text = kind in ("text", "json")
        bodies: list[Any] = entries.bodies
        if of_text:
            bodies = [body.decode(errors="replace") for body in bodies]
        columns[name] = pyarrow.array(bodies, pyarrow.string() if of_text else pyarrow.binary())
    return pyarrow.table(columns)


def _arrow(arrow: Any, column: Column, values: npt.NDArray[Any], decimals: Decimals) -> Any:
    if column.scale is not None and decimals == "exact":
        # As 128 bits: the integer, and its sign once more.
        wide = np.empty((len(values), 2), "<i8")
        wide[:, 0] = values
        wide[:, 1] = wide[:, 0] >> 63
        scaled = arrow.decimal128(19, column.scale)
        return arrow.Array.from_buffers(scaled, len(values), [None, arrow.py_buffer(wide)])
    if column.kind == "timestamp":
        return arrow.array(np.ascontiguousarray(values).view("<i8")).cast(arrow.timestamp("ns", "UTC"))
    if column.text_size is not None:
        return arrow.array(_texts(values), arrow.string())
    return arrow.array(np.ascontiguousarray(_numbers(column, values, decimals)))


def to_pandas(entries: Entries, decimals: Decimals = "float") -> pandas.DataFrame:
    """Returns the entries as a DataFrame of pandas."""
    _check(decimals)
    try:
        import pandas
    except ImportError:
        raise ImportError("a DataFrame takes pandas: pip install 'ringlog[pandas]'") from None

    columns: dict[str, Any] = {}
    for column in entries.schema.columns:
        values = entries.array[column.name]
        if column.kind == "timestamp":
            # As integers: a copy in one piece, which is then taken for times.
            times = np.ascontiguousarray(values).view("M8[ns]")
            columns[column.name] = pandas.DatetimeIndex(times).tz_localize("UTC")
        elif column.text_size is not None:
            columns[column.name] = _texts(values)
        else:
            columns[column.name] = np.ascontiguousarray(_numbers(column, values, decimals))
    if entries.schema.body is not None:
        name, kind = entries.schema.body
        of_text = kind in ("text", "json")
        bodies = entries.bodies
        columns[name] = [body.decode(errors="replace") for body in bodies] if of_text else bodies
    index = pandas.Index(entries.positions, name="seq")
    frame: pandas.DataFrame = pandas.DataFrame(columns, index=index, copy=False)
    return frame


def to_polars(entries: Entries, decimals: Decimals = "float") -> polars.DataFrame:
    """Returns the entries as a DataFrame of polars."""
    try:
        import polars
    except ImportError:
        raise ImportError("a DataFrame of polars takes it: pip install 'ringlog[polars]'") from None

    frame = polars.from_arrow(to_arrow(entries, decimals))
    assert isinstance(frame, polars.DataFrame)  # which a table is, and an array is not
    return frame


def _check(decimals: Decimals) -> None:
    if decimals not in ("float", "exact", "units"):
        raise Invalid(f"decimals={decimals!r} is none of 'float', 'exact' and 'units'")


def _numbers(column: Column, values: npt.NDArray[Any], decimals: Decimals) -> npt.NDArray[Any]:
    if column.scale is None or decimals == "units":
        return values
    if decimals == "float":
        return values / 10.0**column.scale
    exact = [decimal.Decimal(units).scaleb(-column.scale, _EXACT) for units in values.tolist()]
    return np.array(exact, dtype=object)


_EXACT = decimal.Context(prec=38)


def _texts(values: npt.NDArray[np.bytes_]) -> npt.NDArray[np.object_]:
    """Texts as they are read: up to the first NUL, and U+FFFD for what is no UTF-8."""
    # Symbols come again and again: each is made once.
    different, which = np.unique(values, return_inverse=True)
    texts = [text.split(b"\0")[0].decode(errors="replace") for text in different.tolist()]
    return np.array(texts, dtype=object)[which]
