"""When another try is right, and how many there may be in all: retries must not finish off who is in trouble."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kratos.resilience.base import refuse
from kratos.resilience.window import Clock, Window

__all__ = ["Retry", "RetryBudget"]

_SLOTS: Final = 20
"""In how many pieces a second passes by."""
_ROUNDING: Final = 1e-9
"""Five times a fifth is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When a call that failed is tried again.

    Attributes:
        attempts: How often it is sent at most, the first time included.
        backoff: The longest pause before the second attempt, in seconds; it doubles from one attempt to the next. The
            pause is any time up to that, by chance, so that clients do not come back together.
        max_backoff: The longest it becomes.
        patience: The longest pause that a server may ask for; one that asks for more is not asked again.
        budget: How many retries there may be for each call: 0.2 is one for five.
        burst: How many there may be in a second however few its calls are, and be saved up for it.
        floor: How many retries per second there may be all the same, for clients with few calls; those that they make
            later pay for it.
        codes: The codes that are worth another try.

    Raises:
        ValueError: One of them is out of range.
    """

    attempts: int = 3
    backoff: float = 0.1
    max_backoff: float = 2.0
    patience: float = 10.0
    budget: float = 0.2
    burst: int = 3
    floor: float = 0.1
    codes: frozenset[int] = frozenset((429, 503))

    def __post_init__(self) -> None:
        if self.attempts < 1:
            refuse(self, "attempts", "at least 1, which is never again")
        for name in ("backoff", "max_backoff", "patience", "budget", "burst", "floor"):
            if not getattr(self, name) >= 0:
                refuse(self, name, "0 or more")
        if not all(400 <= code <= 599 for code in self.codes):
            refuse(self, "codes", "codes of errors, 400 to 599")

    def pause(self, attempt: int, asked: float | None, chance: Callable[[], float] = random.random) -> float | None:
        """Returns how many seconds to wait before another attempt; None for no other attempt.

        Args:
            attempt: How often it was sent.
            asked: How long the server asks to wait; less than zero is for ever.
            chance: Returns a number from 0 to below 1.
        """
        if attempt >= self.attempts or (asked is not None and not 0 <= asked <= self.patience):
            return None
        # The exponent is bounded: 2.0 ** 1024 is an error.
        longest = min(self.backoff * 2.0 ** min(attempt - 1, 64), self.max_backoff)
        return (asked or 0.0) + chance() * longest


class RetryBudget:
    """Counts calls and their retries, all of one client: each call pays for a part of one.

    In a second there are no more retries than its calls pay for, nor more than ``burst`` if those are few. So what was
    saved up is there at once when something breaks, and is no additional load in that second. What calls would pay
    while a second has had its retries already is not saved: they would all come in the next one.

    Args:
        clock: Tells the time.
    """

    __slots__ = ("_clock", "_last", "_saved", "_second", "_unpaid")

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf
        self._saved = 0.0
        self._second = Window(1.0, _SLOTS, clock)  # calls and retries
        self._unpaid = 0  # calls that have not been added to the savings yet

    def called(self) -> None:
        """Takes note of a call."""
        self._unpaid += 1
        self._second.add(1, 0.0)

    def left(self, settings: Retry) -> int:
        """Returns how many retries there may be now."""
        calls, retries = self._second.totals()
        most = max(calls * settings.budget, settings.burst)
        if retries < most:
            self._saved = min(self._saved + self._unpaid * settings.budget, most)
        self._unpaid = 0
        left = min(self._saved, most - retries)
        if left >= 1 - _ROUNDING:
            return int(left + _ROUNDING)
        return int((self._clock() - self._last) * settings.floor + _ROUNDING >= 1)

    def spend(self, settings: Retry) -> bool:
        """Takes a retry if there is one left; tells whether there was."""
        if not self.left(settings):
            return False
        self._last = self._clock()
        self._second.add(0, 1.0)
        self._saved = max(self._saved - 1, -float(settings.burst))
        return True
