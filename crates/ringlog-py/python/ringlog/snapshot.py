"""A picture of a log: pointers, lags, losses, owners."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


def _of(kind: type[T], said: dict[str, Any], **more: Any) -> T:
    """Makes a dataclass of what its fields are called; what it has no field for is left out."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**({name: value for name, value in said.items() if name in names} | more))


@dataclass(frozen=True)
class WriterState:
    """The writer, or the last one there was. Times are nanoseconds since 1970; 0 is never."""

    alive: bool
    closed: bool
    epoch: int
    pid: int
    attached_ns: int
    heartbeat_ns: int
    waiting_for: int | None
    waiting_since_ns: int


@dataclass(frozen=True)
class ReaderState:
    """A reader, or the last one there was."""

    id: int
    alive: bool
    known: bool
    gate: bool
    let_off: bool
    closed: bool
    pid: int
    attached_ns: int
    commit_ns: int
    position: int
    lost: int
    laps: int
    began: int
    missed: int
    #: The positions that it lost last, and when it was told.
    last_lost: tuple[range, int] | None


@dataclass(frozen=True)
class Snapshot:
    """A log at one moment, or nearly."""

    #: The position of the next entry.
    end: int
    capacity: int
    #: Bytes that longer bodies lie in; 0 where the log has none.
    arena: int
    #: Bytes of a body, on average of the newest ones.
    body_mean: int
    #: Bytes of the arena that hold what a gate has not committed.
    arena_held: int
    writer: WriterState
    readers: tuple[ReaderState, ...]

    @classmethod
    def of_json(cls, text: str) -> Snapshot:
        """Makes one of what the library says."""
        said = json.loads(text)
        readers = tuple(_of(ReaderState, it, last_lost=_lost(it["last_lost"])) for it in said["readers"])
        return _of(cls, said, writer=_of(WriterState, said["writer"]), readers=readers)

    def lag(self, reader: int) -> int:
        """Entries that a reader has not committed."""
        return max(0, self.end - self.readers[reader].position)


def _lost(said: Any) -> tuple[range, int] | None:
    if said is None:
        return None
    positions, when = said
    return range(positions["start"], positions["end"]), when
