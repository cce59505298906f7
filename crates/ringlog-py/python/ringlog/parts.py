"""Finished parts of a reporter's CSV, handed over to DuckDB and Parquet: each part exactly once.

`reporter 0 --rotate 1G,1h` finishes its file as `output_0.000000000012345.csv`, and has each row once over all
parts. What is here has each part once, whenever it is killed: run it again, and it continues. A part is known
by its name and its content, so that one of another log, with an old one's name, is another part.
"""

from __future__ import annotations

import base64
import csv
import fcntl
import functools
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from .errors import Invalid
from .schema import Schema

if TYPE_CHECKING:
    import duckdb

#: How `reporter --bytes` writes bodies of bytes and of MessagePack.
BytesForm = Literal["base64", "hex"]

#: Bytes of a part that are read at once: a row is within, and one with a body can be long.
_BLOCK, _LONG_BLOCK = 16 << 20, 512 << 20

#: Columns as Arrow has them; what is not here is a text.
_TYPES = {
    "u8": "uint8", "u16": "uint16", "u32": "uint32", "u64": "uint64",
    "i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64",
    "f32": "float32", "f64": "float64", "bool": "bool_",
}  # fmt: skip


def finished(output: str | os.PathLike[str]) -> list[Path]:
    """Returns the finished parts of this output, in their order; not the file that is being written."""
    output = Path(output)
    name = rf"{re.escape(output.stem)}\.(\d{{15,}})(?:\.(\d+))?{re.escape(output.suffix)}"
    parts = []
    for path in output.parent.iterdir():
        whole = re.fullmatch(name, path.name)
        if whole and path.is_file() and path.stat().st_size > 0:
            parts.append((int(whole[1]), int(whole[2] or 0), path))
        elif re.fullmatch(name + r"\.(zst|gz)", path.name):
            raise Invalid(
                f"{path}: a compressed part cannot be handed over; unpack it, and run the reporter without "
                "--compress"
            )
    return [path for _, _, path in sorted(parts)]


def to_duckdb(
    output: str | os.PathLike[str],
    connection: duckdb.DuckDBPyConnection,
    table: str,
    schema: Schema | str | None = None,
    *,
    remove: bool = False,
    bytes_form: BytesForm = "base64",
) -> list[Path]:
    """Inserts each finished part into a table, exactly once, and returns those that it inserted now.

    A part is inserted in one transaction with a line in the table `ringlog_parts`, which says so. The table
    is made if need be. `schema` is the log's: without it types are guessed, and a decimal is a double. With
    `remove` a part is deleted once it is in the database.
    """
    schema = _schema(schema)
    quoted = '"' + table.replace('"', '""') + '"'
    done = []
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS ringlog_parts"
            " (target VARCHAR, part VARCHAR, digest VARCHAR, PRIMARY KEY (target, part, digest))"
        )
        for path in finished(output):
            with _opened(path) as part:
                if part is None:
                    continue
                key = [table, path.name, _digest(part)]
                known = "SELECT 1 FROM ringlog_parts WHERE target = ? AND part = ? AND digest = ?"
                if not cursor.execute(known, key).fetchone():
                    rows = _rows(part, schema, bytes_form, zone=None)
                    cursor.register("ringlog_columns", rows.schema.empty_table())
                    cursor.register("ringlog_rows", rows)
                    cursor.execute("BEGIN")
                    try:
                        cursor.execute(f"CREATE TABLE IF NOT EXISTS {quoted} AS FROM ringlog_columns")
                        cursor.execute(f"INSERT INTO {quoted} BY NAME FROM ringlog_rows")
                        cursor.execute("INSERT INTO ringlog_parts VALUES (?, ?, ?)", key)
                        cursor.execute("COMMIT")
                    except BaseException:
                        cursor.execute("ROLLBACK")
                        raise
                    done.append(path)
            if remove:
                path.unlink()
    return done


def to_parquet(
    output: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    schema: Schema | str | None = None,
    *,
    remove: bool = False,
    bytes_form: BytesForm = "base64",
    compression: str = "zstd",
) -> list[Path]:
    """Writes each finished part as a file of Parquet, exactly once, and returns the files that it wrote now.

    A file has its name when it is whole and synced, and says in its metadata which part it is.
    """
    schema = _schema(schema)
    parquet = _arrow("parquet")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    done = []
    with _alone(directory) as sync:
        for path in finished(output):
            with _opened(path) as part:
                if part is None:
                    continue
                said = {"ringlog.part": path.name, "ringlog.digest": _digest(part)}
                target = _target(parquet, directory / path.stem, said)
                if target is not None:
                    rows = _rows(part, schema, bytes_form, zone="UTC")
                    whole = rows.schema.with_metadata(said)
                    provisional = directory / ".ringlog.tmp"
                    with provisional.open("wb") as file:
                        with parquet.ParquetWriter(file, whole, compression=compression) as writer:
                            for batch in rows:
                                writer.write_batch(batch.replace_schema_metadata(said))
                        file.flush()
                        os.fsync(file.fileno())
                    provisional.rename(target)
                    sync()
                    done.append(target)
            if remove:
                path.unlink()
    return done


