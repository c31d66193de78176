"""Message types as JSON Schema: what our JSON codec writes and reads, one component for each message and enum.

In a component, what a field holds is described as it is in JSON: 64-bit integers are strings, bytes are base64, enums
are names, the well-known types have their own forms. Recursion is a reference like any other.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any, Final

from kratos.codec.json import JsonOptions
from kratos.codec.messages import EnumShape, Field, Kind, Message, Shape, get, new, shape
from kratos.openapi.comments import Comments, of_enum, of_message
from kratos.openapi.constraints import constrained, spoken
from kratos.openapi.digits import between
from kratos.openapi.examples import example
from kratos.openapi.rules import Behavior, behavior, demanded, rules
from kratos.openapi.wellknown import EXACT_FORMS, FORMS, Schema

__all__ = ["COMPONENTS", "Schemas", "description"]

COMPONENTS: Final = "#/components/schemas/"
"""What references to components begin with."""

_KINDS: Final[Mapping[Kind, Mapping[str, Any]]] = MappingProxyType(
    {
        "bool": {"type": "boolean"},
        "int32": {"type": "integer", "format": "int32"},
        "int64": {"type": "string", "format": "int64"},
        "uint32": {"type": "integer", "format": "uint32", "minimum": 0},
        "uint64": {"type": "string", "format": "uint64"},
        "float": {"type": "number", "format": "float"},
        "double": {"type": "number", "format": "double"},
        "string": {"type": "string"},
        # contentEncoding is the word of JSON Schema, format the one that older tools look for.
        "bytes": {"type": "string", "format": "byte", "contentEncoding": "base64"},
    }
)
_EXACT: Final[Mapping[Kind, Mapping[str, Any]]] = MappingProxyType(
    {
        "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
        "uint32": {"maximum": 2**32 - 1},
        "int64": {"pattern": between(-(2**63), 2**63 - 1)},
        "uint64": {"pattern": between(0, 2**64 - 1)},
        "bytes": {"pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"},
    }
)
_NO_NUMBERS: Final = {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}
_KEYS: Final[Mapping[Kind, Mapping[str, Any]]] = MappingProxyType(
    {
        "bool": {"enum": ["true", "false"]},
        "int32": {"pattern": "^-?[0-9]{1,10}$"},
        "int64": {"pattern": "^-?[0-9]{1,19}$"},
        "uint32": {"pattern": "^[0-9]{1,10}$"},
        "uint64": {"pattern": "^[0-9]{1,20}$"},
    }
)
_EXACT_KEYS: Final[Mapping[Kind, Mapping[str, Any]]] = MappingProxyType(
    {
        **_KEYS,
        "int32": {"pattern": between(-(2**31), 2**31 - 1)},
        "int64": _EXACT["int64"],
        "uint32": {"pattern": between(0, 2**32 - 1)},
        "uint64": _EXACT["uint64"],
    }
)


class Schemas:
    """The schemas of one document. A type that is asked for becomes a component, with all that it leads to.

    Args:
        options: How messages look in JSON.
        exact: Describe every value that the codec writes and nothing else: ranges, the strings for infinities, enum
            numbers that have no name. Without, schemas are what people and generators of clients want to read.
    """

    def __init__(self, options: JsonOptions | None = None, *, exact: bool = False) -> None:
        self._options = options or JsonOptions()
        self._exact = exact
        self._found: dict[str, Schema] = {}

    @property
    def components(self) -> dict[str, Schema]:
        """What ``components/schemas`` holds, in the order of names."""
        return dict(sorted(self._found.items()))

    def name(self, field: Field) -> str:
        """Returns what a field is called in JSON."""
        return field.json_name if self._options.names == "json" else field.name

    def message(
        self, type_: type[Message], *, without: AbstractSet[str] = frozenset(), partial: bool = False
    ) -> Schema:
        """Returns the schema of a message: a reference, or the form of its own that a well-known type has.

        Args:
            type_: The message type.
            without: Fields that are left out, by proto name: they come from elsewhere.
            partial: No field has to be there: it is a change of some fields.
        """
        known = shape(type_)
        if known.well_known is not None:
            form = (EXACT_FORMS if self._exact else FORMS).get(known.well_known)
            return dict(form) if form is not None else self.element(known.fields[0])  # a wrapper
        relaxed = partial and bool(self.requires(type_, without))
        name = known.name + "".join(f".without_{left}" for left in sorted(without)) + (".partial" if relaxed else "")
        if name not in self._found:
            self._found[name] = {}  # It may lead to itself.
            self._found[name] = self.members(type_, without=without, partial=relaxed)
        return {"$ref": COMPONENTS + name}

    def members(
        self, type_: type[Message], *, without: AbstractSet[str] = frozenset(), partial: bool = False
    ) -> Schema:
        """Returns what stands behind the reference to a message that is no well-known type; see ``message``."""
        schema = self._object(shape(type_), without)
        if partial:
            schema.pop("required", None)
        return schema

    def enum(self, enum: EnumShape) -> Schema:
        """Returns the schema of an enum."""
        if enum.name == "google.protobuf.NullValue":
            return {"type": "null"}
        if enum.name not in self._found:
            self._found[enum.name] = self._enum(enum)
        return {"$ref": COMPONENTS + enum.name}

    def element(self, field: Field) -> Schema:
        """Returns the schema of what a field holds: of one element of a list, one value of a map."""
        if field.message is not None:
            return self.message(field.message)
        if field.enum is not None:
            return self.enum(field.enum)
        schema = dict(_KINDS[field.kind])
        if self._exact:
            schema |= _EXACT.get(field.kind, {})
            if field.kind in ("float", "double"):
                return {"anyOf": [schema, dict(_NO_NUMBERS)]}
        return schema

    def value(self, field: Field) -> Schema:
        """Returns the schema of a field's whole value: an array for a list, an object for a map."""
        schema, checked = self._unchecked(field), rules(field)
        if checked is None:
            return schema
        return constrained(schema, field, checked, numbers=self._options.enums == "number")

    def _unchecked(self, field: Field) -> Schema:
        element = self.element(field)
        if field.key is not None:
            keys = (_EXACT_KEYS if self._exact else _KEYS).get(field.key)
            names = {} if keys is None else {"propertyNames": dict(keys)}
            return {"type": "object", "additionalProperties": element, **names}
        return {"type": "array", "items": element} if field.repeated else element

    def field(self, field: Field, comments: Comments) -> Schema:
        """Returns the schema of a field with what the contract says about it."""
        schema = self.value(field)
        said = behavior(field)
        if text := description(field, comments):
            schema["description"] = text
        if field.deprecated:
            schema["deprecated"] = True
        if Behavior.OUTPUT_ONLY in said:
            schema["readOnly"] = True
        # What has no presence is written even if it is empty; who checks bytes finds it there.
        if Behavior.INPUT_ONLY in said and not (self._exact and self._options.zero_values and not field.presence):
            schema["writeOnly"] = True
        return schema

    def requires(self, type_: type[Message], without: AbstractSet[str] = frozenset()) -> list[str]:
        """Returns the names of fields without which a message breaks the contract."""
        return [
            self.name(field)
            for field in shape(type_).fields
            if field.name not in without
            and demanded(field)
            # A zero that is left out when it is written cannot be demanded.
            and (field.required or self._options.zero_values or (field.presence and field.oneof is None))
        ]

    def _object(self, known: Shape, without: AbstractSet[str]) -> Schema:
        comments = of_message(known.type)
        schema: Schema = {"type": "object"}
        if comments.text:
            schema["description"] = comments.text
        fields = [field for field in known.fields if field.name not in without]
        empty = new(known.type)
        properties = {self.name(field): self._property(field, comments, empty) for field in fields}
        if properties:
            schema["properties"] = properties
        if required := self.requires(known.type, without):
            schema["required"] = required
        if exclusive := self._exclusive(known.oneofs.values(), without):
            schema["dependentSchemas"] = exclusive
            shown: Schema = example(known, self.name, numbers=self._options.enums == "number")
            schema["examples"] = [{name: value for name, value in shown.items() if name in properties}]
        if self._options.unknown == "reject":
            schema["additionalProperties"] = False
        return schema

    def _property(self, field: Field, comments: Comments, empty: Message) -> Schema:
        schema = self.field(field, comments)
        if field.presence and field.oneof is None and field.message is None:
            default = self._default(field, empty)
            schema |= {} if default is None else {"default": default}
        return schema

    def _default(self, field: Field, empty: Message) -> Any:
        """Returns the default of proto2, in JSON; None for the usual ones."""
        value = get(empty, field)
        if field.enum is not None:
            number = int(value)
            first = next(iter(field.enum.names), 0)
            if number == first:
                return None
            return number if self._options.enums == "number" else field.enum.names.get(number, number)
        if not value:
            return None
        if isinstance(value, bytes):
            return b64encode(value).decode("ascii")
        if isinstance(value, float):
            return json.loads(json.dumps(value)) if value - value == 0 else None  # finite
        return str(value) if field.kind in ("int64", "uint64") else value

    def _exclusive(self, oneofs: Iterable[Sequence[Field]], without: AbstractSet[str]) -> dict[str, Schema]:
        """Says that two members of a oneof exclude each other, in words that tools which do not know them skip."""
        rules: dict[str, Schema] = {}
        for group in oneofs:
            names = [self.name(field) for field in group if field.name not in without]
            for at, name in enumerate(names[:-1]):
                rules[name] = {"not": {"anyOf": [{"required": [other]} for other in names[at + 1 :]]}}
        return rules

    def _enum(self, enum: EnumShape) -> Schema:
        comments = of_enum(enum)
        listed = [f"- `{name}`: {_line(comments.members[name])}" for name in enum.numbers if name in comments.members]
        text = "\n\n".join(part for part in (comments.text, "\n".join(listed)) if part)
        description = {"description": text} if text else {}
        names, numbers = list(enum.numbers), list(dict.fromkeys(enum.numbers.values()))
        if self._options.enums == "number":
            schema: Schema = {"type": "integer", "format": "int32"}
            if not (self._exact and enum.open):
                schema |= {"enum": numbers, "x-enum-varnames": [enum.names[number] for number in numbers]}
            return schema | description
        schema = {"type": "string", "enum": names}
        if self._exact and enum.open:  # A number that this version of the contract has no name for.
            return {"anyOf": [schema, {"type": "integer", **_EXACT["int32"], "not": {"enum": numbers}}], **description}
        return schema | description


def description(field: Field, comments: Comments) -> str:
    """Returns what a document says about a field: its comment, and rules that have no keyword."""
    parts = [comments.members.get(field.name, "")]
    if field.oneof is not None:
        parts += [comments.members.get(field.oneof, ""), f"At most one of the fields of `{field.oneof}` is set."]
    if Behavior.IMMUTABLE in behavior(field):
        parts.append("Cannot be changed once it is set.")
    checked = rules(field)
    if checked is not None:
        parts += spoken(field, checked)
    return "\n\n".join(part for part in parts if part)


def _line(text: str) -> str:
    return " ".join(text.split())
