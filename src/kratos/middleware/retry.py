"""``retry()``: a client tries again where that is safe and helps, and never so often that it does harm."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from kratos.call import Call
from kratos.errors import Error
from kratos.handler import Handler, Middleware
from kratos.live import Live, live
from kratos.metadata import Metadata
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation
from kratos.resilience.budget import Retry, RetryBudget
from kratos.resilience.figures import RetryFigures
from kratos.resilience.window import Clock

__all__ = ["retry"]

ATTEMPT: Final = "x-kratos-attempt"  # grpcio takes gRPC's own header for it away (grpc-previous-rpc-attempts)
_HOPELESS: Final = "CIRCUITBREAKER"


def retry(
    settings: Retry | Live[Retry] = Retry(),  # noqa: B008 - it is frozen
    *,
    meter: Meter | None = None,
    clock: Clock = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> Middleware:
    """Sends a unary call again that has failed with one of some codes; for clients, and one for each of them.

    Only if a repetition does no harm: the contract says so (``idempotency_level``), the caller does
    (``idempotent=True``), or the call certainly never left. Only within the deadline and the budget, after a pause by
    chance or as long as the server asks for, and not if it asks to be left alone. Streams are not sent again: who
    reads one knows where to go on.

    Put it first, so that ``breaker()``, ``tracing()`` and ``metrics()`` see each attempt. From the second one on
    ``call.fields["attempt"]`` says which it is, and the header ``x-kratos-attempt`` says so to the server.

    Args:
        settings: When it tries again; live ones count from the next failure on.
        meter: Where its figures go; to the app inside of whose calls the client is used if not given.
        clock: Tells the time, for the budget.
        chance: Returns a number from 0 to below 1.

    Example:
        ``GRPCClient("discovery:///shop", discovery=registry, middleware=[retry(Retry(attempts=4)), breaker()])``
    """
    return _Retrying(live(settings), meter, clock, chance)


class _Retrying:
    __slots__ = ("_budget", "_chance", "_figures", "_live")

    def __init__(self, settings: Live[Retry], meter: Meter | None, clock: Clock, chance: Callable[[], float]) -> None:
        self._live = settings
        self._chance = chance
        self._budget = RetryBudget(clock=clock)
        self._figures: RetryFigures | None = None
        if meter is not None:
            self.measure(meter)

    def measure(self, meter: Meter, /) -> None:
        """Shows the figures; see ``Measured``."""
        if self._figures is None:
            self._figures = RetryFigures(meter, lambda: self._budget.left(self._live.value))

    def bind(self, operation: AnyOperation) -> Middleware | None:
        return None if operation.streams else self._unary

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        return next(request, call) if call.operation.streams else self._unary(request, call, next)

    async def _unary(self, request: Any, call: Call, next: Handler) -> Any:
        if self._figures is None and (meter := call.meter) is not None:
            self.measure(meter)
        self._budget.called()
        headers = call.headers.items() if call.headers else ()
        attempt = 1
        while True:
            try:
                reply = await next(request, call)
            except Error as error:
                pause = self._pause(error, call, attempt)
                if pause is None:
                    raise
            else:
                if attempt > 1:
                    self._count(call, "ok")
                return reply
            await asyncio.sleep(pause)
            # What the attempt has left on the call would be part of the next one, or of its reply.
            call.headers = Metadata.from_wire(headers)
            attempt += 1
            call.headers.set(ATTEMPT, str(attempt))
            call.reply.status = None
            call.reply.received(headers=Metadata(), trailers=Metadata())
            call.fields["attempt"] = attempt

    def _pause(self, error: Error, call: Call, attempt: int) -> float | None:
        """Returns how many seconds to wait before the next attempt, None for no other."""
        if attempt > 1:
            self._count(call, "failed")
        settings = self._live.value
        safe = call.options.get("idempotent", call.operation.idempotent) or error.unsent
        if not safe or error.status not in settings.codes or error.reason == _HOPELESS or attempt >= settings.attempts:
            return None
        pause = settings.pause(attempt, error.retry_after, self._chance)
        remaining = call.remaining()
        if pause is None:
            self._count(call, "pushback")
        elif remaining is not None and pause >= remaining:
            self._count(call, "deadline")
        elif self._budget.spend(settings):
            return pause
        else:
            self._count(call, "budget")
        return None

    def _count(self, call: Call, outcome: str) -> None:
        if self._figures is not None:
            self._figures.count(call.operation.name, outcome)