def _schema(schema: Schema | str | None) -> Schema | None:
    return Schema.declared(schema) if isinstance(schema, str) else schema


@contextmanager
def _alone(directory: Path) -> Iterator[Callable[[], None]]:
    """One process at a time writes into a directory. Gives what syncs its names."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield lambda: os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    """Opens a part; None while its reporter still has it, or if another process has removed it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield file


def _digest(part: BinaryIO) -> str:
    state = os.fstat(part.fileno())
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    return _digest_of(key, _Part(part))


class _Part:
    """A file that is equal to every other, so that a cache goes by the rest of its key."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=4096)
def _digest_of(_key: tuple[int, ...], part: _Part) -> str:
    digest = hashlib.sha256()
    part.file.seek(0)
    while piece := part.file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def _target(parquet: Any, stem: Path, said: dict[str, str]) -> Path | None:
    """The name of the file that a part becomes; None if it has become one."""
    number = 0
    while True:
        path = stem.parent / (f"{stem.name}.parquet" if number == 0 else f"{stem.name}-{number}.parquet")
        if not path.exists():
            return path
        theirs = parquet.read_schema(path).metadata or {}
        if all(theirs.get(key.encode()) == value.encode() for key, value in said.items()):
            return None
        number += 1


def _arrow(module: str) -> Any:
    try:
        import importlib

        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError:
        raise ImportError("parts take pyarrow: pip install 'ringlog[arrow]'") from None


def _rows(part: BinaryIO, schema: Schema | None, bytes_form: BytesForm, zone: str | None) -> Any:
    """The rows of a part, some at a time, as a reader of Arrow."""
    arrow, reading = _arrow(""), _arrow("csv")
    types: dict[str, Any] = {"seq": arrow.int64()}
    times, base = [], None
    if schema is not None:
        first = _first_row(part)
        for column in schema.columns:
            if column.kind == "timestamp":
                times.append(column.name)
                # Nanoseconds are a number, and `--time rfc3339` is not.
                is_text = "T" in first.get(column.name, "")
                types[column.name] = arrow.timestamp("ns", "UTC") if is_text else arrow.int64()
            elif column.scale is not None:
                types[column.name] = arrow.decimal128(19, column.scale)
            else:
                types[column.name] = getattr(arrow, _TYPES.get(column.kind, "string"))()
        if schema.body is not None:
            types[schema.body[0]] = arrow.string()
            base = schema.body[0] if schema.body[1] in ("bytes", "msgpack") else None
    part.seek(0)
    size = os.fstat(part.fileno()).st_size
    block = min(max(size, 1), _LONG_BLOCK if schema is None or schema.body is not None else _BLOCK)
    batches = reading.open_csv(
        part,
        reading.ReadOptions(block_size=max(block, 1 << 16), use_threads=False),
        reading.ParseOptions(newlines_in_values=True),
        reading.ConvertOptions(
            column_types=types, null_values=[], true_values=["true"], false_values=["false"]
        ),
    )
    if schema is not None and batches.schema.names != ["seq", *schema.names]:
        raise Invalid(
            f"{part.name}: its columns are {', '.join(batches.schema.names)}, and the schema's "
            f"{', '.join(schema.names)}; give the schema of its log"
        )
    time = arrow.timestamp("ns", zone)

    def converted(batch: Any) -> Any:
        for name in times:
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, name, batch.column(at).cast(arrow.int64()).cast(time))
        if base is not None:
            at = batch.schema.get_field_index(base)
            bodies = [_bytes(text, bytes_form) for text in batch.column(at).to_pylist()]
            batch = batch.set_column(at, base, arrow.array(bodies, arrow.binary()))
        return batch

    empty = arrow.RecordBatch.from_pylist([], batches.schema)
    return arrow.RecordBatchReader.from_batches(
        converted(empty).schema, (converted(batch) for batch in batches)
    )


def _first_row(part: BinaryIO) -> dict[str, str]:
    part.seek(0)
    head = io.StringIO(part.read(1 << 16).decode(errors="replace"), newline="")
    row: dict[str, str] = next(csv.DictReader(head), {})
    return row


def _bytes(text: str, form: BytesForm) -> bytes:
    try:
        return bytes.fromhex(text) if form == "hex" else base64.b64decode(text, validate=True)
    except ValueError:
        raise Invalid(
            f"a body is no {form}: pass bytes_form= as the reporter's --bytes says"
        ) from None
