"""Tasks that read and call: others run meanwhile, and one that is cancelled has taken nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest

import ringlog
from conftest import PATIENCE


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, PATIENCE))


def test_a_task_reads_while_others_run(name: str) -> None:
    log = ringlog.create(name, [("number", "u8")])

    async def main() -> None:
        with log.writer() as writer, log.reader(0) as reader:
            got: list[int] = []

            async def read() -> None:
                async for batch in reader.abatches(10):
                    got.extend(batch.array["number"].tolist())
                    reader.commit()
                    if len(got) == 500:
                        return

            task = asyncio.create_task(read())
            for number in range(500):
                writer.append((number,))
                writer.wake()
                if number % 50 == 0:
                    await asyncio.sleep(0)
            await task
            assert got == list(range(500))
            assert reader.committed == 500

    run(main())


def test_a_task_that_is_cancelled_has_taken_nothing(name: str) -> None:
    log = ringlog.create(name, [("number", "u8")])

    async def main() -> None:
        with log.writer() as writer, log.reader(0) as reader:
            for number in range(20):
                task = asyncio.create_task(reader.aread())
                await asyncio.sleep(0.002 * (number % 3))  # it waits, or is about to
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                writer.append((number,))
                batch = await reader.aread(timeout=PATIENCE)
                assert batch.array["number"].tolist() == [number]

    run(main())


def test_an_async_wait_ends_in_time(name: str) -> None:
    log = ringlog.create(name, [("number", "u8")])

    async def main() -> None:
        with log.observe() as observer:
            assert not await observer.aread(timeout=0.01)
            assert [batch async for batch in observer.abatches(timeout=0.01)] == []

    run(main())


def test_a_busy_log_lets_other_tasks_run(name: str) -> None:
    log = ringlog.create(name, [("number", "u8")], capacity=1 << 12)

    async def main() -> None:
        with log.writer() as writer, log.reader(0) as reader:
            others = 0

            async def other() -> None:
                nonlocal others
                while True:
                    others += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            writer.extend(np.zeros(1000, [("number", "u8")]))
            batches = 0
            async for _ in reader.abatches(10, timeout=0):
                batches += 1
            task.cancel()
            assert batches == 100
            assert others >= 100

    run(main())


def test_a_task_calls_and_can_give_the_call_up(name: str) -> None:
    held = threading.Event()

    def handle(method: int, body: bytes) -> bytes:
        if method == 2:
            held.wait(PATIENCE)
        return body.upper()

    async def main() -> None:
        with ringlog.connect(name, PATIENCE) as client:
            assert await client.acall(1, b"loud", PATIENCE) == b"LOUD"
            task = asyncio.create_task(client.acall(2, b"slow", None))
            await asyncio.sleep(0.01)
            assert not task.done()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            held.set()
            assert await client.acall(1, b"again", PATIENCE) == b"AGAIN"

    with ringlog.Service(name) as service:
        server = threading.Thread(target=service.run, args=(handle,))
        server.start()
        try:
            run(main())
        finally:
            held.set()
            service.stop()
            server.join(PATIENCE)
