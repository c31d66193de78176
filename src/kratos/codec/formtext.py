"""Single values as text: what a query parameter, a path variable or a field of a form says.

Reading takes what Go Kratos, browsers and people write: Go's spellings of bool, base64 in both alphabets, enums by name
and number, ``90s`` and ``1m30s``, ``userId`` and ``user_id`` in a field mask. Writing keeps to what all of them read:
enums by name, standard base64, times in UTC, durations in seconds.

Readers and writers are made once for each field, so that nothing is looked up while a request waits.
"""

from __future__ import annotations

import math
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from kratos.codec.formknown import known_reader, known_writer
from kratos.codec.messages import EnumShape, Field, Kind, Message, assign, get, new, shape

__all__ = ["Reader", "Writer", "key_reader", "reader_of", "writer_of"]

Reader: TypeAlias = Callable[[str], Any]
"""Text to value. Raises ``ValueError``, which says what was expected and does not name the field."""

Writer: TypeAlias = Callable[[Any], str]
"""Value to text. Raises ``ValueError`` for what has none, such as a time before the year 1."""

_FIELDS = 8192  # as many as the protos of a program have; the bound is for programs that make types as they run
_SHOWN = 50  # characters of a value in an error message
_NAMES = 8  # enum names in an error message

_BOOLS: Final = {
    **dict.fromkeys(("true", "True", "TRUE", "t", "T", "1"), True),
    **dict.fromkeys(("false", "False", "FALSE", "f", "F", "0"), False),
}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_BEYOND: Final = re.compile(r"[+-]?(Infinity|Inf)|NaN")
_FLOAT32: Final = struct.Struct("<f")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*")
_RANGES: Final = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


@lru_cache(_FIELDS)
def reader_of(field: Field) -> Reader | None:
    """Returns what reads one value of a field (an element of a list, a value of a map); None if no text can be one."""
    if field.message is not None:
        inner = _wrapped(field.message)
        return (
            known_reader(field.message) if inner is None else partial(_wrap, field.message, inner, _scalar(inner.kind))
        )
    if field.finite:
        return _finite
    return partial(_enum, field.enum) if field.enum is not None else _scalar(field.kind)


@lru_cache(_FIELDS)
def writer_of(field: Field) -> Writer | None:
    """Returns what writes one value of a field; None if it holds messages that are no single value.

    A single ``google.protobuf.Value`` is none: Go Kratos takes every text for a string, so its members are written.
    """
    if field.message is not None:
        inner = _wrapped(field.message)
        if inner is not None:
            return partial(_unwrap, inner, _WRITERS.get(inner.kind, str))
        return None if field.takes_null and field.singular else known_writer(field.message)
    if field.finite:
        return _finite_text
    return partial(_enum_text, field.enum) if field.enum is not None else _WRITERS.get(field.kind, str)


def key_reader(field: Field) -> Reader:
    """Returns what reads the keys of a map."""
    return _scalar(field.key or "string")


def _scalar(kind: Kind) -> Reader:
    return partial(_integer, kind, *_RANGES[kind]) if kind in _RANGES else _READERS[kind]


def _wrapped(type_: type[Message]) -> Field | None:
    """Returns the field of a wrapper such as ``google.protobuf.Int32Value``."""
    known = shape(type_)
    single = known.well_known is not None and len(known.fields) == 1 and known.fields[0].name == "value"
    return known.fields[0] if single else None


def _wrap(type_: type[Message], field: Field, read: Reader, text: str) -> Message:
    message = new(type_)
    assign(message, field, read(text))
    return message


def _unwrap(field: Field, write: Writer, message: Message) -> str:
    return write(get(message, field))


def _string(text: str) -> str:
    return text


def _bool(text: str) -> bool:
    if text not in _BOOLS:
        raise ValueError(f"expected true or false, not {text[:_SHOWN]!r}")
    return _BOOLS[text]


def _integer(kind: str, low: int, high: int, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"expected an integer, not {text[:_SHOWN]!r}")
    value = int(text)
    if not low <= value <= high:
        raise ValueError(f"{text} is out of range for {kind} ({low} to {high})")
    return value


def _double(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        if not _BEYOND.fullmatch(text):
            raise ValueError(f"expected a number, not {text[:_SHOWN]!r}")
        return float(text)
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:_SHOWN]} is out of range for double")
    return value


def _finite(text: str) -> float:
    value = _double(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a number within the range of double, not {text[:_SHOWN]!r}")
    return value


def _float(text: str) -> float:
    value = _double(text)
    try:
        rounded: float = _FLOAT32.unpack(_FLOAT32.pack(value))[0]  # what the field can hold, as it will be on the wire
    except OverflowError:
        raise ValueError(f"{text[:_SHOWN]} is out of range for float") from None
    return rounded


def _bytes(text: str) -> bytes:
    # In a query a space was a plus that nobody escaped: base64 has none.
    standard = text.replace("-", "+").replace("_", "/").replace(" ", "+").rstrip("=")
    if not _BASE64.fullmatch(standard) or len(standard) % 4 == 1:
        raise ValueError(f"expected base64, not {text[:_SHOWN]!r}")
    return b64decode(standard + "=" * (-len(standard) % 4))


def _enum(enum: EnumShape, text: str) -> Any:
    number = enum.numbers.get(text)
    if number is None and _INTEGER.fullmatch(text):
        number = _integer("int32", *_RANGES["int32"], text)
        if not enum.open and number not in enum.names:
            number = None
    if number is None and text == "null" and enum.name == "google.protobuf.NullValue":
        number = 0
    if number is None:
        names = ", ".join(list(enum.numbers)[:_NAMES])
        raise ValueError(f"expected one of {names}{' …' if len(enum.numbers) > _NAMES else ''}, not {text[:_SHOWN]!r}")
    return enum.type(number)


def _enum_text(enum: EnumShape, value: Any) -> str:
    return enum.names.get(int(value)) or str(int(value))


def _bool_text(value: Any) -> str:
    return "true" if value else "false"


def _number_text(value: Any) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(float(value))


def _finite_text(value: Any) -> str:
    if not math.isfinite(value):
        raise ValueError(f"JSON has no form for {value}")
    return _number_text(value)


def _bytes_text(value: Any) -> str:
    return b64encode(value).decode("ascii")


_READERS: Mapping[Kind, Reader] = MappingProxyType(
    {"string": _string, "bool": _bool, "double": _double, "float": _float, "bytes": _bytes}
)
_WRITERS: Mapping[Kind, Writer] = MappingProxyType(
    {"bool": _bool_text, "float": _number_text, "double": _number_text, "bytes": _bytes_text}
)
