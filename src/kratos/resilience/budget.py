"""When another try is right, and how many there may be in all: retries must not finish off who is in trouble."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kratos.resilience.base import refuse
from kratos.resilience.window import Clock

__all__ = ["Retry", "RetryBudget"]


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
        burst: How many may be saved up.
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
    burst: int = 20
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

    Args:
        clock: Tells the time.
    """

    __slots__ = ("_clock", "_last", "_saved")

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._last = -math.inf
        self._saved = 0.0

    def called(self, settings: Retry) -> None:
        """Takes note of a call."""
        saved = self._saved + settings.budget
        self._saved = saved if saved < settings.burst else float(settings.burst)

    def left(self, settings: Retry) -> int:
        """Returns how many retries there may be now."""
        if self._saved >= 1 - 1e-9:
            return int(self._saved + 1e-9)
        return int((self._clock() - self._last) * settings.floor + 1e-9 >= 1)

    def spend(self, settings: Retry) -> bool:
        """Takes a retry if there is one left; tells whether there was."""
        if not self.left(settings):
            return False
        self._last = self._clock()
        self._saved = max(self._saved - 1, -float(settings.burst))
        return True
