"""Topics: each writer has a log, and readers follow them as one."""

from __future__ import annotations

import numpy as np
import pytest

import ringlog
from conftest import PATIENCE

COLUMNS = [("time", "M8[ns]"), ("number", "u8")]


def test_entries_of_each_writer_come_in_their_order(name: str) -> None:
    topic = ringlog.Topic(name, 4, capacity=1024)
    with pytest.raises(ringlog.NotFound, match="no log yet"):
        topic.observe()
    first, second = topic.publisher(COLUMNS), topic.publisher(COLUMNS)
    assert (first.number, second.number, topic.members()) == (0, 1, [f"{name}.0", f"{name}.1"])
    with topic.reader(0) as reader:
        for number in range(100):
            (first, second)[number % 2].append((number, number))
        batches = list(reader.batches(30, timeout=0))
        writers = np.concatenate([batch.writers for batch in batches])
        numbers = np.concatenate([batch.array["number"] for batch in batches])
        positions = np.concatenate([batch.positions for batch in batches])
        for writer in (0, 1):
            assert numbers[writers == writer].tolist() == list(range(writer, 100, 2))
            assert positions[writers == writer].tolist() == list(range(50))
        reader.commit()
        assert reader.numbers == [0, 1]
        late = topic.publisher(COLUMNS)
        late.append((100, 100))
        batch = reader.read(timeout=PATIENCE)
        assert (batch.writers.tolist(), batch.array["number"].tolist()) == ([2], [100])
    with ringlog.Topic.find(name).reader(0) as reader:
        assert reader.read().array["number"].tolist() == [100]  # which was not committed
    for publisher in (first, second, late):
        publisher.close()


def test_entries_of_all_writers_come_by_time(name: str) -> None:
    topic = ringlog.Topic(name, 2)
    with topic.publisher(COLUMNS) as first, topic.publisher(COLUMNS) as second:
        for number in range(50):
            (first if number % 3 else second).append((number - 10, number))
        with topic.observe("oldest", by="time", hold=0.5) as observer:
            numbers: list[int] = []
            while len(numbers) < 50:
                batch = observer.read(timeout=PATIENCE)
                assert batch
                numbers += batch.array["number"].tolist()
        assert numbers == list(range(50))
        with pytest.raises(ringlog.Invalid, match="no column of eight bytes"):
            topic.observe(by="nothing")


def test_what_is_lost_of_a_topic_is_told_by_its_log(name: str) -> None:
    topic = ringlog.Topic(name, 2, capacity=16)
    with topic.publisher(COLUMNS) as first, topic.publisher(COLUMNS) as second, topic.reader(1) as reader:
        first.extend(np.zeros(100, COLUMNS))
        second.append((1, 1))
        batches = list(reader.batches(timeout=0))
        lost = [it for batch in batches for it in batch.lost]
        delivered = sum((batch.writers == 0).sum() for batch in batches)
        assert [log for log, _ in lost] == [0]
        assert delivered + len(lost[0][1]) == 100


def test_a_log_of_other_columns_is_told(name: str) -> None:
    topic = ringlog.Topic(name, 2)
    with topic.publisher(COLUMNS) as first, topic.reader(0) as reader:
        with pytest.raises(ringlog.SchemaError):
            topic.publisher([("other", "u8")])
        first.append((1, 1))
        assert len(reader.read()) == 1


def test_a_topic_has_bodies_too(name: str) -> None:
    topic = ringlog.Topic(name, 2)
    with topic.publisher(None, body="json") as publisher, topic.observe("oldest") as observer:
        publisher.append(body={"a": 1})
        assert observer.read().decode() == [{"a": 1}]


def test_all_logs_have_a_writer(name: str) -> None:
    topic = ringlog.Topic(name, 1)
    with topic.publisher(COLUMNS), pytest.raises(ringlog.Invalid, match="each of its 1 logs has a writer"):
        topic.publisher(COLUMNS)
