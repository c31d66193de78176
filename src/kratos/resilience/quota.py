"""A limit that somebody has set: so many calls at a time, so many per second, or both."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from kratos.live import Live, live
from kratos.resilience.base import SHARES, Priority, refuse
from kratos.resilience.window import Clock

__all__ = ["Quota", "QuotaLimiter"]

_LEAST = SHARES[Priority.SHEDDABLE]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How many calls a server takes on.

    Calls that may be shed fill a part of it only: half, or three quarters; the rest is for those that matter.

    Attributes:
        concurrency: How many at a time, streams included; None is no limit.
        rate: How many per second, on average; None is no limit.
        burst: How many at once after a pause; as many as in a second if not given.

    Raises:
        ValueError: One of them is out of range.
    """

    concurrency: int | None = None
    rate: float | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None and self.concurrency < 1:
            refuse(self, "concurrency", "at least 1, or None for no limit")
        if self.rate is not None and not 0 < self.rate < math.inf:
            refuse(self, "rate", "more than 0 calls per second, or None for no limit")
        if self.burst is not None and (self.burst < 1 or self.rate is None):
            refuse(self, "burst", "at least 1, beside a rate")

    @property
    def size(self) -> float:
        """How many calls there may be at once after a pause."""
        return float(self.burst or max(1.0, self.rate or 1.0))


class QuotaLimiter:
    """Refuses calls beyond a quota; see ``Limiter``.

    Args:
        settings: The quota; a live one counts from the next call on.
        clock: Tells the time.

    Attributes:
        pressed: Whether more than what every call may fill was taken when it was asked last.
        keeps_streams: True: a stream is one of those at a time, to its end.
        in_flight: Calls under way.
        tokens: How many calls there might have been at once, when it was asked last.
    """

    keeps_streams = True

    def __init__(self, settings: Quota | Live[Quota], *, clock: Clock = time.monotonic) -> None:
        self._live = live(settings)
        self._clock = clock
        self._at = clock()
        self.tokens = self._live.value.size
        self.pressed = False
        self.in_flight = 0

    @property
    def max_in_flight(self) -> int:
        """How many calls may be under way; 0 is any number."""
        return self._live.value.concurrency or 0

    def allow(self, priority: Priority = Priority.CRITICAL, _left: float = math.inf, /) -> bool:
        """Tells whether a call may come in."""
        quota = self._live.value
        share = min(SHARES[priority], 1.0)
        self.pressed = False
        if quota.concurrency is not None:
            self.pressed = self.in_flight + 1 >= quota.concurrency * _LEAST
            if self.in_flight + 1 > max(quota.concurrency * share, 1.0):
                return False
        if quota.rate is not None:
            now = self._clock()
            size = quota.size
            self.tokens = min(size, self.tokens + (now - self._at) * quota.rate)
            self._at = now
            self.pressed = self.pressed or self.tokens - 1 <= size * (1 - _LEAST)
            # What is kept for others is nothing where there is one token in all.
            if self.tokens < 1 + (size - 1) * (1 - share) - 1e-9:
                return False
            self.tokens -= 1
        self.in_flight += 1
        return True

    def done(self, _seconds: float | None, _late: bool = False, /) -> None:
        """Takes note that a call is over."""
        self.in_flight -= 1
