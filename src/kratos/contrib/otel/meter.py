"""A meter whose figures OpenTelemetry sends: counting costs what it costs with Prometheus.

Counters and gauges are cells of ``kratos.metrics``, read when they are sent; only histograms are OpenTelemetry's own,
because it has none that can be read. What is made before the app runs is shown once it does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias, cast

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from kratos.metrics.base import BUCKETS, Reading
from kratos.metrics.cells import Cell, Count, Family, Level

__all__ = ["LateMeter"]

logger = logging.getLogger("kratos.otel")

_LIMIT: Final = 2000


class Recorder(Cell):
    """A histogram, which OpenTelemetry keeps."""

    __slots__ = ("_attributes",)

    def __init__(self, family: Family[Self], values: tuple[str, ...]) -> None:
        super().__init__(family, values)
        self._attributes = dict(zip(family.names, values, strict=True))

    def observe(self, value: float, exemplar: Mapping[str, str] | None = None, /) -> None:  # noqa: ARG002 - part of the protocol
        """Takes a value; its example is the recorded span around it, which OpenTelemetry finds by itself."""
        recording = cast("_Recorders", self._family).recording
        if recording is not None:
            recording.record(value, self._attributes)


class _Recorders(Family[Recorder]):
    recording: Histogram | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Observed:
    """What is read when it is sent."""

    name: str
    help: str
    names: tuple[str, ...]
    kind: object
    readers: dict[object, Reading] = field(default_factory=dict[object, Reading])


_Shown: TypeAlias = "Family[Any] | _Observed"


class LateMeter:
    """Makes counters, gauges and histograms, before and while the app runs; see ``kratos.metrics.base.Meter``."""

    def __init__(self) -> None:
        self._shown: dict[str, tuple[object, _Shown]] = {}
        self._instruments: Meter | None = None

    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Count:
        """Returns a counter.

        Raises:
            ValueError: The name is something else already.
        """
        return cast("Count", self._family(Count, name, help, labels).root)

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Level:
        """Returns a gauge; raises as ``counter``."""
        return cast("Level", self._family(Level, name, help, labels).root)

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = ()
    ) -> Recorder:
        """Returns a histogram; raises as ``counter``."""
        return cast("Recorder", self._family(Recorder, name, help, labels, tuple(buckets) or BUCKETS).root)

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        """Has a value read whenever it is sent; returns the function that ends this. Raises as ``counter``."""
        names, kind = tuple(labels), Count if counter else Level
        observed = cast("_Observed", self._known(name, (kind, names), _Observed(name, help, names, kind)))
        key = object()
        observed.readers[key] = read

        def end() -> None:
            observed.readers.pop(key, None)

        return end

    def attach(self, instruments: Meter) -> None:
        """Shows everything there, from now on."""
        self._instruments = instruments
        for _, each in list(self._shown.values()):
            _show(each, instruments)

    def _family(
        self, make: type[Any], name: str, help: str, labels: Sequence[str], buckets: tuple[float, ...] = ()
    ) -> Family[Any]:
        kind: type[Family[Any]] = _Recorders if make is Recorder else Family
        family = kind(make, name, help, names=tuple(labels), limit=_LIMIT, buckets=buckets)
        return cast("Family[Any]", self._known(name, (make, family.names, buckets), family))

    def _known(self, name: str, shape: tuple[object, ...], new: _Shown) -> _Shown:
        """Returns what has the name: the new thing, if there is nothing."""
        known, found = self._shown.setdefault(name, (shape, new))
        if found is new and self._instruments is not None:
            _show(new, self._instruments)
        if known != shape:
            raise ValueError(f"{name} is there already, as something else or with other labels than {shape[1]}")
        return found


def _show(shown: _Shown, instruments: Meter) -> None:
    """Makes the instrument."""
    if isinstance(shown, _Recorders):
        shown.recording = instruments.create_histogram(
            shown.name, description=shown.help, explicit_bucket_boundaries_advisory=shown.buckets
        )
        return

    def read(_: CallbackOptions) -> Iterator[Observation]:
        values = _sums(shown) if isinstance(shown, _Observed) else {cell.values: cell.value for cell in shown.cells()}
        return (Observation(value, dict(zip(shown.names, each, strict=True))) for each, value in values.items())

    create = instruments.create_observable_counter if shown.kind is Count else instruments.create_observable_gauge
    create(shown.name, [read], description=shown.help)


def _sums(observed: _Observed) -> Mapping[tuple[str, ...], float]:
    """Returns the values by those of the labels, added up."""
    sums: dict[tuple[str, ...], float] = {}
    for read in list(observed.readers.values()):
        try:
            found = read()
            for labels, value in (found if isinstance(found, Mapping) else {(): found}).items():
                sums[labels] = sums.get(labels, 0) + value
        except Exception:
            logger.exception("%s cannot be read, and is left out this time", observed.name)
    return sums
