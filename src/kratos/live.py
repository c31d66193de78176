"""Live[T]: a value that may change while the program runs, read without locks.

Every tunable accepts ``T | Live[T]``, so a limit can be a plain number or follow the configuration.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

__all__ = ["Live", "Swap", "apply", "live"]

T = TypeVar("T")
U = TypeVar("U")

logger = logging.getLogger("kratos.live")


class Live(Generic[T]):
    """A value with observers. Not thread-safe for writers: set it from one thread (the event loop's).

    Args:
        value: The first value.
    """

    __slots__ = ("_mapped", "_observers", "_value")

    def __init__(self, value: T) -> None:
        self._value = value
        self._mapped: dict[Callable[[T], Any], Live[Any]] = {}
        self._observers: dict[object, Callable[[T], object]] = {}

    @property
    def value(self) -> T:
        """The value now."""
        return self._value

    def set(self, value: T) -> None:
        """Swaps the value and all that is mapped from it, then tells each observer; an equal value tells nobody.

        Raises:
            ExceptionGroup: What observers raised, after all of them were told. The new value stands.
            Exception: What a function of ``map`` raised. Nothing has changed, and nobody was told.
        """
        failures = apply(self.changes(value))
        if failures:
            raise ExceptionGroup("observers of a live value failed", failures)

    def changes(self, value: T) -> list[Swap]:
        """Returns what ``set`` would change, here and in what is mapped from this, for ``apply``; nothing has yet.

        Raises:
            Exception: What a function of ``map`` raises: it does not want this value.
        """
        if type(value) is type(self._value) and value == self._value:  # 1 is not True
            return []
        found: list[Swap] = [(self, value)]
        for fn, mapped in self._mapped.items():
            found += mapped.changes(fn(value))
        return found

    def observe(self, observer: Callable[[T], object]) -> Callable[[], None]:
        """Calls ``observer`` with each new value; returns the function that ends this.

        An ``async`` observer runs in a task, one at a time: values that come while it is at work are not queued, it is
        called once more with the last of them. What it raises is logged. The value has to be set in an event loop then.
        """
        key = object()
        self._observers[key] = _Later(observer) if inspect.iscoroutinefunction(observer) else observer

        def stop() -> None:
            self._observers.pop(key, None)

        return stop

    def map(self, fn: Callable[[T], U]) -> Live[U]:
        """Returns a live value that is always ``fn`` of this one; for the same function it is the same.

        A value that the function refuses, by raising, does not come to be: ``set`` fails, and a change of the
        configuration is rejected.
        """
        mapped = self._mapped.get(fn)
        if mapped is None:
            mapped = self._mapped[fn] = Live(fn(self._value))
        return mapped

    @property
    def tasks(self) -> tuple[asyncio.Task[None], ...]:
        """The tasks of ``async`` observers that are at work, of this and of what is mapped from it."""
        own = [each.task for each in self._observers.values() if isinstance(each, _Later)]
        below = [task for mapped in self._mapped.values() for task in mapped.tasks]
        return tuple(task for task in (*own, *below) if task is not None and not task.done())

    def swap(self, value: T) -> None:
        """Takes a value and tells nobody; for ``apply``."""
        self._value = value

    def tell(self, value: T) -> Iterator[Exception]:
        """Tells each observer, and yields what they raise; for ``apply``."""
        for observer in list(self._observers.values()):
            if self._value is not value:  # An observer has set it anew, and so has told everybody the newer value.
                break
            try:
                observer(value)
            except Exception as failure:
                yield failure

    def __repr__(self) -> str:
        return f"Live({self._value!r})"


Swap = tuple[Live[Any], Any]
"""A live value, and what it is going to be."""


def apply(changes: Iterable[Swap]) -> list[Exception]:
    """Swaps several values, and only then tells the observers of each.

    Returns:
        What observers raised, after all of them were told.
    """
    changes = list(changes)
    for each, value in changes:
        each.swap(value)
    return [failure for each, value in changes for failure in each.tell(value)]


def live(value: T | Live[T]) -> Live[T]:
    """Returns ``value`` itself if it is live, else a live value that holds it."""
    return cast("Live[T]", value) if isinstance(value, Live) else Live(value)


class _Later(Generic[T]):
    """An ``async`` observer, called in tasks.

    Args:
        observer: The observer.

    Attributes:
        task: The last one.
    """

    def __init__(self, observer: Callable[[T], Awaitable[object]]) -> None:
        self.task: asyncio.Task[None] | None = None
        self._observer = observer
        self._waiting: list[T] = []  # the last value that it was not called with

    def __call__(self, value: T) -> None:
        loop = asyncio.get_running_loop()
        self._waiting[:] = [value]
        # A task of another loop, which may be closed, does nothing for us any more.
        if self.task is None or self.task.done() or self.task.get_loop() is not loop:
            self.task = loop.create_task(self._run(), name="kratos live observer")

    async def _run(self) -> None:
        while self._waiting:
            try:
                await self._observer(self._waiting.pop())
            except Exception:
                logger.exception("an observer of a live value failed")
