"""A store that may fail: how long it may take, what happens meanwhile, and invalidations that it has not heard of.

After a failure the store is left alone for a moment, in which every operation fails at once, and then one operation
tries. An invalidation that could not be delivered is kept, and until it is, nothing from the store is believed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from kratos.cache.base import CacheError, Fill, Found, Store
from kratos.cache.twolevel import TwoLevelStore

__all__ = ["Guard"]

T = TypeVar("T")


class _Refused(CacheError):
    """The store cannot take a key or value, and never will."""


logger = logging.getLogger("kratos.cache")

_PENDING: Final = 10_000
"""How many invalidations may wait for a store that does not answer."""
_AT_ONCE: Final = 500


class Guard:
    """Stands in front of a store.

    Args:
        store: The store.
        timeout: How many seconds an operation may take.
        pause: For how many seconds a store that has failed is left alone.
        hold: For how many seconds a load may take whose value is kept.
    """

    def __init__(self, store: Store, *, timeout: float, pause: float, hold: float) -> None:
        self._store = store
        self._timeout = timeout
        self._pause = pause
        self._hold = hold + timeout  # so long may a fill be under way that was begun in time
        self._failing = False
        self._closed_until = 0.0
        self._refused = False
        self._pending: dict[str, object] = {}
        self._settling: asyncio.Task[None] | None = None

    async def get(self, keys: Sequence[str], *, renew: bool = False) -> Sequence[Found]:
        """Looks for keys.

        Args:
            keys: The keys.
            renew: Whether the caller is going to replace what is there.

        Raises:
            CacheError: The store does not answer.
        """
        if self._pending:
            await self._settle()
        look = self._store.renew if renew and isinstance(self._store, TwoLevelStore) else self._store.get
        return await self._do(lambda: look(keys))

    async def fill(self, fills: Sequence[Fill]) -> None:
        """Keeps entries, unless they were invalidated.

        Raises:
            CacheError: The store does not answer.
        """
        await self._do(lambda: self._store.fill(fills))

    async def invalidate(self, keys: Sequence[str]) -> bool:
        """Forgets keys, now or as soon as the store answers again; until then reads here do not believe it.

        Returns:
            Whether the store has heard of it; False too for a key that it cannot take.

        Raises:
            CacheError: It does not answer, and too many wait for it already.
        """
        try:
            return await self._tell(keys)
        except CacheError:
            if len(self._pending) + len(keys) > _PENDING:
                raise
            self._settle_later(keys)
            return False
        except asyncio.CancelledError:  # it may have been done, or not
            self._settle_later(keys)
            raise

    async def aclose(self, seconds: float) -> None:
        """Delivers what can be delivered and closes the store.

        Args:
            seconds: How long invalidations that wait may take; the store is asked once more, even if it has failed.
        """
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.wait([self._settling])
        try:
            if self._pending:
                await self._settle_at_last(seconds)
        finally:
            await self._store.aclose()

    async def _settle_at_last(self, seconds: float) -> None:
        self._closed_until = 0.0
        with contextlib.suppress(CacheError, TimeoutError):
            async with asyncio.timeout(seconds):
                await self._settle()
        if self._pending:
            logger.warning(
                "%d invalidations were not delivered: other processes may answer what was before them until it expires",
                len(self._pending),
            )

    async def _tell(self, keys: Sequence[str]) -> bool:
        """Delivers invalidations; tells whether all were, for one that is refused is none that could wait."""
        try:
            await self._do(partial(self._store.invalidate, keys, self._hold))
        except _Refused as wrong:
            if len(keys) == 1:
                if not self._refused:
                    self._refused = True
                    logger.warning(
                        "the cache cannot take the key %.80r, so nothing is under it: %r", *keys, wrong.__cause__
                    )
                return False
            middle = len(keys) // 2  # the others are right
            halves = [await self._tell(some) for some in (keys[:middle], keys[middle:])]
            return all(halves)
        return True

    async def _settle(self) -> None:
        """Delivers invalidations that wait."""
        while self._pending:
            some = dict(list(self._pending.items())[:_AT_ONCE])
            await self._tell(tuple(some))
            for key, mark in some.items():
                if self._pending.get(key) is mark:  # and not of one that came meanwhile
                    del self._pending[key]

    def _settle_later(self, keys: Sequence[str]) -> None:
        self._pending.update(dict.fromkeys(keys, object()))
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle_soon())

    async def _settle_soon(self) -> None:
        while self._pending:
            await asyncio.sleep(self._pause)
            try:
                await self._settle()
            except CacheError:
                continue

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        if self._failing:
            now = loop.time()
            if now < self._closed_until:
                raise CacheError("the cache is not asked for a moment: it has failed")
            self._closed_until = now + self._pause  # for all but this one
        try:
            async with asyncio.timeout(self._timeout):
                result = await work()
        except (ValueError, TypeError) as wrong:
            self._closed_until = 0.0  # nobody knows yet whether it answers again: the next one may try
            raise _Refused("the cache cannot take this key or value") from wrong
        except Exception as failure:
            self._closed_until = loop.time() + self._pause
            if not self._failing:
                self._failing = True
                logger.warning("the cache does not answer (%r): sources are asked instead", failure)
            raise CacheError("the cache does not answer") from failure
        if self._failing:
            self._failing = False
            logger.warning("the cache answers again")
        return result
