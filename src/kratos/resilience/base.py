"""What a limiter and a breaker are. Classes of your own with these methods take the place of ours.

Neither knows anything of calls: whoever asks says what for, and tells how it went.
"""

from __future__ import annotations

from enum import IntEnum
from math import inf
from typing import Any, Final, Protocol

__all__ = ["SHARES", "Breaker", "Limiter", "Priority", "refuse"]


class Priority(IntEnum):
    """How much a call matters when not all of them can be served: the four levels of Google's SRE book."""

    SHEDDABLE = 0
    """May fail for a while: prefetches, recommendations, crawlers."""
    SHEDDABLE_PLUS = 1
    """May fail now and then, and is tried again: batches."""
    CRITICAL = 2
    """A person waits for it, as for any call that says nothing else."""
    CRITICAL_PLUS = 3
    """What everything else depends on: logging in, paying."""


SHARES: Final = (0.5, 0.75, 1.0, 1.25)
"""How much of a limit each priority may fill, from the least: it is where it is shed."""


class Limiter(Protocol):
    """Decides which calls a server takes on. Used from one event loop; neither method waits or fails.

    Attributes:
        pressed: Whether it may have to choose soon: callers then say how much a call matters, how much time it has
            left and whether it was late, and let those that wait in the event loop come first, so that they are
            counted.
        keeps_streams: Whether a stream holds its place to its end. One that measures how long calls take lets go of a
            stream as soon as it has begun, by ``done(None)``: how long that takes says nothing.
    """

    pressed: bool
    keeps_streams: bool

    def allow(self, priority: Priority = Priority.CRITICAL, left: float = inf, /) -> bool:
        """Tells whether a call may come in; ``done`` is called once for each that may.

        Args:
            priority: How much it matters.
            left: For how many seconds its client will wait.
        """
        ...

    def done(self, seconds: float | None, late: bool = False, /) -> None:
        """Takes note that a call is over, however it ended.

        Args:
            seconds: How long it took; None where that says nothing.
            late: Whether its client had stopped waiting.
        """
        ...


class Breaker(Protocol):
    """Decides whether calls to somebody are worth a try. Used from one event loop; no method waits or fails."""

    @property
    def drop_ratio(self) -> float:
        """How many of the calls it would refuse now: 0 is none, 1 all."""
        ...

    def allow(self) -> bool:
        """Tells whether a call should be made. It takes no note of that."""
        ...

    def mark_success(self) -> None:
        """Takes note of a call that went well."""
        ...

    def mark_failure(self) -> None:
        """Takes note of one that failed, or was refused."""
        ...


def refuse(settings: object, name: str, wanted: str, /) -> Any:
    """Refuses a setting.

    Raises:
        ValueError: Always; it says which, and what it may be.
    """
    raise ValueError(f"{type(settings).__name__}({name}={getattr(settings, name)!r}): {wanted}")
