"""Metrics: counters, gauges and histograms, in whatever keeps or sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.metrics.base import Counter, Gauge, Histogram, Measured, Meter, Shown
    from kratos.metrics.noop import NoopMeter
    from kratos.metrics.prometheus import PrometheusMeter

__all__ = ["Counter", "Gauge", "Histogram", "Measured", "Meter", "NoopMeter", "PrometheusMeter", "Shown"]

__getattr__ = lazy(
    __name__,
    {
        "Counter": "base",
        "Gauge": "base",
        "Histogram": "base",
        "Measured": "base",
        "Meter": "base",
        "NoopMeter": "noop",
        "PrometheusMeter": "prometheus",
        "Shown": "base",
    },
)
