"""Text to field values: what a path variable or a query parameter says, as the field's own type.

Accepts what Go Kratos sends: Go's spellings of bool, base64 in both alphabets, enum names and numbers.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from typing import Any

from kratos.codec.messages import Field

__all__ = ["parse"]

_BOOLS = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "T", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "F", "0"), False),
}
_NAMES = 8  # how many enum names an error message lists
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?|[+-]?(Infinity|Inf)|NaN")
_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


def parse(field: Field, text: str) -> Any:
    """Returns the value that ``text`` has for a scalar or enum field.

    Raises:
        ValueError: The text is no such value; the message says what was expected, without naming the field.
    """
    kind = field.kind
    if kind == "string":
        return text
    if kind in _RANGES:
        return _integer(kind, text)
    if kind == "bool":
        if text not in _BOOLS:
            raise ValueError(f"expected true or false, not {text[:50]!r}")
        return _BOOLS[text]
    if kind in ("float", "double"):
        if not _FLOAT.fullmatch(text):
            raise ValueError(f"expected a number, not {text[:50]!r}")
        return float(text)
    if kind == "bytes":
        return _bytes(text)
    if kind == "enum":
        return _enum(field, text)
    raise ValueError(f"a {kind} cannot be written as text here")


def _integer(kind: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"expected an integer, not {text[:50]!r}")
    low, high = _RANGES[kind]
    value = int(text)
    if not low <= value <= high:
        raise ValueError(f"{text[:50]} is out of range for {kind} ({low} to {high})")
    return value


def _bytes(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    if not re.fullmatch(r"[A-Za-z0-9+/]*", standard) or len(standard) % 4 == 1:
        raise ValueError(f"expected base64, not {text[:50]!r}")
    padded = standard + "=" * (-len(standard) % 4)
    return urlsafe_b64decode(padded.replace("+", "-").replace("/", "_"))


def _enum(field: Field, text: str) -> Any:
    enum = field.enum
    if enum is None:
        raise ValueError("this field is no enum")
    number = enum.numbers.get(text)
    if number is None and _INTEGER.fullmatch(text):
        number = _integer("int32", text)
        if not enum.open and number not in enum.names:
            number = None
    if number is None:
        names = ", ".join(list(enum.numbers)[:_NAMES])
        raise ValueError(f"expected one of {names}{' …' if len(enum.numbers) > _NAMES else ''}, not {text[:50]!r}")
    return enum.type(number)
