"""The columns of a log as a dtype of numpy, and values as records of it."""

from __future__ import annotations

import datetime
import decimal
import json
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import _ringlog
from .errors import Invalid

if TYPE_CHECKING:
    from typing import TypeAlias

    #: What can be appended: a record of numpy, its bytes, or its values by order or by name.
    Record: TypeAlias = np.void | bytes | Sequence[Any] | Mapping[str, Any]
    #: Many of them: an array of records, or a sequence.
    Records: TypeAlias = npt.NDArray[np.void] | Sequence[Any]

Timestamps = Literal["M8[ns]", "i8"]
Body = Literal["bytes", "text", "json", "msgpack"]

#: A time in nanoseconds since 1970, UTC, as the field of a dtype.
timestamp = np.dtype("M8[ns]")

_PLAIN = {
    "u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8",
    "i8": "i1", "i16": "<i2", "i32": "<i4", "i64": "<i8",
    "f32": "<f4", "f64": "<f8", "bool": "?",
}  # fmt: skip
_KINDS = {np.dtype(field): kind for kind, field in _PLAIN.items()}
_STRUCT = {
    "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
    "i8": "b", "i16": "h", "i32": "i", "i64": "q",
    "f32": "f", "f64": "d", "bool": "?", "timestamp": "q",
}  # fmt: skip
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


def decimal_(scale: int) -> np.dtype[np.int64]:
    """The field of a decimal: an integer in units of 10^-scale, which its metadata says."""
    if not 0 <= operator.index(scale) <= 18:
        raise Invalid(f"a decimal of {scale} digits behind the point; they are 0 to 18")
    return np.dtype("<i8", metadata={"scale": scale})


def text(size: int) -> np.dtype[np.bytes_]:
    """The field of a text of up to `size` bytes of UTF-8."""
    return np.dtype(f"S{size}")


@dataclass(frozen=True)
class Column:
    """A column: its name, its type as a schema has it, and where it lies in a record."""

    name: str
    kind: str
    offset: int

    @property
    def scale(self) -> int | None:
        """The digits behind the point, of a decimal."""
        return int(self.kind[7:]) if self.kind.startswith("decimal") else None

    @property
    def text_size(self) -> int | None:
        """The bytes of a text."""
        return int(self.kind[4:]) if self.kind.startswith("text") else None

    def field(self, timestamps: Timestamps) -> np.dtype[Any]:
        """Returns it as the field of a dtype."""
        if self.kind == "timestamp":
            is_int = timestamps == "i8"
            return np.dtype("<i8", metadata={"unit": "ns"}) if is_int else timestamp
        if self.text_size is not None:
            return text(self.text_size)
        return decimal_(self.scale) if self.scale is not None else np.dtype(_PLAIN[self.kind])


