"""Spans of what a cache does outside of the process."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span, get_tracer_provider

from kratos.cache.base import Note
from kratos.middleware.tracing.calls import Tracers
from kratos.version import __version__

__all__ = ["CacheSpans"]


def _unnoted(_: str, __: str | int) -> None:
    """Takes an attribute of no span."""


_NO_SPAN: Final = nullcontext[Note](_unnoted)


class CacheSpans:
    """Makes a span of each time that a cache asks its store, loads, fills or invalidates, inside of recorded calls.

    Args:
        tracers: Who records the spans; OpenTelemetry's global provider if not given.

    Example:
        ``Cache(RedisStore("redis://127.0.0.1"), spans=CacheSpans(otel.tracers))``
    """

    def __init__(self, tracers: Tracers | None = None) -> None:
        provider = get_tracer_provider() if tracers is None else tracers
        self._tracer: Tracer = provider.get_tracer("kratos", __version__)

    def span(self, what: str, name: str, /) -> AbstractContextManager[Note]:
        """Returns the context of one operation; see ``kratos.cache.base.Spans``."""
        if not get_current_span().is_recording():
            return _NO_SPAN
        return self._span(what, name)

    @contextmanager
    def _span(self, what: str, name: str) -> Generator[Note]:
        kind = SpanKind.INTERNAL if what == "load" else SpanKind.CLIENT
        with self._tracer.start_as_current_span(
            f"cache {what} {name}", kind=kind, attributes={"cache.name": name}, record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            try:
                yield span.set_attribute
            except BaseException as failure:
                kinds = type(failure)
                span.set_attribute("error.type", f"{kinds.__module__}.{kinds.__qualname__}")
                if isinstance(failure, Exception):  # neither text nor values: a trace leaves the house
                    span.set_status(Status(StatusCode.ERROR))
                raise
