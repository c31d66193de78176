"""``tracing()``: where a call has been and what took its time, as spans of OpenTelemetry.

The one room beside ``kratos.contrib.otel`` that knows OpenTelemetry, and of that only the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.middleware.tracing.caches import CacheSpans
    from kratos.middleware.tracing.calls import Tracers, tracing

__all__ = ["CacheSpans", "Tracers", "tracing"]

__getattr__ = lazy(__name__, {"CacheSpans": "caches", "Tracers": "calls", "tracing": "calls"})
