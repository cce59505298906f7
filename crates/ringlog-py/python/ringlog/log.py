"""Logs: made and opened; their writer, readers and observers."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from . import _ringlog
from .batch import Batch, Entries, Entry
from .errors import Invalid, Lost
from .schema import Body, Schema, Timestamps
from .snapshot import Snapshot

if TYPE_CHECKING:
    from typing import TypeAlias

    from .schema import Record, Records

    #: Where to begin: "oldest", "newest", a position, or -N for the last N entries.
    Start: TypeAlias = Literal["oldest", "newest", "resume"] | int
    #: The name of shared memory, `/quotes`; or the path of a file, which has a slash within or is a `Path`.
    Name: TypeAlias = str | os.PathLike[str]

#: How to wait: until the writer wakes it, or by looking again and again.
Wait = Literal["block", "sleep", "adaptive", "yield", "spin"]

#: Entries of a batch at most, unless it is told otherwise.
MAX = 4096
#: An async wait is of such pieces, in seconds: so one that is cancelled ends soon.
PIECE = 0.05

os.register_at_fork(after_in_child=_ringlog.forked)

Self = TypeVar("Self", bound="_Closing")


def open(
    name: Name,
    *,
    timestamps: Timestamps = "M8[ns]",
    owner: int | None = None,
    prefault: bool | None = None,
    lock: bool = False,
) -> Log:
    """Opens a log. It changes nothing in it, and needs no more than permission to read.

    `timestamps` says what times are in arrays: `datetime64[ns]`, or integers. `owner` is the id of a user whose
    log is believed too, beside yours and root's.
    """
    options = {"owner": owner, "prefault": prefault, "lock": lock}
    return Log(_ringlog.open(name, options), timestamps)


def create(
    name: Name,
    columns: str | npt.DTypeLike | Schema | None = None,
    *,
    body: Body | None = None,
    capacity: int | None = None,
    lossless: Sequence[int] | None = None,
    absent: Literal["wait", "skip"] | None = None,
    inline: int | None = None,
    arena: int | None = None,
    mode: int | None = None,
    timestamps: Timestamps = "M8[ns]",
    exist_ok: bool = False,
    prefault: bool | None = None,
    lock: bool = False,
) -> Log:
    """Makes a log.

    `columns` is a dtype of numpy, a list of its fields, which is laid out as C would a struct, or a declaration
    such as "time:timestamp,symbol:text8,price:decimal4". `body` says what comes behind them: "bytes", "text",
    "json" or "msgpack". `capacity` is the number of slots, a power of two. `lossless` names the readers that
    the writer waits for, and `absent` what it does about one that is gone. With `exist_ok` a log that is there
    is opened, if it is the same.
    """
    schema = Schema.of(columns, body, timestamps)
    options = {
        "capacity": capacity,
        "lossless": lossless,
        "absent": absent,
        "inline": inline,
        "arena": arena,
        "mode": mode,
        "prefault": prefault,
        "lock": lock,
    }
    made = _ringlog.create(name, schema.text, schema.entry_size, exist_ok, options)
    return Log(made, timestamps)


def logs() -> list[str]:
    """Returns the names of all logs in shared memory that this process may read."""
    return _ringlog.logs()


def remove(name: Name) -> None:
    """Removes a log that no process has a claim on and every reader has had."""
    _ringlog.remove(name)


def unlink(name: Name) -> None:
    """Removes a log's name, whatever is attached."""
    _ringlog.unlink(name)


