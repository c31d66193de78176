"""Replies for clients that are slower than we are: each waits for room, and one sweep looks after all of them.

The native front holds one message of a stream beyond the client's window and does not tell when there is room again:
one can only try. What it offers otherwise is to block a thread for each stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

__all__ = ["Backlog", "Outflow"]

_TRIES: Final = 64
"""So often a stream tries again, in the next turns of the event loop, before it waits for a sweep: to a client that
keeps up, the front hands on a message within microseconds."""
_SWEEP_SECONDS: Final = (0.001, 0.02)
"""The time between sweeps: while something moves, and at most."""

_Send: TypeAlias = Callable[[int, bytes], int]


class Backlog:
    """The messages that there was no room for, one for each stream that waits. Used in one event loop.

    Args:
        send: Tries to send a message of a stream and says how that went.
        full: What it says if there is no room.
    """

    def __init__(self, send: _Send, full: int) -> None:
        self.try_send = send
        self.full = full
        self._waiting: dict[asyncio.Future[int], tuple[int, bytes]] = {}
        self._pause, _ = _SWEEP_SECONDS
        self._sweeping = False

    async def send(self, stream: int, message: bytes) -> int:
        """Sends a message when a sweep finds room for it; returns how that went."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[int] = loop.create_future()
        self._waiting[answer] = (stream, message)
        if not self._sweeping:
            self._sweeping = True
            self._pause, _ = _SWEEP_SECONDS
            loop.call_later(self._pause, self._sweep)
        try:
            return await answer
        finally:
            self._waiting.pop(answer, None)

    def _sweep(self) -> None:
        first, longest = _SWEEP_SECONDS
        self._pause = min(self._pause * 2, longest)
        for answer, (stream, message) in list(self._waiting.items()):
            if answer.done():
                continue
            sent = self.try_send(stream, message)
            if sent != self.full:
                answer.set_result(sent)
                self._pause = first
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            asyncio.get_running_loop().call_later(self._pause, self._sweep)


class Outflow:
    """The messages of one stream.

    Args:
        stream: The stream.
        backlog: Where a message waits while the client is slower.
    """

    __slots__ = ("_backlog", "_stream", "_tries")

    def __init__(self, stream: int, backlog: Backlog) -> None:
        self._stream = stream
        self._backlog = backlog
        self._tries = _TRIES

    async def send(self, message: bytes) -> int:
        """Sends a message as soon as there is room for it; returns how that went.

        Being cancelled, it may or may not have been sent.
        """
        backlog = self._backlog
        sent = backlog.try_send(self._stream, message)
        tries = self._tries
        while sent == backlog.full and tries:
            await asyncio.sleep(0)
            sent = backlog.try_send(self._stream, message)
            tries -= 1
        if sent != backlog.full:
            self._tries = _TRIES
            return sent
        self._tries //= 4  # a client that is slow now will be slow with the next one
        return await backlog.send(self._stream, message)
