"""A registry over a server that lives in the test: it can die, restart empty, and be cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from kratos.registry import Instance, Patience, SupervisedRegistry

__all__ = ["FakeRegistry", "FakeServer"]


class FakeServer:
    """Knows records of connections; those of a connection that ends are forgotten."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], Instance] = {}
        self.puts = 0
        self._is_up = True
        self._reachable = asyncio.Event()
        self._reachable.set()
        self._changed: set[asyncio.Event] = set()

    def kill(self) -> None:
        """Ends all connections, and forgets."""
        self._is_up = False
        self.records.clear()
        self.tell()

    def start(self) -> None:
        """Answers again."""
        self._is_up = True

    def cut(self) -> None:
        """Answers no more, and says nothing of it; what it knew is forgotten, as after the end of a lease."""
        self._reachable.clear()
        self.records.clear()
        self.tell()

    def heal(self) -> None:
        """Answers again."""
        self._reachable.set()
        self.tell()

    def tell(self) -> None:
        """Wakes whoever waits for a change."""
        for changed in self._changed:
            changed.set()

    async def reach(self) -> None:
        """Returns when an answer has come; a connection that is cut off fails after a while."""
        if not self._is_up:
            raise ConnectionRefusedError("the server is down")
        if not self._reachable.is_set():
            await asyncio.sleep(0.2)
            raise ConnectionResetError("no answer")

    async def changes(self) -> AsyncGenerator[None, None]:
        """Yields now, and after each change."""
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while True:
                changed.clear()
                yield
                await changed.wait()
        finally:
            self._changed.discard(changed)


class FakeRegistry(SupervisedRegistry):
    """A driver as small as one can be."""

    def __init__(self, server: FakeServer, patience: Patience) -> None:
        super().__init__("fake", patience)
        self._server = server

    async def hold(self, instance: Instance, found: Callable[[], None], /) -> None:
        await self._server.reach()
        self._server.puts += 1
        self._server.records[instance.name, instance.id] = instance
        self._server.tell()
        found()
        async for _ in self._server.changes():
            await self._server.reach()
            if self._server.records.get((instance.name, instance.id)) != instance:
                return

    async def forget(self, instance: Instance, /) -> None:
        await self._server.reach()
        self._server.records.pop((instance.name, instance.id), None)
        self._server.tell()

    async def lists(self, name: str, /) -> AsyncGenerator[Iterable[Instance], None]:
        async for _ in self._server.changes():
            await self._server.reach()
            yield [each for each in self._server.records.values() if each.name.startswith(name)]
