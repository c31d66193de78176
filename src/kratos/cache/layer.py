"""A cache: a store, how long it may take, and the values that are kept in it."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack

from kratos.cache.base import Spans, Store
from kratos.cache.encode import encoder_for, immutable
from kratos.cache.figures import Figures
from kratos.cache.guard import Guard
from kratos.cache.methods import Function, function
from kratos.cache.options import Options, Paging, Settings
from kratos.cache.shared import Shared
from kratos.cache.values import Values
from kratos.metrics.base import Meter

__all__ = ["Cache", "Served"]

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger("kratos.cache")


class Served(Protocol):
    """What a cache needs of an app."""

    @property
    def meter(self) -> Meter:
        """Where measurements go."""
        ...


class Cache:
    """A store, and how it is used by all whose values it keeps.

    It is a hook of an app, ``App(hooks=[cache])``: then it counts with the app's meter, and what is still to be kept
    when the app stops is kept. Without an app there are ``measure`` and ``aclose``.

    Args:
        store: Where entries are kept.
        prefix: In front of each key: programs that share a store and not their values need one each.
        timeout: How many seconds the store may take to answer; then the source is asked.
        pause: For how many seconds a store that has failed is left alone.
        hold: For how many seconds a load may take whose value is kept; so long are invalidations remembered.
        waiting: How many values may wait to be kept (``backfill="async"``); further ones are dropped, and counted.
        flush: How many seconds the end may take for what is still under way.
        spans: Who makes spans of what leaves the process, ``CacheSpans()``; none if not given.
        clock: The time of the wall, which all processes share.

    Raises:
        ValueError: A time is not above 0.

    Example:
        ``cache = Cache(RedisStore("redis://127.0.0.1"), prefix="shop:")``
    """

    def __init__(
        self,
        store: Store,
        *,
        prefix: str = "",
        timeout: float = 0.5,
        pause: float = 1.0,
        hold: float = 60.0,
        waiting: int = 1024,
        flush: float = 3.0,
        spans: Spans | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, seconds in (("timeout", timeout), ("pause", pause), ("hold", hold), ("flush", flush)):
            if seconds <= 0:
                raise ValueError(f"{name}={seconds}: give seconds above 0")
        self._guard = Guard(store, timeout=timeout, pause=pause, hold=hold)
        self._shared = Shared(store, self._guard, prefix=prefix, hold=hold, waiting=waiting, spans=spans, clock=clock)
        self._flush = flush

    def values(self, kind: Any, options: Options) -> Values[Any]:
        """Returns the values of one method; ``cached`` and generated code stand on this.

        Args:
            kind: Their type, which decides how they become bytes.
            options: How they are cached.

        Raises:
            TypeError: They have no form to keep, and no encoder was given.
        """
        encoder = encoder_for(kind) if options.encoder is None else options.encoder
        return Values(self._shared, options, encoder, share=options.share or immutable(kind))

    def cached(
        self,
        key: str | Callable[..., str] | None = None,
        /,
        *,
        ignore: tuple[str, ...] = (),
        paging: Paging | None = None,
        **settings: Unpack[Settings],
    ) -> Function:
        """Has a function's values cached; for a method there is the decorator ``kratos.cache.cached``.

        Args:
            key: As that one has it.
            ignore: As that one has it.
            paging: As that one has it.
            settings: As that one has them.
        """
        return function(self, key, ignore=ignore, paging=paging, settings=settings)

    def measure(self, meter: Meter, /) -> None:
        """Counts with this meter from now on."""
        self._shared.figures = Figures(meter)
        self._shared.generation += 1

    @asynccontextmanager
    async def __call__(self, app: Served) -> AsyncGenerator[Cache, None]:
        """Counts with the app's meter, and closes when the app stops; for ``App(hooks=[...])``."""
        self.measure(app.meter)
        try:
            yield self
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Waits for what is under way and has it kept, delivers invalidations that wait, and closes the store."""
        try:
            late = await self._shared.drain(self._flush)
            if late:
                logger.warning("%d loads or fills were not done after %g s and were given up", late, self._flush)
        finally:
            await self._guard.aclose(self._flush)
