"""``timeout()``: less time for some calls than they would have."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from kratos.call import Call
from kratos.handler import Handler, Middleware
from kratos.live import Live, live
from kratos.operation import AnyOperation

__all__ = ["timeout"]


def timeout(seconds: float | Live[float], *, streams: bool = False) -> Middleware:
    """Ends a call some seconds from now, unless its deadline comes earlier anyway.

    A call whose time is up ends with 504, reason ``DEADLINE_EXCEEDED`` and metadata ``limit: method``. The time counts
    from where this middleware stands in the chain.

    Args:
        seconds: How long; a live value counts for the calls that begin after it has changed.
        streams: Whether the limit is for streams too. They have none otherwise.

    Raises:
        ValueError: ``seconds`` is not more than zero.

    Example:
        ``only("/shop.v1.Orders/Search", timeout(0.5))``
    """
    return _Timeout(live(seconds).map(_checked), streams=streams)


def _checked(seconds: float) -> float:
    """Returns the limit; a live one that becomes less than this is refused."""
    if not seconds > 0:
        raise ValueError(f"timeout({seconds!r}): a call needs more than no time")
    return seconds


class _Timeout:
    __slots__ = ("_limit", "_streams")

    def __init__(self, limit: Live[float], *, streams: bool) -> None:
        self._limit = limit
        self._streams = streams

    @property
    def seconds(self) -> float:
        return self._limit.value

    def bind(self, operation: AnyOperation) -> Middleware | None:
        return self._shortened if self._streams or not operation.streams else None

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        bound = self.bind(call.operation)
        return next(request, call) if bound is None else bound(request, call, next)

    def _shortened(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        call.shorten(self._limit.value)
        return next(request, call)
