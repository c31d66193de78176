"""Cached values in Redis, for all processes that share it, by redis-py: ``pip install kratos-py[redis]``.

It wants one Redis, or whatever speaks for several without being a cluster; Redis 6.2 or newer, Valkey alike. What was
invalidated stands there as a mark for a while, so that a load which began before is refused: a Redis that throws keys
away before their time (``maxmemory-policy``) or loses them with a crash may forget such a mark.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from kratos.cache.base import Fill, Found
from kratos.cache.envelope import HEAD, head, pack, tombstone, unpack

try:
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ImportError as missing:
    raise ImportError("kratos.contrib.redis needs redis-py: pip install 'kratos-py[redis]'") from missing

__all__ = ["RedisStore"]

_FILL: Final = (
    f"if redis.call('GETRANGE', KEYS[1], 0, {HEAD - 1}) ~= ARGV[1] then return 0 end\n"
    "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
    "return 1"
)
"""Keeps an entry if what is there is still what was seen."""

_AT_ONCE: Final = 512


class RedisStore:
    """Entries in Redis.

    Reads that come while one is under way are asked together: a thousand callers are a few requests.

    Args:
        url: Where it is: ``redis://127.0.0.1:6379/0``, ``rediss://user:password@host``, ``unix:///run/redis.sock``.
        connections: How many connections there are for writes, at most; reads share one.
        timeout: How many seconds one may take to connect, or to answer.

    Raises:
        ValueError: The URL is none.

    Example:
        ``Cache(RedisStore("redis://127.0.0.1"), prefix="shop:")``
    """

    def __init__(self, url: str, *, connections: int = 16, timeout: float = 0.5) -> None:
        kind: Any = ConnectionPool  # its options have no types
        pool = kind.from_url(
            url,
            max_connections=connections + 1,  # one for reads: they share it
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),  # the source is asked instead
        )
        self._client: Any = Redis(connection_pool=pool)  # half of its methods are typed as sync or async at once
        self._script: Any = self._client.register_script(_FILL)
        self._writes = asyncio.Semaphore(connections)
        self._reading = False
        self._waiting: dict[str, list[asyncio.Future[bytes | None]]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def get(self, keys: Sequence[str], /) -> Sequence[Found]:
        """Looks for keys; see ``Store``."""
        found = await (self._join(keys) if self._reading else self._first(keys))
        return [Found(None if data is None else unpack(data), head(data)) for data in found]

    async def fill(self, fills: Sequence[Fill], /) -> Sequence[bool]:
        """Keeps entries; see ``Store``."""
        async with self._writes, self._client.pipeline(transaction=False) as pipeline:
            for key, entry, ttl, ticket in fills:
                await self._script(keys=[key], args=[ticket, pack(entry), max(1, int(ttl * 1000))], client=pipeline)
            return [bool(each) for each in await pipeline.execute()]

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        """Forgets keys; see ``Store``."""
        async with self._writes, self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.set(key, tombstone(), px=max(1, int(hold * 1000)))
            await pipeline.execute()

    async def aclose(self) -> None:
        """Closes the connections; see ``Store``."""
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    async def _first(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Asks at once; whoever comes meanwhile joins those who are asked for next."""
        self._reading = True
        try:
            return await self._ask(keys)
        finally:
            if self._waiting:
                self._reader = asyncio.create_task(self._read())
            else:
                self._reading = False

    async def _join(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[bytes | None]] = []
        for key in keys:
            answers.append(loop.create_future())
            self._waiting.setdefault(key, []).append(answers[-1])
        return await asyncio.gather(*answers)

    async def _read(self) -> None:
        """Asks for all that is waited for, again and again until nothing is."""
        asked: dict[str, list[asyncio.Future[bytes | None]]] = {}
        try:
            while self._waiting:
                asked = {key: self._waiting.pop(key) for key in [*self._waiting][:_AT_ONCE]}
                try:
                    found = await self._ask([*asked])
                except Exception as failure:
                    for answers in asked.values():
                        _answer(answers, None, failure)
                else:
                    for answers, data in zip(asked.values(), found, strict=True):
                        _answer(answers, data, None)
        finally:
            self._reading = False
            for answers in (*asked.values(), *self._waiting.values()):  # some are left only where this was cancelled
                _answer(answers, None, ConnectionError("the reader was ended"))
            self._waiting.clear()

    async def _ask(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        if len(keys) == 1:
            return [await self._client.get(keys[0])]
        found: Sequence[bytes | None] = await self._client.mget(keys)
        return found


def _answer(answers: Sequence[asyncio.Future[bytes | None]], data: bytes | None, failure: Exception | None) -> None:
    for answer in answers:
        if answer.done():  # whoever asked has left
            continue
        if failure is None:
            answer.set_result(data)
        else:
            answer.set_exception(failure)
