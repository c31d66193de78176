"""What lines for a person have in common: the clock, colours, and letters that cannot steer a terminal.

Colours are for terminals, and for people who want them: ``NO_COLOR`` and ``TERM=dumb`` turn them off.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from kratos.log.json import value
from kratos.log.sink import Destination, is_terminal

__all__ = ["Style", "clock", "coloured", "field", "level", "paint", "plain", "utc", "visible"]

Style: TypeAlias = Literal["", "dim", "strong", "good", "hint", "warn", "bad", "worst"]
"""What a part of a line is; the colour follows from it. The empty one has none."""

_CODES: Final[Mapping[Style, str]] = {
    "dim": "2", "strong": "1", "good": "32", "hint": "36", "warn": "33", "bad": "31", "worst": "1;31",
}  # fmt: skip
_LEVELS: Final[Mapping[int, tuple[str, Style]]] = {
    logging.DEBUG: ("DEBUG", "dim"),
    logging.INFO: ("INFO", "good"),
    logging.WARNING: ("WARN", "warn"),
    logging.ERROR: ("ERROR", "bad"),
    logging.CRITICAL: ("CRIT", "worst"),
}


def coloured(to: Destination) -> bool:
    """Whether what is written there may have colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    if os.name == "nt" and "WT_SESSION" not in os.environ:  # older consoles show the codes
        return False
    return is_terminal(to)


def paint(text: str, style: Style) -> str:
    """Returns text in a style."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if style and text else text


def plain(text: str, _: Style) -> str:
    """Returns text as it is, where ``paint`` is not wanted."""
    return text


def level(number: int) -> tuple[str, Style]:
    """Returns a level of ``logging`` in five columns, and its style."""
    name, style = _LEVELS.get(number) or (logging.getLevelName(number), "")
    return f"{name:5}", style


def clock(at: float) -> str:
    """Returns the local time of day of a moment, with milliseconds."""
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at % 1 * 1000):03}"


def utc(at: float) -> str:
    """Returns a moment in ISO 8601, with microseconds."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1e6):06}Z"


@lru_cache(8)
def _second(at: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))


def field(name: str, thing: Any, brush: Callable[[str, Style], str]) -> str:
    """Returns ``name=value``: the value as it is if it is one printable word, else as JSON."""
    word = isinstance(thing, str) and thing.isprintable() and " " not in thing and thing
    return brush(visible(f"{name}="), "dim") + visible(word or value(thing))


def visible(text: str) -> str:
    """Returns text that cannot steer a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
