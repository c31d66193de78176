"""The breaker of Google's SRE book ("Handling Overload", client-side throttling): no states, only a probability.

While more than ``failure_ratio`` of the calls of the last seconds have failed, as many are refused as would bring the
rest back to it. Refused ones count as failed, so what still goes out is little, and enough to see the other side heal.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from kratos.live import Live, live
from kratos.resilience.base import refuse
from kratos.resilience.window import Clock, Window

__all__ = ["SRE", "SREBreaker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SRE:
    """When a breaker refuses.

    Attributes:
        failure_ratio: How many of the calls may fail, from 0 to below 1.
        requests: With fewer calls than this in the window nothing is refused.
        window: How many seconds count.
        buckets: In how many pieces they are forgotten.
        most_dropped: The most that is ever refused: what is left probes the other side, and with it a busy client
            finds out as quickly as an idle one that it is back.
        probe: After so many seconds in which nothing was let through the next call is, for the same reason.

    Raises:
        ValueError: One of them is out of range.
    """

    failure_ratio: float = 0.5
    requests: int = 20
    window: float = 3.0
    buckets: int = 10
    most_dropped: float = 0.98
    probe: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.failure_ratio < 1:
            refuse(self, "failure_ratio", "from 0 to below 1; 0.5 is half of the calls")
        if self.requests < 1:
            refuse(self, "requests", "at least 1")
        if not self.window > 0:
            refuse(self, "window", "more than 0 seconds")
        if self.buckets < 1:
            refuse(self, "buckets", "at least 1")
        if not 0 <= self.most_dropped <= 1:
            refuse(self, "most_dropped", "from 0 to 1; 0.98 lets one in fifty through")
        if not self.probe > 0:
            refuse(self, "probe", "more than 0 seconds; math.inf is never")


class SREBreaker:
    """Refuses calls with a probability that grows with how many fail; see ``Breaker``.

    Args:
        settings: When it refuses; live ones count from the next call on, and a new window starts empty.
        clock: Tells the time.
        random: Returns a number from 0 to below 1.
    """

    __slots__ = ("_accepting", "_clock", "_live", "_probed", "_random", "_settings", "_window")

    def __init__(
        self,
        settings: SRE | Live[SRE] = SRE(),
        *,
        clock: Clock = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._live = live(settings)
        self._clock = clock
        self._random = random
        self._probed: float | None = None  # when it was let through last, while calls are refused
        self._follow(self._live.value)

    @property
    def drop_ratio(self) -> float:
        """How many of the calls it would refuse now."""
        settings = self._live.value
        if settings is not self._settings:
            self._follow(settings)
        window = self._window
        if window.first == window.second:  # nothing has failed, which time does not change
            return 0.0
        total, successes = window.totals()
        expected = self._accepting * successes
        if total < settings.requests or total <= expected:
            return 0.0
        return min((total - expected) / (total + 1), settings.most_dropped)

    @property
    def idle(self) -> bool:
        """Whether it knows of no call: it is then like a new one."""
        return self._window.totals()[0] == 0

    def allow(self) -> bool:
        """Tells whether a call should be made."""
        drop = self.drop_ratio
        if not drop:
            self._probed = None
            return True
        now = self._clock()
        if self._probed is None:
            self._probed = now  # it has only now begun to refuse
        if self._random() < drop and now - self._probed < self._settings.probe:
            return False
        self._probed = now
        return True

    def mark_success(self) -> None:
        """Takes note of a call that went well."""
        self._window.add(1, 1)

    def mark_failure(self) -> None:
        """Takes note of one that failed, or was refused."""
        self._window.add(1, 0)

    def _follow(self, settings: SRE) -> None:
        self._settings = settings
        self._accepting = 1 / (1 - settings.failure_ratio)
        self._window = Window(settings.window, settings.buckets, self._clock)
