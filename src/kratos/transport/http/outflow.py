"""Whether a client takes what it is sent: one that does not holds memory and a connection for as long as it likes."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Outflow", "Outlet"]


class Outflow:
    """Watches the buffer of one connection; asked from time to time, it needs no timer.

    Args:
        transport: The connection.
        patience: Seconds that a client may take nothing while something waits for it.

    Attributes:
        patience: The same; it may be changed.
        written: The bytes that were handed to the transport so far; whoever writes counts them.
    """

    __slots__ = ("_since", "_taken", "_transport", "patience", "written")

    def __init__(self, transport: asyncio.WriteTransport, patience: float) -> None:
        self._transport = transport
        self.patience = patience
        self._since: float | None = None
        self._taken = 0
        self.written = 0

    def stuck(self, now: float) -> bool:
        """Tells whether the client has taken nothing for too long.

        Args:
            now: The loop's time.
        """
        waiting = self._transport.get_write_buffer_size()
        taken = self.written - waiting
        if not waiting or taken != self._taken or self._since is None:
            self._taken = taken
            self._since = now if waiting else None
            return False
        return now - self._since >= self.patience


class Outlet:
    """A transport that counts what it is given, and is not read from while the client takes nothing.

    Whoever makes us answer (pings) and does not read the answers would fill the memory otherwise.

    Args:
        transport: The connection.
        patience: As for ``Outflow``.

    Attributes:
        flow: What watches it.
    """

    __slots__ = ("_choked", "_paused", "_transport", "flow")

    def __init__(self, transport: asyncio.Transport, patience: float) -> None:
        self._transport = transport
        self._paused = self._choked = False
        self.flow = Outflow(transport, patience)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Sends."""
        self.flow.written += len(data)
        self._transport.write(data)

    def pause_reading(self) -> None:
        """Stops reading until ``resume_reading``."""
        self._set(paused=True, choked=self._choked)

    def resume_reading(self) -> None:
        """Reads on, unless it is choked."""
        self._set(paused=False, choked=self._choked)

    def choke(self, choked: bool) -> None:
        """Says whether the client takes too little for anything more to be read from it."""
        self._set(paused=self._paused, choked=choked)

    def _set(self, *, paused: bool, choked: bool) -> None:
        before, after = self._paused or self._choked, paused or choked
        self._paused, self._choked = paused, choked
        if after and not before:
            self._transport.pause_reading()
        elif before and not after:
            self._transport.resume_reading()
