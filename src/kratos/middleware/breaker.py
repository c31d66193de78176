"""``breaker()``: a client leaves alone who cannot answer, and finds out by itself when they can again."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from weakref import WeakSet

from kratos.call import ADMIT, UNKNOWN_PEER, Call
from kratos.errors import ServiceUnavailable
from kratos.handler import Handler, Middleware, outcome
from kratos.live import Live
from kratos.metrics.base import Meter
from kratos.operation import AnyOperation
from kratos.resilience.base import Breaker
from kratos.resilience.figures import BreakerFigures
from kratos.resilience.nodes import Breakers
from kratos.resilience.sre import SRE, SREBreaker
from kratos.resilience.window import Clock

__all__ = ["breaker"]

REASON: Final = "CIRCUITBREAKER"
_FAILURES: Final = frozenset((500, 503, 504))


def breaker(
    settings: SRE | Live[SRE] | Callable[[], Breaker] = SRE(),  # noqa: B008 - it is frozen
    *,
    meter: Meter | None = None,
    clock: Clock = time.monotonic,
    chance: Callable[[], float] = random.random,
) -> Middleware:
    """Refuses calls with 503, reason ``CIRCUITBREAKER``, while too many of them fail; for clients.

    Each client has a breaker per operation, and one per operation and node: a node that is broken is passed by as long
    as another one is there, and an operation that fails everywhere is refused before anybody is asked. Codes 500, 503,
    504 and exceptions are failures; a call that its caller has given up is neither that nor a success.

    Args:
        settings: When it refuses, live or not; or what makes a breaker of your own.
        meter: Where its figures go; to the app inside of whose calls the client is used if not given.
        clock: Tells the time.
        chance: Returns a number from 0 to below 1.

    Example:
        ``HTTPClient("discovery:///shop", discovery=registry, middleware=[retry(), breaker()])``
    """
    if callable(settings):
        return _Breaking(lambda: Breakers(settings, chance=chance), meter)
    chosen = settings

    def make() -> SREBreaker:
        return SREBreaker(chosen, clock=clock, random=chance)

    return _Breaking(lambda: Breakers(make, lambda each: each.idle, chance=chance), meter)


class _Breaking:
    """What the chains with one ``breaker()`` share."""

    __slots__ = ("_guards", "_make", "figures")

    def __init__(self, make: Callable[[], Breakers[Any]], meter: Meter | None) -> None:
        self._make = make
        self._guards: WeakSet[_Guard] = WeakSet()
        self.figures: BreakerFigures | None = None
        if meter is not None:
            self.measure(meter)

    def measure(self, meter: Meter, /) -> None:
        """Shows the figures; see ``Measured``."""
        if self.figures is None:
            self.figures = BreakerFigures(meter, self._breakers)

    def _breakers(self) -> Iterator[tuple[str, Breakers[Any]]]:
        return ((guard.operation, guard.breakers) for guard in list(self._guards))

    def bind(self, operation: AnyOperation) -> Middleware:
        guard = _Guard(self, operation.name, self._make())
        self._guards.add(guard)
        return guard.call

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead: such a call has no past.
        return self.bind(call.operation)(request, call, next)


class _Guard:
    """One operation in one chain."""

    __slots__ = ("__weakref__", "_owner", "breakers", "operation")

    def __init__(self, owner: _Breaking, operation: str, breakers: Breakers[Any]) -> None:
        self._owner = owner
        self.operation = operation
        self.breakers = breakers

    async def call(self, request: Any, call: Call, next: Handler) -> Any:
        breakers = self.breakers
        if self._owner.figures is None and (meter := call.meter) is not None:
            self._owner.measure(meter)
        if not breakers.allow():
            self._refused()
            raise ServiceUnavailable("request failed due to circuit breaker triggered", reason=REASON)
        call.state[ADMIT] = breakers.admit
        if call.side == "client":
            call.peer = UNKNOWN_PEER  # that of an attempt before is none of this one's
        try:
            reply = await next(request, call)
        except Exception as failure:
            self._failed(failure, call)
            raise
        breakers.mark(call.peer.address, failed=False)
        return reply

    def _failed(self, failure: Exception, call: Call) -> None:
        code, reason = outcome(failure, call)
        if reason == REASON and not call.peer.address:  # no node was right
            self.breakers.turned_away()
            self._refused()
        else:
            self.breakers.mark(call.peer.address, failed=code in _FAILURES)

    def _refused(self) -> None:
        if self._owner.figures is not None:
            self._owner.figures.refused(self.operation)
