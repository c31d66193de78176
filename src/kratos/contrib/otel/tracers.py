"""Tracers that are there before the SDK runs, and stay when it runs again."""

from __future__ import annotations

from typing import Any

from opentelemetry.trace import NoOpTracerProvider, Span, Tracer, TracerProvider

__all__ = ["LateTracers"]


class LateTracers(TracerProvider):
    """A provider that hands on to another one, which comes and goes with the app; meanwhile nothing is recorded.

    Attributes:
        provider: The one that records.
    """

    def __init__(self) -> None:
        self.provider: TracerProvider = NoOpTracerProvider()

    def get_tracer(self, *args: Any, **options: Any) -> Tracer:
        """Returns a tracer that is good for the time before, while and after the app runs."""
        return _LateTracer(self, args, options)


class _LateTracer(Tracer):
    def __init__(self, owner: LateTracers, args: Any, options: Any) -> None:
        self._owner = owner
        self._args = args
        self._options = options
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    def start_span(self, *args: Any, **options: Any) -> Span:
        return self._real().start_span(*args, **options)

    def start_as_current_span(self, *args: Any, **options: Any) -> Any:
        return self._real().start_as_current_span(*args, **options)

    def _real(self) -> Tracer:
        provider = self._owner.provider
        if self._tracer is None or provider is not self._provider:
            self._tracer = provider.get_tracer(*self._args, **self._options)
            self._provider = provider
        return self._tracer
