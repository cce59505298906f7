"""Bodies: bytes of any length behind the columns, and the values they stand for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ringlog
from conftest import needs

EVENT: list[Any] = [("level", "u8")]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 39, 40, 41, 1000, 2048])
def test_a_body_of_any_length_comes_whole(name: str, length: int) -> None:
    log = ringlog.create(name, EVENT, body="bytes", arena=1 << 12)
    with log.writer() as writer, log.reader(0) as reader:
        bodies = [bytes([i]) * length for i in range(5)]
        for i, body in enumerate(bodies):
            assert writer.append((i,), body) == i
            batch = reader.read()
            assert (batch.array["level"].tolist(), batch.bodies) == ([i], [body])


def test_bodies_stay_with_their_entries(name: str) -> None:
    log = ringlog.create(name, EVENT, body="bytes")
    with log.writer() as writer, log.reader(0) as reader:
        bodies = [b"x" * (i * 37 % 500) for i in range(300)]
        records = np.zeros(300, EVENT)
        records["level"] = np.arange(300)
        assert writer.extend(records, bodies) == range(300)
        batches = list(reader.batches(70, timeout=0))
        assert [body for batch in batches for body in batch.bodies] == bodies
        last = log.last(10)
        assert (last.array["level"].tolist(), last.bodies) == (list(range(290, 300)), bodies[290:])
        assert last.tail(4).bodies == bodies[294:]


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("json", {"symbol": "AAPL", "prices": [1.5, None, "é"]}, '{"symbol":"AAPL","prices":[1.5,null,"é"]}'),
        ("text", "grüße", "grüße"),
        ("bytes", b"\xff\x00", b"\xff\x00"),
    ],
)
def test_a_body_is_a_value_of_its_kind(name: str, kind: Any, value: Any, stored: Any) -> None:
    log = ringlog.create(name, EVENT, body=kind)
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.append((1,), value)
        writer.append((2,), b"")
        batch = observer.read()
    assert batch.bodies[0] == (stored if isinstance(stored, bytes) else stored.encode())
    assert batch.decode()[0] == value
    assert batch.decode()[1] in (None, "", b"")


def test_a_body_of_messagepack_is_a_value(name: str) -> None:
    needs("msgpack")
    log = ringlog.create(name, EVENT, body="msgpack")
    value = {"symbol": "AAPL", "size": 5, 7: [b"raw", None, 1.5]}
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.append((1,), value)
        assert observer.read().decode() == [value]


def test_what_is_no_value_is_refused_and_its_bytes_are_there(name: str) -> None:
    log = ringlog.create(name, EVENT, body="json")
    with log.writer() as writer, log.observe("oldest") as observer:
        writer.append((1,), b"{no json")
        batch = observer.read()
    assert batch.bodies == [b"{no json"]
    with pytest.raises(ringlog.Invalid, match="no json"):
        batch.decode()


def test_a_log_can_be_bodies_alone(name: str) -> None:
    log = ringlog.create(name, body="text")
    assert (log.schema.entry_size, log.schema.dtype.itemsize) == (0, 0)
    with log.writer() as writer, log.reader(0) as reader:
        assert writer.append(body="one") == 0
        assert writer.extend([b"", b""], ["two", "three"]) == range(1, 3)
        batch = reader.read()
        assert (len(batch), batch.decode()) == (3, ["one", "two", "three"])
        assert batch.positions.tolist() == [0, 1, 2]
        latest = log.observe().latest()
        assert latest is not None and latest.body == b"three"
    with pytest.raises(ringlog.Invalid, match="pass body="):
        ringlog.create(name + "-none")


def test_a_body_that_is_too_long_is_refused_before_any_is_appended(name: str) -> None:
    log = ringlog.create(name, EVENT, body="bytes", arena=1 << 12)
    with log.writer() as writer:
        with pytest.raises(ringlog.Invalid, match="2048 bytes, half of the arena"):
            writer.append((1,), b"x" * 2049)
        with pytest.raises(ringlog.Invalid, match="2048 bytes, half of the arena"):
            writer.extend(np.zeros(2, EVENT), [b"fits", b"x" * 2049])
        with pytest.raises(ringlog.Invalid, match="pass a body for each"):
            writer.extend(np.zeros(2, EVENT), [b"one"])
        assert writer.position == 0


def test_a_body_that_was_overwritten_is_lost_with_its_entry(name: str) -> None:
    log = ringlog.create(name, EVENT, body="bytes", arena=1 << 12, capacity=1024)
    with log.writer() as writer, log.reader(0) as reader:
        for i in range(100):
            writer.append((i,), bytes([i]) * 500)
        batches = list(reader.batches(timeout=0))
        assert batches[0].lost == range(0, batches[0].position)
        assert 0 < sum(map(len, batches)) < 10
        for batch in batches:
            assert [body[0] for body in batch.bodies] == batch.positions.tolist()
        assert reader.position == 100


def test_a_batch_ends_where_its_bodies_are_many_bytes(name: str) -> None:
    log = ringlog.create(name, EVENT, body="bytes", arena=1 << 26)
    with log.writer() as writer, log.reader(0) as reader:
        body = bytes(4 << 20)
        for i in range(10):
            writer.append((i,), body)
        lengths = [len(batch) for batch in reader.batches(timeout=0)]
        assert lengths == [4, 4, 2]


def test_a_gate_is_given_the_bodies_in_its_lossless_log(name: str) -> None:
    log = ringlog.create(name, EVENT, body="bytes", arena=1 << 12, capacity=64, lossless=[0])
    with log.writer() as writer, log.reader(0) as reader:
        for round in range(50):
            bodies = [bytes([round]) * 1000, b"short"]
            writer.extend(np.zeros(2, EVENT), bodies, timeout=0)
            assert reader.read().bodies == bodies
            reader.commit()
        with pytest.raises(ringlog.Full, match="bodies take"):
            for _ in range(10):
                writer.append((0,), bytes(1500), timeout=0)
