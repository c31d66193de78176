"""The channels of a client, one for each node that it calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextvars import Context

from kratos.transport.channel import Channel

__all__ = ["Line", "Lines"]


class Line:
    """A channel, and what is under way on it.

    Args:
        channel: The channel.

    Attributes:
        channel: The channel.
        busy: How many calls are under way.
        used: When the last one ended.
        gone: Whether it is closed when they have ended.
    """

    __slots__ = ("busy", "channel", "gone", "used")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.busy = 0
        self.used = 0.0
        self.gone = False


class Lines:
    """Opens channels when they are needed, and closes them when they are not.

    Args:
        connect: Opens a channel to an address.
        idle: Returns the seconds after which a channel that no call uses is closed.
    """

    def __init__(self, connect: Callable[[str], Channel], idle: Callable[[], float]) -> None:
        self._idle = idle
        self._connect = connect
        self._lines: dict[str, Line] = {}
        self._leaving: set[Line] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, address: str) -> Line:
        """Returns the line to an address for one call more; ``release`` gives it back."""
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line(self._connect(address))
            if self._sweeper is None:
                self._come_back()
        line.busy += 1
        return line

    def release(self, line: Line, now: float) -> None:
        """Takes a line back from a call that has ended."""
        line.busy -= 1
        line.used = now
        if line.gone and not line.busy:
            self._close(line)

    def drop(self, address: str) -> None:
        """Lets go of a line: the next call there has a new one, and this one is closed after the last of its calls."""
        line = self._lines.pop(address, None)
        if line is not None:
            line.gone = True
            self._leaving.add(line)
            if not line.busy:
                self._close(line)

    def keep(self, addresses: Collection[str]) -> None:
        """Lets go of the lines to all addresses but these."""
        for address in [address for address in self._lines if address not in addresses]:
            self.drop(address)

    async def aclose(self) -> None:
        """Closes every channel; calls under way fail."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        open_lines = [*self._lines.values(), *self._leaving]
        self._lines.clear()
        self._leaving.clear()
        await asyncio.gather(*(line.channel.aclose() for line in open_lines))
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, line: Line) -> None:
        if line in self._leaving:  # it is not where aclose() has closed it
            self._leaving.discard(line)
            task = asyncio.create_task(line.channel.aclose(), name=f"close {line.channel.peer.address}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _sweep(self) -> None:
        self._sweeper = None
        now = asyncio.get_running_loop().time()
        for address, line in list(self._lines.items()):
            if not line.busy and now - line.used >= self._idle():
                self.drop(address)
        if self._lines:
            self._come_back()

    def _come_back(self) -> None:
        # In nobody's context: that of the call that began it would live, call and all, as long as there are lines.
        loop = asyncio.get_running_loop()
        self._sweeper = loop.call_later(self._idle(), self._sweep, context=Context())
