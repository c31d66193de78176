"""Live[T]: a value that may change while the program runs, read without locks.

Every tunable accepts ``T | Live[T]``, so a limit can be a plain number or follow the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

__all__ = ["Live", "live"]

T = TypeVar("T")
U = TypeVar("U")


class Live(Generic[T]):
    """A value with observers. Not thread-safe for writers: set it from one thread (the event loop's).

    Args:
        value: The first value.
    """

    __slots__ = ("_observers", "_value")

    def __init__(self, value: T) -> None:
        self._value = value
        self._observers: dict[object, Callable[[T], object]] = {}

    @property
    def value(self) -> T:
        """The value now."""
        return self._value

    def set(self, value: T) -> None:
        """Swaps the value, then tells each observer; an equal value tells nobody.

        Raises:
            ExceptionGroup: What observers raised, after all of them were told. The new value stands.
        """
        if value == self._value:
            return
        self._value = value
        failures: list[Exception] = []
        for observer in list(self._observers.values()):
            if self._value is not value:  # An observer has set it anew, and so has told everybody the newer value.
                break
            try:
                observer(value)
            except Exception as failure:
                failures.append(failure)
        if failures:
            raise ExceptionGroup("observers of a live value failed", failures)

    def observe(self, observer: Callable[[T], object]) -> Callable[[], None]:
        """Calls ``observer`` with each new value; returns the function that ends this."""
        key = object()
        self._observers[key] = observer

        def stop() -> None:
            self._observers.pop(key, None)

        return stop

    def map(self, fn: Callable[[T], U]) -> Live[U]:
        """Returns a live value that is always ``fn`` of this one."""
        mapped = Live(fn(self._value))
        self.observe(lambda value: mapped.set(fn(value)))
        return mapped

    def __repr__(self) -> str:
        return f"Live({self._value!r})"


def live(value: T | Live[T]) -> Live[T]:
    """Returns ``value`` itself if it is live, else a live value that holds it."""
    return cast("Live[T]", value) if isinstance(value, Live) else Live(value)
