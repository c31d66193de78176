"""Records of ``logging`` as OpenTelemetry's: the ids of the trace they belong to stand beside them, once."""

from __future__ import annotations

import logging
import re
import time
from typing import Any, Final

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current, get_value
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context

from kratos.log.entry import cleaned, text_of
from kratos.log.install import redaction
from kratos.log.redact import Redaction

__all__ = ["Exporting"]

_TAKEN: Final = {"message", "asctime", "taskName", "trace_id", "span_id", "trace_flags"}
_OWN: Final = _TAKEN | vars(logging.makeLogRecord({})).keys()
_IDS = re.compile(r"[0-9a-f]{32} [0-9a-f]{16}")


class Exporting(logging.Handler):
    """Hands records to OpenTelemetry, except those of OpenTelemetry itself and of whatever sends them.

    Args:
        provider: Takes them.
        redact: What is masked; as ``setup`` has it if not given.
    """

    def __init__(self, provider: LoggerProvider, redact: Redaction | None = None) -> None:
        super().__init__()
        self._redact = redact
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record; neither waits nor fails."""
        if record.name.startswith("opentelemetry") or get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return
        try:
            self._provider.get_logger(record.name).emit(_translated(record, self._redact or redaction()))
        except Exception:
            self.handleError(record)


def _translated(record: logging.LogRecord, rules: Redaction) -> LogRecord:
    said = cleaned(record, rules)  # a collector is told what the log is told, and no secrets
    return LogRecord(
        timestamp=int(record.created * 1e9), observed_timestamp=time.time_ns(), context=_context(record),
        severity_text=record.levelname, severity_number=_severity(record.levelno), body=said.getMessage(),
        attributes=_attributes(said, record.exc_info[1] if record.exc_info else None, rules),
    )  # fmt: skip


def _context(record: logging.LogRecord) -> Context:
    """Returns the context of the span that a record names, or else of the one around it."""
    facts = vars(record)
    trace_id, span_id = str(facts.get("trace_id", "")), str(facts.get("span_id", ""))
    if not _IDS.fullmatch(f"{trace_id} {span_id}"):
        return get_current()
    flags = TraceFlags(facts.get("trace_flags") == 1)
    named = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=flags)
    current = get_current_span().get_span_context()
    if not named.is_valid or (named.trace_id, named.span_id) == (current.trace_id, current.span_id):
        return get_current()
    return set_span_in_context(NonRecordingSpan(named), Context())


def _attributes(record: logging.LogRecord, failure: BaseException | None, rules: Redaction) -> dict[str, Any]:
    place = {"file.path": record.pathname, "line.number": record.lineno, "function.name": record.funcName}
    facts: dict[str, Any] = {f"code.{name}": fact for name, fact in place.items() if record.pathname}
    for name, value in vars(record).items():
        if name not in _OWN and value is not None:
            facts[name] = value if isinstance(value, bool | int | float | str) else str(value)
    if failure is not None:
        facts["exception.type"] = f"{type(failure).__module__}.{type(failure).__qualname__}"
        facts["exception.message"] = text_of(failure, rules)
        facts["exception.stacktrace"] = record.exc_text
    return {name: value for name, value in facts.items() if value is not None}


def _severity(level: int) -> SeverityNumber:
    """Returns the number of a level: ten of ``logging`` are four of OpenTelemetry."""
    tens = min(max(level // 10, 0), 5)
    return SeverityNumber(1 + 4 * tens + min(max(level - 10 * tens, 0), 3))
