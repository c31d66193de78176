"""The connection of a client channel, while it is not there yet."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Final

import grpc
import grpc.aio

__all__ = ["Connecting"]

_UNDER_WAY: Final = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)


class Connecting:
    """Waits for the connection of a channel, once for all calls that want to know.

    Args:
        channel: The channel.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._task: asyncio.Task[None] | None = None

    async def settled(self, seconds: float) -> bool:
        """Tells whether within some seconds there is a connection, or the attempt at one has failed."""
        if self._task is None or self._task.done():
            # In nobody's context: that of the call that began it would live, call and all, as long as it waits.
            self._task = asyncio.create_task(self._settle(), name="kratos grpc connecting", context=Context())
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return bool(done)

    async def aclose(self) -> None:
        """Waits no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _settle(self) -> None:
        channel = self._channel
        while (state := channel.get_state(try_to_connect=True)) in _UNDER_WAY:
            await channel.wait_for_state_change(state)
