"""Prometheus: cells that are added up here, and text that prometheus-client makes of them when somebody asks.

Nothing is global: each meter has a registry of its own, or stands in one that it is given. The library is loaded when
text is made, or a registry given, and not before.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from kratos.metrics.base import BUCKETS, Reading
from kratos.metrics.cells import Cell, Count, Distribution, Example, Family, Level

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric

__all__ = ["PrometheusMeter"]

logger = logging.getLogger("kratos.metrics")

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_TAKEN = frozenset(("le", "quantile"))
_PROCESS = ("process_", "python_")
_EXEMPLAR_CHARACTERS = 128  # what OpenMetrics allows; a scrape with a longer one is refused as a whole


class PrometheusMeter:
    """Counts for Prometheus, and shows what it has counted as text.

    Args:
        registry: A registry of prometheus-client to stand in, beside what is there. A meter without one has its own,
            with figures about the process: ``process_*``, ``python_*``.
        limit: How many series one name may have; what comes after those is counted in one more, whose labels say
            ``overflow``.

    Example:
        ``orders = meter.counter("orders_total", "Orders taken.", labels=("country",))`` once, and then
        ``orders.labels("ch").add()``
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, limit: int = 2000) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit}: a name needs one series at least")
        self._limit = limit
        self._families: dict[str, Family[Any]] = {}
        self._observed: dict[str, _Observed] = {}
        self._owners: dict[str, str] = {}
        self._own = registry is None
        self._registry = registry
        if registry is not None:
            registry.register(_Collector(self._collect))

    def counter(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Count:
        """Returns a counter; the name ends in ``_total``. See ``Meter.counter``."""
        return cast("Count", self._family(Count, name, help, labels).root)

    def gauge(self, name: str, help: str = "", *, labels: Sequence[str] = ()) -> Level:
        """Returns a gauge; see ``Meter.gauge``."""
        return cast("Level", self._family(Level, name, help, labels).root)

    def histogram(
        self, name: str, help: str = "", *, labels: Sequence[str] = (), buckets: Sequence[float] = BUCKETS
    ) -> Distribution:
        """Returns a histogram; see ``Meter.histogram``."""
        bounds = tuple(map(float, buckets)) or BUCKETS
        return cast("Distribution", self._family(Distribution, name, help, labels, bounds).root)

    def observed(
        self, name: str, help: str, read: Reading, *, labels: Sequence[str] = (), counter: bool = False
    ) -> Callable[[], None]:
        """Has a value read at each scrape; see ``Meter.observed``."""
        observed, wanted = self._observed.get(name), tuple(labels)
        if observed is None:
            self._claim(Count if counter else Level, name, wanted)
            observed = self._observed[name] = _Observed(name, help, wanted, counter=counter, readers={})
        if (observed.names, observed.counter) != (wanted, counter):
            raise ValueError(f"{name} is observed already, with other labels or as something else")
        key = object()
        observed.readers[key] = read

        def end() -> None:
            observed.readers.pop(key, None)

        return end

    def render(self, accept: str = "") -> tuple[str, bytes]:
        """Returns what was counted as text, with its content type. Any thread may ask; many series take a while.

        Args:
            accept: The ``Accept`` header of who asks: OpenMetrics, which has exemplars, where it is named, else
                Prometheus' own format.
        """
        from prometheus_client import exposition  # noqa: PLC0415 - loaded on demand
        from prometheus_client.openmetrics import exposition as openmetrics  # noqa: PLC0415 - loaded on demand

        # Not by the library's choose_encoder: it fails on versions that are none, and repeats those it is given.
        registry = self._showing()
        if "application/openmetrics-text" in accept:
            write: Callable[[CollectorRegistry], bytes] = cast("Any", openmetrics).generate_latest
            return openmetrics.CONTENT_TYPE_LATEST, write(registry)
        return exposition.CONTENT_TYPE_PLAIN_0_0_4, exposition.generate_latest(registry)

    def _showing(self) -> CollectorRegistry:
        """Returns the registry; our own is made when it is first needed."""
        if self._registry is None:
            import prometheus_client  # noqa: PLC0415 - loaded on demand

            registry = prometheus_client.CollectorRegistry()
            for collector in (prometheus_client.ProcessCollector, prometheus_client.PlatformCollector):
                collector(registry=registry)
            prometheus_client.GCCollector(registry=registry)
            registry.register(_Collector(self._collect))
            self._registry = registry
        return self._registry

    def _family(
        self,
        make: type[Any],
        name: str,
        help: str,
        labels: Sequence[str],
        buckets: tuple[float, ...] = (),
    ) -> Family[Any]:
        names = tuple(labels)
        family = self._families.get(name)
        if family is None:
            self._claim(make, name, names)
            if make is Distribution and list(buckets) != sorted({*buckets} - {math.inf}):
                raise ValueError(
                    f"{name}: buckets {buckets} must go up, and end before infinity, which is always there"
                )
            family = Family(make, name, help, names=names, limit=self._limit, buckets=buckets)
            return self._families.setdefault(name, family)
        if (family.kind, family.names, family.buckets) != (make, names, buckets):
            raise ValueError(
                f"{name} is a {_WORDS[family.kind]} already, labels ({', '.join(family.names)}), "
                f"buckets {family.buckets}: ask for the same, or for another name"
            )
        return family

    def _claim(self, make: type[Cell], name: str, labels: tuple[str, ...]) -> None:
        """Makes sure that a name can be shown, and that nothing else has it."""
        _check(make, name, labels)
        if self._own and name.startswith(_PROCESS):
            raise ValueError(f"{name}: {' and '.join(_PROCESS)} are what prometheus-client tells of the process")
        for series in _series(make, name):
            owner = self._owners.setdefault(series, name)
            if owner != name or name in self._families or name in self._observed:
                raise ValueError(f"{name} cannot be told from {owner}, which is there already: choose another name")

    def _collect(self) -> Iterator[Metric]:
        for family in list(self._families.values()):
            metric = _shown(family)
            if metric.samples:
                yield metric
        for observed in list(self._observed.values()):
            metric = _metric(Count if observed.counter else Level, observed, observed.values().items())
            if metric.samples:
                yield metric


class _Observed(NamedTuple):
    """What is read at each scrape."""

    name: str
    help: str
    names: tuple[str, ...]
    counter: bool
    readers: dict[object, Reading]

    def values(self) -> Mapping[tuple[str, ...], float]:
        """Returns the values by those of the labels, added up."""
        sums: dict[tuple[str, ...], float] = {}
        for read in list(self.readers.values()):
            try:
                found = read()
                values = found if isinstance(found, Mapping) else {(): found}
                for labels, value in values.items():
                    named = dict(zip(self.names, map(_text, labels), strict=True))
                    key = tuple(named.values())
                    sums[key] = sums.get(key, 0) + float(value)
            except Exception:
                logger.exception("%s cannot be read, and is left out of this scrape", self.name)
        return sums


class _Collector:
    """What a registry of prometheus-client asks."""

    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self.collect = collect

    def describe(self) -> Iterable[Metric]:
        """Says nothing of what there will be: nobody knows yet."""
        return []


_WORDS: Final[Mapping[object, str]] = {Count: "counter", Level: "gauge", Distribution: "histogram"}


def _check(make: type[Cell], name: str, labels: tuple[str, ...]) -> None:
    """Raises a ValueError if Prometheus would not take a name."""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"metric {name!r}: a name has letters, digits and underscores, and begins with no digit")
    if make is Count and not name.endswith("_total"):
        raise ValueError(f"counter {name!r}: in Prometheus counters end in _total, so call it '{name}_total'")
    for label in labels:
        if _LABEL.fullmatch(label) is None or label in _TAKEN:
            raise ValueError(f"{name}: {label!r} cannot be a label: letters, digits and underscores, and not le")
    if len(set(labels)) != len(labels):
        raise ValueError(f"{name}: a label comes twice in {labels}")


