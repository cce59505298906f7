"""Calls between processes: a client that calls, and a service that is called."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from . import _ringlog
from .errors import BadValue, Failed, Invalid, NoMethod
from .log import Wait, _Closing
from .schema import Body, decode, encode

if TYPE_CHECKING:
    from typing import TypeAlias

    from .log import Name

    #: What a service runs: a function for each method, or one that is given the method too.
    Handlers: TypeAlias = Mapping[int, Callable[[Any], Any]] | Callable[[int, Any], Any]

_log = logging.getLogger("ringlog")


def connect(
    name: Name,
    timeout: float | None = 1.0,
    *,
    outlast: bool = False,
    timed: bool = False,
    wait: Wait = "block",
    owner: int | None = None,
    answer_max: int | None = None,
) -> Client:
    """Becomes a client of a service, and waits for its server and a free lane, but at most `timeout` seconds.

    With `outlast` a call whose server is gone waits for the next one, as long as it has time. With `timed`,
    tools can tell how long calls take.
    """
    client = _ringlog.connect(name, timeout, owner, outlast, timed, wait, answer_max)
    return Client(client, str(name))


class Client(_Closing):
    """A client of a service: it has a lane of its own until it is closed or its process dies."""

    def __init__(self, client: _ringlog.Client, name: str) -> None:
        self._client = client
        self.name = name
        #: What requests and answers are, as the service says.
        self.body: Body = client.form  # type: ignore[assignment]
        self._thread: ThreadPoolExecutor | None = None

    @property
    def has_server(self) -> bool:
        """Whether its server lives."""
        return self._client.has_server

    def call(self, method: int, payload: Any = b"", timeout: float | None = 1.0) -> Any:
        """Sends a request, and returns its answer, for which it waits at most `timeout` seconds.

        The payload is bytes, or a value as the service takes it, and so is the answer. The server runs a
        request at most once, and not when its time is over.
        """
        answer = self._client.call(method, encode(self.body, payload), timeout)
        try:
            return decode(self.body, answer)
        except Invalid as e:
            raise BadValue(f"{self.name}: {e}") from e

    async def acall(self, method: int, payload: Any = b"", timeout: float | None = 1.0) -> Any:
        """Calls as `call`, and lets other tasks run meanwhile. A task that is cancelled gives the call up."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "ringlog")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self.call, method, payload, timeout)
        except asyncio.CancelledError:
            self._client.give_up()
            raise

    def close(self) -> None:
        """Gives its lane to the next client."""
        self._client.give_up()
        if self._thread is not None:
            self._thread.shutdown()
        self._client.close()


class Service(_Closing):
    """The server of a name, until it is closed or its process dies."""

    def __init__(
        self,
        name: Name,
        body: Body = "bytes",
        *,
        lanes: int | None = None,
        arena: int | None = None,
        mode: int | None = None,
        repeat: bool = False,
        wait: Wait = "block",
        drain: float = 5.0,
    ) -> None:
        """Becomes the server. `body` says what requests and answers are: "bytes", "text", "json", "msgpack".

        There are `lanes` clients at a time, 16 unless it says otherwise. With `repeat` a request that a server
        died over is run again by the next one. `drain` is how many seconds `stop` leaves for what is under way.
        """
        self._service = _ringlog.serve(name, body, lanes, arena, mode, repeat, wait, drain)
        self.name = self._service.name
        self.body: Body = body

    def run(self, handlers: Handlers, workers: int = 0) -> None:
        """Serves until `stop`, or Ctrl-C.

        A handler is given the payload of a request, and returns that of its answer. It raises `Failed` to say
        that it failed, and `NoMethod` where there is no such method; anything else is logged, and its caller
        gets `Panicked`. They run in this thread, one after the other; or in so many `workers`.
        """
        handler = self._handler(handlers)
        if workers <= 0:
            self._service.run(handler)
            return
        threads = ThreadPoolExecutor(workers, "ringlog")
        try:
            self._service.run(handler, lambda request: threads.submit(request.serve, handler))
        finally:
            threads.shutdown(wait=False, cancel_futures=True)  # what has not begun is not run

    def _handler(self, handlers: Handlers) -> Callable[[int, bytes], bytes]:
        kind = self.body

        def handle(method: int, body: bytes) -> bytes:
            try:
                if callable(handlers):
                    answer = handlers(method, decode(kind, body))
                elif method in handlers:
                    answer = handlers[method](decode(kind, body))
                else:
                    raise NoMethod(f"there is no method {method}")
                return encode(kind, b"" if answer is None and kind in ("bytes", "text") else answer)
            except (Failed, NoMethod):
                raise
            except Exception:
                _log.exception("%s: method %d", self.name, method)
                raise

        return handle

    def stop(self) -> None:
        """Has `run` end, from a handler, another thread or the handler of a signal."""
        self._service.stop()

    def close(self) -> None:
        """Leaves the name to the next server."""
        self._service.close()


def serve(name: Name, handlers: Handlers, body: Body = "bytes", *, workers: int = 0, **options: Any) -> None:
    """Serves a name until Ctrl-C; see `Service`."""
    with Service(name, body, **options) as service:
        service.run(handlers, workers)
