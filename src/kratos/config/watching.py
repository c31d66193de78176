"""``Watching``: one task for each source that can change, from start to stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from kratos.config.base import ConfigError, Problem, Source, State, WatchedSource
from kratos.masking import masked

__all__ = ["Watching"]

logger = logging.getLogger("kratos.config")

FIRST_PAUSE_SECONDS: Final = 1.0
LAST_PAUSE_SECONDS: Final = 30.0


class Watching:
    """The watches of some sources.

    Args:
        sources: The sources; those that cannot change are left alone.
        take: Gets the position of a source that has changed, and what it is now.

    Attributes:
        lost: Why a source is not watched, by its position, from the loss of a watch until another one has said
            something or has lasted a while.
    """

    def __init__(self, sources: Sequence[Source], take: Callable[[int, State], object]) -> None:
        self._sources = sources
        self._take = take
        self._tasks: list[asyncio.Task[None]] = []
        self.lost: dict[int, ConfigError] = {}

    def start(self) -> None:
        """Begins to watch; where that has begun it does nothing."""
        if all(task.done() for task in self._tasks):  # also those of a loop that is closed
            self.lost.clear()
            self._tasks = [
                asyncio.create_task(self._follow(at, source), name=f"kratos config {source.name}")
                for at, source in enumerate(self._sources)
                if isinstance(source, WatchedSource)
            ]

    def leave(self) -> list[asyncio.Task[None]]:
        """Returns the tasks of all watches, for whoever ends them, and knows them no more."""
        tasks, self._tasks = self._tasks, []
        self.lost.clear()  # nobody wants them any more
        return tasks

    async def _follow(self, at: int, source: WatchedSource) -> None:
        pause = FIRST_PAUSE_SECONDS
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has a task
        loop = asyncio.get_running_loop()
        while not task.cancelling():  # a source may have turned that into an error of its own
            lasting = loop.call_later(pause, self._found, at)
            try:
                async for state in source.watch():
                    pause = FIRST_PAUSE_SECONDS
                    self._found(at)
                    self._take(at, state)
            except Exception as error:
                self._lose(at, source, error, pause)
            else:
                self._found(at)
                break
            finally:
                lasting.cancel()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE_SECONDS)

    def _lose(self, at: int, source: WatchedSource, error: Exception, pause: float) -> None:
        expected = isinstance(error, OSError)
        logger.warning(
            "%s is not watched: %s; again in %g s", source.name, error, pause, exc_info=None if expected else error
        )
        # Of other exceptions nobody knows what they tell.
        why = masked(str(error)) if expected else type(error).__name__
        self.lost[at] = ConfigError([Problem(f"{source.name} is not watched: {why}")])

    def _found(self, at: int) -> None:
        self.lost.pop(at, None)