def _series(make: type[Cell], name: str) -> Iterable[str]:
    """Returns all names that a metric has in the text."""
    if make is Count:
        return (name, name.removesuffix("_total"))
    return (name, *(name + end for end in ("_bucket", "_sum", "_count"))) if make is Distribution else (name,)


def _shown(family: Family[Any]) -> Metric:
    if family.kind is Distribution:
        return _histogram(family)
    values = {cell.values: cell.value for cell in cast("Sequence[Count | Level]", family.cells())}
    return _metric(cast("type[Cell]", family.kind), family, values.items())


def _metric(
    make: type[Cell], named: Family[Any] | _Observed, values: Iterable[tuple[tuple[str, ...], float]]
) -> Metric:
    from prometheus_client import metrics_core  # noqa: PLC0415 - loaded on demand

    shape = metrics_core.CounterMetricFamily if make is Count else metrics_core.GaugeMetricFamily
    metric = shape(named.name, named.help or named.name, labels=named.names)
    for labels, value in values:
        metric.add_metric(labels, value)
    return metric


def _histogram(family: Family[Distribution]) -> Metric:
    from prometheus_client import metrics_core, utils  # noqa: PLC0415 - loaded on demand

    metric = metrics_core.HistogramMetricFamily(family.name, family.help or family.name, labels=family.names)
    bounds = [str(cast("Any", utils).floatToGoString(bound)) for bound in (*family.buckets, math.inf)]
    for cell in family.cells():
        total, examples = 0, dict(cell.examples)
        buckets: list[Any] = []
        for number, count in enumerate(list(cell.counts)):
            total += count
            exemplar = _exemplar(examples.get(number))
            buckets.append((bounds[number], total) if exemplar is None else (bounds[number], total, exemplar))
        metric.add_metric(cell.values, buckets, cell.sum)
    return metric


def _exemplar(example: Example | None) -> object:
    from prometheus_client.samples import Exemplar  # noqa: PLC0415 - loaded on demand

    if example is None:
        return None
    labels = {name: _text(value) for name, value in example.labels.items()}
    if sum(len(name) + len(value) for name, value in labels.items()) > _EXEMPLAR_CHARACTERS:
        return None
    return Exemplar(labels, example.value, example.time)


def _text(value: object) -> str:
    """Returns a value as text that can be written: peers send what cannot (lone surrogates)."""
    return str(value).encode("utf-8", "replace").decode()
