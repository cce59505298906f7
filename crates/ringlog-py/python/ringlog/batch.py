"""Entries that were taken together: as an array, and as a table of whichever library."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import frames
from .schema import Schema

if TYPE_CHECKING:
    import pandas
    import polars

    from .frames import Decimals


class Entry(NamedTuple):
    """One entry: its position, its record, and its body, which is empty where the log has none."""

    position: int
    record: np.void
    body: bytes = b""


class Entries:
    """Entries with their positions, in order."""

    def __init__(
        self,
        schema: Schema,
        array: npt.NDArray[np.void],
        positions: npt.NDArray[np.int64],
        bodies: tuple[bytes, npt.NDArray[np.uint64]] | None,
    ) -> None:
        self.schema = schema
        #: The records: a structured array of `schema.dtype`, which is the caller's to change.
        self.array = array
        #: The position of each.
        self.positions = positions
        self._bodies = bodies

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        return len(self.array) > 0

    @cached_property
    def bodies(self) -> list[bytes]:
        """The body of each, as bytes; of a log without bodies, none."""
        if self._bodies is None:
            return []
        blob, ends = self._bodies
        begin, bodies = 0, []
        for end in ends.tolist():
            bodies.append(blob[begin:end])
            begin = end
        return bodies

    def decode(self) -> list[Any]:
        """Returns the body of each as a value: of JSON, MessagePack, text, or bytes."""
        return [self.schema.decode(body) for body in self.bodies]

    def tail(self, begin: int) -> Entries:
        """Returns the entries from index `begin` on."""
        bodies = None
        if self._bodies is not None:
            blob, ends = self._bodies
            cut = int(ends[begin - 1]) if begin > 0 else 0
            bodies = (blob[cut:], ends[begin:] - np.uint64(cut))
        return Entries(self.schema, self.array[begin:], self.positions[begin:], bodies)

    def to_pandas(self, decimals: Decimals = "float") -> pandas.DataFrame:
        """Returns a DataFrame, whose index is the position, `seq`. Times are UTC.

        A decimal is the nearest float; with `decimals="exact"` a `decimal.Decimal`, with "units" an integer.
        """
        return frames.to_pandas(self, decimals)

    def to_arrow(self, decimals: Decimals = "float") -> Any:
        """Returns a `pyarrow.Table`, whose first column is the position, `seq`. `exact` is decimal128."""
        return frames.to_arrow(self, decimals)

    def to_polars(self, decimals: Decimals = "float") -> polars.DataFrame:
        """Returns a DataFrame of polars, as `to_arrow`."""
        return frames.to_polars(self, decimals)


class Batch(Entries):
    """The next entries of a log, and what was lost before them."""

    def __init__(
        self,
        schema: Schema,
        array: npt.NDArray[np.void],
        position: int,
        lost: range,
        bodies: tuple[bytes, npt.NDArray[np.uint64]] | None = None,
    ) -> None:
        positions = np.arange(position, position + len(array), dtype=np.int64)
        super().__init__(schema, array, positions, bodies)
        #: The position of the first entry; where the batch has none, of that which is read next.
        self.position = position
        #: The positions that were overwritten before this reader took them.
        self.lost = lost

    def __bool__(self) -> bool:
        return len(self.array) > 0 or len(self.lost) > 0

    def __repr__(self) -> str:
        lost = f", lost {self.lost.start}..{self.lost.stop}" if self.lost else ""
        return f"<Batch {self.position}..{self.position + len(self)}{lost}>"


class TopicBatch(Entries):
    """The next entries of a topic: `writers` has the log of each, and `lost` what was lost, by log."""

    def __init__(
        self,
        schema: Schema,
        array: npt.NDArray[np.void],
        positions: npt.NDArray[np.int64],
        writers: npt.NDArray[np.int64],
        lost: list[tuple[int, range]],
        bodies: tuple[bytes, npt.NDArray[np.uint64]] | None = None,
    ) -> None:
        super().__init__(schema, array, positions, bodies)
        self.writers = writers
        self.lost = lost

    def __bool__(self) -> bool:
        return len(self.array) > 0 or len(self.lost) > 0
