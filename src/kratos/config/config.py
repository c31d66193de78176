"""``Config``: all sources in one, and typed values from it, which may follow what the sources become."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from kratos.config.base import ConfigError, Layer, Problem, Source
from kratos.config.bind import Unknown
from kratos.config.current import Change, Current
from kratos.config.listing import Entry, entries
from kratos.config.snapshot import REQUIRED, Reader, Snapshot
from kratos.config.watching import Watching
from kratos.live import Live

__all__ = ["Config"]

T = TypeVar("T")
D = TypeVar("D")


class Config(Reader):
    """The configuration of a program. ``Config.load`` makes one.

    It is read once, unless it is told to watch its sources: by ``async with config``, or as a hook of the app,
    ``App(hooks=[config.watching])``. Then a change of a source is taken as a whole or not at all: what ``get`` and
    ``live`` have been asked for has to be there and of its type, before anything changes.

    Args:
        layers: What the sources say, in their order.
        sources: The sources, to be watched; none if not given.

    Example:
        ``config = await Config.load(File("configs"), Env("SHOP_"))``, then
        ``timeout = config.get(timedelta, "server.http.timeout", default=timedelta(seconds=1))``.
    """

    __slots__ = ("_current", "_users", "_watching")

    def __init__(self, layers: Sequence[Layer], sources: Sequence[Source] = ()) -> None:
        self._current = Current(layers)
        self._watching = Watching(tuple(sources), self._current.take)
        self._users = 0

    @classmethod
    async def load(cls, *sources: Source) -> Config:
        """Reads all sources, at the same time; of those that say something about a key the last one wins.

        Raises:
            ConfigError: Sources cannot be read, or what they say does not fit together: all that is wrong, at once.
        """
        layers: list[Layer] = []
        problems: list[Problem] = []
        for outcome in await asyncio.gather(*(source.load() for source in sources), return_exceptions=True):
            if isinstance(outcome, ConfigError):
                problems += outcome.problems
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                layers.append(outcome)
        if problems:
            raise ConfigError(problems)
        return cls(layers, sources)

    def read(self, type_: Any, key: str, default: Any, unknown: Unknown) -> Any:
        """Does what ``get`` does; ``default`` is ``REQUIRED`` if there is none."""
        return self._current.read(type_, key, default, unknown)

    @overload
    def live(self, type_: type[T], key: str = ..., *, unknown: Unknown = ...) -> Live[T]: ...
    @overload
    def live(self, type_: type[T], key: str = ..., *, default: D, unknown: Unknown = ...) -> Live[T | D]: ...
    @overload
    def live(self, type_: Any, key: str = ..., *, default: Any = ..., unknown: Unknown = ...) -> Live[Any]: ...
    def live(self, type_: Any, key: str = "", *, default: Any = REQUIRED, unknown: Unknown = "error") -> Live[Any]:
        """Returns a live value: what ``get`` returns, now and after each change while the sources are watched.

        A change that leaves no such value is rejected. Ask when the program starts, and keep what you get: it is
        followed for ever.

        Args:
            type_: As for ``get``.
            key: As for ``get``.
            default: As for ``get``; it is also what the value becomes if the key is removed. Without one the key
                cannot be removed.
            unknown: As for ``get``.

        Raises:
            ConfigError: The key is missing, or what it holds is no such value.
            TypeError: The type is none that configuration can be.
        """
        return self._current.live(type_, key, default, unknown)

    def observe(self, observer: Callable[[Change], object], key: str = "") -> Callable[[], None]:
        """Calls ``observer`` once for each change of a key, or of anything below it; returns what ends this.

        It is called after everything has changed, in the event loop; there may be several for a key, and one that
        raises is logged and keeps nobody from hearing. An ``async`` observer runs in a task, as with ``Live.observe``.

        Args:
            observer: Gets the change: what the key held, and what it holds.
            key: The key, which need not be there yet; empty for everything.

        Raises:
            ConfigError: It is no key.
        """
        return self._current.observe(key, observer)

    @property
    def snapshot(self) -> Snapshot:
        """All values as they are now, for whoever needs several that belong together; ``get`` is the same there."""
        return self._current.snapshot

    @property
    def refused(self) -> ConfigError | None:
        """Why sources do not count as they are now, but as they were; None if all is well.

        That a source is not watched at the moment, so that nobody knows what it is, is in there as well.
        """
        errors = (*self._current.refused.values(), *self._watching.lost.values())
        problems = [problem for error in errors for problem in error.problems]
        return ConfigError(problems) if problems else None

    def entries(self, key: str = "") -> Iterable[Entry]:
        """Returns all values below a key, without secrets, and where each is written.

        Raises:
            ConfigError: It is no key, or is not there.
        """
        snapshot = self._current.snapshot
        return entries(snapshot.found(key), key, tuple(snapshot.hidden))

    async def start(self) -> None:
        """Begins to watch the sources; where that has begun it does nothing."""
        self._watching.start()

    async def stop(self) -> None:
        """Ends watching, and observers that are at work; calling it again does nothing."""
        self._users = 0
        tasks = [*self._watching.leave(), *self._current.tasks]
        ours = {task for task in tasks if task.get_loop() is asyncio.get_running_loop()} - {asyncio.current_task()}
        for task in ours:
            task.cancel()
        if ours:
            await asyncio.wait(ours)

    async def __aenter__(self) -> Self:
        """Begins to watch the sources."""
        self._users += 1
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends watching, if nobody else is inside."""
        self._users = max(0, self._users - 1)  # stop() may have come before
        if not self._users:
            await self.stop()

    def watching(self, app: object = None) -> AbstractAsyncContextManager[Config]:  # noqa: ARG002 - a hook gets the app
        """Watches while an app runs: ``App(hooks=[config.watching])``. Several apps may share a configuration."""
        return self
