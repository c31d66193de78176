"""Field values to text: how a client writes a path variable or a query parameter; the reverse of ``scalar``.

Written so that Go Kratos reads it too: enums by name, bytes in standard base64, times in RFC 3339 and UTC, durations in
seconds.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from typing import Any, Final

from kratos.codec.json import JsonCodec
from kratos.codec.messages import Field, Message, WellKnown, get, shape

__all__ = ["has_text", "text"]

_JSON: Final = JsonCodec()
_TEXTS: Final[frozenset[WellKnown]] = frozenset({"Timestamp", "Duration", "FieldMask"})  # strings in JSON
_OBJECTS: Final[frozenset[WellKnown]] = frozenset({"Struct"})  # a JSON object in one parameter, as Go Kratos reads it


def has_text(field: Field) -> bool:
    """Tells whether what a field holds (the elements of a list, the values of a map) can be written as text."""
    if field.message is None:
        return True
    known = shape(field.message).well_known
    return known in _TEXTS or known in _OBJECTS or _wraps(known)


def text(field: Field, value: Any) -> str:
    """Returns one value of a field as text.

    Raises:
        TypeError: The field has no text; see ``has_text``.
        ValueError: The value is none that the field can hold, such as a time before the year 1.
    """
    if field.enum is not None:
        return field.enum.names.get(int(value)) or str(int(value))
    if field.message is not None:
        return _message(field, value)
    match field.kind:
        case "bool":
            return "true" if value else "false"
        case "float" | "double":
            return _number(float(value))
        case "bytes":
            return b64encode(value).decode("ascii")
        case _:
            return str(value)  # a string or an integer


def _message(field: Field, value: Message) -> str:
    known = shape(type(value))
    if _wraps(known.well_known):
        return text(known.fields[0], get(value, known.fields[0]))
    if known.well_known in _TEXTS:
        written: str = json.loads(_JSON.encode(value))
        return _short(written) if known.well_known == "Duration" else written
    if known.well_known in _OBJECTS:
        return _JSON.encode(value).decode()
    raise TypeError(f"{field.name} holds {known.name}, which cannot be written as text")


def _wraps(known: WellKnown | None) -> bool:
    # Value is a union and not a wrapper: written as text it would come back as another kind of value.
    return known is not None and known.endswith("Value") and known not in ("Value", "ListValue")


def _short(duration: str) -> str:
    """Makes ``1.500s`` ``1.5s``."""
    return f"{duration[:-1].rstrip('0')}s" if "." in duration else duration


def _number(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)
