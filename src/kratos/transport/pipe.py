"""A bounded hand-over of messages between two tasks: the inbox and the outbox of a stream."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from kratos.errors import ClientClosed

__all__ = ["Pipe"]

T = TypeVar("T")


class Pipe(Generic[T]):
    """Holds at most ``size`` messages; the writer waits for the reader and so does not run ahead.

    Args:
        size: How many messages may wait.
    """

    __slots__ = ("_closed", "_error", "_items", "_readers", "_size", "_writers")

    def __init__(self, size: int = 1) -> None:
        self._size = size
        self._items: deque[T] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._readers: list[asyncio.Future[None]] = []
        self._writers: list[asyncio.Future[None]] = []

    async def put(self, item: T) -> None:
        """Hands over one message; waits while ``size`` of them are waiting.

        Raises:
            Error: What the pipe was closed with, or ``ClientClosed`` if it ended well.
        """
        while len(self._items) >= self._size and not self._closed:
            await _wait(self._writers)
        if self._closed:
            raise self._error or ClientClosed("the other side has ended the stream", reason="STREAM_CLOSED")
        self._items.append(item)
        _wake(self._readers)

    def close(self, error: BaseException | None = None) -> None:
        """Ends the stream, the first time it is called: the reader still gets what waits, then ``error`` or the end."""
        if not self._closed:
            self._closed = True
            self._error = error
            _wake(self._readers)
            _wake(self._writers)

    def __aiter__(self) -> Pipe[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items and not self._closed:
            await _wait(self._readers)
        if self._items:
            item = self._items.popleft()
            _wake(self._writers)
            return item
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration


async def _wait(waiters: list[asyncio.Future[None]]) -> None:
    waiter = asyncio.get_running_loop().create_future()
    waiters.append(waiter)
    try:
        await waiter
    finally:
        waiters.remove(waiter)


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
