"""``Watching``: one task for each source that can change, from start to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from kratos.config.base import Source, State, WatchedSource

__all__ = ["Watching"]

logger = logging.getLogger("kratos.config")

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 30.0


class Watching:
    """The watches of some sources.

    Args:
        sources: The sources; those that cannot change are left alone.
        take: Gets the position of a source that has changed, and what it is now.
    """

    def __init__(self, sources: Sequence[Source], take: Callable[[int, State], object]) -> None:
        self._sources = sources
        self._take = take
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to watch; where that has begun it does nothing."""
        if all(task.done() for task in self._tasks):  # also those of a loop that is closed
            self._tasks = [
                asyncio.create_task(self._follow(at, source), name=f"kratos config {source.name}")
                for at, source in enumerate(self._sources)
                if isinstance(source, WatchedSource)
            ]

    def leave(self) -> list[asyncio.Task[None]]:
        """Returns the tasks of all watches, for whoever ends them, and knows them no more."""
        tasks, self._tasks = self._tasks, []
        return tasks

    async def _follow(self, at: int, source: WatchedSource) -> None:
        pause = FIRST_PAUSE_SECONDS
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        while not task.cancelling():  # a source may have turned that into an error of its own
            try:
                async for state in source.watch():
                    pause = FIRST_PAUSE_SECONDS
                    self._take(at, state)
            except Exception as error:
                defect = None if isinstance(error, OSError) else error
                logger.warning("%s is not watched: %s; again in %g s", source.name, error, pause, exc_info=defect)
            else:
                break
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)
