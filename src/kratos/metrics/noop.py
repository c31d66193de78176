"""No metrics: everything can be counted and nothing is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

__all__ = ["NoopMeter"]


class _Nothing:
    __slots__ = ()

    def labels(self, *_: Any) -> Self:
        return self

    def add(self, *_: Any) -> None:
        """Counts nothing."""

    def set(self, *_: Any) -> None:
        """Keeps nothing."""

    def observe(self, *_: Any) -> None:
        """Takes nothing in."""


_NOTHING: Final = _Nothing()


class NoopMeter:
    """A meter that keeps nothing: ``App(meter=NoopMeter())`` has no metrics, and ``metrics()`` steps aside there."""

    __slots__ = ()

    def counter(self, *_: Any, **__: Any) -> _Nothing:
        """Returns what counts nothing."""
        return _NOTHING

    def gauge(self, *_: Any, **__: Any) -> _Nothing:
        """Returns what keeps nothing."""
        return _NOTHING

    def histogram(self, *_: Any, **__: Any) -> _Nothing:
        """Returns what measures nothing."""
        return _NOTHING

    def observed(self, *_: Any, **__: Any) -> Callable[[], None]:
        """Never reads it."""
        return _nothing


def _nothing() -> None:
    """Ends what has not begun."""
