"""``access_log()``: one line per call, after its end.

The call pays for a tuple on a queue; a thread turns tuples into text and writes them, every 50 ms in one go.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Hashable
from traceback import format_exception_only
from typing import Any, cast

from kratos.call import RECORDED, Call
from kratos.errors import Error
from kratos.handler import Handler, Messages, Middleware, outcome, unwrapped
from kratos.log.access import Format, Line, to_logging, to_stream
from kratos.log.entry import ACCESS, USUAL
from kratos.log.json import quoted, value
from kratos.log.lost import show
from kratos.log.queue import Queue
from kratos.log.raised import discreet
from kratos.log.redact import Redaction
from kratos.log.sink import Destination
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation

__all__ = ["AccessLog", "access_log"]

_LONGEST_ERROR = 2000
_LONGEST_ARGS = 4096


def access_log(
    *,
    to: Destination = None,
    format: Format = "auto",
    records: bool = False,
    args: bool = False,
    redact: Redaction | None = None,
    limit: int = 10_000,
) -> AccessLog:
    """Writes one line per call: kind, component, operation, code, reason, latency in seconds, peer, the call's fields.

    The level is ERROR for codes from 500 on and INFO for all others; a call whose caller left has code 499. A stream
    has one line as well, at its end, with the number of its messages. Requests are not written unless ``args`` says so.

    Args:
        to: A stream, or the path of a file to append to; ``sys.stderr`` if not given.
        format: ``json``, ``console``, or ``auto``: ``console`` on a terminal and ``json`` elsewhere.
        records: Hand the lines to ``logging`` (the logger is ``kratos.access``) instead of writing them. This costs
            more, though not in the event loop.
        args: Write the request too, as JSON, masked, and cut after some 4,000 letters; as it is before the handler has
            it, and not for streamed requests. This costs what looking at each field costs, in the event loop.
        redact: What is masked in fields, errors and requests; the usual keys and patterns if not given.
        limit: How many lines may wait to be written; further ones are lost, and their number is written.

    Example:
        ``App(name="shop", middleware=[recovery(), access_log(to="access.log")])``
    """
    rules = redact or USUAL
    queue = Queue(to_logging(rules) if records else to_stream(to, format, rules), limit=limit)
    return AccessLog(queue, rules if args else None, to=ACCESS if records else _where(to))


class AccessLog:
    """The middleware that ``access_log`` returns, and the end of its life.

    Args:
        queue: Takes the lines.
        rules: How requests are masked; None leaves them out.
        to: Where the lines end up, which is not the same for two access logs of one server; stderr if not given.
    """

    def __init__(self, queue: Queue[Line], rules: Redaction | None = None, *, to: Hashable = None) -> None:
        self._queue = queue
        self._rules = rules
        self._to = to

    @property
    def dropped(self) -> int:
        """How many lines were lost since the start: there was no room, or writing them failed."""
        return self._queue.dropped

    def measure(self, meter: Meter) -> None:
        """Shows how many lines were lost, as ``kratos_log_lines_lost_total``."""
        show(meter, "access", lambda: self.dropped)

    def tells(self, _: Meter) -> tuple[str, Hashable]:
        """Returns where the lines end up; see ``Telling``."""
        return "access_log()", id(sys.stderr) if self._to is None else self._to

    def bind(self, operation: AnyOperation) -> Middleware:
        """Returns the middleware of one operation; only streams pay for counting messages."""
        if self._rules is not None and not operation.client_streams:
            return self._told
        return self._stream if operation.streams else self._unary

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        """Logs one call."""
        return self.bind(call.operation)(request, call, next)

    def flush(self) -> None:
        """Writes what waits, in this thread."""
        self._queue.flush()

    async def aclose(self) -> None:
        """Writes what waits, within two seconds, and ends the thread; another call starts it again."""
        await asyncio.to_thread(self._queue.close)

    async def _unary(self, request: Any, call: Call, next: Handler, args: str = "") -> Any:
        start = time.perf_counter()
        try:
            reply = await next(request, call)
        except BaseException as failure:
            line = _line(call, start, *_outcome(failure, call))
            self._queue.put(line._replace(args=args) if args else line)
            raise
        line = _line(call, start, call.reply.status or 200)
        self._queue.put(line._replace(args=args) if args else line)
        return reply

    def _told(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        """Has the request in the line."""
        args = _args(request, self._rules) if self._rules is not None and call.rejected is None else ""
        return (self._stream if call.operation.streams else self._unary)(request, call, next, args)

    async def _stream(self, request: Any, call: Call, next: Handler, args: str = "") -> Any:
        start = time.perf_counter()
        count = _Count(call, request)
        try:
            reply = await next(count.request, call)
        except BaseException as failure:
            line = _line(call, start, *_outcome(failure, call))
            self._queue.put(line._replace(requests=count.requests, replies=count.replies, args=args))
            raise
        line = _line(call, start, call.reply.status or 200)
        replies = count.replies + (reply is not None)
        self._queue.put(line._replace(requests=count.requests, replies=replies, args=args))
        return reply


def _where(to: Any) -> Hashable:
    if to is None:
        return None
    return os.path.abspath(to) if isinstance(to, str) or hasattr(to, "__fspath__") else id(to)


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
        time.time(), call.side, call.kind, operation, code, reason, latency, call.peer.address, call.fields, error,
        None, None, "", RECORDED in call.state,
    )  # fmt: skip


def _args(request: Any, rules: Redaction) -> str:
    text = value(rules.value(request))
    return text if len(text) <= _LONGEST_ARGS else quoted(f"{text[:_LONGEST_ARGS]}… ({len(text)} letters)")


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
        text = discreet(format_exception_only(failure)[-1].strip(), failure, USUAL)
    return code, reason, text[:_LONGEST_ERROR]