class Schema:
    """The columns of a log, and what body comes behind them, if one does."""

    def __init__(self, text: str, entry_size: int, timestamps: Timestamps = "M8[ns]") -> None:
        if timestamps not in ("M8[ns]", "i8"):
            raise Invalid(f"timestamps={timestamps!r} is neither 'M8[ns]' nor 'i8'")
        self.text = text
        self.entry_size = entry_size
        self.timestamps: Timestamps = timestamps
        lines = [line.split(" ") for line in text.splitlines()]
        self.body: tuple[str, Body] | None = None
        if lines and lines[-1][1] in ("bytes", "text", "json", "msgpack"):
            name, kind, _ = lines.pop()
            self.body = (name, kind)  # type: ignore[assignment]
        self.columns = tuple(Column(name, kind, int(offset)) for name, kind, offset in lines)

    @classmethod
    def declared(cls, declaration: str, timestamps: Timestamps = "M8[ns]") -> Schema:
        """Makes one of a declaration such as `time:timestamp,symbol:text8,price:decimal4,body:json`."""
        return cls(*_ringlog.declared(declaration), timestamps)

    @classmethod
    def of(
        cls,
        columns: str | npt.DTypeLike | Schema | None,
        body: Body | None = None,
        timestamps: Timestamps = "M8[ns]",
    ) -> Schema:
        """Makes one of a declaration, a dtype, or a list of fields, which is laid out as C would a struct."""
        if isinstance(columns, Schema):
            return columns if body is None else cls._with_body(columns, body)
        if isinstance(columns, str):
            schema = cls.declared(columns, timestamps)
            return schema if body is None else cls._with_body(schema, body)
        if columns is None:
            if body is None:
                raise Invalid("a log of no columns has a body: pass body='json' or another one")
            return cls(f"body {body} 0\n", 0, timestamps)
        return cls._of_dtype(_dtype(columns), body, timestamps)

    @classmethod
    def _with_body(cls, schema: Schema, body: Body) -> Schema:
        if schema.body is not None:
            raise Invalid(f"the columns have the body `{schema.body[0]}` already; leave out body=")
        size = -(-schema.entry_size // 8) * 8
        return cls(f"{schema.text}body {body} {size}\n", size, schema.timestamps)

    @classmethod
    def _of_dtype(cls, dtype: np.dtype[Any], body: Body | None, timestamps: Timestamps) -> Schema:
        if dtype.fields is None or dtype.names is None:
            raise Invalid(f"{dtype} has no fields: pass one such as [('price', 'f8')]")
        fields = [(name, *dtype.fields[name][:2]) for name in dtype.names]
        columns = [f"{name} {_kind(name, field)} {offset}\n" for name, field, offset in fields]
        schema = cls("".join(columns), dtype.itemsize, timestamps)
        return schema if body is None else cls._with_body(schema, body)

    @cached_property
    def dtype(self) -> np.dtype[np.void]:
        """The dtype of a record. A decimal is an int64, and its metadata has its `scale`."""
        return np.dtype(
            {
                "names": [column.name for column in self.columns],
                "formats": [column.field(self.timestamps) for column in self.columns],
                "offsets": [column.offset for column in self.columns],
                "itemsize": self.entry_size,
            }
        )

    @property
    def names(self) -> list[str]:
        """The names of the columns, and of the body, in order."""
        return [column.name for column in self.columns] + ([self.body[0]] if self.body else [])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and (self.text, self.entry_size) == (
            other.text,
            other.entry_size,
        )

    def __hash__(self) -> int:
        return hash((self.text, self.entry_size))

    def __repr__(self) -> str:
        names = [f"{column.name}:{column.kind}" for column in self.columns]
        names += [":".join(self.body)] if self.body else []
        return f"Schema({','.join(names)!r})"

    # Bytes of records, and of bodies.

    def records(self, columns: bytearray, count: int) -> npt.NDArray[np.void]:
        """Makes an array of the bytes of so many records, without a copy."""
        if self.entry_size == 0:
            return np.zeros(count, self.dtype)
        records = np.frombuffer(columns, self.dtype)
        for column in self.columns:
            if column.kind == "bool":  # any byte but 0 is true, and numpy knows 1 alone
                flags = np.ndarray(count, "u1", columns, column.offset, (self.entry_size,))
                np.not_equal(flags, 0, out=flags)
        return records

    def pack(self, record: Record) -> bytes:
        """Makes the bytes of a record, exactly, or says which value is none of its column's."""
        if isinstance(record, tuple):
            return self._packed(record)
        if isinstance(record, (bytes, bytearray, memoryview)):
            return bytes(record)
        if isinstance(record, (np.void, np.ndarray)):
            return self.pack_all(np.asarray(record).reshape(1))
        if isinstance(record, Mapping):
            return self._packed([record[name] for name in self._names_of(record)])
        if isinstance(record, Sequence) and not isinstance(record, str):
            return self._packed(record)
        raise Invalid(
            f"a {type(record).__name__} is no record; pass a tuple, a dict, a record of numpy, or bytes"
        )

    def pack_all(self, records: Records) -> bytes:
        """Makes the bytes of many records, one behind the other."""
        if not isinstance(records, np.ndarray):
            return b"".join(map(self.pack, records))
        if records.ndim != 1 or records.dtype.names is None:
            raise Invalid(f"an array of {records.dtype} in {records.ndim} dimensions has no records in a row")
        if not self._is_same(records.dtype):
            records = self._converted(records)
        return records.tobytes()

    def encode(self, body: object) -> bytes:
        """Makes a body of a value: bytes as they are, else as the log's bodies are."""
        if isinstance(body, (bytes, bytearray, memoryview)):
            return bytes(body)
        if self.body is None:
            raise Invalid("the log's entries have no body; append the record alone")
        return encode(self.body[1], body)

    def decode(self, body: bytes) -> Any:
        """Makes a value of a body, as the log's bodies are."""
        return decode(self.body[1] if self.body else "bytes", body)

    def _names_of(self, record: Mapping[str, Any]) -> list[str]:
        names = [column.name for column in self.columns]
        missing = [name for name in names if name not in record]
        unknown = [name for name in record if name not in names]
        if missing:
            raise Invalid(f"column `{missing[0]}` has no value; the columns are {', '.join(names)}")
        if unknown:
            raise Invalid(f"there is no column `{unknown[0]}`; they are {', '.join(names)}")
        return names

    @cached_property
    def _struct(self) -> tuple[struct.Struct, list[tuple[int, Callable[[Any], Any]]], list[Column]]:
        """How values are packed: in the order of their offsets, and what is made of which before."""
        layout, end, order = "<", 0, sorted(self.columns, key=lambda column: column.offset)
        for column in order:
            size = column.field("i8").itemsize
            if column.offset < end:
                raise Invalid(f"column `{column.name}` overlaps another; append bytes or arrays")
            code = f"{size}s" if column.text_size is not None else _STRUCT.get(column.kind, "q")
            layout += f"{column.offset - end}x{code}"
            end = column.offset + size
        makers = [(i, _maker(column)) for i, column in enumerate(self.columns)]
        made = [(i, maker) for i, maker in makers if maker is not None]
        return struct.Struct(f"{layout}{self.entry_size - end}x"), made, order

    @cached_property
    def _order(self) -> list[int] | None:
        """Which value comes next in the bytes, where that is not their own order."""
        order = sorted(range(len(self.columns)), key=lambda i: self.columns[i].offset)
        return None if order == list(range(len(order))) else order

    def _packed(self, record: Sequence[Any]) -> bytes:
        packer, made, _ = self._struct
        if len(record) != len(self.columns):
            raise Invalid(f"{len(record)} values for {len(self.columns)} columns: {self!r}")
        values = list(record)
        try:
            for i, maker in made:
                values[i] = maker(values[i])
            if self._order is not None:
                values = [values[i] for i in self._order]
            return packer.pack(*values)
        except (struct.error, TypeError, ValueError, OverflowError, decimal.DecimalException) as e:
            raise self._blamed(record, e) from None

    def _blamed(self, record: Sequence[Any], error: Exception) -> Invalid:
        """Finds the value that cannot be packed."""
        for column, value in zip(self.columns, record):
            maker = _maker(column)
            try:
                value = maker(value) if maker else value
                if column.text_size is None:
                    struct.pack("<" + _STRUCT.get(column.kind, "q"), value)
            except (struct.error, TypeError, ValueError, OverflowError, decimal.DecimalException) as e:
                why = str(e) or type(e).__name__
                return Invalid(f"column `{column.name}` cannot be {value!r}, as {column.kind}: {why}")
        return Invalid(f"{record!r} is no record of {self!r}: {error}")

    def _is_same(self, dtype: np.dtype[Any]) -> bool:
        """Whether records of this dtype are, byte for byte, those of the log."""
        if dtype is self._last_same:
            return True
        same = dtype.names == self.dtype.names and dtype.itemsize == self.entry_size
        for column in self.columns if same else ():
            field, offset = dtype.fields[column.name][:2] if dtype.fields else (dtype, 0)
            same = same and offset == column.offset and _is_of(field, column)
        if same:
            self._last_same = dtype
        return same

    _last_same: np.dtype[Any] | None = None

    def _converted(self, records: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
        """The same values as records of the log, column by column, each exactly or not at all."""
        names = records.dtype.names or ()
        self._names_of(dict.fromkeys(names))
        converted = np.zeros(len(records), self.dtype)
        for column in self.columns:
            converted[column.name] = _column(column, records[column.name])
        return converted


def encode(kind: Body, value: object) -> bytes:
    """Makes the bytes of a value."""
    if kind == "json":
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    if kind == "msgpack":
        packed: bytes = _msgpack().packb(value)
        return packed
    if kind == "text" and isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise Invalid(f"a {type(value).__name__} is no body of {kind}")


def decode(kind: Body, body: bytes) -> Any:
    """Makes a value of its bytes. Of no bytes, which a body of any kind may have, JSON is None."""
    if kind == "text":
        return body.decode(errors="replace")
    if kind == "bytes":
        return body
    if not body:
        return None
    try:
        return json.loads(body) if kind == "json" else _msgpack().unpackb(body, strict_map_key=False)
    except ImportError:
        raise
    except Exception as e:  # whatever a parser says of what others have stored
        raise Invalid(f"a body of {len(body)} bytes is no {kind}: {e}; take `bodies`") from e


def _msgpack() -> Any:
    try:
        import msgpack
    except ImportError:
        raise ImportError("MessagePack takes a package: pip install 'ringlog[msgpack]'") from None
    return msgpack


def _dtype(columns: npt.DTypeLike) -> np.dtype[Any]:
    try:
        # A list says nothing of offsets: they are those of C, and so of the same struct in Rust.
        return np.dtype(columns, align=isinstance(columns, list))
    except (TypeError, ValueError) as e:
        raise Invalid(f"{columns!r} is no dtype: {e}") from None


def _kind(name: str, field: np.dtype[Any]) -> str:
    """The type of a column in the schema."""
    metadata: Mapping[str, Any] = field.metadata or {}
    if field == np.dtype("<i8") and "scale" in metadata:
        return f"decimal{metadata['scale']}"
    if field == timestamp or (field == np.dtype("<i8") and metadata.get("unit") == "ns"):
        return "timestamp"
    if field.kind == "S" and field.itemsize > 0:
        return f"text{field.itemsize}"
    if field in _KINDS:
        return _KINDS[field]
    cure = {
        "U": "use 'S8', of UTF-8",
        "M": "use 'M8[ns]'",
        "O": "make it the body",
        "V": "give each of its fields a column",
    }.get(field.kind, "use u1 to u8, i1 to i8, f4, f8, ?, M8[ns], S8 or ringlog.decimal(4)")
    if field.byteorder == ">":
        cure = "use one of the other byte order, as in '<i8'"
    raise Invalid(f"column `{name}` cannot be {field}: {cure}")


def _is_of(field: np.dtype[Any], column: Column) -> bool:
    """Whether values of this field are, byte for byte, those of a column."""
    scale = field.metadata.get("scale", column.scale) if field.metadata else column.scale
    return field in (column.field("i8"), column.field("M8[ns]")) and scale == column.scale


def _maker(column: Column) -> Callable[[Any], Any] | None:
    """What is made of a value before it is packed; None if nothing is."""
    if column.scale is not None:
        scale = column.scale
        return lambda value: _units(value, scale)
    if column.kind == "timestamp":
        return _nanos
    if column.text_size is not None:
        size = column.text_size
        return lambda value: _text(value, size)
    if column.kind == "bool":
        return _flag
    return None


def _flag(value: object) -> bool:
    if isinstance(value, (bool, np.bool_)) or value in (0, 1):
        return bool(value)
    raise TypeError("pass True or False")


def _text(value: object, size: int) -> bytes:
    encoded = value.encode() if isinstance(value, str) else value
    if not isinstance(encoded, bytes):
        raise TypeError("pass a str or bytes")
    if len(encoded) > size:
        raise ValueError(f"it has {len(encoded)} bytes, and {size} are the most")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("it has a NUL within, which ends a text")
    return encoded


def _nanos(value: object) -> int:
    if type(value) is int:
        return value
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise TypeError("it has no time zone; pass datetime.now(timezone.utc), or nanoseconds")
        return (value - _EPOCH) // _MICROSECOND * 1000
    if isinstance(value, np.datetime64):
        return int(value.astype("M8[ns]").astype("i8"))
    return operator.index(value)  # type: ignore[arg-type]


def _units(value: object, scale: int) -> int:
    """An integer is units already, as it is in arrays; a Decimal, a text or a float is a number."""
    if type(value) is int:
        return value
    if isinstance(value, (float, np.floating)):
        value = repr(float(value))
    if isinstance(value, str):
        value = decimal.Decimal(value)
    if not isinstance(value, decimal.Decimal):
        return operator.index(value)  # type: ignore[arg-type]
    units = value.scaleb(scale, _EXACT)
    if not units.is_finite() or units != units.to_integral_value():
        raise ValueError(f"it is no number of {scale} digits behind the point; round it")
    return int(units)


_EXACT = decimal.Context(prec=60)


def _column(column: Column, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values of a column in its own type, each exactly or not at all."""
    refused = Invalid(f"column `{column.name}` cannot be {values.dtype}, as {column.kind}: convert it first")
    field = column.field("M8[ns]")
    if column.text_size is not None:
        encoded = values if values.dtype.kind == "S" else _encoded(values)
        lengths = np.char.str_len(encoded) if len(encoded) else np.zeros(0, int)
        if (lengths > column.text_size).any():
            longest = encoded[int(np.argmax(lengths))]
            raise Invalid(f"column `{column.name}` cannot be {bytes(longest)!r}, as {column.kind}: too long")
        return encoded.astype(field)
    if column.scale is not None and values.dtype.kind == "f":
        units = np.rint(values * 10.0**column.scale)
        if not (np.abs(units) < 2**53).all() or not (units / 10.0**column.scale == values).all():
            raise Invalid(
                f"column `{column.name}` has a float that is no {column.kind}: round it, or pass units"
            )
        return units.astype("i8")
    if column.kind == "timestamp" and values.dtype.kind == "M":
        return values.astype(field)
    if column.kind == "timestamp":
        field = np.dtype("i8")
    if values.dtype.kind not in "iufb" or not np.can_cast(values.dtype, field, "same_kind"):
        if not (values.dtype.kind in "iu" and field.kind in "iu"):
            raise refused
    converted = values.astype(field)
    if field.kind in "iu" and not (converted == values).all():
        raise Invalid(f"column `{column.name}` has a value that no {column.kind} can be")
    return converted.view("M8[ns]") if column.kind == "timestamp" else converted


def _encoded(values: npt.NDArray[Any]) -> npt.NDArray[np.bytes_]:
    if values.dtype.kind == "U":
        return np.char.encode(values, "utf-8")
    return np.array([str(value).encode() for value in values], dtype="S")
