"""Two levels: entries in the process for a short time, in front of a store that all processes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from kratos.cache.base import Fill, Found, LocalStore, Store, Ticket

__all__ = ["TwoLevelStore"]


class TwoLevelStore:
    """Asks ``near`` first and ``far`` for what is not there.

    What is invalidated here is gone from both when ``invalidate`` returns. Another process does not hear of it: it may
    answer from its own ``near`` for ``near_ttl`` seconds more.

    Args:
        near: The store of this process, of nobody else.
        far: The store of all processes.
        near_ttl: For how many seconds ``near`` keeps an entry, at most.

    Raises:
        ValueError: ``near_ttl`` is no time.
    """

    def __init__(self, near: LocalStore, far: Store, *, near_ttl: float = 1.0) -> None:
        if near_ttl <= 0:
            raise ValueError(f"near_ttl={near_ttl} is no time: give seconds, or use the far store alone")
        self._near = near
        self._far = far
        self._near_ttl = near_ttl

    def near(self, key: str, /) -> Found:
        """Looks for a key in the process only."""
        return self._near.peek(key)

    def forget(self, keys: Sequence[str], /) -> None:
        """Forgets keys in the process only."""
        self._near.forget(keys)

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; see ``Store``."""
        return await self._look(keys, [self._near.peek(key) for key in keys])

    async def renew(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys in the far store: for whoever is going to replace what the near one has."""
        return await self._look(keys, [Found(None, self._near.peek(key).ticket) for key in keys])

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries in both; see ``Store``."""
        tickets = [cast("_Both", each.ticket) for each in fills]
        kept = await self._far.fill([each._replace(ticket=own.far) for each, own in zip(fills, tickets, strict=True)])
        self._near.put(
            [
                each._replace(ticket=own.near, ttl=min(each.ttl, self._near_ttl))
                for each, own, done in zip(fills, tickets, kept, strict=True)
                if done
            ]
        )
        return kept

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        """Forgets keys in both; see ``Store``."""
        try:
            await self._far.invalidate(keys, hold)
        finally:
            # Last: who has read the far entry before must not find room for it afterwards.
            self._near.forget(keys)

    async def aclose(self) -> None:
        """Closes both."""
        await self._far.aclose()
        await self._near.aclose()

    async def _look(self, keys: Sequence[str], near: Sequence[Found]) -> Sequence[Found]:
        missing = [key for key, found in zip(keys, near, strict=True) if found.entry is None]
        far = dict(zip(missing, await self._far.get(missing) if missing else (), strict=True))
        results: list[Found] = []
        fills: list[Fill] = []
        for key, close in zip(keys, near, strict=True):
            if close.entry is not None:
                results.append(Found(close.entry, _Both(close.ticket, None)))
                continue
            entry, ticket = far[key]
            results.append(Found(entry, _Both(close.ticket, ticket)))
            if entry is not None:
                fills.append(Fill(key, entry, self._near_ttl, close.ticket))
        self._near.put(fills)
        return results


class _Both(NamedTuple):
    """The tickets of both levels."""

    near: Ticket
    far: Ticket
