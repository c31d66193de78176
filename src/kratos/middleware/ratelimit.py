"""``ratelimit()``: a server takes on what it can finish, and turns the rest away at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import perf_counter
from typing import Any

from kratos.call import Call
from kratos.errors import TooManyRequests
from kratos.handler import Handler, Middleware
from kratos.live import Live, live
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation
from kratos.resilience.base import Priority
from kratos.resilience.bbr import BBR
from kratos.resilience.figures import LimiterFigures
from kratos.resilience.intake import Turns
from kratos.resilience.limiters import Limiting, limiter_of
from kratos.resilience.priority import priority_of

__all__ = ["ratelimit"]


def ratelimit(
    limiter: Limiting = BBR(),  # noqa: B008 - it is frozen
    *,
    priority: Callable[[Call], Priority] = priority_of,
    retry_after: float | Live[float] | None = 1.0,
    name: str = "",
) -> Middleware:
    """Turns calls away with 429, reason ``RATELIMIT``, when there are more than the limiter allows; for servers.

    ``BBR()`` sheds while the CPUs are busy and calls wait; ``Quota(...)`` is a limit of your own. For both, use it
    twice, the quota first. Put it behind ``metadata()``, so that calls can say how much they matter, and behind
    ``metrics()`` and ``access_log()``, which are to see what is turned away.

    Args:
        limiter: Which calls come in: settings of ours, live or not, or a limiter of your own.
        priority: Tells how much a call matters; asked only where it may make a difference.
        retry_after: When clients may try again, in seconds; None tells them nothing.
        name: What it is called in metrics: ``bbr`` or ``quota`` if not given. Two of a kind need two names.

    Raises:
        ValueError: ``retry_after`` is no time; a live one that becomes none is refused.

    Example:
        ``App(middleware=[recovery(), metadata(), ratelimit(Quota(concurrency=200)), ratelimit(), access_log()])``
    """
    given: Live[Any] = live(retry_after)
    return _RateLimit(limiter, priority, given.map(_checked), name)


def _checked(retry_after: float | None) -> float | None:
    if retry_after is not None and not 0 <= retry_after < inf:
        raise ValueError(f"ratelimit(retry_after={retry_after!r}): it has to be seconds from 0 on, or None")
    return retry_after


class _RateLimit:
    __slots__ = ("_figures", "_limiter", "_name", "_priority", "_retry_after", "_turns")

    def __init__(
        self, limiter: Limiting, priority: Callable[[Call], Priority], retry_after: Live[Any], name: str
    ) -> None:
        self._limiter, kind = limiter_of(limiter)
        self._name = name or kind
        self._priority = priority
        self._retry_after = retry_after
        self._figures: LimiterFigures | None = None
        self._turns = Turns()

    def measure(self, meter: Meter, /) -> None:
        """Shows the limiter's figures; see ``Measured``."""
        self._figures = LimiterFigures(meter, self._limiter, self._name)

    def bind(self, operation: AnyOperation) -> Middleware:
        return self._stream if operation.streams and not self._limiter.keeps_streams else self._call

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        return self.bind(call.operation)(request, call, next)

    async def _call(self, request: Any, call: Call, next: Handler) -> Any:
        limiter = self._limiter
        self._turns.came()
        if not (self._chosen(call) if limiter.pressed else limiter.allow()):
            raise self._shed(call)
        start = perf_counter()
        ended = True
        try:
            if limiter.pressed:
                await (call.intake or self._turns.settled)()
            return await next(request, call)
        except asyncio.CancelledError:
            ended = False
            raise
        finally:
            # Nor does a call whose time is up say how long calls take: it may have ended before it began.
            late = call.remaining() == 0.0
            limiter.done(perf_counter() - start if ended and not late else None, late)

    def _chosen(self, call: Call) -> bool:
        left = call.remaining()
        return self._limiter.allow(self._priority(call), inf if left is None else left)

    async def _stream(self, request: Any, call: Call, next: Handler) -> Any:
        limiter = self._limiter
        if not limiter.allow(self._priority(call) if limiter.pressed else Priority.CRITICAL):
            raise self._shed(call)
        limiter.done(None)
        return await next(request, call)

    def _shed(self, call: Call) -> TooManyRequests:
        if self._figures is not None:
            self._figures.shed(self._priority(call))
        return TooManyRequests(
            "service unavailable due to rate limit exceeded", reason="RATELIMIT", retry_after=self._retry_after.value
        )