class Log:
    """A log that exists."""

    def __init__(self, log: _ringlog.Log, timestamps: Timestamps) -> None:
        self._log = log
        self.name = log.name
        self.schema = Schema(*log.schema, timestamps)
        #: Number of slots.
        self.capacity = log.capacity
        #: Random, and the same for as long as this log exists.
        self.id = log.id
        #: When it was made, in nanoseconds since 1970.
        self.created_ns = log.created_ns
        #: The readers that its writer waits for; of a log that overwrites, none.
        self.lossless = tuple(log.gates)

    def __repr__(self) -> str:
        return f"<Log {self.name} of {self.capacity} slots, {self.schema!r}>"

    def writer(self) -> Writer:
        """Becomes the one writer, and continues behind the last entry."""
        return Writer(self._log.writer(), self.schema)

    def reader(
        self, id: int, start: Start | None = None, *, wait: Wait = "block", poll: float = 0.01
    ) -> Reader:
        """Becomes durable reader `id`, of 0 to 7, where that reader left off, or else at `start`.

        It waits as `wait` says, and looks by itself at least every `poll` seconds.
        """
        return Reader(self._log.reader(id, start, wait, poll), self.schema, id)

    def observe(
        self, start: Start = "newest", *, wait: Wait = "block", poll: float = 0.01
    ) -> Observer:
        """Looks on without a claim: it keeps no place in the log, and there can be any number."""
        return Observer(self._log.observe(start, wait, poll), self.schema)

    def snapshot(self) -> Snapshot:
        """Returns a picture of its pointers and owners now."""
        return Snapshot.of_json(self._log.snapshot())

    def last(
        self,
        entries: int | None = None,
        *,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        by: str | None = None,
    ) -> Entries:
        """Returns the last entries that the log still holds: so many of them, or those of the time until now.

        The time of an entry is its first column of that type, or the column `by`. It goes back until it finds
        an entry that is older.
        """
        window = datetime.timedelta(hours=hours, minutes=minutes, seconds=seconds)
        if (entries is None) == (window <= datetime.timedelta()):
            raise Invalid("last() takes a number of entries, or a time such as minutes=1")
        if entries is not None:
            return self._held(entries) if entries > 0 else self._held(1).tail(1)
        column = by if by is not None else self._time()
        since = time.time_ns() - window // datetime.timedelta(microseconds=1) * 1000
        count = MAX
        while True:
            held = self._held(count)
            times = held.array[column].view("i8") if len(held) else np.zeros(0, "i8")
            older = np.flatnonzero(times < since)
            if len(older):
                return held.tail(int(older[-1]) + 1)
            if len(held) < count:
                return held  # all that there is
            count *= 4

    def _time(self) -> str:
        times = (column.name for column in self.schema.columns if column.kind == "timestamp")
        column = next(times, None)
        if column is None:
            raise Invalid(f"{self.name}: no column is a timestamp; name one by=, or ask for last(1000)")
        return column

    def _held(self, count: int) -> Entries:
        """The last so many entries, or as many as the log still holds."""
        with self.observe(-count) as observer:
            _, end = self._log.held()
            batches = []
            while observer.position < end and (batch := observer.read(1 << 16, 0)):
                batches.append(batch)
        return _joined(self.schema, batches)


def _joined(schema: Schema, batches: Sequence[Batch]) -> Entries:
    """Several batches as one."""
    if not batches:
        return Entries(schema, np.zeros(0, schema.dtype), np.zeros(0, np.int64), None)
    bodies = None
    if schema.body is not None:
        parts = [batch._bodies or (b"", np.zeros(0, np.uint64)) for batch in batches]
        before = np.cumsum([0] + [len(blob) for blob, _ in parts[:-1]]).astype(np.uint64)
        ends = [ends + shift for (_, ends), shift in zip(parts, before)]
        bodies = (b"".join(blob for blob, _ in parts), np.concatenate(ends))
    array = np.concatenate([batch.array for batch in batches])
    return Entries(schema, array, np.concatenate([batch.positions for batch in batches]), bodies)


