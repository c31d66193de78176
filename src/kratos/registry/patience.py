"""How long a registry is waited for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Patience"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a registry is waited for, in seconds. Nobody ever gives up.

    With the usual values an instance is back some eight seconds after its registry at the latest.

    Attributes:
        attempt: For one attempt to register or to deregister.
        first: The longest pause after the first attempt; it doubles with each further one.
        last: The longest pause there is.
        grace: For this long after a registry was away, instances that it does not know any more stay in the lists of
            watchers: one that has restarted empty is told by everybody anew, and traffic goes on meanwhile.
        random: Returns a number from 0 to 1: the part of the longest pause that is waited.

    Raises:
        ValueError: A time is not positive (``grace`` may be 0).
    """

    attempt: float = 3.0
    first: float = 0.2
    last: float = 5.0
    grace: float = 15.0
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        for name in ("attempt", "first", "last"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must be a positive number of seconds")
        if not self.grace >= 0:
            raise ValueError(f"grace is {self.grace!r}: it must be a number of seconds, and 0 is none")

    def pause(self, failures: int) -> float:
        """Returns how long to wait after so many failures in a row: anything up to twice the pause before."""
        longest = min(self.last, self.first * 2.0 ** min(failures - 1, 30))
        return longest * self.random()
