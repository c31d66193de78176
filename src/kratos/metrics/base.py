"""What a meter is. Prometheus' is one; a class of your own with these four methods is another.

A counter, gauge or histogram has the names of its labels from the beginning; ``labels(...)`` gives the one for certain
values, which is fetched once and kept by whoever counts often. Without labels it is used as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, Self, TypeAlias, runtime_checkable

__all__ = ["BUCKETS", "Counter", "Gauge", "Histogram", "Measured", "Meter", "Reading", "Shown"]

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""The bounds of a histogram that says nothing else, in seconds: those of Kratos."""

Reading: TypeAlias = "Callable[[], float | Mapping[tuple[str, ...], float]]"
"""Returns a value when it is asked for one; with labels, the values by those of the labels."""


class Counter(Protocol):
    """What only grows."""

    def labels(self, *values: str) -> Self:
        """Returns the counter for these values of the labels, in their order; the same one each time."""
        ...

    def add(self, amount: float = 1, /) -> None:
        """Adds to it. Called for each request, from any thread: it neither waits nor fails."""
        ...


class Gauge(Protocol):
    """What goes up and down."""

    def labels(self, *values: str) -> Self:
        """Returns the gauge for these values of the labels, in their order; the same one each time."""
        ...

    def add(self, amount: float = 1, /) -> None:
        """Adds to it; less than zero takes away. Called for each request: it neither waits nor fails."""
        ...

    def set(self, value: float, /) -> None:
        """Gives it a value."""
        ...


class Histogram(Protocol):
    """How values are distributed."""

    def labels(self, *values: str) -> Self:
        """Returns the histogram for these values of the labels, in their order; the same one each time."""
        ...

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None, /) -> None:
        """Takes a value. Called for each request, from any thread: it neither waits nor fails.

        Args:
            value: The value.
            exemplar: What leads to an example of it: ``trace_id`` and ``span_id``. May be left aside.
        """
        ...


class Meter(Protocol):
    """Where measurements go. Whoever asks twice for one name gets the same thing."""

    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Counter:
        """Returns a counter.

        Args:
            name: Its name, which ends in ``_total``.
            help: What it counts, a sentence.
            labels: The names of its labels.

        Raises:
            ValueError: It cannot have this name, or is something else already.
        """
        ...

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Gauge:
        """Returns a gauge; see ``counter``."""
        ...

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> Histogram:
        """Returns a histogram; see ``counter``.

        Args:
            name: Its name, with its unit: ``_seconds``, ``_bytes``.
            help: What it measures, a sentence.
            labels: The names of its labels.
            buckets: Their upper bounds, from low to high; the meter's own if not given.
        """
        ...

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        """Has a value read whenever somebody looks, instead of being told of it. Values of one name add up.

        Args:
            name: Its name.
            help: What it is, a sentence.
            read: Returns the value; called in any thread. One that raises is left out.
            labels: The names of its labels.
            counter: Whether it only grows; it is a gauge otherwise.

        Returns:
            The function that ends this.

        Raises:
            ValueError: It cannot have this name, or is something else already.
        """
        ...


@runtime_checkable
class Measured(Protocol):
    """A middleware, server or registrar with figures of its own to show."""

    def measure(self, meter: Meter, /) -> None:
        """Takes the meter of the app; called once, when the app is made."""
        ...


@runtime_checkable
class Shown(Protocol):
    """A meter that can be read as text."""

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Returns the content type, and what was counted, in a form that an ``Accept`` header asks for.

        It may take a while where there are many series: servers call it in a thread.
        """
        ...
