"""A meter of the app's metrics that OpenTelemetry sends on: counting costs what it costs with Prometheus.

Counters and gauges are added up here and read when they are sent; only histograms are OpenTelemetry's own, because it
has none that can be read. What is made before the app runs is shown once it does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Self, TypeAlias, cast

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.metrics import Histogram as Recording
from opentelemetry.metrics import Meter as Instruments

__all__ = ["LateMeter"]

logger = logging.getLogger("kratos.otel")

Reading: TypeAlias = "Callable[[], float | Mapping[tuple[str, ...], float]]"
"""Returns a value, or values by those of the labels."""

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_LIMIT: Final = 2000
_OVERFLOW: Final = "overflow"


class _Series:
    """One series of a name, or what leads to those that there are."""

    __slots__ = ("_family", "attributes", "value", "values")

    def __init__(self, family: _Family, values: tuple[str, ...] | None) -> None:
        self._family = family
        self.values = values
        self.attributes = dict(zip(family.names, values, strict=True)) if values else {}
        self.value: float = 0

    def labels(self, *values: str) -> Self:
        """Returns the series for these values of the labels."""
        return cast("Self", self._family.series(values))

    def add(self, amount: float = 1, /) -> None:
        """Adds to it."""
        self._known()
        if amount < 0 and self._family.kind == "counter":
            raise ValueError(f"{self._family.name}: a counter only grows, and {amount!r} is less than zero")
        self.value += amount

    def set(self, value: float, /) -> None:
        """Gives it a value."""
        self._known()
        self.value = value

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None, /) -> None:  # noqa: ARG002 - part of the protocol
        """Takes a value; the example it may lead to is the span around it, which OpenTelemetry finds by itself."""
        self._known()
        recording = self._family.recording
        if recording is not None:
            recording.record(value, self.attributes)

    def _known(self) -> None:
        if self.values is None:
            family = self._family
            raise ValueError(f"{family.name} has labels: say which one, .labels({', '.join(family.names)})")


class _Family:
    """All series of a name."""

    def __init__(self, kind: str, name: str, help: str, names: tuple[str, ...], buckets: tuple[float, ...]) -> None:
        self.kind = kind
        self.name = name
        self.help = help
        self.names = names
        self.buckets = buckets
        self.recording: Recording | None = None
        self.readers: dict[object, Reading] = {}
        self._series: dict[tuple[str, ...], _Series] = {}
        self.root = _Series(self, None) if names else self.series(())

    @property
    def shape(self) -> tuple[object, ...]:
        """What has to be the same for who asks for the name again."""
        return self.kind, self.names, self.buckets

    def series(self, values: tuple[str, ...]) -> _Series:
        """Returns the series for some values of the labels; beyond the limit, the one that says so."""
        found = self._series.get(values)
        if found is not None:
            return found
        if len(values) != len(self.names):
            raise ValueError(
                f"{self.name} has the labels ({', '.join(self.names)}), and was given {len(values)} values"
            )
        # Peers send what is no text (lone surrogates), and one such value would keep all others from being sent.
        values = tuple(str(value).encode("utf-8", "replace").decode() for value in values)
        if len(self._series) >= _LIMIT and values not in self._series:
            values = (_OVERFLOW,) * len(values)
        return self._series.setdefault(values, _Series(self, values))

    def show(self, instruments: Instruments) -> None:
        """Makes the instrument."""
        if self.kind == "histogram":
            self.recording = instruments.create_histogram(
                self.name, description=self.help, explicit_bucket_boundaries_advisory=self.buckets
            )
            return
        counts = self.kind in ("counter", "observed counter")
        create = instruments.create_observable_counter if counts else instruments.create_observable_gauge
        create(self.name, [self._observations], description=self.help)

    def _observations(self, _: CallbackOptions) -> Iterator[Observation]:
        if not self.kind.startswith("observed"):
            yield from (Observation(series.value, series.attributes) for series in list(self._series.values()))
            return
        sums: dict[tuple[str, ...], float] = {}
        for read in list(self.readers.values()):
            try:
                found = read()
                for values, value in (found if isinstance(found, Mapping) else {(): found}).items():
                    sums[values] = sums.get(values, 0) + value
            except Exception:
                logger.exception("%s cannot be read, and is left out this time", self.name)
        yield from (Observation(value, dict(zip(self.names, values, strict=False))) for values, value in sums.items())


class LateMeter:
    """Makes counters, gauges and histograms, before and while the app runs; see ``kratos.metrics.base.Meter``."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}
        self._instruments: Instruments | None = None

    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> _Series:
        """Returns a counter.

        Raises:
            ValueError: The name is something else already.
        """
        return self._family("counter", name, help, labels).root

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> _Series:
        """Returns a gauge; raises as ``counter``."""
        return self._family("gauge", name, help, labels).root

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> _Series:
        """Returns a histogram; its bounds are those of Kratos if not given. Raises as ``counter``."""
        return self._family("histogram", name, help, labels, tuple(buckets) or _BUCKETS).root

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        """Has a value read whenever it is sent; returns the function that ends this. Raises as ``counter``."""
        family = self._family("observed counter" if counter else "observed", name, help, labels)
        key = object()
        family.readers[key] = read

        def end() -> None:
            family.readers.pop(key, None)

        return end

    def attach(self, instruments: Instruments) -> None:
        """Shows everything there, from now on."""
        self._instruments = instruments
        for family in list(self._families.values()):
            family.show(instruments)

    def _family(
        self, kind: str, name: str, help: str, labels: Sequence[str], buckets: tuple[float, ...] = ()
    ) -> _Family:
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = _Family(kind, name, help, tuple(labels), buckets)
            if self._instruments is not None:
                found.show(self._instruments)
        if found.shape != (kind, tuple(labels), buckets):
            raise ValueError(f"{name} is a {found.kind} already, with the labels ({', '.join(found.names)})")
        return found
