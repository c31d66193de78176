"""What a request says outside of its body: path variables, and the query parameters that binding accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final

from kratos.codec.messages import Field, Message, shape
from kratos.openapi.comments import Comments, of_message
from kratos.openapi.paths import PathParameter
from kratos.openapi.rules import Behavior, behavior, demanded
from kratos.openapi.schema import Schemas, description
from kratos.openapi.wellknown import TEXTS

__all__ = ["path_parameters", "query_parameters"]

_DEPTH: Final = 5
"""How many messages deep the documented query goes. Deeper ones are bound too, but nobody types them."""


def path_parameters(
    schemas: Schemas, type_: type[Message], parameters: Iterable[PathParameter]
) -> list[dict[str, Any]]:
    """Returns the parameters of a path.

    Args:
        schemas: The schemas of the document.
        type_: The request message.
        parameters: The variables of the path.
    """
    return [_in_path(schemas, type_, parameter) for parameter in parameters]


def query_parameters(schemas: Schemas, type_: type[Message], *, without: AbstractSet[str]) -> list[dict[str, Any]]:
    """Returns the query parameters that fill the fields of a message.

    Args:
        schemas: The schemas of the document.
        type_: The request message.
        without: Dotted paths of the fields that path and body fill, by proto names.
    """
    return [
        _in_query(schemas, path, comments)
        for path, comments in _bindable(type_, (), (type_,))
        if not any(".".join(part.name for part in path[:at]) in without for at in range(1, len(path) + 1))
    ]


def _in_path(schemas: Schemas, type_: type[Message], parameter: PathParameter) -> dict[str, Any]:
    field, comments = _find(type_, parameter.variable)
    text = [comments.members.get(field.name, "")] if field is not None else []
    schema: dict[str, Any] = {"type": "string"}
    if field is None:
        text.append("Matches anything; it is not read.")
    elif parameter.whole:
        schema = schemas.value(field)
        if schema == {"type": "string"} and not parameter.many:
            schema["minLength"] = 1
    else:
        if not parameter.many:
            schema["minLength"] = 1
        text.append(f"A part of `{parameter.variable}`, which matches `{parameter.pattern}`.")
    extension: dict[str, Any] = {}
    if parameter.many:
        text.append("May hold slashes, as they are: `a/b/c`.")
        extension["x-kratos-spans-segments"] = True
    if field is not None and field.deprecated:
        extension["deprecated"] = True
    told = "\n\n".join(part for part in text if part)
    named: dict[str, Any] = {"name": parameter.name, "in": "path", "required": True}
    return {**named, **({"description": told} if told else {}), "schema": schema, **extension}


def _find(type_: type[Message], variable: str) -> tuple[Field | None, Comments]:
    """Finds the field of a dotted path."""
    field: Field | None = None
    comments = Comments()
    current: type[Message] | None = type_
    for name in variable.split(".") if variable else ():
        if current is None:
            return None, Comments()
        comments = of_message(current)
        field = shape(current).named.get(name)
        current = None if field is None else field.message
    return field, comments


def _bindable(
    type_: type[Message], above: tuple[Field, ...], types: Sequence[type[Message]]
) -> Iterator[tuple[tuple[Field, ...], Comments]]:
    """Yields the fields that text in a query can fill, with the messages around them."""
    comments = of_message(type_)
    for field in shape(type_).fields:
        path = (*above, field)
        if Behavior.OUTPUT_ONLY in behavior(field) or (field.enum is not None and field.takes_null):
            continue
        if field.message is None or _is_text(field.message):
            yield path, comments
        elif _opens(field.message) and field.singular and field.message not in types and len(types) < _DEPTH:
            yield from _bindable(field.message, path, (*types, field.message))


def _opens(type_: type[Message]) -> bool:
    """Tells whether the fields of a message can be named one by one."""
    return shape(type_).well_known is None


def _is_text(type_: type[Message]) -> bool:
    """Tells whether a message can be written as text: a few well-known ones can."""
    known = shape(type_).well_known
    return known is not None and (known in TEXTS or known in ("Struct", "ListValue") or known.endswith("Value"))


def _in_query(schemas: Schemas, path: tuple[Field, ...], comments: Comments) -> dict[str, Any]:
    field = path[-1]
    parameter: dict[str, Any] = {"name": ".".join(schemas.name(part) for part in path), "in": "query"}
    if text := description(field, comments):
        parameter["description"] = text
    if all(demanded(part) for part in path):
        parameter["required"] = True
    if any(part.deprecated for part in path):
        parameter["deprecated"] = True
    if field.key is not None:
        parameter |= {"style": "deepObject", "explode": True}  # labels[color]=red
    elif field.repeated:
        parameter |= {"style": "form", "explode": True}  # tags=a&tags=b
    known = None if field.message is None else shape(field.message).well_known
    if known in ("Struct", "Value", "ListValue") and field.singular:
        return {**parameter, "content": {"application/json": {"schema": schemas.value(field)}}}
    return {**parameter, "schema": schemas.value(field)}
