"""Stores that misbehave as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kratos.cache import MemoryStore
from kratos.cache.base import Entry, Fill, Found
from kratos.cache.envelope import pack, unpack


class Marks(MemoryStore):
    """Remembers invalidations for a while, as Redis and memcached do: tickets are what is under a key."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, tuple[Entry | None, int, float]] = {}
        self._number = 0

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        found = [self._at(key) for key in keys]
        return [Found(entry, number) for entry, number, _ in found]

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        done = [fill.ticket == self._at(fill.key)[1] for fill in fills]
        for fill, fits in zip(fills, done, strict=True):
            if fits:
                self._put(fill.key, fill.entry, fill.ttl)
        return done

    async def invalidate(self, keys: Sequence[str], hold: float = 0, /) -> None:
        for key in keys:
            self._put(key, None, hold)

    def _put(self, key: str, entry: Entry | None, seconds: float) -> None:
        self._number += 1
        self._kept[key] = entry, self._number, asyncio.get_running_loop().time() + seconds

    def _at(self, key: str) -> tuple[Entry | None, int, float]:
        found = self._kept.get(key, (None, 0, 0.0))
        return found if asyncio.get_running_loop().time() < found[2] else (None, 0, 0.0)


class FarStore:
    """A store of bytes that answers later, or not at all; entries are what is left of them on a wire."""

    def __init__(self, *, turns: int = 1, inner: MemoryStore | None = None) -> None:
        self.inner = MemoryStore() if inner is None else inner
        self.turns = turns
        self.down: BaseException | None = None
        self.hangs = False
        self.calls: list[str] = []
        self.closed = 0

    async def _answer(self, what: str) -> None:
        self.calls.append(what)
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.down is not None:
            raise self.down

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        await self._answer("get")
        found = await self.inner.get(keys)
        return [Found(None if entry is None else unpack(pack(entry)), ticket) for entry, ticket in found]

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        await self._answer("fill")
        return await self.inner.fill(fills)

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        await self._answer("invalidate")
        await self.inner.invalidate(keys, hold)

    async def aclose(self) -> None:
        self.closed += 1


class CarelessStore(FarStore):
    """Keeps whatever it is given: what everybody else's cache does."""

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        return [Found(entry, 0) for entry, _ in await super().get(keys)]

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        await self._answer("fill")
        return self.inner.put([fill._replace(ticket=self.inner.peek(fill.key).ticket) for fill in fills])
