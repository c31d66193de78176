"""``console()``: what the program logs, for whoever started it: to read in a terminal, as JSON lines elsewhere.

The JSON members have the names that the access line has: ``ts``, ``level``, ``msg``, ``logger``, the fields given as
``extra``, and for exceptions ``error`` and ``stack``.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kratos.log.json import members, quoted, shown
from kratos.log.sink import Destination, Stream, is_terminal, write
from kratos.log.text import Style, clock, coloured, field, level, paint, plain, utc, visible

__all__ = ["as_json", "as_text", "console"]

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_TAKEN = frozenset({"ts", "level", "msg", "logger", "error", "stack"})
_ACCESS = "kratos.access"
_INDENT = "    "


def console(level: int | str = "INFO", stream: Stream | None = None) -> Callable[[], None]:
    """Makes this process log to a stream, warnings among the rest: coloured lines on a terminal, JSON lines elsewhere.

    It gives the root logger a handler and a level. Handlers of others stay; called again, it replaces its own.

    Args:
        level: The least level that is logged; loggers with a level of their own go by that.
        stream: Where lines go; if not given, what ``sys.stderr`` is at the time.

    Returns:
        What undoes it; harmless when called twice, or when another call has come after.

    Raises:
        ValueError: There is no such level.
    """
    root = logging.getLogger()
    handler = _Handler(stream)
    before, replaced = root.level, [each for each in root.handlers if isinstance(each, _Handler)]
    root.setLevel(level.upper() if isinstance(level, str) else level)
    for each in replaced:
        root.removeHandler(each)
    root.addHandler(handler)
    shows = warnings.showwarning
    logging.captureWarnings(True)
    captures = warnings.showwarning is not shows

    def undo() -> None:
        if handler not in root.handlers:
            return
        root.removeHandler(handler)
        root.setLevel(before)
        for each in replaced:
            root.addHandler(each)
        if captures:
            logging.captureWarnings(False)

    return undo


class _Handler(logging.Handler):
    """Writes each record in one go."""

    def __init__(self, to: Destination) -> None:
        super().__init__()
        self._to = to

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError, ValueError):  # There is nobody to tell: the place for complaints is gone.
            text = as_text(record, colours=coloured(self._to)) if is_terminal(self._to) else as_json(record)
            write(self._to, f"{text}\n")


def as_json(record: logging.LogRecord) -> str:
    """Returns a record as a JSON object on one line, whatever is in it."""
    stack = _stack(record)
    failure = record.exc_info[1] if record.exc_info else None
    error = f',"error":{quoted(_last(failure))}' if failure is not None else ""
    error += f',"stack":{quoted(stack)}' if stack else ""
    return (
        f'{{"ts":"{utc(record.created)}","level":{quoted(record.levelname)},"msg":{quoted(_message(record))}'
        f',"logger":{quoted(record.name)}{members(_extra(record), _TAKEN)}{error}}}'
    )


def as_text(record: logging.LogRecord, *, colours: bool = False) -> str:
    """Returns a record for a person: local time, level, logger, message, fields; further lines are indented.

    Args:
        record: The record.
        colours: Whether it has colours.
    """
    brush = paint if colours else plain
    name, style = level(record.levelno)
    first, *further = _message(record).expandtabs(4).splitlines() or [""]
    logger = "" if record.name == "root" else f"{visible(record.name)}:"
    parts = [brush(clock(record.created), "dim"), brush(visible(name), style), brush(logger, "hint"), visible(first)]
    if record.name != _ACCESS:  # whose text says all that its fields say
        parts += (field(key, thing, brush) for key, thing in _extra(record).items())
    lines = [" ".join(part for part in parts if part)]
    lines += (f"{_INDENT}{visible(line)}" for line in further)
    lines += (f"{_INDENT}{brush(visible(line), _role(line))}" for line in _stack(record).expandtabs(4).splitlines())
    return "\n".join(lines)


def _role(line: str) -> Style:
    """Returns what a line of a traceback is: what went wrong, or how it came to that."""
    return "dim" if line.startswith((" ", "Traceback")) or not line else "bad"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage().rstrip("\n")
    except Exception:  # arguments that do not fit the message: what was meant can still be read
        return f"{shown(record.msg)} {shown(record.args)}"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: thing for key, thing in vars(record).items() if key not in _OWN}


def _last(failure: BaseException) -> str:
    return "".join(traceback.format_exception_only(failure)).strip()


def _stack(record: logging.LogRecord) -> str:
    """Returns the traceback, and the stack if that was asked for."""
    trace = record.exc_text or ""
    if record.exc_info and record.exc_info[1] is not None and not trace:
        trace = "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
    return "\n".join(part for part in (trace, record.stack_info) if part)
