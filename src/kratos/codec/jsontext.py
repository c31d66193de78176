"""JSON as text: how deep it nests, and a strict parser whose complaints have a line and a column.

The native decoder is fast and trusts its input too much: brackets nested a hundred thousand deep overflow its stack and
kill the process. So the depth is checked before anything else looks at the text.
"""

from __future__ import annotations

import json
import re
from array import array
from itertools import accumulate
from typing import NoReturn, TypeAlias, cast

from kratos.errors import BadRequest

__all__ = ["HARMLESS", "MAX_DEPTH", "JsonValue", "check_depth", "parse", "refusal"]

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
"""What the standard library's parser returns."""

MAX_DEPTH = 200
"""Nested objects and lists in JSON. Messages may nest 100 deep, and one in a list or map takes two levels."""

HARMLESS = 500
"""So many levels cost the native decoder little stack; messages deeper than 100 it refuses by itself."""

_STEP = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_STRUCTURE = bytes(sorted(set(range(256)) - set(b'[{]}"')))
# Half of a surrogate pair, written as an escape: not text in any encoding, and not JSON that may be exchanged.
_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F]"
)


def check_depth(data: bytes, brackets: int = MAX_DEPTH) -> None:
    """Refuses JSON that is nested deeper than ``MAX_DEPTH``; time is linear whatever the text.

    Args:
        data: The text.
        brackets: With no more opening brackets than that, which two counts can tell, the depth does not matter.

    Raises:
        BadRequest: It is nested deeper; reason ``CODEC``.
    """
    if data.count(b"[") + data.count(b"{") > brackets and _depth(data) > MAX_DEPTH:
        raise refusal(f"the body is nested deeper than {MAX_DEPTH} levels")


def _depth(data: bytes) -> int:
    """Returns how deep brackets nest outside of strings.

    Exact as far as the text is JSON, which is as far as any parser gets.
    """
    if b"\\" in data:
        # Pairs first: they begin at even places of a run of backslashes, so what is left escapes what follows.
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in marks:  # Strings that hold brackets; outside of strings are the even pieces.
        marks = b"".join(marks.split(b'"')[::2])
    return max(accumulate(array("b", marks.translate(_STEP))), default=0)


def parse(data: bytes) -> JsonValue:
    """Parses JSON by the letter of RFC 8259: UTF-8, no NaN, no halves of surrogate pairs.

    Raises:
        BadRequest: It is not JSON, or too deep; reason ``CODEC``, metadata ``line`` and ``column`` where known.
    """
    check_depth(data)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise refusal(f"the body is not UTF-8: byte {error.start + 1} is wrong") from None
    if "\\u" in text:
        half = _LONE_SURROGATE.search(text.replace("\\\\", "__"))
        if half is not None:
            raise syntax_error(json.JSONDecodeError("half of a surrogate pair", text, half.start()))
    try:
        return cast("JsonValue", _DECODER.decode(text))
    except json.JSONDecodeError as error:
        raise syntax_error(error) from None
    except ValueError:  # int() stops at 4300 digits.
        raise refusal("the body holds a number with too many digits") from None


def syntax_error(error: json.JSONDecodeError) -> BadRequest:
    """Returns the error for text that is not JSON."""
    place = {"line": str(error.lineno), "column": str(error.colno)}
    what = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
    return refusal(f"the body is not JSON: {what} at line {error.lineno}, column {error.colno}", place)


def refusal(message: str, metadata: dict[str, str] | None = None) -> BadRequest:
    """Returns the error for a body that cannot be read."""
    return BadRequest(message, reason="CODEC", metadata=metadata)


def _constant(name: str) -> NoReturn:
    raise refusal(f'the body is not JSON: {name} is no number; a float field takes it in quotes, "{name}"')


_DECODER = json.JSONDecoder(parse_constant=_constant)
