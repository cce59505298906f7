"""Calls: what a caller gets, whatever becomes of the server; and Rust on either side."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import ringlog
from conftest import PATIENCE, Children, has, needs, output


@contextmanager
def served(name: str, handlers: Any, body: Any = "bytes", workers: int = 0, **options: Any) -> Iterator[ringlog.Service]:
    """A service in a thread of its own."""
    with ringlog.Service(name, body, **options) as service:
        thread = threading.Thread(target=service.run, args=(handlers, workers))
        thread.start()
        try:
            yield service
        finally:
            service.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_a_call_is_answered_by_its_method(name: str) -> None:
    with served(name, {1: bytes.upper, 2: lambda body: body[::-1], 3: lambda body: None}):
        with ringlog.connect(name, PATIENCE) as client:
            assert (client.body, client.has_server) == ("bytes", True)
            assert client.call(1, b"loud", PATIENCE) == b"LOUD"
            assert client.call(2, b"abc", PATIENCE) == b"cba"
            assert client.call(3, b"", PATIENCE) == b""
            with pytest.raises(ringlog.NoMethod):
                client.call(4, b"", PATIENCE)
            for length in (0, 1, 100_000, 600_000, 3_000_000):
                assert client.call(2, b"x" * length, PATIENCE) == b"x" * length


def test_a_handler_of_all_methods_is_given_the_method(name: str) -> None:
    def handle(method: int, value: Any) -> Any:
        return {"method": method, "value": value}

    with served(name, handle, "json"), ringlog.connect(name, PATIENCE) as client:
        assert client.body == "json"
        assert client.call(7, ["é", None], PATIENCE) == {"method": 7, "value": ["é", None]}


@pytest.mark.parametrize("kind", ["json", "text", "msgpack"])
def test_values_are_those_of_the_service(name: str, kind: Any) -> None:
    if kind == "msgpack":
        needs("msgpack")
    value: Any = "text é" if kind == "text" else {"a": [1, 2.5, "é", None]}
    with served(name, {1: lambda it: it}, kind), ringlog.connect(name, PATIENCE) as client:
        assert client.call(1, value, PATIENCE) == value


def test_how_a_handler_fails_reaches_the_caller(name: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(body: bytes) -> bytes:
        raise ringlog.Failed(b"a division by zero \xff")

    def wrong(body: bytes) -> bytes:
        raise ZeroDivisionError("division by zero")

    def no_bytes(body: bytes) -> Any:
        return 5

    with served(name, {1: fail, 2: wrong, 3: no_bytes}), ringlog.connect(name, PATIENCE) as client:
        with pytest.raises(ringlog.Failed, match="a division by zero") as failed:
            client.call(1, b"", PATIENCE)
        assert failed.value.body == b"a division by zero \xff"
        with caplog.at_level(logging.ERROR, "ringlog"):
            with pytest.raises(ringlog.Panicked, match="ZeroDivisionError: division by zero"):
                client.call(2, b"", PATIENCE)
        assert "method 2" in caplog.text and "ZeroDivisionError" in caplog.text
        with pytest.raises(ringlog.Panicked, match="a int is no body of bytes"):
            client.call(3, b"", PATIENCE)
        with pytest.raises(ringlog.Invalid, match="a dict is no body of bytes"):
            client.call(1, {"a": 1}, PATIENCE)


def test_a_call_ends_when_its_time_is_over(name: str) -> None:
    held = threading.Event()

    def hold(body: bytes) -> bytes:
        held.wait(PATIENCE)
        return b"late"

    with served(name, {1: hold, 2: lambda body: body}), ringlog.connect(name, PATIENCE) as client:
        with pytest.raises(ringlog.TimedOut) as over:
            client.call(1, b"", 0.02)
        assert (over.value.code, isinstance(over.value, TimeoutError)) == (ringlog.Code.NO_ANSWER, True)
        held.set()
        assert client.call(2, b"next", PATIENCE) == b"next"


def test_where_nothing_serves_there_is_no_client(name: str) -> None:
    with pytest.raises(ringlog.NotFound):
        ringlog.connect(name, 0.01)
    ringlog.Service(name).close()
    with pytest.raises(ringlog.Gone) as gone:
        ringlog.connect(name, 0.01)
    assert gone.value.code == ringlog.Code.NOT_FOUND
    ringlog.unlink(name)
    ringlog.create(name, [("a", "u8")])
    with pytest.raises(ringlog.Invalid, match="not a service"):
        ringlog.connect(name, 0.01)


def test_a_name_is_served_by_one_process(name: str) -> None:
    with ringlog.Service(name):
        with pytest.raises(ringlog.Claimed):
            ringlog.Service(name)
    with ringlog.Service(name), pytest.raises(ringlog.Invalid, match="none of"):
        wrong: Any = "yaml"
        ringlog.Service(name + "x", wrong)


def test_workers_run_handlers_side_by_side(name: str) -> None:
    meet = threading.Barrier(3, timeout=PATIENCE)

    def handle(body: bytes) -> bytes:
        meet.wait()  # which one alone would not get past
        if body == b"fail":
            raise ringlog.Failed("it")
        return body

    with served(name, {1: handle}, workers=3):
        clients = [ringlog.connect(name, PATIENCE) for _ in range(3)]
        answers: list[Any] = [None] * 3

        def call(i: int) -> None:
            try:
                answers[i] = clients[i].call(1, [b"a", b"b", b"fail"][i], PATIENCE)
            except ringlog.Failed as e:
                answers[i] = e.body

        threads = [threading.Thread(target=call, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        for client in clients:
            client.close()
        assert answers == [b"a", b"b", b"it"]


def test_a_handler_may_stop_its_server(name: str) -> None:
    service = ringlog.Service(name)

    def handle(body: bytes) -> bytes:
        service.stop()
        return b"bye"

    thread = threading.Thread(target=service.run, args=({1: handle},))
    thread.start()
    with ringlog.connect(name, PATIENCE) as client:
        assert client.call(1, b"", PATIENCE) == b"bye"
    thread.join(PATIENCE)
    assert not thread.is_alive()
    service.close()


SERVER = """
import os, signal, sys, ringlog
def handle(method, body):
    if method == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    return body
