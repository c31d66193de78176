"""``metrics()``: how many calls there are, how they end and how long they take, under the names of Kratos.

What a call pays is a few additions: everything that is counted is looked up at the first call of an operation, and
kept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, cast

from kratos.call import RECORDED, Call
from kratos.handler import Handler, Messages, Middleware, outcome
from kratos.metrics.base import BUCKETS, Counter, Meter
from kratos.metrics.calls import CallMetrics
from kratos.metrics.noop import NoopMeter
from kratos.operation import AnyOperation

__all__ = ["metrics"]

logger = logging.getLogger("kratos.metrics")

_MOST_OUTCOMES: Final = 200  # are remembered of one operation: peers choose reasons


def metrics(meter: Meter | None = None, *, buckets: Sequence[float] = BUCKETS) -> Middleware:
    """Counts calls, on servers and clients, unary ones and streams alike.

    On a server these are ``server_requests_code_total`` (by kind, operation, code and reason),
    ``server_requests_seconds`` and ``server_requests_in_flight`` (by kind and operation); for streams also
    ``server_messages_received_total`` and ``server_messages_sent_total``. On a client their names begin with
    ``client``. A call whose caller left has code 499, an exception that is no ``Error`` 500.

    Args:
        meter: Where to; if not given, to the meter of the app that serves the call, or inside of whose call a client
            call is made. A client call outside of one is then not counted.
        buckets: The bounds of the histogram, in seconds.

    Example:
        ``App(name="shop", middleware=[recovery(), metrics(), access_log()])``
    """
    return _Metrics(meter, tuple(buckets))


class _Metrics:
    """What all chains with one ``metrics()`` share: the instruments, by meter and side."""

    __slots__ = ("_buckets", "_instruments", "meter")

    def __init__(self, meter: Meter | None, buckets: tuple[float, ...]) -> None:
        self.meter = meter
        self._buckets = buckets
        # The meter is kept with what is found by its id, so that the id stays its own.
        self._instruments: dict[tuple[int, str], tuple[Meter, CallMetrics | None]] = {}

    def bind(self, operation: AnyOperation) -> Middleware | None:
        if isinstance(self.meter, NoopMeter):
            return None
        counted = _Counted(self)
        return counted.stream if operation.streams else counted.unary

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        bound = self.bind(call.operation)
        return next(request, call) if bound is None else bound(request, call, next)

    def instruments(self, call: Call) -> tuple[bool, CallMetrics | None]:
        """Returns whether it is settled, and by what to count: None for not at all."""
        meter = call.meter if self.meter is None else self.meter
        if meter is None:
            return False, None
        if isinstance(meter, NoopMeter):
            return True, None
        key = (id(meter), call.side)
        if key not in self._instruments:
            self._instruments[key] = meter, self._made(meter, call)
        return True, self._instruments[key][1]

    def _made(self, meter: Meter, call: Call) -> CallMetrics | None:
        try:
            return CallMetrics(meter, call.side, self._buckets)
        except Exception:  # it is better not to count than not to serve
            logger.exception("metrics() cannot count the calls of this %s", call.side)
            return None


class _Counted:
    """One operation in one chain."""

    __slots__ = ("_cells", "_metrics")

    def __init__(self, metrics: _Metrics) -> None:
        self._metrics = metrics
        self._cells: dict[str, _Cells | None] = {}

    def tells(self, meter: Meter) -> tuple[str, int]:
        return "metrics()", id(meter if self._metrics.meter is None else self._metrics.meter)

    def _found(self, call: Call) -> _Cells | None:
        """Returns what counts the calls of this kind, None for nothing; settled by the first call that can tell."""
        if call.kind in self._cells:
            return self._cells[call.kind]
        settled, instruments = self._metrics.instruments(call)
        cells = None if instruments is None else _Cells(instruments, call)
        if settled:
            self._cells[call.kind] = cells
        return cells

    async def unary(self, request: Any, call: Call, next: Handler) -> Any:
        cells = self._cells.get(call.kind) or self._found(call)
        if cells is None:
            return await next(request, call)
        cells.enter(1)
        start = perf_counter()
        try:
            reply = await next(request, call)
        except BaseException as failure:
            cells.ended(call, start, *outcome(failure, call))
            raise
        cells.ended(call, start, call.reply.status or 200)
        return reply

    async def stream(self, request: Any, call: Call, next: Handler) -> Any:
        cells = self._cells.get(call.kind) or self._found(call)
        if cells is None:
            return await next(request, call)
        request = cells.messages(request, call)
        cells.enter(1)
        start = perf_counter()
        try:
            reply = await next(request, call)
        except BaseException as failure:
            cells.ended(call, start, *outcome(failure, call))
            raise
        if reply is not None:
            cells.replied()
        cells.ended(call, start, call.reply.status or 200)
        return reply


class _Cells:
    """What is counted of one operation over one transport."""

    # Methods are kept, and not what they belong to: a call pays for no look-up.
    __slots__ = ("_asked", "_labels", "_observe", "_outcomes", "_requests", "_succeed", "enter", "replied")

    def __init__(self, instruments: CallMetrics, call: Call) -> None:
        self._labels = labels = (call.kind, call.operation.name)
        self._requests = instruments.requests
        self._observe = instruments.seconds.labels(*labels).observe
        self._outcomes: dict[tuple[int, str], Counter] = {}
        self._succeed = self._counter(200, "").add
        self.enter = instruments.in_flight.labels(*labels).add
        if call.operation.streams:
            received, sent = instruments.received.labels(*labels), instruments.sent.labels(*labels)
            asked, replied = (received, sent) if call.side == "server" else (sent, received)
            self._asked, self.replied = asked.add, replied.add

    def ended(self, call: Call, start: float, code: int, reason: str = "") -> None:
        """Counts a call that is over."""
        seconds = perf_counter() - start
        if call.state:
            self._observe(seconds, _exemplar(call))
        else:
            self._observe(seconds)
        self.enter(-1)
        if code == 200:
            self._succeed()
        else:
            (self._outcomes.get((code, reason)) or self._counter(code, reason)).add()

    def messages(self, request: Any, call: Call) -> Any:
        """Returns the requests of a stream, which are counted as they pass; so are the replies."""
        asked, replied = self._asked, self.replied

        def came(message: Any) -> Any:
            asked()
            return message

        def went(message: Any) -> Any:
            replied()
            return message

        call.each_reply(went)
        streamed = isinstance(request, Messages)
        if streamed:
            return cast("Messages[Any]", request).map(came)
        asked()
        return request

    def _counter(self, code: int, reason: str) -> Counter:
        counter = self._requests.labels(*self._labels, str(code), reason)
        if len(self._outcomes) < _MOST_OUTCOMES:
            self._outcomes[code, reason] = counter
        return counter


def _exemplar(call: Call) -> Mapping[str, str] | None:
    """Returns what leads from a bucket to a trace of one of its calls; None if that of this one is not recorded."""
    if not call.state.get(RECORDED):
        return None
    return {name: str(call.fields[name]) for name in ("trace_id", "span_id") if name in call.fields}
