"""Messages: from the tree to protobuf, by way of protobuf JSON.

Fields go by their proto names and by their JSON names. Before the codec has the last word, each value is looked at
here, because here it has a place, and because a duration may be written ``1m30s``, a number may be text, and a secret
may not be shown.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from kratos.codec.json import JsonCodec
from kratos.codec.messages import EnumShape, Field, Message, Shape, WellKnown, sensitive, shape
from kratos.config.base import Node, Problem
from kratos.config.bind import ABSENT, Binder
from kratos.config.keys import join
from kratos.config.scalars import SCALARS, choice, nanoseconds
from kratos.errors import BadRequest

__all__ = ["bind_message"]

_CODEC: Final = JsonCodec()

_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
_LARGEST_FLOAT = 3.4028234663852886e38


def bind_message(binder: Binder, node: Node, type_: type[Any], path: str) -> Any:
    """Returns a node as a message; ``ABSENT`` if a problem stands in the way.

    Raises:
        TypeError: The type is no message type.
    """
    if Message not in type_.__mro__:
        raise TypeError(f"configuration cannot be a {type_.__qualname__}")
    before = len(binder.problems)
    value = _message(binder, node, type_, path)
    return ABSENT if len(binder.problems) > before else _decoded(binder, node, type_, value, path)


def _decoded(binder: Binder, node: Node, type_: type[Message], value: Any, path: str) -> Any:
    """Returns what the codec makes of JSON."""
    try:
        return _CODEC.decode(json.dumps(value).encode(), type_)
    except BadRequest as error:
        # Of what the codec says only the place is told: it quotes values, and does not know secrets.
        name, place = shape(type_).name, error.metadata.get("field", "")
        return binder.refuse(node, path, _EXPECTED.get(name) or f"is no {name}{place and f': {place} is wrong'}")


def _message(binder: Binder, node: Node, type_: type[Message], path: str) -> Any:
    """Returns the JSON of a message."""
    known = shape(type_)
    if known.well_known is not None:
        return _well_known(binder, node, known, known.well_known, path)
    keys = binder.keys(node, path)
    if keys is None:
        return ABSENT
    found = binder.fields(keys, {name: field.name for name, field in known.named.items()}, path)
    _check_oneofs(binder, known, found, path)
    members: dict[str, Any] = {}
    for field in known.fields:
        key, below = found.get(field.name, (field.name, None))
        if below is not None and sensitive(field):
            binder.hidden.add(join(path, key))
            below = below.hidden()
        if below is not None and (below.value is not None or (field.singular and field.takes_null)):
            members[field.json_name] = _field(binder, below, field, join(path, key))
        elif field.required:
            binder.problems.append(Problem("missing", join(path, key), node.place))
    return members


def _check_oneofs(binder: Binder, known: Shape, found: Mapping[str, tuple[str, Node]], path: str) -> None:
    for members in known.oneofs.values():
        named = [found[field.name] for field in members if field.name in found]
        present = [(key, node) for key, node in named if node.value is not None]
        for key, node in present[1:]:
            first, other = present[0]
            what = f"only one of {first} and {key} may be set; {first} is, in {other.place}"
            binder.problems.append(Problem(what, join(path, key), node.place))


def _field(binder: Binder, node: Node, field: Field, path: str) -> Any:
    if field.key is not None:
        keys = binder.keys(node, path) or {}
        for key, below in keys.items():
            _map_key(binder, Node(key, below.place, secret=node.secret), field, join(path, key))
        return {key: _element(binder, below, field, join(path, key)) for key, below in keys.items()}
    if field.repeated:
        elements = binder.elements(node, path) or ()
        return [_element(binder, below, field, f"{path}[{at}]") for at, below in enumerate(elements)]
    return _element(binder, node, field, path)


def _map_key(binder: Binder, key: Node, field: Field, path: str) -> None:
    if field.key == "bool" and key.value not in ("true", "false"):
        binder.refuse(key, path, "is not a key: true or false")
    elif field.key is not None and field.key in _RANGES:
        _scalar(binder, key, field.key, path)


def _element(binder: Binder, node: Node, field: Field, path: str) -> Any:
    if node.value is None and not field.takes_null:
        return binder.refuse(node, path, "there has to be a value")
    if field.message is not None:
        return _message(binder, node, field.message, path)
    if field.enum is not None:
        return None if node.value is None else binder.convert(node, path, _enum(field.enum))
    return _scalar(binder, node, field.kind, path)


def _scalar(binder: Binder, node: Node, kind: str, path: str) -> Any:
    """Returns the JSON of a scalar."""
    return binder.convert(node, path, _KINDS[kind])


def _integer(kind: str) -> Callable[[Node], str]:
    low, high = _RANGES[kind]

    def convert(node: Node) -> str:
        number: int = SCALARS[int](node)
        if not low <= number <= high:
            raise ValueError(f"is not from {low} to {high}")
        return str(number)

    return convert


def _enum(enum: EnumShape) -> Callable[[Node], Any]:
    names = {name: name for name in enum.numbers}

    def convert(node: Node) -> Any:
        try:
            number: int = SCALARS[int](node)
        except ValueError:
            return choice(node, names)
        if number in enum.names or (enum.open and -(2**31) <= number < 2**31):
            return number
        raise ValueError(f"is none of {', '.join(names)}")

    return convert


def _double(node: Node) -> Any:
    number: float = SCALARS[float](node)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _float(node: Node) -> Any:
    number = _double(node)
    if isinstance(number, float) and abs(number) > _LARGEST_FLOAT:
        raise ValueError("is too large for a float")
    return number


def _bytes(node: Node) -> str:
    return base64.b64encode(SCALARS[bytes](node)).decode()


_KINDS: Final[Mapping[str, Callable[[Node], Any]]] = MappingProxyType(
    {
        **{kind: _integer(kind) for kind in _RANGES},
        "bool": SCALARS[bool],
        "string": SCALARS[str],
        "bytes": _bytes,
        "double": _double,
        "float": _float,
    }
)


def _well_known(binder: Binder, node: Node, known: Shape, name: WellKnown, path: str) -> Any:
    """Returns the JSON of a message that has a form of its own."""
    match name:
        case "Duration":
            return binder.convert(node, path, _duration)
        case "Value":
            return _json(node)
        case "Struct" | "Any":
            keys = binder.keys(node, path)
            value = {key: _json(below) for key, below in (keys or {}).items()}
            return ABSENT if keys is None else _judged(binder, node, known, value, path)
        case "ListValue":
            return [_json(below) for below in binder.elements(node, path) or ()]
        case "Timestamp" | "FieldMask":
            value = binder.convert(node, path, SCALARS[str])
            return value if value is ABSENT else _judged(binder, node, known, value, path)
        case _:  # the wrappers
            return _scalar(binder, node, known.fields[0].kind, path)


_EXPECTED: Final[Mapping[str, str]] = {
    "google.protobuf.Timestamp": "is not a time (2026-01-31T12:00:00Z)",
    "google.protobuf.FieldMask": "is not a field mask (name,createTime)",
}


def _judged(binder: Binder, node: Node, known: Shape, value: Any, path: str) -> Any:
    """Returns JSON that the codec takes, ``ABSENT`` if it does not."""
    return ABSENT if _decoded(binder, node, known.type, value, path) is ABSENT else value


def _duration(node: Node) -> str:
    total = nanoseconds(node)
    seconds, rest = divmod(abs(total), 10**9)
    return f"{'-' if total < 0 else ''}{seconds}.{rest:09}s"


def _json(node: Node) -> Any:
    """Returns a node as it is in JSON."""
    if node.mapping is not None:
        return {key: _json(below) for key, below in node.mapping.items()}
    if node.items is not None:
        return [_json(below) for below in node.items]
    if node.value is None or isinstance(node.value, bool | int | float | str):
        return node.value
    return SCALARS[str](node)
