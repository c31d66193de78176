"""The well-known types as text: times, durations, field masks, and JSON in one parameter.

What has a JSON form is read and written by way of that, so that a query and a body allow the same values: times from
the year 1 to 9999, durations of up to 10,000 years, nothing finer than a nanosecond.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NoReturn

from protobuf import message_from_json_value
from protobuf.wkt import Duration, FieldMask, Timestamp

from kratos.codec.diagnose import DECODE_ERRORS
from kratos.codec.json import JsonCodec
from kratos.codec.jsonwalk import MASK_PATH
from kratos.codec.messages import Message, WellKnown, assign, get, new, shape
from kratos.errors import BadRequest

__all__ = ["known_reader", "known_writer", "writable"]

_JSON: Final = JsonCodec()
_SHOWN = 50  # characters of a value in an error message
_MAX_SPAN = 100  # characters: every unit once, with as many digits as there can be
_MAX_PATHS = 1000  # of a field mask
_SECOND: Final = 1_000_000_000
_NANOS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the sign "micro" and the letter mu: Go reads both
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3600 * _SECOND,
}
_SPAN: Final = re.compile(rf"([0-9]{{0,20}})(?:\.([0-9]{{0,30}}))?({'|'.join(_NANOS)})")


def known_reader(type_: type[Message]) -> Callable[[str], Message] | None:
    """Returns what reads a well-known type, or Empty; None for any other. It raises ``ValueError``."""
    read = _READERS.get(shape(type_).name)
    return None if read is None else partial(read, type_)


def known_writer(type_: type[Message]) -> Callable[[Message], str] | None:
    """Returns what writes a well-known type as ``known_reader`` reads it; None for any other."""
    known = shape(type_).well_known
    if known == "FieldMask":
        return _mask_text
    return None if known is None else _WRITERS.get(known)


def _empty(type_: type[Message], text: str) -> Message:
    if text not in ("", "{}"):
        raise ValueError(f"expected nothing or {{}}, not {text[:_SHOWN]!r}")
    return new(type_)


def _string(type_: type[Message], written: str, expected: str, text: str) -> Message:
    """Reads what is a string in JSON, by that string."""
    try:
        return message_from_json_value(type_, written)
    except DECODE_ERRORS:
        raise ValueError(f"expected {expected}, not {text[:_SHOWN]!r}") from None


def _time(type_: type[Message], text: str) -> Message:
    # In a query a space was a plus that nobody escaped: no time has a space.
    return _string(type_, text.replace(" ", "+"), 'a time such as "2025-01-31T12:00:00Z"', text)


def _span(type_: type[Message], text: str) -> Message:
    return _string(
        type_, _seconds(text) if len(text) <= _MAX_SPAN else "", 'a duration such as "1.5s" or "1m30s"', text
    )


def _seconds(text: str) -> str:
    """Returns a duration of Go's grammar in seconds, ``90.500000000s`` for ``1m30.5s``; an empty text for none."""
    sign, rest = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    if rest == "0":
        return "0s"
    nanos = end = 0
    while end < len(rest) or not end:
        found = _SPAN.match(rest, end)
        if found is None or not (found[1] or found[2]):
            return ""
        whole, fraction, unit = found[1] or "0", found[2] or "", _NANOS[found[3]]
        part, lost = divmod(int(fraction or "0") * unit, 10 ** len(fraction))
        if lost:  # finer than a nanosecond
            return ""
        nanos += int(whole) * unit + part
        end = found.end()
    return f"{sign}{nanos // _SECOND}.{nanos % _SECOND:09}s"


def _json(expected: str, type_: type[Message], text: str) -> Message:
    try:
        if text:  # to the codec nothing is an empty message
            return _JSON.decode(text.encode(), type_)
    except BadRequest:
        pass
    raise ValueError(f"expected {expected}, not {text[:_SHOWN]!r}")


def _json_or_text(type_: type[Message], text: str) -> Message:
    try:
        return _json("a JSON value that a message can hold", type_, text)
    except ValueError:
        if _is_json(text):
            raise
        return message_from_json_value(type_, text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_constant)
    except ValueError:
        return False
    except RecursionError:
        pass
    return True


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


CHECKED: Final[frozenset[WellKnown | None]] = frozenset(("Duration", "FieldMask", "Timestamp"))
"""The types that not every value of a field makes writable."""


def writable(message: Message) -> bool:
    """Tells whether a time, duration or mask that was filled part by part is one; any other message is."""
    if isinstance(message, FieldMask):
        return all(map(MASK_PATH.fullmatch, message.paths))
    if isinstance(message, Duration | Timestamp):
        try:
            message.to_json()
        except ValueError:
            return False
    return True


def _mask(type_: type[Message], text: str) -> Message:
    paths = text.split(",", _MAX_PATHS - 1) if text else []  # what is too much stays together, and is no path then
    for path in paths:
        if not MASK_PATH.fullmatch(path):
            raise ValueError(f"expected a field mask such as name,createTime, not {text[:_SHOWN]!r}")
    mask = new(type_)
    assign(mask, shape(type_).named["paths"], [_snake(path) for path in paths])
    return mask


def _mask_text(message: Message) -> str:
    paths: Sequence[str] = get(message, shape(type(message)).named["paths"])
    for path in paths:
        if not MASK_PATH.fullmatch(path) or _snake(path) != path:
            raise ValueError(f"the field mask has {path[:_SHOWN]!r}, which is no path of field names")
    return ",".join(paths)  # by proto names: Go Kratos reads both spellings, grpc-gateway this one only


def _snake(path: str) -> str:
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", path)


def _string_text(message: Any) -> str:
    """Takes the quotes off what is a string in JSON."""
    written: str = json.loads(message.to_json())
    return written


def _span_text(message: Any) -> str:
    """Writes ``1.5s``, and not ``1.500s``."""
    written = _string_text(message)
    return f"{written[:-1].rstrip('0')}s" if "." in written else written


def _json_text(message: Any) -> str:
    written: str = message.to_json()
    return written


_READERS: Mapping[str, Callable[[type[Message], str], Message]] = MappingProxyType(
    {
        "google.protobuf.Duration": _span,
        "google.protobuf.Empty": _empty,
        "google.protobuf.FieldMask": _mask,
        "google.protobuf.ListValue": partial(_json, "a JSON list"),
        "google.protobuf.Struct": partial(_json, "a JSON object"),
        "google.protobuf.Timestamp": _time,
        "google.protobuf.Value": _json_or_text,
    }
)
_WRITERS: Mapping[WellKnown, Callable[[Message], str]] = MappingProxyType(
    {
        "Timestamp": _string_text,
        "Duration": _span_text,
        "Struct": _json_text,
        "ListValue": _json_text,
        "Value": _json_text,
    }
)
