"""What all values of one cache have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from kratos.cache.base import LocalStore, Note, Spans, Store
from kratos.cache.figures import Figures
from kratos.cache.guard import Guard
from kratos.cache.singleflight import Flights
from kratos.cache.twolevel import TwoLevelStore
from kratos.metrics.noop import NoopMeter

__all__ = ["Shared"]


def _unnoted(_: str, __: str | int) -> None:
    """Takes an attribute of no span."""


_NO_SPAN: Final = nullcontext[Note](_unnoted)


class Shared:
    """A store and what goes on around it.

    Args:
        store: The store.
        guard: Stands in front of it.
        prefix: In front of each key.
        hold: For how many seconds a load may take whose value is kept.
        waiting: How many values may wait to be kept.
        spans: Who makes spans.
        clock: The time of the wall.

    Attributes:
        local: The store, if it is one of this process alone.
        near: The store, if it is one of two levels.
        flights: What is being loaded.
        filling: How many values wait to be kept.
        figures: What counts.
        generation: Changes when ``figures`` does.
        ending: Set when the cache is about to end.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        *,
        prefix: str,
        hold: float,
        waiting: int,
        spans: Spans | None,
        clock: Callable[[], float],
    ) -> None:
        self.local = store if isinstance(store, LocalStore) else None
        self.near = store if isinstance(store, TwoLevelStore) else None
        self.guard = guard
        self.flights: Flights[Any] = Flights(hold)
        self.prefix = prefix
        self.hold = hold
        self.waiting = waiting
        self.clock = clock
        self.filling = 0
        self.figures = Figures(NoopMeter())
        self.generation = 0
        self.ending = asyncio.Event()
        self._spans = spans
        self._tasks: set[asyncio.Task[None]] = set()

    def span(self, what: str, name: str) -> AbstractContextManager[Note]:
        """Returns the context of one operation; see ``Spans``."""
        return _NO_SPAN if self._spans is None else self._spans.span(what, name)

    def aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Has something done that nobody waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, seconds: float) -> int:
        """Waits for all that is under way; returns how much of it was not done in time, and is cancelled."""
        self.ending.set()
        late = 0
        if self._tasks:
            _, rest = await asyncio.wait(self._tasks, timeout=seconds)
            for task in rest:
                task.cancel()
            late = len(rest)
        late += await self.flights.drain(seconds)
        self.ending.clear()
        return late
