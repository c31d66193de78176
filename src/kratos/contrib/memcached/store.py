"""Entries in memcached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final

from kratos.cache.base import Fill, Found
from kratos.cache.envelope import pack, tombstone, unpack
from kratos.contrib.memcached.client import LONGEST_KEY, Memcached, MemcachedError, exptime

__all__ = ["MemcachedStore"]

_AWKWARD: Final = frozenset(map(chr, (*range(33), 127)))


class MemcachedStore:
    """Entries in memcached, for all processes that share it.

    What was invalidated stands there as a mark for a while, so that a load which began before is refused; a server that
    has too little memory may throw such a mark away. A key that memcached does not take, for its length or its blanks,
    stands there as a digest.

    Args:
        address: ``host:port``, or the path of a socket.
        timeout: How many seconds it may take to connect, or to answer.
        clock: The time of the wall.

    Raises:
        ValueError: The address is none.

    Example:
        ``Cache(MemcachedStore("127.0.0.1:11211"), prefix="shop:")``
    """

    def __init__(self, address: str, *, timeout: float = 0.5, clock: Callable[[], float] = time.time) -> None:
        self._client = Memcached(address, timeout=timeout)
        self._clock = clock

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; see ``Store``."""
        names = [_name(key) for key in keys]
        items = await self._client.get(names)
        found: list[Found] = []
        for name in names:
            item = items.get(name)
            found.append(Found(None, None) if item is None else Found(unpack(item.data), item.cas))
        return found

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries; see ``Store``."""
        return await asyncio.gather(*(self._keep(each) for each in fills))

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        """Forgets keys; see ``Store``."""
        # memcached's seconds may be short by almost one.
        expires = exptime(hold + 1, self._clock())
        await asyncio.gather(*(self._client.store("set", _name(key), tombstone(), expires=expires) for key in keys))

    async def aclose(self) -> None:
        """Closes the connection; see ``Store``."""
        await self._client.aclose()

    async def _keep(self, fill: Fill) -> bool:
        cas = fill.ticket if isinstance(fill.ticket, int) else None
        expires = exptime(fill.ttl, self._clock())
        try:
            return await self._client.store(
                "add" if cas is None else "cas", _name(fill.key), pack(fill.entry), expires=expires, cas=cas
            )
        except MemcachedError as refused:  # it is too large: about this value, and not about the server
            raise ValueError(str(refused)) from refused


def _name(key: str) -> str:
    if len(key) <= LONGEST_KEY and len(key.encode()) <= LONGEST_KEY and not _AWKWARD.intersection(key):
        return key
    return f"kratos:{blake2b(key.encode(), digest_size=32).hexdigest()}"
