"""What the streams of the HTTP server share: a pulse in silence, and how to end when nobody listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

__all__ = ["Pulse", "leave"]


class Pulse:
    """Does something whenever nothing has happened for a while: one timer per stream, no task while there is none.

    Args:
        seconds: How long the silence may last.
        beat: What to do then. It fails with OSError if the client has gone, which ends the stream.
        repeat: Whether to do it again after the next silence.
    """

    __slots__ = ("_beat", "_beating", "_last", "_loop", "_owner", "_repeat", "_seconds", "_timer")

    def __init__(self, seconds: float, beat: Callable[[], Awaitable[None]], *, repeat: bool = True) -> None:
        self._repeat = repeat
        self._seconds = seconds
        self._beat = beat
        self._beating: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        self._last = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._wake)

    def touch(self) -> None:
        """Says that something has happened."""
        self._last = self._loop.time()

    async def stop(self) -> None:
        """Ends the pulse; a beat under way is cancelled."""
        self._timer.cancel()
        beating = self._beating
        if beating is not None and not beating.done():
            beating.cancel()
            await asyncio.wait([beating])

    def _wake(self) -> None:
        left = self._last + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._wake)
        else:
            self._beating = self._loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._beat()
        except OSError:
            if self._owner is not None and not self._owner.cancelling():
                self._owner.cancel()
            return
        if self._repeat:
            self._last = self._loop.time()
            self._timer = self._loop.call_later(self._seconds, self._wake)


async def leave(task: asyncio.Task[object] | None) -> NoReturn:
    """Ends a call whose client has gone, from wherever that is found out.

    Args:
        task: The task of the call. It is cancelled once, as it would be by a lost connection.

    Raises:
        asyncio.CancelledError: Always.
    """
    if task is not None and not task.cancelling():
        task.cancel()
    await asyncio.sleep(0)  # where the cancellation arrives if this is the task
    raise asyncio.CancelledError
