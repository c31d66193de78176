"""How late the event loop is: what computes, or waits without ``await``, makes everything else wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextvars import Context
from typing import Final

__all__ = ["Lag"]

EVERY_SECONDS: Final = 0.5
KEPT_SECONDS: Final = 60.0
"""How far back the greatest lag is known."""


class Lag:
    """Asks the event loop twice a second how late it is."""

    def __init__(self) -> None:
        self._kept: deque[float] = deque(maxlen=int(KEPT_SECONDS / EVERY_SECONDS))
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins, in the running event loop."""
        self.stop()
        self._next(asyncio.get_running_loop())

    def stop(self) -> None:
        """Ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def recent(self) -> tuple[float, ...]:
        """What was found in the last minute, in seconds, the oldest first."""
        return tuple(self._kept)

    async def now(self) -> float:
        """Returns how long the event loop takes to come to what is due at once, in seconds."""
        asked = time.perf_counter()  # the loop's own clock stands still within a turn, on uvloop
        await asyncio.sleep(0)
        return time.perf_counter() - asked

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + EVERY_SECONDS
        # In nobody's context: that of whoever has started the app would live as long.
        self._timer = loop.call_at(due, self._beat, loop, due, context=Context())

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._kept.append(max(0.0, loop.time() - due))
        self._next(loop)
