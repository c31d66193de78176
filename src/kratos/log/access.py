"""The access line: what is written about a call after its end, as JSON, for a terminal, or as a ``logging`` record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from kratos.log.json import members, quoted, value
from kratos.log.sink import Destination, is_terminal, write

__all__ = ["Format", "Line", "Writer", "as_console", "as_json", "as_record", "to_logging", "to_stream"]

Format: TypeAlias = Literal["auto", "json", "console"]
"""How lines look; ``auto`` is ``console`` on a terminal and ``json`` elsewhere."""

logger = logging.getLogger("kratos.access")


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

    @property
    def level(self) -> int:
        """``logging.ERROR`` where the server failed (5xx); what a caller did wrong is no error of ours."""
        return logging.ERROR if self.code >= 500 else logging.INFO


Writer: TypeAlias = Callable[[Sequence[Line], int], None]
"""Writes lines, and how many were lost since the last time."""

# Names that the line needs for itself; a field of the call with such a name is printed as ``fields.name``.
_TAKEN = frozenset(
    {
        "ts", "level", "msg", "kind", "component", "operation", "code", "reason", "latency", "peer", "requests",
        "replies", "error",
    }
)  # fmt: skip


def as_json(line: Line) -> str:
    """Returns the line as a JSON object."""
    counts = "" if line.requests is None else f',"requests":{line.requests},"replies":{line.replies}'
    error = f',"error":{quoted(line.error)}' if line.error else ""
    return (
        f'{{"ts":"{_utc(line.at)}","level":"{logging.getLevelName(line.level)}","msg":"{line.side} request"'
        f',"kind":"{line.side}","component":{quoted(line.component)},"operation":{quoted(line.operation)}'
        f',"code":{line.code:d},"reason":{quoted(line.reason)},"latency":{line.latency:.6f}'
        f',"peer":{quoted(line.peer)}{counts}{members(dict(line.fields), _TAKEN)}{error}}}'
    )


def as_console(line: Line) -> str:
    """Returns the line for a person at a terminal, in local time."""
    clock = time.strftime("%H:%M:%S", time.localtime(line.at))
    return f"{clock}.{int(line.at % 1 * 1000):03} {logging.getLevelName(line.level):5} {_text(line)}"


def as_record(line: Line) -> logging.LogRecord:
    """Returns the line as a record whose attributes are the members of the JSON object."""
    record = logger.makeRecord(logger.name, line.level, "", 0, _text(line), (), None)
    record.created = line.at
    record.msecs = line.at % 1 * 1000
    own = line._asdict()
    own["kind"] = own.pop("side")
    for name, fact in {**own.pop("fields"), **own}.items():
        if name not in vars(record) and fact is not None:  # a record's own attributes cannot be had
            setattr(record, name, fact)
    return record


def to_stream(to: Destination = None, format: Format = "auto") -> Writer:
    """Returns what writes lines to a stream or a file."""

    def written(lines: Sequence[Line], lost: int) -> None:
        console = format == "console" or (format == "auto" and is_terminal(to))
        texts: list[str] = []
        for line in lines:
            try:
                texts.append(as_console(line) if console else as_json(line))
            except Exception:  # A line that cannot be written must not take others with it.
                lost += 1
        if lost:
            texts.append(_lost(lost, console=console))
        write(to, "\n".join(texts) + "\n")

    return written


def to_logging(lines: Sequence[Line], lost: int) -> None:
    """Hands lines to the logger ``kratos.access``; the time of a record is the end of its call."""
    for line in lines:
        if logger.isEnabledFor(line.level):
            logger.handle(as_record(line))
    if lost:
        logger.error("%d access lines lost", lost)


def _text(line: Line) -> str:
    took = f"{line.latency * 1000:.1f}ms"
    parts = [line.side, line.component, line.operation, f"{line.code} {line.reason}".rstrip(), took, line.peer]
    facts = dict(line.fields)
    if line.requests is not None:
        facts |= {"requests": line.requests, "replies": line.replies}
    if line.error:
        facts["error"] = line.error
    parts += (f"{name}={_plain(fact)}" for name, fact in facts.items())
    return " ".join(_visible(part) for part in parts if part)


def _plain(fact: Any) -> str:
    """Returns a value as it is if it is one printable word, else as JSON."""
    return fact if isinstance(fact, str) and fact.isprintable() and " " not in fact and fact else value(fact)


def _visible(text: str) -> str:
    """Returns text that cannot steer a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _lost(count: int, *, console: bool) -> str:
    if console:
        return f"{count} access lines lost"
    return f'{{"ts":"{_utc(time.time())}","level":"ERROR","msg":"access lines lost","lost":{count}}}'


def _utc(at: float) -> str:
    return f"{_second(int(at))}.{int(at % 1 * 1e6):06}Z"


@lru_cache(8)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
