"""A rolling window: two sums over the last seconds, in slots of time, for next to nothing per addition."""

from __future__ import annotations

from collections.abc import Callable, Iterator

__all__ = ["Clock", "Window"]

Clock = Callable[[], float]
"""Tells the time in seconds, from any beginning, and never goes back: ``time.monotonic``, or a ``FakeClock``."""

_ROUNDING = 1e-6  # a clock that stands on the border of two slots must not be before it by a rounding error


class Window:
    """Sums of pairs, such as calls and the milliseconds they took.

    Time is cut into slots of ``seconds / buckets``; the window is the current slot and those before it, ``buckets``
    together.

    Args:
        seconds: How long it is.
        buckets: How many slots it has.
        clock: Tells the time.

    Attributes:
        first: The sum of the first numbers, as of the last look.
        second: The sum of the second ones, as of the last look.
        slot: The number of the current slot, as of the last look.
    """

    __slots__ = ("_at", "_clock", "_firsts", "_rate", "_seconds", "_size", "first", "second", "slot")

    def __init__(self, seconds: float, buckets: int, clock: Clock) -> None:
        self._clock = clock
        self._size = buckets
        self._rate = buckets / seconds
        self._firsts = [0] * buckets
        self._seconds = [0.0] * buckets
        self.first, self.second = 0, 0.0
        self.slot = self._now()
        self._at = self.slot % buckets

    def add(self, first: int, second: float) -> None:
        """Adds a pair to the current slot."""
        if int(self._clock() * self._rate + _ROUNDING) > self.slot:
            self.turn()
        at = self._at
        self._firsts[at] += first
        self._seconds[at] += second
        self.first += first
        self.second += second

    def totals(self) -> tuple[int, float]:
        """Returns the sums, the current slot included."""
        if int(self._clock() * self._rate + _ROUNDING) > self.slot:
            self.turn()
        return self.first, self.second

    def turn(self) -> int:
        """Forgets what is too old; returns the number of the current slot."""
        now = self._now()
        if now <= self.slot:
            return self.slot
        for slot in range(max(self.slot, now - self._size) + 1, now + 1):
            at = slot % self._size
            self._firsts[at], self._seconds[at] = 0, 0.0
        self.slot = now
        self._at = now % self._size
        # Added up anew, so that rounding errors do not.
        self.first, self.second = sum(self._firsts), sum(self._seconds)
        return now

    def completed(self) -> Iterator[tuple[int, float]]:
        """Yields the pair of each slot in the window that is over and has a first number."""
        self.turn()
        for at, first in enumerate(self._firsts):
            if first and at != self._at:
                yield first, self._seconds[at]

    def _now(self) -> int:
        return int(self._clock() * self._rate + _ROUNDING)
