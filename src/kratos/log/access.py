"""The access line: what is written about a call after its end, as JSON, for a terminal, or as a ``logging`` record."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from kratos.log.entry import ACCESS, USUAL
from kratos.log.json import members, quoted
from kratos.log.redact import Redaction
from kratos.log.sheet import Format, sheet
from kratos.log.sink import Destination
from kratos.log.text import Style, clock, field, level, paint, plain, utc, visible

__all__ = ["Format", "Line", "Writer", "as_console", "as_json", "as_record", "to_logging", "to_stream"]

logger = logging.getLogger(ACCESS)


class Line(NamedTuple):
    """One call, after its end.

    Attributes:
        at: When it ended, in seconds since 1970.
        side: ``server`` or ``client``; the line calls it ``kind``.
        component: The transport.
        operation: What was called.
        code: The HTTP status of the outcome.
        reason: The reason of a failure.
        latency: Seconds from the first to the last byte that middleware sees.
        peer: The other end.
        fields: The call's own; read when the line is written.
        error: What happened, for a person to read.
        requests: How many messages a stream had in this direction; None for a unary call.
        replies: As many in the other direction.
        args: The request as JSON, where that is asked for: masked already.
        sampled: Whether its trace is recorded.
    """

    at: float
    side: str
    component: str
    operation: str
    code: int
    reason: str
    latency: float
    peer: str
    fields: Mapping[str, Any]
    error: str = ""
    requests: int | None = None
    replies: int | None = None
    args: str = ""
    sampled: bool = False

    @property
    def level(self) -> int:
        """``logging.ERROR`` where the server failed (5xx); what a caller did wrong is no error of ours."""
        return _level(self.code)


def _level(code: int) -> int:
    return logging.ERROR if code >= 500 else logging.INFO


Writer: TypeAlias = Callable[[Sequence[Line], int], None]
"""Writes lines, and how many were lost since the last time."""

# Names that the line needs for itself; a field of the call with such a name is printed as ``fields.name``.
_TAKEN = frozenset(
    {
        "ts", "level", "msg", "kind", "component", "operation", "code", "reason", "latency", "peer", "requests",
        "replies", "error", "args",
    }
)  # fmt: skip

_IDS = ("trace_id", "span_id")

# The hundreds of a code; whatever else there is went wrong.
_CLASSES: Mapping[int, Style] = {1: "good", 2: "good", 3: "hint", 4: "warn"}
_SLOW_SECONDS = 1.0


def as_json(line: Line) -> str:
    """Returns the line as a JSON object."""
    at, side, component, operation, code, reason, latency, peer, fields, error, requests, replies, args, _ = line
    known = _known(side, component, operation, code)  # saves a microsecond of three
    counts = "" if requests is None else f',"requests":{requests},"replies":{replies}'
    more = members(fields, _TAKEN) if fields else ""
    failure = f',"error":{quoted(error)}' if error else ""
    if args:
        counts += f',"args":{args}'
    return (
        f'{{"ts":"{utc(at)}",{known},"reason":{quoted(reason)},"latency":{latency:.6f}'
        f',"peer":{quoted(peer)}{counts}{more}{failure}}}'
    )


@lru_cache(512)
def _known(side: str, component: str, operation: str, code: int) -> str:
    """Returns the members that hardly differ from line to line."""
    return (
        f'"level":"{logging.getLevelName(_level(code))}","msg":"{side} request","kind":"{side}"'
        f',"component":{quoted(component)},"operation":{quoted(operation)},"code":{code:d}'
    )


def as_console(line: Line, *, colours: bool = False) -> str:
    """Returns the line for a person at a terminal, in local time."""
    brush = paint if colours else plain
    name, style = level(line.level)
    return f"{brush(clock(line.at), 'dim')} {brush(name, style)} {_text(line, brush)}"


def as_record(line: Line) -> logging.LogRecord:
    """Returns the line as a record whose attributes are the members of the JSON object.

    Where it belongs in a trace is told by attributes alone; ``trace_flags`` is there if the trace is recorded.
    """
    said = {name: fact for name, fact in line.fields.items() if name not in _IDS}
    record = logger.makeRecord(logger.name, line.level, "", 0, _text(line._replace(fields=said)), (), None)
    record.created = line.at
    record.msecs = line.at % 1 * 1000
    own = line._asdict()
    own["kind"] = own.pop("side")
    own["trace_flags"] = 1 if own.pop("sampled") and _IDS[0] in line.fields else None
    own["request"] = _request(line)  # a record has arguments of its own
    for name, fact in {**own.pop("fields"), **own}.items():
        if name not in vars(record) and fact is not None:  # a record's own attributes cannot be had
            setattr(record, name, fact)
    return record


def to_stream(to: Destination = None, format: Format = "auto", rules: Redaction = USUAL) -> Writer:
    """Returns what writes lines to a stream or a file, with what the rules say masked."""
    written = sheet(to, format, as_json, as_console, "access lines")
    return lambda lines, lost: written([_masked(line, rules) for line in lines], lost)


def to_logging(rules: Redaction = USUAL) -> Writer:
    """Returns what hands lines to the logger ``kratos.access``; the time of a record is the end of its call."""

    def written(lines: Sequence[Line], lost: int) -> None:
        for line in lines:
            if logger.isEnabledFor(line.level):
                logger.handle(as_record(_masked(line, rules)))
        if lost:
            logger.error("%d access lines lost", lost)

    return written


def _request(line: Line) -> Any:
    return json.loads(line.args) if line.args else None


def _masked(line: Line, rules: Redaction) -> Line:
    """Returns the line as it may be read; most have nothing to mask."""
    if not line.fields and not line.error:
        return line
    # A handler may still write to the fields of a call that it has outlived.
    facts = rules.pairs(dict(line.fields))
    error = rules.text(line.error) if line.error else ""
    return Line._make((*line[:8], facts, error, *line[10:]))  # `_replace` takes twice as long


def _text(line: Line, brush: Callable[[str, Style], str] = plain) -> str:
    took = f"{line.latency * 1000:.1f}ms"
    outcome = f"{line.code} {line.reason}".rstrip()
    parts: list[tuple[str, Style]] = [
        (line.side, "dim"),
        (line.component, "dim"),
        (line.operation, "strong"),
        (outcome, _CLASSES.get(line.code // 100, "bad")),
        (took, "warn" if line.latency >= _SLOW_SECONDS else "hint"),
        (line.peer, "dim"),
    ]
    facts = dict(line.fields)
    if line.args:
        facts["args"] = _request(line)
    if line.requests is not None:
        facts |= {"requests": line.requests, "replies": line.replies}
    if line.error:
        facts["error"] = line.error
    texts = [brush(visible(text), style) for text, style in parts if text]
    return " ".join([*texts, *(field(name, fact, brush) for name, fact in facts.items())])