print("serves")
ringlog.serve(sys.argv[1], handle, repeat=len(sys.argv) > 2)
"""


def test_a_server_that_dies_over_a_request_is_told_to_its_caller(name: str, children: Children) -> None:
    first = children.python(SERVER, name)
    first.line()
    with ringlog.connect(name, PATIENCE) as client:
        assert client.call(1, b"alive", PATIENCE) == b"alive"
        with pytest.raises(ringlog.Gone):
            client.call(9, b"", PATIENCE)
    first.end()
    second = children.python(SERVER, name)
    second.line()
    with ringlog.connect(name, PATIENCE, outlast=True) as client:
        caught: list[Exception] = []

        def call() -> None:
            try:
                client.call(9, b"", PATIENCE)
            except ringlog.CallError as e:
                caught.append(e)

        thread = threading.Thread(target=call)
        thread.start()
        assert second.end() == -9
        third = children.python(SERVER, name)
        third.line()
        thread.join(PATIENCE)
        assert [type(it) for it in caught] == [ringlog.Interrupted]
        assert client.call(1, b"again", PATIENCE) == b"again"


def test_a_client_that_dies_leaves_its_lane_to_the_next(name: str, children: Children) -> None:
    script = """
import sys, ringlog
client = ringlog.connect(sys.argv[1], 60)
client.call(1, b"", 60)
print(client._client.lane)
sys.stdin.read()
"""
    with served(name, {1: lambda body: body}, lanes=1):
        child = children.python(script, name, stdin=subprocess.PIPE)
        assert child.line() == "0"
        with pytest.raises(ringlog.TimedOut):
            ringlog.connect(name, 0.05)
        child.kill()
        with ringlog.connect(name, PATIENCE) as client:
            assert client.call(1, b"mine", PATIENCE) == b"mine"


# With Rust on the other side.


def test_rust_calls_python(name: str, programs: Path) -> None:
    with served(name, {1: lambda it: {"sum": sum(it)}}, "json"):
        answer = output(programs / "ringlog", "call", name, "--method", "1", "--body", "[1,2.5]", "--timeout", "20s")
        assert answer == '{"sum":3.5}\n'


def test_python_calls_rust(name: str, programs: Path, children: Children) -> None:
    if not has("tr"):
        pytest.skip("there is no tr")
    children.run(programs / "ringlog", "serve", name, "--exec", "tr a-z A-Z", "--workers", "2")
    with ringlog.connect(name, PATIENCE) as client:
        assert client.call(0, b"a few words", PATIENCE) == b"A FEW WORDS"


def test_rust_and_python_speak_the_same_messagepack(name: str, programs: Path) -> None:
    needs("msgpack")
    with served(name, {1: lambda it: it | {"size": it["size"] + 1}}, "msgpack"):
        answer = output(programs / "ringlog", "call", name, "--method", "1", "--body", '{"size":41,"symbol":"é"}',
                        "--timeout", "20s")  # fmt: skip
        assert answer == '{"size":42,"symbol":"é"}\n'
