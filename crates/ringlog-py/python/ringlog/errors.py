"""What can go wrong, by class. Each exception has the code of the one table that the programs exit with."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """What an error comes to, as a number: what the programs exit with, and libraries of other languages return."""

    OTHER = 1
    INVALID = 2
    LOST = 3
    CLAIMED = 4
    NOT_FOUND = 5
    UNUSABLE = 6
    OUTPUT = 7
    NO_ANSWER = 8


class RinglogError(Exception):
    """What all have in common. `code` is of the table `Code`."""

    code: int = Code.OTHER


class Invalid(RinglogError, ValueError):
    """An argument that cannot be meant: a name, a capacity, a column, a value."""

    code = Code.INVALID


class Lost(RinglogError):
    """The newest entry was overwritten each time it was looked at. (A loss in a batch is no error.)"""

    code = Code.LOST


class Claimed(RinglogError):
    """A living process is the writer already, or this reader: `reader` is its number, and None for the writer."""

    code = Code.CLAIMED
    reader: int | None = None
    pid: int = 0


class ShutOut(Claimed):
    """A process has a read lock on the log's file, and the kernel gives no process the claim meanwhile."""


class NotFound(RinglogError):
    """There is no log under this name."""

    code = Code.NOT_FOUND


class Replaced(NotFound):
    """The log was removed, and another one made under its name, since it was opened."""


class Exists(RinglogError):
    """There is a log of this name already."""


class Undelivered(RinglogError):
    """A log that was to be removed has entries that `reader` has not had."""

    reader: int = 0


class Unusable(RinglogError):
    """What has this name is no log that can be used."""

    code = Code.UNUSABLE


class SchemaError(Unusable):
    """The log's columns are not those that the program has."""


class Full(RinglogError):
    """A lossless log has no room, for it waits for `reader`, which is `behind` by so many entries.

    `appended` says how many entries of an `extend` were appended before that.
    """

    reader: int = 0
    behind: int = 0
    appended: int = 0


class SystemFailure(RinglogError):
    """The operating system refused: `errno` says how."""

    errno: int | None = None


class CallError(RinglogError):
    """What became of a call that has no answer."""


class TimedOut(CallError, TimeoutError):
    """There was no answer in time."""

    code = Code.NO_ANSWER


class Expired(CallError):
    """The request came too late, and was not run."""

    code = Code.NO_ANSWER


class Gone(CallError):
    """The server is gone."""

    code = Code.NOT_FOUND


class Failed(CallError):
    """The handler says that it failed: `body` says why.

    A handler raises it to say so. A text is sent as UTF-8.
    """

    body: bytes

    def __init__(self, why: str | bytes = b"") -> None:
        super().__init__(why if isinstance(why, str) else why.decode(errors="replace"))
        self.body = why.encode() if isinstance(why, str) else bytes(why)


class Interrupted(CallError):
    """The server died when it had begun the request, which may have been run."""


class Stopped(CallError):
    """The caller gave the call up."""


class Panicked(CallError):
    """The handler raised what is no `Failed`: the message says what."""


class NoMethod(CallError):
    """The server has no such method. A handler raises it to say so."""


class TooLarge(CallError):
    """Request or answer is longer than the other side takes."""


class BadValue(CallError):
    """An answer is not of the form that the service speaks."""