class _Closing:
    """What is a context manager, and closed at its end."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Writer(_Closing):
    """The one writer of a log, until it is closed or its process dies."""

    def __init__(self, writer: _ringlog.Writer, schema: Schema) -> None:
        self._writer = writer
        self.schema = schema

    @property
    def position(self) -> int:
        """The position that the next entry will have."""
        return self._writer.position

    @property
    def room(self) -> int | None:
        """Entries that a lossless log has room for now; None where the writer waits for no reader."""
        return self._writer.room

    def append(self, record: Record = b"", body: Any = None, *, timeout: float | None = None) -> int:
        """Appends an entry, and returns its position.

        The record is a tuple, a dict, a record of numpy, or bytes. A decimal may be a `Decimal`, a text or a
        float of no more digits than it has; an integer is its units. The body is bytes, or a value as the
        log's bodies are.

        The writer of a lossless log waits for room, but at most `timeout` seconds: then it is `Full`.
        """
        packed = record if type(record) is bytes else self.schema.pack(record)
        encoded = None if body is None else self.schema.encode(body)
        return self._writer.append(packed, encoded, timeout)

    def extend(
        self, records: Records, bodies: Sequence[Any] | None = None, *, timeout: float | None = None
    ) -> range:
        """Appends entries in order, and returns their positions.

        An array of other types or another order of columns is converted, exactly or not at all. A lossless
        log takes them as it has room; where it has none for `timeout` seconds, it is `Full`, and the
        exception says how many were `appended`.
        """
        packed = self.schema.pack_all(records)
        encoded = None if bodies is None else [self.schema.encode(body) for body in bodies]
        return range(*self._writer.extend(packed, encoded, timeout))

    def wake(self) -> None:
        """Wakes the readers that sleep until they are woken; call it after an append or a burst."""
        self._writer.wake()

    def heartbeat(self) -> None:
        """Notes in the log that the engine is alive."""
        self._writer.heartbeat()

    def sync(self) -> None:
        """Has the kernel write the log back to its file now."""
        self._writer.sync()

    def close(self) -> None:
        """Closes the log, which continues to exist."""
        self._writer.close()


class _Follower(_Closing):
    """What readers and observers have in common."""

    def __init__(self, follower: _ringlog.Follower, schema: Schema) -> None:
        self._follower = follower
        self.schema = schema
        self._thread: ThreadPoolExecutor | None = None

    @property
    def position(self) -> int:
        """The position of the entry that is read next."""
        return self._follower.position

    @property
    def lag(self) -> int:
        """Entries that are published, and that this one has not had."""
        return self._follower.lag

    def seek(self, start: Start) -> None:
        """Goes elsewhere, forward or back. What is skipped that way is not lost."""
        self._follower.seek(start)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until there is something to read; returns whether there is."""
        return self._follower.wait(timeout)

    def read(self, max: int = MAX, timeout: float | None = 0) -> Batch:
        """Takes the next entries, at most `max`, and waits for the first; the batch is empty if none comes."""
        taken = self._follower.read(max, timeout)
        if taken is None:
            array, at = self.schema.records(bytearray(), 0), self._follower.position
            bodies = None if self.schema.body is None else (b"", np.zeros(0, np.uint64))
            return Batch(self.schema, array, at, range(at, at), bodies)
        position, lost, columns, bodies_ = taken
        if bodies_ is None:
            array = self.schema.records(columns, len(columns) // self.schema.entry_size)
            return Batch(self.schema, array, position, range(*lost))
        blob, words = bodies_
        ends = np.frombuffer(words, np.uint64)
        array = self.schema.records(columns, len(ends))
        return Batch(self.schema, array, position, range(*lost), (blob, ends))

    def batches(self, max: int = MAX, timeout: float | None = None) -> Iterator[Batch]:
        """Yields each batch as it comes. It ends when nothing has come for `timeout` seconds; None is never."""
        while batch := self.read(max, timeout):
            yield batch

    async def aread(self, max: int = MAX, timeout: float | None = None) -> Batch:
        """Takes the next entries as `read`, and lets other tasks run while it waits. It may be cancelled."""
        end = None if timeout is None else time.monotonic() + timeout
        # Only the wait is in a thread: a task that is cancelled has taken nothing.
        while not (batch := self.read(max)):
            left = PIECE if end is None else min(PIECE, end - time.monotonic())
            if left <= 0:
                break
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "ringlog")
            await asyncio.get_running_loop().run_in_executor(self._thread, self.wait, left)
        return batch

    async def abatches(self, max: int = MAX, timeout: float | None = None) -> AsyncIterator[Batch]:
        """Yields each batch as `batches`, and lets other tasks run while it waits."""
        while batch := await self.aread(max, timeout):
            yield batch
            await asyncio.sleep(0)  # where there always is a next one, others run too

    def close(self) -> None:
        """Ends it."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
        self._follower.close()


class Reader(_Follower):
    """A durable reader: the log keeps its place, and the next one of this id begins there."""

    def __init__(self, follower: _ringlog.Follower, schema: Schema, id: int) -> None:
        super().__init__(follower, schema)
        self.id = id

    def commit(self) -> None:
        """Stores that all that was read has been dealt with: the next reader of this id begins here."""
        self._follower.commit()

    @property
    def committed(self) -> int:
        """The first position that is not committed."""
        return self._follower.committed

    @property
    def lost(self) -> int:
        """Entries lost since the log was made, by each process that was this reader."""
        return self._follower.lost

    @property
    def is_gate(self) -> bool:
        """Whether the log's writer waits for this reader."""
        return self._follower.is_gate

    @property
    def has_writer(self) -> bool:
        """Whether a living process is the log's writer."""
        return self._follower.has_writer


class Observer(_Follower):
    """Looks on without a claim, and keeps no place in the log."""

    def latest(self) -> Entry | None:
        """Returns the newest entry, whether it was read or not, and goes behind it; None if there is none."""
        latest = self._follower.latest()
        if latest is None:
            return None
        position, found = latest
        if found is None:
            raise Lost(f"{position} was overwritten while it was read, again and again: too few slots")
        columns, body = found
        array: npt.NDArray[np.void] = self.schema.records(bytearray(columns), 1)
        return Entry(position, array[0], body)
