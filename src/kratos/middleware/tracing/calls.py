"""The middleware: the same for both sides and for all kinds of calls, one span for each call.

Whether a trace is recorded is decided here, and OpenTelemetry is only called for those that are: a call that is not
costs 4 to 9 us, where asking OpenTelemetry costs 40.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)

from kratos.call import RECORDED, Call
from kratos.handler import Handler, Middleware
from kratos.metrics.base import Meter
from kratos.middleware.tracing.sampling import Ratio, Sampling, drawn
from kratos.middleware.tracing.spans import (
    SERVICE_NAME,
    end,
    server_facts,
    span_name,
    static,
    watched,
)
from kratos.middleware.tracing.unrecorded import Unrecorded
from kratos.middleware.tracing.w3c import Parent, parent_of, traceparent
from kratos.operation import AnyOperation
from kratos.version import __version__

__all__ = ["Tracers", "tracing"]

_BAGGAGE: Final = W3CBaggagePropagator()
_CARRIERS: Final = frozenset({b"traceparent", b"tracestate", b"baggage"})
# The key of the span in a context, which OpenTelemetry keeps to itself.
_SPAN: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))


class Tracers(Protocol):
    """What makes tracers: a ``TracerProvider`` of OpenTelemetry, or ``OpenTelemetry.tracers``."""

    def get_tracer(self, instrumenting_module_name: str, instrumenting_library_version: str | None = None, /) -> Tracer:
        """Returns a tracer; asked once, when the middleware is made. Neither waits nor fails."""
        ...


def tracing(
    tracers: Tracers | None = None,
    *,
    sample: Ratio = 1.0,
    operations: Mapping[str, Ratio] | None = None,
    trusted: bool | Callable[[Call], bool] = True,
    service: str = "",
    messages: bool = False,
) -> Middleware:
    """Makes a span of each call, unary or stream, and carries the trace from hop to hop; for servers and clients.

    A call that arrives with a ``traceparent`` is recorded if its caller is; a trace that begins here is by ``sample``.
    Whether recorded or not, ``call.fields`` has ``trace_id`` and ``span_id``, which the access log prints, and the next
    hop gets them. ``tracestate``, ``baggage`` and Kratos' ``x-md-service-name`` travel too.

    Args:
        tracers: Who records the spans; OpenTelemetry's global provider if not given.
        sample: How much of what begins here is recorded, from 0.0 to 1.0; a live value counts for the calls after its
            change.
        operations: Other ratios for some operations, by name or by prefix with ``*``; the first that fits counts.
        trusted: Whether a caller's trace and baggage count; at the edge to the world say False, or ask the call's peer.
        service: Who is calling, for ``x-md-service-name`` of calls made outside of any server call; inside of one it
            is the app's name.
        messages: Whether each message of a stream becomes an event of its span.

    Raises:
        ValueError: A ratio is not from 0 to 1.

    Example:
        ``App(middleware=[recovery(), tracing(otel.tracers, sample=0.1), metrics(), access_log()], hooks=[otel], ...)``
    """
    provider = get_tracer_provider() if tracers is None else tracers
    tracer = provider.get_tracer("kratos", __version__)
    return _Tracing(
        provider, tracer, Sampling(sample, operations or {}), trusted=trusted, service=service, messages=messages
    )


class _Tracing:
    def __init__(
        self,
        provider: Tracers,
        tracer: Tracer,
        sampling: Sampling,
        *,
        trusted: bool | Callable[[Call], bool],
        service: str,
        messages: bool,
    ) -> None:
        self.provider = provider
        self.tracer = tracer
        self.trusted = trusted
        self.service = service
        self.messages = messages
        self._sampling = sampling

    def bind(self, operation: AnyOperation) -> Middleware:
        return _Traced(self, self._sampling, operation)

    def __call__(self, request: Any, call: Call, next: Handler) -> Awaitable[Any]:
        # Reached only outside of chain(), which asks bind() instead.
        return self.bind(call.operation)(request, call, next)


class _Traced:
    """The middleware of one operation."""

    __slots__ = ("_facts", "_messages", "_name", "_owner", "_ratio")

    def __init__(self, owner: _Tracing, sampling: Sampling, operation: AnyOperation) -> None:
        self._owner = owner
        self._name = span_name(operation)
        self._facts = static(operation)
        self._ratio = sampling.ratio(operation)
        self._messages = owner.messages and operation.streams

    def tells(self, _: Meter) -> tuple[str, int]:
        return "tracing()", id(self._owner.provider)

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        served = call.side == "server"
        context, parent = self._arrived(call) if served else _around(call)
        span = self._unrecorded(call, parent) or self._recorded(call, parent, context)
        if not served:
            self._tell(call, span)
        token = attach(_with(span, context))
        recording = span.is_recording()
        try:
            if recording and self._messages:
                request = watched(span, request, call)
            reply = await next(request, call)
        except BaseException as failure:
            if recording:
                end(span, call, failure)
            raise
        else:
            if recording:
                end(span, call, None)
            return reply
        finally:
            detach(token)

    def _arrived(self, call: Call) -> tuple[Context | None, Parent | None]:
        """Returns what the caller says, if that counts: its baggage, None if there is none, and its span."""
        trusted = self._owner.trusted
        if trusted is not True and not (trusted and trusted(call)):
            return None, None
        pairs = call.headers.raw_of(_CARRIERS)
        if not pairs:
            return None, None
        parent = parent_of(pairs)
        if len(pairs) == 1 and parent is not None:
            return None, parent
        carried = b",".join(value for key, value in pairs if key == b"baggage").decode("latin-1")
        return _BAGGAGE.extract({"baggage": carried}) if carried else None, parent

    def _unrecorded(self, call: Call, parent: Parent | None) -> Unrecorded | None:
        """Returns what stands for the span if this call is not recorded, else None."""
        state = ""
        if parent is None:
            ids = os.urandom(24)
            if drawn(self._ratio.value, ids):
                return None
            text = ids.hex()
            trace_id, span_id = text[:32], text[32:]
        elif parent.sampled:
            return None
        else:
            trace_id, span_id, state = parent.trace_id, os.urandom(8).hex(), parent.state
        fields = call.fields
        fields["trace_id"] = trace_id
        fields["span_id"] = span_id
        return Unrecorded(trace_id, span_id, False, state)

    def _recorded(self, call: Call, parent: Parent | None, context: Context | None) -> Span:
        """Starts a span below a parent or as a root; a stand-in if there is nobody to record it."""
        if call.side == "server":
            kind, facts = SpanKind.SERVER, {**self._facts, **server_facts(call)}
        else:
            kind, facts = SpanKind.CLIENT, {**self._facts, "rpc.system.name": call.kind}
        if call.side == "server" or context is None:
            context = set_span_in_context(INVALID_SPAN if parent is None else _remote(parent), context)
        span = self._owner.tracer.start_span(self._name, context=context, kind=kind, attributes=facts)
        made = span.get_span_context()
        trace_id, span_id = format_trace_id(made.trace_id), format_span_id(made.span_id)
        if not made.is_valid or (parent is not None and span_id == parent.span_id):  # OpenTelemetry without an SDK
            trace_id, span_id = os.urandom(16).hex() if parent is None else parent.trace_id, os.urandom(8).hex()
            span = Unrecorded(trace_id, span_id, True, "" if parent is None else parent.state)
        if span.is_recording():
            call.state[RECORDED] = True
        call.fields["trace_id"] = trace_id
        call.fields["span_id"] = span_id
        return span

    def _tell(self, call: Call, span: Span) -> None:
        """Writes the headers of a call that goes out."""
        headers = call.headers
        if isinstance(span, Unrecorded):
            sampled, state = span.sampled, span.state
        else:
            made = span.get_span_context()
            sampled, state = made.trace_flags.sampled, made.trace_state.to_header()
        headers.set("traceparent", traceparent(call.fields["trace_id"], call.fields["span_id"], sampled=sampled))
        if state:
            headers.set("tracestate", state)
        if baggage.get_all() and "baggage" not in headers:
            carrier: dict[str, str] = {}
            _BAGGAGE.inject(carrier)
            headers.update(carrier)
        parent = call.parent
        name = self._owner.service if parent is None or parent.app is None else parent.app.name
        if name:
            headers.set(SERVICE_NAME, name if name.isascii() else quote(name))  # as metadata() has it


def _with(span: Span, context: Context | None) -> Context:
    """Returns a context with the span; None is the current one."""
    context = get_current() if context is None else context
    # Most calls are in none. One copy, where OpenTelemetry makes two.
    return Context({**context, _SPAN: span})


def _around(call: Call) -> tuple[Context | None, Parent | None]:
    """Returns what a call that goes out belongs below: the span around it, else what its caller has put in a header.

    The context is None where there is no span.
    """
    current = get_current_span()
    if isinstance(current, Unrecorded):
        return get_current(), Parent(current.trace_id, current.span_id, current.sampled, current.state)
    made = current.get_span_context()
    if made.is_valid:
        ids = format_trace_id(made.trace_id), format_span_id(made.span_id)
        return get_current(), Parent(*ids, made.trace_flags.sampled, made.trace_state.to_header())
    return None, parent_of(call.headers.raw_of(_CARRIERS))


def _remote(parent: Parent) -> Span:
    state = TraceState.from_header([parent.state]) if parent.state else None
    flags = TraceFlags(parent.sampled)
    ids = int(parent.trace_id, 16), int(parent.span_id, 16)
    return NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=flags, trace_state=state))
