"""What the tests stand on: names of their own, the programs, processes that end, and tests that do."""

from __future__ import annotations

import faulthandler
import itertools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

#: No test takes longer: what hangs fails, and says where.
LONGEST = 300
#: What is waited for comes sooner, or fails.
PATIENCE = 60.0

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def ends() -> Iterator[None]:
    faulthandler.dump_traceback_later(LONGEST, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a log, a service or a topic, of which nothing stays."""
    name = f"/ringlog-py-test-{os.getpid()}-{next(_numbers)}"
    yield name
    for path in Path("/dev/shm").glob(f"{name[1:]}*"):
        path.unlink()


@pytest.fixture
def programs() -> Path:
    """Where the programs are: RINGLOG_PROGRAMS, or what cargo built here."""
    given = os.environ.get("RINGLOG_PROGRAMS")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    for path in [Path(given)] if given else [target / "release", target / "debug"]:
        if all((path / program).exists() for program in ("writer", "reporter", "ringlog")):
            return path
    pytest.skip("the programs are not built: cargo build --bins")


class Child:
    """A process that is killed at the end of its test, and whose lines are waited for, but not for ever."""

    def __init__(self, command: list[str | Path], **options: Any) -> None:
        options = {"stdout": subprocess.PIPE, "text": True, **options}
        self.process: subprocess.Popen[str] = subprocess.Popen([str(it) for it in command], **options)

    def line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        assert line, f"it said nothing, and ended with {self.process.wait(PATIENCE)}"
        return line.rstrip("\n")

    def end(self) -> int:
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


class Children:
    def __init__(self) -> None:
        self.children: list[Child] = []

    def run(self, *command: str | Path, **options: Any) -> Child:
        child = Child(list(command), **options)
        self.children.append(child)
        return child

    def python(self, script: str, *args: str, **options: Any) -> Child:
        """A process of this Python that runs a script."""
        return self.run(sys.executable, "-u", "-c", script, *args, **options)


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    for child in children.children:
        child.kill()


def output(*command: str | Path, **options: Any) -> str:
    """What a command says that succeeds."""
    command_ = [str(it) for it in command]
    options = {"capture_output": True, "text": True, "timeout": PATIENCE, **options}
    done: subprocess.CompletedProcess[str] = subprocess.run(command_, **options)
    assert done.returncode == 0, f"{command_}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def needs(*modules: str) -> list[Any]:
    """The modules; a test that cannot have them is skipped, and says so."""
    return [pytest.importorskip(module) for module in modules]


def has(program: str) -> bool:
    return shutil.which(program) is not None
