"""Which exporters there are, by protocol and signal; the SDK's own, which read the rest from ``OTEL_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

__all__ = ["Protocol", "Signal", "exporter", "wanted"]

Protocol: TypeAlias = Literal["grpc", "http/protobuf"]
"""How OTLP is spoken."""

Signal: TypeAlias = Literal["traces", "metrics", "logs"]
"""What is sent."""

_MODULES: Final = {"traces": "trace_exporter", "metrics": "metric_exporter", "logs": "_log_exporter"}
_CLASSES: Final = {"traces": "OTLPSpanExporter", "metrics": "OTLPMetricExporter", "logs": "OTLPLogExporter"}
_PACKAGES: Final = {"grpc": "grpc", "http/protobuf": "http"}


def wanted(signal: Signal) -> bool:
    """Tells whether ``OTEL_TRACES_EXPORTER`` and its like want a signal at all.

    Raises:
        ValueError: They want an exporter that there is none of here.
    """
    name = f"OTEL_{signal.upper()}_EXPORTER"
    value = os.environ.get(name, "").strip() or "otlp"
    if value not in ("otlp", "none"):
        raise ValueError(f"{name}={value}: OpenTelemetry() exports by OTLP; set it to otlp or none")
    return value == "otlp"


def exporter(signal: Signal, protocol: Protocol | None, endpoint: str, headers: Mapping[str, str] | None) -> Any:
    """Returns what sends a signal.

    Args:
        signal: Which one.
        protocol: How; as ``OTEL_EXPORTER_OTLP_PROTOCOL`` says if not given, and by gRPC if that says nothing.
        endpoint: Where the collector is, without a path; as the environment says if empty.
        headers: What goes with each request, such as a key; as the environment says if not given.

    Raises:
        ImportError: The exporter is not installed; the message says how to.
        ValueError: The environment names a protocol that there is none of here.
    """
    name = protocol or _protocol(signal)
    if name not in _PACKAGES:
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL={name}: there are grpc and http/protobuf")
    package = _PACKAGES[name]
    try:
        module = import_module(f"opentelemetry.exporter.otlp.proto.{package}.{_MODULES[signal]}")
    except ImportError as missing:
        extra = '"kratos-py[otel]"' if package == "grpc" else "opentelemetry-exporter-otlp-proto-http"
        raise ImportError(f"exporting by OTLP over {name} needs an exporter: pip install {extra}") from missing
    options: dict[str, Any] = {}
    if endpoint:
        options["endpoint"] = endpoint if package == "grpc" else f"{endpoint.rstrip('/')}/v1/{signal}"
    if headers:
        options["headers"] = {key.lower(): value for key, value in headers.items()}
    return getattr(module, _CLASSES[signal])(**options)


def _protocol(signal: Signal) -> str:
    of_signal = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "").strip()
    return of_signal or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() or "grpc"
