"""How late the event loop is: what computes, or waits without ``await``, makes everything else wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

from kratos.metrics.lag import EVERY_SECONDS, Pulse

__all__ = ["Lag"]

KEPT_SECONDS: Final = 60.0
"""How far back the greatest lag is known."""


class Lag:
    """Asks the event loop twice a second how late it is."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=int(KEPT_SECONDS / EVERY_SECONDS))
        self._pulse = Pulse(self._kept.append)

    def start(self) -> None:
        """Begins, in the running event loop."""
        self._pulse.start()

    def stop(self) -> None:
        """Ends."""
        self._pulse.stop()

    @property
    def recent(self) -> tuple[float, ...]:
        """What was found in the last minute, in seconds, the oldest first."""
        return tuple(self._kept)

    async def now(self) -> float:
        """Returns how long the event loop takes to come to what is due at once, in seconds."""
        asked = time.perf_counter()  # the loop's own clock stands still within a turn, on uvloop
        await asyncio.sleep(0)
        return time.perf_counter() - asked
