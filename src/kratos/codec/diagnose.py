"""Says where JSON does not fit a message type: runs only on bodies that the decoder has refused already.

So it need not decide anything; it finds the places and the words. Single values are judged by the decoder itself, each
in a wrapper message of its kind, so that both always agree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType

from protobuf import message_from_json_value
from protobuf.wkt import (
    BoolValue,
    BytesValue,
    DoubleValue,
    FieldMask,
    FloatValue,
    Int32Value,
    Int64Value,
    StringValue,
    UInt32Value,
    UInt64Value,
)

from kratos.codec.jsontext import JsonValue, refusal
from kratos.codec.jsonwalk import ANY_TYPE, MASK_PATH, Problem, elements, extends, join, payload
from kratos.codec.messages import EnumShape, Field, Kind, Message, Registry, Shape, WellKnown, sensitive, shape
from kratos.errors import BadRequest

__all__ = ["DECODE_ERRORS", "MAX_PROBLEMS", "Diagnosis", "report"]

DECODE_ERRORS = (TypeError, ValueError, OverflowError, RecursionError)
"""What the decoder raises for a body that it refuses."""

MAX_PROBLEMS = 10
"""How many problems an error tells."""

# Finding the place is a courtesy: about a tenth of a second of it, then the body is refused without one.
MAX_CHECKS = 100_000
MAX_FOUND = 50
MAX_NAMES = 8
_FOUND = ", found "

_JUDGES: Mapping[Kind, type[Message]] = MappingProxyType(
    {
        "bool": BoolValue,
        "int32": Int32Value,
        "int64": Int64Value,
        "uint32": UInt32Value,
        "uint64": UInt64Value,
        "float": FloatValue,
        "double": DoubleValue,
        "string": StringValue,
        "bytes": BytesValue,
    }
)
_EXPECTED: Mapping[Kind, str] = MappingProxyType(
    {
        "bool": "true or false",
        "int32": "an integer from -2147483648 to 2147483647",
        "int64": "an integer from -9223372036854775808 to 9223372036854775807",
        "uint32": "an integer from 0 to 4294967295",
        "uint64": "an integer from 0 to 18446744073709551615",
        "float": "a number within the range of float",
        "double": "a number within the range of double",
        "string": "a string",
        "bytes": "a string in base64",
    }
)
_WELL_KNOWN: Mapping[WellKnown, str] = MappingProxyType(
    {
        "Timestamp": 'a time such as "2025-01-31T12:00:00Z"',
        "Duration": 'a duration such as "1.5s"',
        "FieldMask": 'a field mask such as "name,createTime"',
        "Struct": "an object, nested less than 100 deep",
        "ListValue": "a list, nested less than 100 deep",
        "Value": "a value nested less than 100 deep",
    }
)


def report(problems: Sequence[Problem]) -> BadRequest:
    """Makes one error of the first problems, at least one; metadata ``field`` is the place of the first one."""
    text = "; ".join(str(problem) for problem in problems[:MAX_PROBLEMS])
    if len(problems) > MAX_PROBLEMS:
        text += "; and more"
    path = problems[0].path
    return refusal(text, {"field": path} if path else None)


class Diagnosis:
    """One search for what is wrong.

    Args:
        registry: Knows extensions and the types in ``google.protobuf.Any``.
        unknown: Whether an unknown key is a problem.
    """

    __slots__ = ("_checks", "_registry", "_unknown")

    def __init__(self, registry: Registry | None, *, unknown: bool) -> None:
        self._registry = registry
        self._unknown = unknown
        self._checks = 0

    @property
    def exhausted(self) -> bool:
        """Whether it has given up before the end."""
        return self._checks > MAX_CHECKS

    def problems(self, value: JsonValue, type_: type[Message], path: str = "") -> Iterator[Problem]:
        """Yields what keeps ``value`` from being a message of that type, in the order of the body."""
        known = shape(type_)
        if known.well_known == "Any":
            yield from self._any(value, path)
        elif known.well_known is not None:
            yield from self._well_known(value, known, path)
        elif isinstance(value, dict):
            yield from self._members(value, known, path)
        else:
            yield _problem(path, "an object", value)

    def _members(self, value: dict[str, JsonValue], known: Shape, path: str) -> Iterator[Problem]:
        for key, content in value.items():
            field = known.named.get(key)
            if field is not None and sensitive(field):
                yield from self._hidden(field, content, join(path, key))
            elif field is not None:
                yield from self._field(field, content, join(path, key))
            elif self._unknown and not extends(key, known, self._registry):
                yield Problem(join(path, key[:MAX_FOUND]), f"{known.name} has no such field")

    def _hidden(self, field: Field, value: JsonValue, path: str) -> Iterator[Problem]:
        """Yields what is wrong with a field that nobody may see: neither what was found nor by which key, for logs."""
        for problem in self._field(field, value, path):
            yield Problem(path, problem.what.partition(_FOUND)[0])
            return

    def _field(self, field: Field, value: JsonValue, path: str) -> Iterator[Problem]:
        if value is None and not (field.singular and field.takes_null):
            return  # Null is "unset".
        if field.key is not None and not isinstance(value, dict):
            yield _problem(path, "an object", value)
        elif field.repeated and not isinstance(value, list):
            yield _problem(path, "a list", value)
        if field.key is not None and isinstance(value, dict):
            yield from self._keys(field.key, value, path)
        for element, place in elements(field, value, path):
            self._checks += 1
            if self._checks > MAX_CHECKS:
                return
            yield from self._element(field, element, place)

    def _keys(self, kind: Kind, value: dict[str, JsonValue], path: str) -> Iterator[Problem]:
        if kind == "string":
            return
        for key in islice(value, MAX_CHECKS):
            fits = key in ("true", "false") if kind == "bool" else _readable(key, _JUDGES[kind])
            if not fits:
                expected = '"true" or "false"' if kind == "bool" else _EXPECTED[kind]
                yield Problem(path, f"expected keys to be {expected}{_FOUND}{_shown(key)}")

    def _element(self, field: Field, value: JsonValue, path: str) -> Iterator[Problem]:
        if field.message is not None and (value is not None or field.takes_null):
            yield from self.problems(value, field.message, path)
        elif field.enum is not None and (value is not None or field.takes_null):
            if not _names_value(field.enum, value):
                yield _problem(path, _choices(field.enum), value)
        elif value is None:
            yield _problem(path, "a value", value)
        elif not _readable(value, _JUDGES[field.kind]):
            yield _problem(path, _EXPECTED[field.kind], value)

    def _well_known(self, value: JsonValue, known: Shape, path: str) -> Iterator[Problem]:
        if known.well_known in ("ListValue", "Struct", "Value"):
            found = False
            for problem in self._endless(value, path):
                found = True
                yield problem
            if found:
                return
        if known.well_known is not None and not _readable(value, known.type):
            yield _problem(path, _WELL_KNOWN.get(known.well_known) or _EXPECTED[known.fields[0].kind], value)

    def _endless(self, value: JsonValue, path: str) -> Iterator[Problem]:
        """Yields the numbers in a value of any form that are none of JSON's: nobody could write them back."""
        self._checks += 1
        if isinstance(value, dict):
            for key, element in value.items():
                if self.exhausted:
                    return
                yield from self._endless(element, f"{path}[{json.dumps(key[:MAX_FOUND], ensure_ascii=False)}]")
        elif isinstance(value, list):
            for index, element in enumerate(value):
                if self.exhausted:
                    return
                yield from self._endless(element, f"{path}[{index}]")
        elif isinstance(value, int | float) and not _finite(value):
            yield _problem(path, _EXPECTED["double"], value)

    def _any(self, value: JsonValue, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield _problem(path, 'an object with "@type"', value)
        elif value:
            inside = payload(value, self._registry)
            if inside is None:
                yield _problem(join(path, ANY_TYPE), "the name of a type known here", value.get(ANY_TYPE))
            else:
                yield from self.problems(inside[1], inside[0], path)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer
        return False


def _readable(value: JsonValue, type_: type[Message]) -> bool:
    try:
        message = message_from_json_value(type_, value)
    except DECODE_ERRORS:
        return False
    return not isinstance(message, FieldMask) or all(map(MASK_PATH.fullmatch, message.paths))


def _problem(path: str, expected: str, value: JsonValue) -> Problem:
    return Problem(path, f"expected {expected}{_FOUND}{_shown(value)}")


def _names_value(enum: EnumShape, value: JsonValue) -> bool:
    if isinstance(value, str):
        return value in enum.numbers
    if isinstance(value, bool) or not isinstance(value, int):
        return value is None
    return -(2**31) <= value < 2**31 if enum.open else value in enum.names


def _choices(enum: EnumShape) -> str:
    names = list(enum.numbers)
    return "one of " + ", ".join(names[:MAX_NAMES]) + (", …" if len(names) > MAX_NAMES else "")


def _shown(value: JsonValue) -> str:
    """Returns a value for a message: short, and never a whole body."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, float) and math.isinf(value):
        return "a number that is too large"
    text = json.dumps(value[:MAX_FOUND] if isinstance(value, str) else value, ensure_ascii=False)
    cut = len(text) > MAX_FOUND or (isinstance(value, str) and len(value) > MAX_FOUND)
    return text[:MAX_FOUND] + "…" if cut else text
