"""Topics: several logs, each with a writer of its own, that are followed as one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _ringlog
from .batch import TopicBatch
from .errors import Invalid, NotFound
from .log import MAX, Wait, Writer, _Closing, open
from .schema import Body, Schema, Timestamps

if TYPE_CHECKING:
    from .log import Name, Start


class Topic:
    """Up to `logs` logs of one name and a number each. Nothing is made before a process publishes."""

    def __init__(self, name: Name, logs: int = 16, *, timestamps: Timestamps = "M8[ns]", **options: Any) -> None:
        """`options` are those that `create` makes each of its logs with: capacity, lossless, arena, mode."""
        self._topic = _ringlog.Topic(name, logs, options)
        self._timestamps: Timestamps = timestamps
        self.name = self._topic.name
        self.logs = self._topic.logs

    @classmethod
    def find(cls, name: Name, *, timestamps: Timestamps = "M8[ns]") -> Topic:
        """Returns the topic of this name, as its logs say how many there can be."""
        found = _ringlog.Topic.find(name)
        if found is None:
            raise NotFound(f"{name}: no such topic; its first publisher makes it")
        return cls(name, found.logs, timestamps=timestamps)

    def members(self) -> list[str]:
        """Returns the names of its logs that there are."""
        return self._topic.members()

    def publisher(self, columns: str | npt.DTypeLike | Schema | None, *, body: Body | None = None) -> Publisher:
        """Becomes the writer of the first of its logs that has none."""
        schema = Schema.of(columns, body, self._timestamps)
        number, writer = self._topic.publisher(schema.text, schema.entry_size)
        return Publisher(writer, schema, number)

    def reader(self, id: int, start: Start | None = None, **options: Any) -> Subscriber:
        """Follows all its logs as durable reader `id` of each; see `observe` for the options."""
        return self._subscribe(id, start, **options)

    def observe(self, start: Start = "newest", **options: Any) -> Subscriber:
        """Follows all its logs, and those that come, without a claim.

        `by="time"` asks for the order of that column's times: an entry waits until each log has a next one,
        but at most `hold` seconds. `wait` and `poll` are those of `Log.observe`.
        """
        return self._subscribe(None, start, **options)

    def _subscribe(
        self,
        id: int | None,
        start: Start | None,
        *,
        by: str | None = None,
        hold: float = 0.001,
        wait: Wait = "block",
        poll: float = 0.01,
    ) -> Subscriber:
        members = self.members()
        if not members:
            raise NotFound(f"{self.name}: the topic has no log yet; its first publisher makes one")
        schema = open(members[0], timestamps=self._timestamps).schema
        by_time = None
        if by is not None:
            columns = [it for it in schema.columns if it.name == by and it.field("i8").itemsize == 8]
            if not columns:
                raise Invalid(f"{self.name}: by={by!r} is no column of eight bytes, such as a timestamp")
            by_time = (columns[0].offset, hold)
        subscribed = self._topic.subscribe(
            id, start, schema.text, schema.entry_size, by_time, wait, poll
        )
        return Subscriber(subscribed, schema)


class Publisher(Writer):
    """The writer of one log of a topic: `number` says which."""

    def __init__(self, writer: _ringlog.Writer, schema: Schema, number: int) -> None:
        super().__init__(writer, schema)
        self.number = number


class Subscriber(_Closing):
    """Follows all logs of a topic: each writer's entries come in their order."""

    def __init__(self, subscriber: _ringlog.Subscriber, schema: Schema) -> None:
        self._subscriber = subscriber
        self.schema = schema

    @property
    def numbers(self) -> list[int]:
        """The numbers of the logs that it follows."""
        return self._subscriber.numbers

    def read(self, max: int = MAX, timeout: float | None = 0) -> TopicBatch:
        """Takes the next entries, at most `max`, and waits for the first; the batch is empty if none comes."""
        taken = self._subscriber.read(max, timeout)
        writers, positions, columns, blob, ends, lost = taken or (
            *(bytearray(), bytearray(), bytearray()), b"", bytearray(), []
        )  # fmt: skip
        numbers = np.frombuffer(writers, np.int64)
        has_bodies = self.schema.body is not None
        return TopicBatch(
            self.schema,
            self.schema.records(columns, len(numbers)),
            np.frombuffer(positions, np.int64),
            numbers,
            [(log, range(begin, end)) for log, begin, end in lost],
            (blob, np.frombuffer(ends, np.uint64)) if has_bodies else None,
        )

    def batches(self, max: int = MAX, timeout: float | None = None) -> Iterator[TopicBatch]:
        """Yields each batch as it comes. It ends when nothing has come for `timeout` seconds; None is never."""
        while batch := self.read(max, timeout):
            yield batch

    def commit(self) -> None:
        """Stores in each log that what was read of it has been dealt with."""
        self._subscriber.commit()

    def close(self) -> None:
        """Ends it."""
        self._subscriber.close()
