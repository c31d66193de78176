"""``access_log()``: one line per call, after its end.

The call pays for a tuple on a queue; a thread turns tuples into text and writes them, every 50 ms in one go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from traceback import format_exception_only
from typing import Any, cast

from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Handler, Messages, Middleware, outcome, unwrapped
from kratos.log.access import Format, Line, to_logging, to_stream
from kratos.log.queue import Queue
from kratos.log.sink import Destination
from kratos.operation import AnyOperation

__all__ = ["AccessLog", "access_log"]

_LONGEST_ERROR = 2000


def access_log(
    *, to: Destination = None, format: Format = "auto", records: bool = False, limit: int = 10_000
) -> AccessLog:
    """Writes one line per call: kind, component, operation, code, reason, latency in seconds, peer, the call's fields.

    The level is ERROR for codes from 500 on and INFO for all others; a call whose caller left has code 499. A stream
    has one line as well, at its end, with the number of its messages. Requests are never written.

    Args:
        to: A stream, or the path of a file to append to; ``sys.stderr`` if not given.
        format: ``json``, ``console``, or ``auto``: ``console`` on a terminal and ``json`` elsewhere.
        records: Hand the lines to ``logging`` (the logger is ``kratos.access``) instead of writing them. This costs
            more, though not in the event loop.
        limit: How many lines may wait to be written; further ones are lost, and their number is written.

    Example:
        ``App(name="shop", middleware=[recovery(), access_log(to="access.log")])``
    """
    return AccessLog(Queue(to_logging if records else to_stream(to, format), limit=limit))


class AccessLog:
    """The middleware that ``access_log`` returns, and the end of its life.

    Args:
        queue: Takes the lines.
    """

    def __init__(self, queue: Queue[Line]) -> None:
        self._queue = queue

    def bind(self, operation: AnyOperation) -> Middleware:
        """Returns the middleware of one operation; only streams pay for counting messages."""
        return self._stream if operation.streams else self._unary

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        """Logs one call."""
        return self.bind(call.operation)(request, call, next)

    def flush(self) -> None:
        """Writes what waits, in this thread."""
        self._queue.flush()

    async def aclose(self) -> None:
        """Writes what waits and ends the thread; another call starts it again."""
        await asyncio.to_thread(self._queue.close)

    async def _unary(self, request: Any, call: Call, next: Handler) -> Any:
        start = time.perf_counter()
        try:
            reply = await next(request, call)
        except BaseException as failure:
            self._queue.put(_line(call, start, *_outcome(failure, call)))
            raise
        self._queue.put(_line(call, start, call.reply.status or 200))
        return reply

    async def _stream(self, request: Any, call: Call, next: Handler) -> Any:
        start = time.perf_counter()
        count = _Count(call, request)
        try:
            reply = await next(count.request, call)
        except BaseException as failure:
            line = _line(call, start, *_outcome(failure, call))
            self._queue.put(line._replace(requests=count.requests, replies=count.replies))
            raise
        line = _line(call, start, call.reply.status or 200)
        self._queue.put(line._replace(requests=count.requests, replies=count.replies + (reply is not None)))
        return reply


class _Count:
    """Counts the messages of one stream as they pass."""

    __slots__ = ("replies", "request", "requests")

    def __init__(self, call: Call, request: Any) -> None:
        streamed = isinstance(request, Messages)
        self.requests = 0 if streamed else 1
        self.replies = 0
        self.request: Any = cast("Messages[Any]", request).map(self._asked) if streamed else request
        call.each_reply(self._answered)

    def _asked(self, message: Any) -> Any:
        self.requests += 1
        return message

    def _answered(self, message: Any) -> Any:
        self.replies += 1
        return message


def _line(call: Call, start: float, code: int, reason: str = "", error: str = "") -> Line:
    latency = time.perf_counter() - start
    operation = call.operation.name
    return Line(
        time.time(), call.side, call.kind, operation, code, reason, latency, call.peer.address, call.fields, error
    )


def _outcome(failure: BaseException, call: Call) -> tuple[int, str, str]:
    """Returns code, reason and error of a call that failed."""
    code, reason = outcome(failure, call)
    if isinstance(failure, Exception):
        failure = unwrapped(failure)
    if isinstance(failure, Error):
        text = str(failure.message)
    elif isinstance(failure, asyncio.CancelledError):
        text = "the caller has left" if code == 499 else f"took longer than the {call.limit} allows"
    else:
        text = format_exception_only(failure)[-1].strip()
    return code, reason, text[:_LONGEST_ERROR]
