"""What limiters, breakers and retries show of themselves, under the names in docs/resilience.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from kratos.metrics.base import Counter, Meter, Reading
from kratos.resilience.base import Limiter, Priority

__all__ = ["BreakerFigures", "Counted", "LimiterFigures", "RetryFigures"]

_LIMITER: Final = ("limiter",)
_SHOWN: Final = (
    ("in_flight", "in_flight", "Calls that the limiter has let in and that are not over.", 1),
    ("max_in_flight", "max_in_flight", "Calls that the limiter would let in under pressure.", 1),
    ("cpu", "cpu_ratio", "How busy the limiter thinks the CPUs are, from 0 to 1.", 1000),
)


class LimiterFigures:
    """The figures of one limiter: ``server_ratelimit_*``.

    Args:
        meter: Where they go.
        limiter: Its ``in_flight``, ``max_in_flight`` and ``cpu`` (of 1000) are shown, as far as it has them.
        name: What it is called.
    """

    def __init__(self, meter: Meter, limiter: Limiter, name: str) -> None:
        for attribute, figure, meaning, scale in _SHOWN:
            if hasattr(limiter, attribute):
                read = _reader(limiter, attribute, (name,), scale)
                meter.observed(f"server_ratelimit_{figure}", meaning, read, labels=_LIMITER)
        shed = meter.counter(
            "server_ratelimit_shed_total", "Calls that were turned away, by how much they matter.",
            labels=("limiter", "priority"),
        )  # fmt: skip
        self._shed = [shed.labels(name, priority.name.lower()) for priority in Priority]

    def shed(self, priority: Priority) -> None:
        """Counts a call that was turned away."""
        self._shed[priority].add()


def _reader(limiter: Limiter, attribute: str, labels: tuple[str, ...], scale: int) -> Reading:
    return lambda: {labels: getattr(limiter, attribute) / scale}


class Counted(Protocol):
    """What is shown of the breakers of one operation."""

    @property
    def drop_ratio(self) -> float:
        """How many of the calls are refused now."""
        ...


class BreakerFigures:
    """The figures of one ``breaker()``: ``client_breaker_*``, by operation.

    Args:
        meter: Where they go.
        breakers: Returns those that there are, with the name of their operation.
    """

    def __init__(self, meter: Meter, breakers: Callable[[], Iterable[tuple[str, Counted]]]) -> None:
        self._breakers = breakers
        meter.observed(
            "client_breaker_drop_ratio",
            "How many of the calls the breaker refuses now: 0 is none, 1 all.",
            self._ratios,
            labels=("operation",),
        )
        self._refused = meter.counter(
            "client_breaker_refused_total", "Calls that the breaker has refused.", labels=("operation",)
        )

    def _ratios(self) -> dict[tuple[str, ...], float]:
        found: dict[tuple[str, ...], float] = {}
        for operation, breakers in self._breakers():
            found[operation,] = max(found.get((operation,), 0.0), breakers.drop_ratio)
        return found

    def refused(self, operation: str) -> None:
        """Counts a call that was refused."""
        self._refused.labels(operation).add()


class RetryFigures:
    """The figures of one ``retry()``: ``client_retries_total`` and ``client_retry_budget_left``.

    Args:
        meter: Where they go.
        left: Returns how many retries there may be now.
    """

    def __init__(self, meter: Meter, left: Callable[[], float]) -> None:
        meter.observed("client_retry_budget_left", "How many retries the client may make now.", left)
        self._retries: Counter = meter.counter(
            "client_retries_total",
            "Calls that failed and might have been tried again, by what became of that.",
            labels=("operation", "outcome"),
        )

    def count(self, operation: str, outcome: str) -> None:
        """Counts a retry, or why there was none."""
        self._retries.labels(operation, outcome).add()
