"""Loop lag: how late the event loop is, told by a timer that should be on time.

A handler that computes, or waits for something without ``await``, makes every other call wait. It shows here before it
shows anywhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import Final

from kratos.metrics.base import Meter

__all__ = ["EVERY_SECONDS", "LoopLag", "Pulse"]

EVERY_SECONDS: Final = 0.5
"""How often the event loop is asked."""

_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class LoopLag:
    """Measures the event loop it was started in, twice a second, as ``kratos_event_loop_lag_seconds``.

    Args:
        meter: What keeps the histogram.
    """

    def __init__(self, meter: Meter) -> None:
        histogram = meter.histogram(
            "kratos_event_loop_lag_seconds",
            "How late the event loop was, in seconds, asked twice a second.",
            buckets=_BUCKETS,
        )
        self._pulse = Pulse(histogram.observe)

    def start(self) -> None:
        """Begins, in the running event loop; starting again changes nothing."""
        self._pulse.start()

    def stop(self) -> None:
        """Ends; stopping again does nothing."""
        self._pulse.stop()


class Pulse:
    """Tells how late the event loop is, twice a second.

    Args:
        tell: Takes the seconds.
    """

    def __init__(self, tell: Callable[[float], object]) -> None:
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins, in the running event loop; starting again changes nothing."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._next(loop, loop.time())

    def stop(self) -> None:
        """Ends; stopping again does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        # In nobody's context: that of whoever starts the app would live as long.
        self._timer = loop.call_at(now + EVERY_SECONDS, self._beat, loop, now + EVERY_SECONDS, context=Context())

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._next(loop, now)
        # Timers may be early by the grain of the loop's clock.
        self._tell(max(0.0, now - due))
