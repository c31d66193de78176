"""Entries in the process: the least recently used one goes when there is no room, and each has its time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from kratos.cache.base import Entry, Fill, Found

__all__ = ["MemoryStore"]


def loop_time() -> float:
    """Returns the time of the running event loop, which is the clock of all else."""
    return asyncio.get_running_loop().time()


class MemoryStore:
    """A bounded number of entries in the memory of this process.

    Args:
        limit: How many entries there may be. The memory of an entry is that of its value, or of its bytes.
        clock: Tells the time in seconds; the event loop's if not given.

    Raises:
        ValueError: There is room for nothing.
    """

    def __init__(self, *, limit: int = 10_000, clock: Callable[[], float] = loop_time) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit} leaves room for nothing: give the number of entries to keep")
        self._limit = limit
        self._clock = clock
        self._entries: OrderedDict[str, tuple[Entry, float]] = OrderedDict()
        # The number of the last invalidation of each key. What is not in here is as old as the floor: a fill is rather
        # refused than let in.
        self._invalidated: OrderedDict[str, int] = OrderedDict()
        self._floor = 0
        self._count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, key: str, /) -> Found:
        """Looks for a key; see ``LocalStore``."""
        kept = self._entries.get(key)
        if kept is not None:
            if self._clock() < kept[1]:
                self._entries.move_to_end(key)
                return Found(kept[0], self._invalidated.get(key, self._floor))
            del self._entries[key]
        return Found(None, self._invalidated.get(key, self._floor))

    def put(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries; see ``LocalStore``."""
        now = self._clock()
        return [self._keep(fill, now) for fill in fills]

    def forget(self, keys: Sequence[str], /) -> None:
        """Forgets keys; see ``LocalStore``."""
        for key in keys:
            self._count += 1
            self._entries.pop(key, None)
            self._invalidated[key] = self._count
            self._invalidated.move_to_end(key)
        while len(self._invalidated) > self._limit:
            self._floor = self._invalidated.popitem(last=False)[1]

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; see ``Store``."""
        return [self.peek(key) for key in keys]

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries; see ``Store``."""
        return self.put(fills)

    async def invalidate(self, keys: Sequence[str], hold: float = 0, /) -> None:  # noqa: ARG002 - tickets never expire
        """Forgets keys; see ``Store``."""
        self.forget(keys)

    async def aclose(self) -> None:
        """Has nothing to let go of."""

    def _keep(self, fill: Fill, now: float) -> bool:
        if fill.ticket != self._invalidated.get(fill.key, self._floor):
            return False
        self._entries[fill.key] = fill.entry, now + fill.ttl
        self._entries.move_to_end(fill.key)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)
        return True
