"""PATCH with a field mask: what a client did not say it changes is read from the members of its JSON body.

The rule is that of AIP-134: a PATCH whose body is one message, beside an ``update_mask`` that the client left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kratos.codec.base import Codec
from kratos.codec.jsontext import JsonValue, parse
from kratos.codec.messages import Field, Message, assign, child, get, shape

__all__ = ["Patch"]

_MASK = "update_mask"


class Patch:
    """Fills the field mask of the requests of one route.

    Args:
        resource: The type of the message in the body.
        mask: The field for the mask.
        paths: What the mask holds.
    """

    __slots__ = ("_mask", "_paths", "_resource")

    def __init__(self, resource: type[Message], mask: Field, paths: Field) -> None:
        self._resource = resource
        self._mask = mask
        self._paths = paths

    @classmethod
    def of(cls, method: str, request: type[Message], body: Field | None) -> Patch | None:
        """Returns what fills the mask of a route's requests; None where there is nothing to fill."""
        mask = shape(request).named.get(_MASK)
        if method != "PATCH" or body is None or body.message is None or not body.singular:
            return None
        if mask is None or not mask.singular or mask.message is None or shape(mask.message).well_known != "FieldMask":
            return None
        return cls(body.message, mask, shape(mask.message).named["paths"])

    def fill(self, message: Any, codec: Codec, body: bytes) -> None:
        """Names the members of a JSON body, unless the client has said what it changes."""
        if codec.name != "json":
            return
        mask = get(message, self._mask)
        if mask is not None and get(mask, self._paths):
            return
        paths = sorted(set(_members(parse(body), self._resource, "")))
        if paths:
            assign(child(message, self._mask), self._paths, paths)


def _members(value: JsonValue, type_: type[Message], path: str) -> Iterator[str]:
    """Yields the leaves: a list, a map and a well-known type is one, as is a null or an object without members."""
    if isinstance(value, dict):
        known = shape(type_)
        for key, content in value.items():
            field = known.named.get(key)
            if field is None:
                continue
            place = f"{path}.{field.name}" if path else field.name
            if field.message is None or not field.singular or shape(field.message).well_known is not None:
                yield place
            elif isinstance(content, dict) and content:
                yield from _members(content, field.message, place)
            else:
                yield place
