"""Calls that have arrived come in, or are turned away, before those that are in begin.

Behind handlers that never wait, calls wait as tasks of the event loop, or where the transport keeps them, and no
limiter would see how many they are.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final

__all__ = ["HandedOver", "Turns"]

# A new connection takes some turns of the event loop until its call is there. Where calls come all the time there is an
# end to waiting for them.
_TURNS: Final = 4
_ROUNDS: Final = 8

# grpcio takes 0.1 to 0.4 ms from one call to the next. To wait longer than that is to leave the event loop idle: a
# loop that turned meanwhile would count as busy, and nobody would know that the rush is over.
_QUIET_SECONDS: Final = 0.001
_MOST_SECONDS: Final = 0.02
_LULL_SECONDS: Final = 0.02  # that cost is paid once in so long, however many calls come


class Turns:
    """For transports that hand over all that has arrived within some turns of the event loop."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls = 0

    def came(self) -> None:
        """Takes note of a call."""
        self._calls += 1

    async def settled(self) -> None:
        """Waits until no more calls come."""
        for _ in range(_ROUNDS):
            calls = self._calls
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if self._calls == calls:
                break


class HandedOver:
    """For grpcio, which keeps what has arrived in its core and hands over one call at a time, by way of a thread."""

    __slots__ = ("_last", "_settled")

    def __init__(self) -> None:
        self._last = 0.0
        self._settled = -inf

    def came(self, now: float) -> None:
        """Takes note of a call, also of one that is over before it can begin; ``now`` is the event loop's time."""
        self._last = now

    async def settled(self) -> None:
        """Waits until none has been handed over for a millisecond, if that has not just been so."""
        clock = asyncio.get_running_loop().time
        now = clock()
        end = now + _MOST_SECONDS
        while now - self._settled >= _LULL_SECONDS and now < end:
            await asyncio.sleep(_QUIET_SECONDS)
            now = clock()
            if now - self._last >= _QUIET_SECONDS:
                self._settled = now
