"""How entries look: to read in a terminal, and as JSON lines.

The JSON members have the names that the access line has: ``ts``, ``level``, ``msg``, ``logger``, the fields, and for
exceptions ``error`` and ``stack``.
"""

from __future__ import annotations

from typing import Final

from kratos.log.entry import ACCESS, Entry
from kratos.log.json import members, quoted
from kratos.log.text import Style, clock, field, level, paint, plain, utc, visible

__all__ = ["as_json", "as_text"]

_TAKEN: Final = frozenset({"ts", "level", "msg", "logger", "error", "stack"})
_INDENT = "    "


def as_json(entry: Entry) -> str:
    """Returns an entry as a JSON object on one line, whatever is in it."""
    error = f',"error":{quoted(entry.error)}' if entry.error else ""
    error += f',"stack":{quoted(entry.stack)}' if entry.stack else ""
    return (
        f'{{"ts":"{utc(entry.at)}","level":{quoted(entry.rank)},"msg":{quoted(entry.message)}'
        f',"logger":{quoted(entry.logger)}{members(entry.fields, _TAKEN)}{error}}}'
    )


def as_text(entry: Entry, *, colours: bool = False) -> str:
    """Returns an entry for a person: local time, level, logger, message, fields; further lines are indented.

    Args:
        entry: The entry.
        colours: Whether it has colours.
    """
    brush = paint if colours else plain
    name, style = level(entry.level)
    first, *further = entry.message.expandtabs(4).splitlines() or [""]
    logger = "" if entry.logger == "root" else f"{visible(entry.logger)}:"
    parts = [brush(clock(entry.at), "dim"), brush(visible(name), style), brush(logger, "hint"), visible(first)]
    if entry.logger != ACCESS:  # whose text says all that its fields say
        parts += (field(key, thing, brush) for key, thing in entry.fields.items())
    lines = [" ".join(part for part in parts if part)]
    lines += (f"{_INDENT}{visible(line)}" for line in further)
    lines += (f"{_INDENT}{brush(visible(line), _role(line))}" for line in entry.stack.expandtabs(4).splitlines())
    return "\n".join(lines)


def _role(line: str) -> Style:
    """Returns what a line of a traceback is: what went wrong, or how it came to that."""
    return "dim" if line.startswith((" ", "Traceback")) or not line else "bad"
