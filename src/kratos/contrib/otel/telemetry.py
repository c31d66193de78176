"""One object for an app's telemetry: a hook that starts OpenTelemetry's SDK with the app and empties it at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from kratos.call import AppInfo

try:
    from opentelemetry import metrics as global_metrics
    from opentelemetry import trace as global_trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
except ImportError as missing:
    raise ImportError('kratos.contrib.otel needs OpenTelemetry: pip install "kratos-py[otel]"') from missing

from kratos.contrib.otel.export import Protocol as Spoken
from kratos.contrib.otel.export import Signal, exporter, wanted
from kratos.contrib.otel.logs import Exporting
from kratos.contrib.otel.meter import LateMeter
from kratos.contrib.otel.tracers import LateTracers
from kratos.log.redact import Redaction
from kratos.version import __version__

__all__ = ["OpenTelemetry"]

logger = logging.getLogger("kratos.otel")


class Served(Protocol):
    """What the hook needs of an app."""

    @property
    def info(self) -> AppInfo:
        """Who is serving."""
        ...


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """What sends one signal.

    Attributes:
        signal: Which one.
        close: Sends what waits and ends it.
        abort: Ends it without that, once it has taken too long.
    """

    signal: Signal
    close: Callable[[], object]
    abort: Callable[[], object]


class OpenTelemetry:
    """Traces, metrics and logs of an app to a collector, by OTLP; everything in the background.

    It is a hook: the SDK starts with the app (so in each worker its own), under the app's name, version and id, and
    whatever has been recorded is sent when the app stops. Put it first: then it is left last. A collector that is slow
    or gone costs a call nothing; what does not fit into the queues is lost.

    The standard ``OTEL_*`` variables count for what is not given here: endpoint, protocol, headers, time limits,
    sizes of queues, resource attributes, ``OTEL_SDK_DISABLED`` and, as a second opinion, the sampler.

    Args:
        endpoint: Where the collector is: ``http://127.0.0.1:4317``; by HTTP without a path.
        protocol: ``grpc`` (the default) or ``http/protobuf``, which needs ``opentelemetry-exporter-otlp-proto-http``.
        headers: What goes with each request to the collector.
        service: The service's name, if it is not the app's.
        attributes: Further attributes of the resource, such as ``deployment.environment.name``.
        traces: Whether to send the spans of ``tracers``.
        metrics: Whether to send what is measured through ``meter``.
        logs: Whether to send what is logged by ``logging``, masked as ``setup`` has it; rules of its own if they are
            given here.
        as_global: Whether instrumentations of others find it as OpenTelemetry's global provider, which a process has
            one of.
        flush: Seconds for the end, at most; less than ``Shutdown.hook``.

    Attributes:
        tracers: The provider for ``tracing(otel.tracers)`` and for instrumentations that take one.
        meter: What measures, for ``App(meter=otel.meter)`` and for figures of your own.

    Example:
        ``otel = OpenTelemetry()``, then ``App(middleware=[recovery(), tracing(otel.tracers)], hooks=[otel], ...)``
    """

    def __init__(
        self,
        *,
        endpoint: str = "",
        protocol: Spoken | None = None,
        headers: Mapping[str, str] | None = None,
        service: str = "",
        attributes: Mapping[str, str] | None = None,
        traces: bool = True,
        metrics: bool = True,
        logs: bool | Redaction = True,
        as_global: bool = False,
        flush: float = 3.0,
    ) -> None:
        self.tracers = LateTracers()
        self.meter = LateMeter()
        self._target = protocol, endpoint, headers
        self._service, self._attributes = service, dict(attributes or {})
        self._signals: Sequence[tuple[Signal, object]] = (("traces", traces), ("metrics", metrics), ("logs", logs))
        self._redact = logs if isinstance(logs, Redaction) else None
        self._as_global, self._flush = as_global, flush

    @asynccontextmanager
    async def __call__(self, app: Served) -> AsyncGenerator[OpenTelemetry, None]:
        """Starts sending, and has everything sent before it returns; for ``App(hooks=[...])``.

        Raises:
            ImportError: The exporter for this protocol is not installed.
            ValueError: A variable of the environment asks for what there is not.
        """
        resource = _resource(app.info, self._service, self._attributes)
        starts = {"traces": self._traces, "metrics": self._metrics, "logs": self._logs}
        pipelines: list[_Pipeline] = []
        try:
            for signal, asked in self._signals:
                if asked is not False and wanted(signal):
                    pipelines.append(starts[signal](resource, exporter(signal, *self._target)))
            yield self
        finally:
            await _finish(pipelines, self._flush)

    def _traces(self, resource: Resource, sink: Any) -> _Pipeline:
        # The sampler is the environment's, and follows the parent if that names none: spans of the user's own inside
        # of a call that is not recorded must not be either.
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(sink))
        self.tracers.provider = provider
        if self._as_global and global_trace.get_tracer_provider() is not self.tracers:
            global_trace.set_tracer_provider(self.tracers)
        return _Pipeline("traces", provider.shutdown, sink.shutdown)

    def _metrics(self, resource: Resource, sink: Any) -> _Pipeline:
        reader = PeriodicExportingMetricReader(sink)
        provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.meter.attach(provider.get_meter("kratos", __version__))
        if self._as_global and not isinstance(global_metrics.get_meter_provider(), MeterProvider):  # it takes one, once
            global_metrics.set_meter_provider(provider)
        return _Pipeline("metrics", provider.shutdown, sink.shutdown)

    def _logs(self, resource: Resource, sink: Any) -> _Pipeline:
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(sink))
        handler = Exporting(provider, self._redact)
        root = logging.getLogger()
        root.addHandler(handler)

        def close() -> None:
            root.removeHandler(handler)
            provider.shutdown()

        return _Pipeline("logs", close, sink.shutdown)


def _resource(info: AppInfo, service: str, attributes: Mapping[str, str]) -> Resource:
    """Returns who is sending: the app, unless the environment says otherwise, unless the program does."""
    app = {"service.name": info.name, "service.version": info.version, "service.instance.id": info.id}
    program = {**attributes, **({"service.name": service} if service else {})}
    known = Resource.create().merge(Resource({name: value for name, value in app.items() if value}))
    return known.merge(OTELResourceDetector().detect()).merge(Resource(program))


async def _finish(pipelines: Sequence[_Pipeline], seconds: float) -> None:
    """Closes all at once, in threads that nobody waits for longer than that; nothing is raised."""
    ends = {_in_thread(pipeline.close): pipeline for pipeline in pipelines}
    if not ends:
        return
    done, late = await asyncio.wait(ends, timeout=seconds)
    for end in done:
        failure = end.exception()
        if failure is not None:
            logger.error("%s could not be sent to their end: %r", ends[end].signal, failure)
    for end in late:
        end.cancel()
        logger.warning("%s were not all sent after %g s: what is left is lost", ends[end].signal, seconds)
        threading.Thread(target=_quietly, args=(ends[end].abort,), daemon=True).start()


def _in_thread(work: Callable[[], object]) -> asyncio.Future[None]:
    """Runs work in a thread that does not keep the process from ending, as those of the event loop's pool would."""
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()  # from here on nobody can cancel it under the thread

    def run() -> None:
        try:
            work()
        except Exception as failure:
            done.set_exception(failure)
        else:
            done.set_result(None)

    threading.Thread(target=run, name="kratos otel", daemon=True).start()
    return asyncio.wrap_future(done)


def _quietly(work: Callable[[], object]) -> None:
    with contextlib.suppress(Exception):
        work()
