"""Time that moves only when a test says so."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

__all__ = ["FakeClock"]

_SETTLE = 20
"""How often the loop is let run after time has moved: enough for a timer, the task it wakes, and what that wakes."""


class FakeClock:
    """Stands in for the running loop's clock: timeouts, sleeps and deadlines follow ``advance``, not the wall.

    Usable two ways: as the clock of an algorithm (``SREBreaker(clock=clock)``, it is a function of no arguments) and,
    inside ``with``, as the clock of the running event loop.

    Args:
        start: The time it begins at, in seconds.

    Example:
        ``with FakeClock() as clock: ...; await clock.advance(2.5)``
    """

    def __init__(self, start: float = 1000.0) -> None:
        self._now = start
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> float:
        """Returns the time now, in seconds."""
        return self._now

    async def advance(self, seconds: float) -> None:
        """Moves time forward and lets everything run that was waiting for it."""
        await self.settle()  # Whoever is about to start waiting does so at the old time.
        self._now += seconds
        await self.settle()

    async def settle(self) -> None:
        """Lets everything run that can run now."""
        for _ in range(_SETTLE):
            await asyncio.sleep(0)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, asyncio.BaseEventLoop):
            raise TypeError(f"FakeClock needs asyncio's own event loop, not {type(loop).__name__}")
        if "time" in vars(loop):
            raise RuntimeError("another FakeClock already drives this event loop")
        self._now = max(self._now, loop.time())  # Timers that were set before must not fire by the change of clock.
        self._loop = loop
        setattr(loop, "time", self)  # noqa: B010 - the one seam that asyncio's loop offers
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None:
            del self._loop.time
            self._loop = None
