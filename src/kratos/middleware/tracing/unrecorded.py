"""What stands for the span of a call that is not recorded: ids for logs and for the next hop, and nothing else."""

from __future__ import annotations

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

__all__ = ["Unrecorded"]


class Unrecorded(NonRecordingSpan):
    """A span that records nothing and whose context is only made if somebody asks for it (1 us of 6).

    Args:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        sampled: What the next hop hears: true where only nobody here records.
        state: The ``tracestate``.
    """

    __slots__ = ("_made", "sampled", "span_id", "state", "trace_id")

    def __init__(self, trace_id: str, span_id: str, sampled: bool, state: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.sampled = sampled
        self.state = state
        self._made: SpanContext | None = None

    def get_span_context(self) -> SpanContext:
        """Returns the same context each time."""
        if self._made is None:
            state = TraceState.from_header([self.state]) if self.state else None
            flags = TraceFlags(self.sampled)
            self._made = SpanContext(int(self.trace_id, 16), int(self.span_id, 16), False, flags, state)
        return self._made

    def __repr__(self) -> str:
        return f"<Unrecorded {self.trace_id} {self.span_id}>"
