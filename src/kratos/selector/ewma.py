"""What is known of a node: how fast it answers and how often it fails, the newest counting most.

Constants and formulas are those of Kratos for Go. There a second call to one node may be weighed as the first was for
5 ms, here too. Unlike there, the weight that a node asks for counts.
"""

from __future__ import annotations

from math import exp, isqrt
from typing import Final

from kratos.selector.base import Outcome

__all__ = ["Ewma"]

TAU: Final = 600_000_000
"""How fast the past fades, in nanoseconds: after 0.4 s half of it is forgotten."""
PENALTY: Final = 100_000
"""What a call on a node costs of which nothing is known."""
GAP: Final = 5_000_000
"""Nanoseconds that are added to each latency, so that a node nearby does not take all."""
FRESH: Final = 5_000_000
"""Nanoseconds for which a weight is kept."""
SLOTS: Final = 200
"""How many calls under way are looked at."""
FULL: Final = 1000
"""The success of a node that never fails."""
_NEVER: Final = -(2**62)
_GOOD, _ERROR, _LEFT = Outcome.GOOD, Outcome.ERROR, Outcome.LEFT


class Ewma:
    """A node as its calls show it. Times are nanoseconds.

    Args:
        share: The weight that the node asks for, 1 being the mean of all.

    Attributes:
        inflight: Calls under way.
        lag: The mean time of a call.
        success: How many of a thousand calls are answered.
        share: The weight that the node asks for.
        picked: When the last call began.
    """

    __slots__ = ("_begun", "_calls", "_stamp", "_weighed", "_weight", "inflight", "lag", "picked", "share", "success")

    def __init__(self, share: float = 1.0) -> None:
        self.inflight = 0
        self.lag = 0
        self.success = FULL
        self.share = share
        self.picked = _NEVER
        self._stamp = 0
        self._calls = 0
        self._begun: dict[int, int] = {}
        self._weight = 0.0
        self._weighed = -FRESH - 1

    def begin(self, now: int, *, stream: bool = False) -> int | None:
        """Notes that a call begins.

        Returns:
            Its slot, -1 if there is none free; None for a stream: it may take hours, and nobody is slow.
        """
        self.picked = now
        self.inflight += 1
        if stream:
            return None
        self._calls += 1
        slot = self._calls % SLOTS
        if slot in self._begun:
            return -1
        self._begun[slot] = now
        return slot

    def end(self, began: int, now: int, outcome: Outcome, slot: int | None) -> None:
        """Notes what became of a call."""
        self.inflight -= 1
        if slot is not None:
            self._begun.pop(slot, None)
        if outcome is _LEFT:
            return
        old = exp(-max(now - self._stamp, 0) / TAU) if self.lag else 0.0
        self._stamp = now
        if slot is not None:
            self.lag = int(self.lag * old + max(now - began, 0) * (1.0 - old))
        success = FULL if outcome is _GOOD or outcome is _ERROR else 0
        self.success = int(self.success * old + success * (1.0 - old))

    def weight(self, now: int) -> float:
        """Returns how welcome the next call is here; 100 for a node that is new and idle."""
        if now - self._weighed > FRESH:
            self._weight = self.success * 10_000 / self.load(now)
            self._weighed = now
        return self._weight

    def load(self, now: int) -> int | float:
        """Returns how busy the node is: its latency, and what is under way in proportion to its weight."""
        busy = 1 + self.inflight if self.share == 1.0 else 1 + self.inflight / self.share
        if self.lag == 0:
            return PENALTY * busy
        return isqrt(max(self.lag, self._predicted(now)) + GAP) * busy

    def _predicted(self, now: int) -> int:
        """Returns the mean age of the calls under way that are late, if they are more than half of all."""
        if not self._begun:
            return 0
        lag = self.lag
        late = [age for began in self._begun.values() if (age := now - began) > lag]
        return sum(late) // len(late) if len(late) >= len(self._begun) // 2 + 1 else 0
