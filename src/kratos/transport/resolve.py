"""From a target to channels: who can be called right now, and which one takes the next call.

A channel per node, opened when the first call goes there and closed when the node is gone. What a registry says last is
kept while it says nothing; an empty list is believed only if it says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from kratos.call import Call
from kratos.errors import ServiceUnavailable
from kratos.registry.base import Discovery, Instance
from kratos.transport.channel import Channel
from kratos.transport.target import Target

__all__ = ["Channels", "Nodes", "Single"]

logger = logging.getLogger("kratos.resolve")

RETRY_SECONDS = 1.0
RETIRE_SECONDS = 10.0


class Channels(Protocol):
    """What a client sends its calls through."""

    @property
    def kind(self) -> str:
        """The transport, ``http`` or ``grpc``."""
        ...

    async def start(self) -> None:
        """Begins to look for nodes; called once, when the client is entered."""
        ...

    async def pick(self, call: Call) -> Channel:
        """Returns the channel for one call; waits until the first nodes are known.

        Raises:
            ServiceUnavailable: There is nobody to call; reason ``NODE_NOT_FOUND``.
        """
        ...

    async def aclose(self) -> None:
        """Closes every channel; calls under way fail."""
        ...


class Single:
    """One channel that is always there.

    Args:
        channel: The channel.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.kind = channel.kind

    async def start(self) -> None:
        """Does nothing; see ``Channels``."""

    async def pick(self, call: Call) -> Channel:  # noqa: ARG002 - there is no choice
        """Returns the channel."""
        return self._channel

    async def aclose(self) -> None:
        """Closes the channel."""
        await self._channel.aclose()


class Nodes:
    """The nodes of a target, taking turns.

    Args:
        target: Fixed addresses or a service.
        kind: The transport, ``http`` or ``grpc``.
        connect: Opens a channel to ``host:port`` or ``unix:/path``.
        discovery: Where services are looked up.
        scheme: The scheme of the endpoints to look for; ``kind`` if it is empty.

    Raises:
        ValueError: The target is a service and there is no discovery.
    """

    def __init__(
        self,
        target: Target,
        *,
        kind: str,
        connect: Callable[[str], Channel],
        discovery: Discovery | None = None,
        scheme: str = "",
    ) -> None:
        if target.service and discovery is None:
            raise ValueError(f"discovery:///{target.service} needs a registry to ask: pass discovery=")
        self.kind = kind
        self._scheme = scheme or kind
        self._target = target
        self._connect = connect
        self._discovery = discovery
        self._addresses = target.addresses
        self._channels: dict[str, Channel] = {}
        self._turn = 0
        self._known = asyncio.Event()
        if target.addresses:
            self._known.set()
        self._watching: asyncio.Task[None] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begins to watch the registry; see ``Channels``."""
        if self._discovery is not None and self._target.service:
            self._watching = asyncio.create_task(self._watch(self._discovery), name=f"watch {self._target.service}")

    async def pick(self, call: Call) -> Channel:
        """Returns the next channel in turn; see ``Channels``."""
        if not self._known.is_set():
            if self._watching is None:
                raise RuntimeError("a client that discovers its nodes has to be entered first: `async with client:`")
            await self._known.wait()
        if not self._addresses:
            raise ServiceUnavailable(
                f"{call.operation.name}: nobody serves {self._target.service} over {self._scheme}",
                reason="NODE_NOT_FOUND",
            )
        self._turn = (self._turn + 1) % len(self._addresses)
        address = self._addresses[self._turn]
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = self._connect(address)
        return channel

    async def aclose(self) -> None:
        """Stops watching and closes every channel; see ``Channels``."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        channels, self._channels = self._channels, {}
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*(channel.aclose() for channel in channels.values()))
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def _watch(self, discovery: Discovery) -> None:
        while True:
            try:
                async for instances in discovery.watch(self._target.service, self._scheme):
                    self._update(instances)
            except Exception:
                logger.exception("watching %s failed, trying again in %s s", self._target.service, RETRY_SECONDS)
            await asyncio.sleep(RETRY_SECONDS)

    def _update(self, instances: tuple[Instance, ...]) -> None:
        urls = (url.partition("://") for instance in instances for url in instance.endpoints)
        self._addresses = tuple(dict.fromkeys(rest.rstrip("/") for scheme, _, rest in urls if scheme == self._scheme))
        self._known.set()
        for address in [address for address in self._channels if address not in self._addresses]:
            # No call goes there any more; those under way get time to finish before the connection is closed.
            task = asyncio.create_task(self._retire(self._channels.pop(address)))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, channel: Channel) -> None:
        try:
            await asyncio.sleep(RETIRE_SECONDS)
        finally:
            await channel.aclose()
