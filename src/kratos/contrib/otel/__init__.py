"""OpenTelemetry: traces, metrics and logs of an app, sent to a collector by OTLP; extra ``otel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kratos.lazy import lazy

if TYPE_CHECKING:
    from kratos.contrib.otel.telemetry import OpenTelemetry

__all__ = ["OpenTelemetry"]

__getattr__ = lazy(__name__, {"OpenTelemetry": "telemetry"})
