"""Single values: from what a file or a variable says to what a program wants.

Each function takes a node and returns a value, or raises ``ValueError`` with what follows the value in a message.
Texts are read where numbers and the like are wanted, for variables of the environment are nothing else.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from kratos.config.base import Node
from kratos.config.placeholders import written

__all__ = ["SCALARS", "choice", "duration", "nanoseconds"]

_WHOLE = re.compile(r"[-+]?[0-9]{1,400}")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.?(inf|infinity)|\.?nan", re.IGNORECASE)
_PIECE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS: Final[Mapping[str, int]] = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
}  # fmt: skip
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

_NO_DURATION = "is not a duration (1s, 250ms, 1m30s)"
# What durations of a message may hold; ten thousand years are more than anybody waits.
_LONGEST = 315_576_000_000 * 10**9


def _text(node: Node) -> str:
    if isinstance(node.value, str | bool | int | float | Decimal):
        return written(node)
    if isinstance(node.value, dt.date | dt.time):
        return node.value.isoformat()
    if isinstance(node.value, Path):
        return str(node.value)
    raise ValueError("is not text")


def _bool(node: Node) -> bool:
    text = _word(node)
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("is neither true nor false")


def _int(node: Node) -> int:
    value = node.value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise ValueError("is not a whole number")


def _float(node: Node) -> float:
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ValueError("is too large a number") from None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(re.sub(r"\.(?=[inIN])", "", value))
    raise ValueError("is not a number")


def _decimal(node: Node) -> Decimal:
    number = _float(node)
    if not math.isfinite(number):
        raise ValueError("is not a number")
    return Decimal(written(node).strip())


def _bytes(node: Node) -> bytes:
    # Padding may be missing, and both alphabets are read, as protobuf JSON has it.
    text = _text(node).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


_URL_SAFE: Final = str.maketrans("-_", "+/")


def nanoseconds(node: Node) -> int:
    """Returns a duration such as ``1s``, ``250ms`` or ``1m30s``, exactly; a number without a unit is none, but zero."""
    if isinstance(node.value, dt.timedelta):
        return (node.value // dt.timedelta(microseconds=1)) * 1000
    text = _word(node)
    if text.lstrip("+-") in ("0", "0.0"):
        return 0
    digits = text[1:] if text[:1] in ("-", "+") else text
    total, at = Decimal(0), 0
    while at < len(digits):
        piece = _PIECE.match(digits, at)
        if piece is None or len(piece[1]) > 30:
            raise ValueError("has no unit (1s, 250ms, 1m30s)" if _NUMBER.fullmatch(text) else _NO_DURATION)
        total += Decimal(piece[1]) * _UNITS[piece[2]]
        at = piece.end()
    if not at:
        raise ValueError(_NO_DURATION)
    if total > _LONGEST:
        raise ValueError("is too long a duration")
    return int(total) * (-1 if text[0] == "-" else 1)


def duration(node: Node) -> dt.timedelta:
    """Returns a duration; see ``nanoseconds``, of which three digits are rounded away."""
    if isinstance(node.value, dt.timedelta):
        return node.value
    return dt.timedelta(microseconds=nanoseconds(node) / 1000)


def _datetime(node: Node) -> dt.datetime:
    value = node.value
    if not isinstance(value, dt.datetime):
        try:
            value = dt.datetime.fromisoformat(_word(node))
        except ValueError:
            raise ValueError("is not a time (2026-01-31T12:00:00Z)") from None
    if value.tzinfo is None:
        raise ValueError("has no time zone (2026-01-31T12:00:00Z)")
    return value


def _date(node: Node) -> dt.date:
    if type(node.value) is dt.date:
        return node.value
    try:
        return dt.date.fromisoformat(_word(node))
    except ValueError:
        raise ValueError("is not a date (2026-01-31)") from None


def _time(node: Node) -> dt.time:
    if isinstance(node.value, dt.time):
        return node.value
    try:
        return dt.time.fromisoformat(_word(node))
    except ValueError:
        raise ValueError("is not a time of day (12:30:00)") from None


def _word(node: Node) -> str:
    try:
        return _text(node).strip()
    except ValueError:
        return ""  # what is nothing of the kind that is wanted, whatever that is


SCALARS: Final[Mapping[Any, Callable[[Node], Any]]] = MappingProxyType(
    {
        str: _text,
        bool: _bool,
        int: _int,
        float: _float,
        Decimal: _decimal,
        bytes: _bytes,
        Path: lambda node: Path(_text(node)),
        dt.timedelta: duration,
        dt.datetime: _datetime,
        dt.date: _date,
        dt.time: _time,
    }
)
"""What reads a single value, by the type that is wanted."""


def choice(node: Node, choices: Mapping[str, Any]) -> Any:
    """Returns one of several values.

    Args:
        node: A value itself, or its name, whatever the case of its letters.
        choices: The values by their names.
    """
    for value in choices.values():
        plain = value.value if isinstance(value, Enum) else value
        if type(node.value) is type(plain) and node.value == plain:
            return value
    text = _word(node)
    found = choices.get(text) or next((choices[name] for name in choices if name.lower() == text.lower()), None)
    if found is None:
        raise ValueError(f"is none of {', '.join(choices)}")
    return found
