"""``ratelimit()``: a server takes on what it can finish, and turns the rest away at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from time import perf_counter
from typing import Any, Final, TypeAlias, cast

from kratos.call import Call
from kratos.errors import TooManyRequests
from kratos.handler import Handler, Middleware
from kratos.live import Live, live
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation
from kratos.resilience.base import Limiter, Priority
from kratos.resilience.bbr import BBR, BBRLimiter
from kratos.resilience.figures import LimiterFigures
from kratos.resilience.quota import Quota, QuotaLimiter

__all__ = ["priority_of", "ratelimit"]

PRIORITY: Final = "x-md-global-priority"
_BY_NAME: Final = {priority.name: priority for priority in Priority}


def priority_of(call: Call) -> Priority:
    """Returns how much a call matters, by the ``x-md-global-priority`` of its metadata.

    That is ``sheddable``, ``sheddable_plus``, ``critical`` or ``critical_plus``; anything else, and nothing, is
    ``critical``. ``metadata()`` collects it, whom it trusts may say it, and from hop to hop it stays what it is.
    """
    said = call.metadata.get(PRIORITY)
    return Priority.CRITICAL if said is None else _BY_NAME.get(said.upper().replace("-", "_"), Priority.CRITICAL)


# Turns of the event loop in which a call has to come for those before it to wait on, and how often they do.
_TURNS: Final = 4
_ROUNDS: Final = 8

_Given: TypeAlias = BBR | Live[BBR] | Quota | Live[Quota] | Limiter


def ratelimit(
    limiter: BBR | Live[BBR] | Quota | Live[Quota] | Limiter = BBR(),  # noqa: B008 - it is frozen
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
    __slots__ = ("_asked", "_figures", "_limiter", "_name", "_priority", "_retry_after")

    def __init__(
        self, limiter: _Given, priority: Callable[[Call], Priority], retry_after: Live[Any], name: str
    ) -> None:
        self._limiter, kind = _made(limiter)
        self._name = name or kind
        self._priority = priority
        self._retry_after = retry_after
        self._figures: LimiterFigures | None = None
        self._asked = 0

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
        self._asked += 1
        if not limiter.allow(self._priority(call) if limiter.pressed else Priority.CRITICAL):
            raise self._shed(call)
        start = perf_counter()
        if limiter.pressed:
            await self._arrived()
        try:
            return await next(request, call)
        finally:
            limiter.done(perf_counter() - start)

    async def _arrived(self) -> None:
        """Lets in first what has arrived: behind handlers that never wait it would not be seen to queue up.

        A new connection takes some turns of the event loop until its call is there. Where they come all the time there
        is an end to it.
        """
        try:
            for _ in range(_ROUNDS):
                asked = self._asked
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                if self._asked == asked:
                    break
        except asyncio.CancelledError:  # its time was up before it came: that says nothing of how long a call takes
            self._limiter.done(None)
            raise

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


def _made(given: _Given) -> tuple[Limiter, str]:
    """Returns the limiter that is meant, and what it is called."""
    settings = given.value if isinstance(given, Live) else given
    if isinstance(settings, BBR):
        return BBRLimiter(cast("BBR | Live[BBR]", given)), "bbr"
    if isinstance(settings, Quota):
        return QuotaLimiter(cast("Quota | Live[Quota]", given)), "quota"
    return settings, type(settings).__name__
