"""What is counted of a cache."""

from __future__ import annotations

from kratos.metrics.base import Counter, Meter

__all__ = ["Counts", "Figures"]


class Counts:
    """The counters of one method's values."""

    __slots__ = ("dropped", "errors", "hits", "misses")

    def __init__(self, hits: Counter, misses: Counter, errors: Counter, dropped: Counter) -> None:
        self.hits = hits
        self.misses = misses
        self.errors = errors
        self.dropped = dropped


class Figures:
    """The counters of a cache.

    Args:
        meter: What keeps them.
    """

    def __init__(self, meter: Meter) -> None:
        self._hits = meter.counter("cache_hits_total", "Values that were in the cache.", labels=("name",))
        self._misses = meter.counter("cache_misses_total", "Values that were loaded instead.", labels=("name",))
        self._errors = meter.counter(
            "cache_errors_total", "Operations of the cache that failed, by what they were.", labels=("name", "what")
        )
        self._dropped = meter.counter(
            "cache_backfill_dropped_total", "Values that were not kept: too many were waiting.", labels=("name",)
        )

    def of(self, name: str) -> Counts:
        """Returns the counters of one method; those of errors still want their ``what``."""
        return Counts(self._hits.labels(name), self._misses.labels(name), self._errors, self._dropped.labels(name))
