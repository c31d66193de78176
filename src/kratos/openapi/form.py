"""Forms with files: a message as ``multipart/form-data``, a part for each of its fields."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

from kratos.codec.messages import Field, Message, shape
from kratos.codec.parts import holds_file
from kratos.openapi.schema import Schemas
from kratos.openapi.wellknown import Schema

__all__ = ["form"]

_BINARY: Final = {"type": "string", "format": "binary"}
_KEPT: Final = ("description", "deprecated", "readOnly", "writeOnly")


def form(
    schemas: Schemas, type_: type[Message], *, without: AbstractSet[str] = frozenset(), partial: bool = False
) -> dict[str, Any]:
    """Returns a message as the content of ``multipart/form-data``; see ``Schemas.message``.

    A field that a file fills is binary, a message is a part in JSON, an entry of a map has its key in the part's name.
    """
    schema = schemas.members(type_, without=without, partial=partial)
    schema.pop("examples", None)  # it is in JSON
    schema.pop("additionalProperties", None)  # fields of messages go by names of their own too
    properties: dict[str, Schema] = schema.get("properties", {})
    encoding: dict[str, Any] = {}
    for field in shape(type_).fields:
        name = schemas.name(field)
        if name not in properties:
            continue
        if holds_file(field):
            properties[name] = _files(field) | {key: properties[name][key] for key in _KEPT if key in properties[name]}
        if field.key is not None:
            encoding[name] = {"style": "deepObject", "explode": True}
        elif _in_json(field):
            encoding[name] = {"contentType": "application/json"}
    return {"schema": schema, **({"encoding": encoding} if encoding else {})}


def _files(field: Field) -> Schema:
    if field.key is not None:
        return {"type": "object", "additionalProperties": dict(_BINARY)}
    return {"type": "array", "items": dict(_BINARY)} if field.repeated else dict(_BINARY)


def _in_json(field: Field) -> bool:
    if field.message is None or holds_file(field):
        return False
    known = shape(field.message).well_known
    return known is None or known in _FREE


_FREE: Final = frozenset(("Any", "ListValue", "Struct", "Value"))
"""Of the well-known types those that are no single text, as times and wrappers are."""
