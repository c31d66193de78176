"""Examples of messages, where a tool that makes up its own would get them wrong.

Pages that show a document fill every property they know, so of a message with a oneof they make one that no server
accepts. Such a message brings an example: the first member of each oneof, and something in every other field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from kratos.codec.messages import Field, Kind, Message, Shape, WellKnown, shape
from kratos.openapi.rules import Behavior, behavior

__all__ = ["example"]

_VALUES: Final[Mapping[Kind, Any]] = MappingProxyType(
    {
        "bool": True,
        "int32": 1,
        "int64": "1",
        "uint32": 1,
        "uint64": "1",
        "float": 1.5,
        "double": 1.5,
        "string": "text",
        "bytes": "AAE=",
    }
)
_FORMS: Final[Mapping[WellKnown, Any]] = MappingProxyType(
    {
        "Any": {},
        "Duration": "1.500s",
        "FieldMask": "",
        "ListValue": [],
        "Struct": {"key": "value"},
        "Timestamp": "2026-01-31T12:00:00Z",
        "Value": "value",
    }
)
_KEYS: Final[Mapping[Kind, str]] = MappingProxyType({"string": "key", "bool": "true"})


def example(known: Shape, named: Callable[[Field], str], *, numbers: bool) -> Any:
    """Returns an example of a message, as it is in JSON.

    Args:
        known: The message type.
        named: Returns what a field is called in JSON.
        numbers: Enums are numbers.
    """
    return _Examples(named, numbers).message(known, ())


class _Examples:
    def __init__(self, named: Callable[[Field], str], numbers: bool) -> None:
        self._named = named
        self._numbers = numbers

    def message(self, known: Shape, above: Sequence[type[Message]]) -> Any:
        if known.well_known is not None:
            return _FORMS[known.well_known] if known.well_known in _FORMS else self._one(known.fields[0], above)
        inside = (*above, known.type)
        later = {field.name for group in known.oneofs.values() for field in group[1:]}
        return {
            self._named(field): self._value(field, inside)
            for field in known.fields
            if field.name not in later and field.message not in inside and Behavior.OUTPUT_ONLY not in behavior(field)
        }

    def _value(self, field: Field, above: Sequence[type[Message]]) -> Any:
        value = self._one(field, above)
        if field.key is not None:
            return {_KEYS.get(field.key, "1"): value}
        return [value] if field.repeated else value

    def _one(self, field: Field, above: Sequence[type[Message]]) -> Any:
        if field.message is not None:
            return self.message(shape(field.message), above)
        if field.enum is None:
            return _VALUES[field.kind]
        if field.takes_null:
            return None
        number, name = next(iter(field.enum.names.items()), (0, ""))
        return number if self._numbers else name
