"""A persistent, multi-reader ring log in shared memory: read it, write it, and call across it.

    import ringlog
    frame = ringlog.open("/quotes").last(minutes=1).to_pandas()

docs/python.md is the guide.
"""

from . import parts
from .batch import Batch, Entries, Entry, TopicBatch
from .calls import Client, Service, connect, serve
from .errors import (
    BadValue,
    CallError,
    Claimed,
    Code,
    Exists,
    Expired,
    Failed,
    Full,
    Gone,
    Interrupted,
    Invalid,
    Lost,
    NoMethod,
    NotFound,
    Panicked,
    Replaced,
    RinglogError,
    SchemaError,
    ShutOut,
    Stopped,
    SystemFailure,
    TimedOut,
    TooLarge,
    Undelivered,
    Unusable,
)
from .log import Log, Observer, Reader, Writer, create, logs, open, remove, unlink
from .schema import Column, Schema, text, timestamp
from .schema import decimal_ as decimal
from .snapshot import ReaderState, Snapshot, WriterState
from .topic import Publisher, Subscriber, Topic

__all__ = [
    "BadValue", "Batch", "CallError", "Claimed", "Client", "Code", "Column", "Entries", "Entry",
    "Exists", "Expired", "Failed", "Full", "Gone", "Interrupted", "Invalid", "Log", "Lost",
    "NoMethod", "NotFound", "Observer", "Panicked", "Publisher", "Reader", "ReaderState",
    "Replaced", "RinglogError", "Schema", "SchemaError", "Service", "ShutOut", "Snapshot",
    "Stopped", "Subscriber", "SystemFailure", "TimedOut", "TooLarge", "Topic", "TopicBatch",
    "Undelivered", "Unusable", "Writer", "WriterState", "connect", "create", "decimal", "logs",
    "open", "parts", "remove", "serve", "text", "timestamp", "unlink",
]  # fmt: skip
