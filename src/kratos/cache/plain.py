"""Typed values as plain ones, which JSON and MessagePack can write, and back: compiled once for each type."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import types
import typing
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

__all__ = ["Plain", "bare", "immutable", "is_message", "plain"]


@dataclasses.dataclass(frozen=True, slots=True)
class Plain:
    """How values of one type become plain and come back.

    Attributes:
        dump: Returns the plain value.
        load: Returns the value; anything may be raised by one that does not fit.
    """

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _iso(kind: Any) -> Plain:
    return Plain(lambda value: value.isoformat(), kind.fromisoformat)


def _exactly(kind: type) -> Plain:
    def load(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{type(value).__name__} instead of {kind.__name__}")
        return value

    return Plain(_same, load)


_ATOMS: Final[dict[Any, Plain]] = {
    type(None): _exactly(type(None)),
    bool: _exactly(bool),
    int: _exactly(int),
    str: _exactly(str),
    float: Plain(float, float),
    bytes: Plain(lambda value: b64encode(value).decode("ascii"), lambda text: b64decode(text, validate=True)),
    dt.datetime: _iso(dt.datetime),
    dt.date: _iso(dt.date),
    dt.time: _iso(dt.time),
    dt.timedelta: Plain(
        lambda value: value // dt.timedelta(microseconds=1),
        lambda number: dt.timedelta(microseconds=number),
    ),
    decimal.Decimal: Plain(str, decimal.Decimal),
    uuid.UUID: Plain(str, uuid.UUID),
    Any: Plain(_same, _same),
    object: Plain(_same, _same),
}
_JSON: Final = {type(None): (type(None),), bool: (bool,), int: (int,), str: (str,), float: (float, int)}
_LISTS: Final[dict[Any, Any]] = {
    list: list, collections.abc.Sequence: list, collections.abc.MutableSequence: list, collections.abc.Iterable: list,
    collections.abc.Collection: list, set: set, frozenset: frozenset, collections.abc.Set: frozenset,
}  # fmt: skip
_MAPS: Final = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def is_message(kind: object) -> bool:
    """Tells whether a type is one of protobuf messages, by its shape."""
    return isinstance(kind, type) and hasattr(kind, "to_binary") and hasattr(kind, "from_binary")


def immutable(kind: Any) -> bool:
    """Tells whether nobody can change a value of a type."""
    found: Any = bare(kind)
    origin, arguments = get_origin(found), get_args(found)
    if origin in (Union, types.UnionType, tuple, frozenset):
        return all(each is ... or immutable(each) for each in arguments)
    if origin is Literal or (found in _ATOMS and found not in (Any, object)):
        return True
    if not _is_class(found):
        return False
    if enum.Enum in found.__mro__:
        return True
    if dataclasses.is_dataclass(found):
        frozen: bool = getattr(found, "__dataclass_params__").frozen  # noqa: B009 - typeshed does not know it
        return frozen and all(immutable(hint) for hint in get_type_hints(found).values())
    return _is_named_tuple(found) and all(immutable(hint) for hint in get_type_hints(found).values())


def plain(kind: Any, where: str = "") -> Plain:
    """Compiles a type.

    Args:
        kind: The type.
        where: What has it, for errors.

    Raises:
        TypeError: It has no plain form; the message says which part of it, and what to do.
    """
    return _compiled(kind, where or _said(kind), {})


def _compiled(kind: Any, where: str, open_: dict[Any, list[Plain]]) -> Plain:
    kind = bare(kind)
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        return Plain(_same, _same)
    if origin in _ATOMS:
        return _ATOMS[origin]
    if origin in (Union, types.UnionType):
        return _union(arguments, where, open_)
    if origin in _LISTS:
        return _items(_LISTS[origin], arguments, where, open_)
    for origins, make in (((tuple,), _tuple), (_MAPS, _map)):
        if origin in origins:
            return make(arguments, where, open_)
    return _class(kind, where, open_) if _is_class(kind) else _refuse(kind, where)


def _items(make: Any, arguments: tuple[Any, ...], where: str, open_: dict[Any, list[Plain]]) -> Plain:
    item = _compiled(arguments[0] if arguments else Any, f"{where}[]", open_)
    return Plain(lambda value: [item.dump(each) for each in value], lambda value: make(map(item.load, _list(value))))


def _class(kind: Any, where: str, open_: dict[Any, list[Plain]]) -> Plain:
    if issubclass(kind, enum.Enum):
        return Plain(lambda value: value.value, kind)
    if is_message(kind):
        return Plain(
            lambda value: b64encode(value.to_binary()).decode("ascii"),
            lambda text: kind.from_binary(b64decode(text)),
        )
    if not (dataclasses.is_dataclass(kind) or _is_named_tuple(kind) or typing.is_typeddict(kind)):
        return _refuse(kind, where)
    if kind in open_:  # it has itself in a field: what it will be is known by then
        found = open_[kind]
        return Plain(partial(_dumped, found), partial(_loaded, found))
    open_[kind] = []
    members = _members(kind, where, open_)
    made = _typed_dict(members) if typing.is_typeddict(kind) else _record(kind, members)
    open_[kind].append(made)
    return made


def _dumped(found: list[Plain], value: Any) -> Any:
    return found[0].dump(value)


def _loaded(found: list[Plain], value: Any) -> Any:
    return found[0].load(value)


def _members(kind: Any, where: str, open_: dict[Any, list[Plain]]) -> dict[str, Plain]:
    hints = get_type_hints(kind)
    names = [each.name for each in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else [*hints]
    return {name: _compiled(hints[name], f"{where}.{name}", open_) for name in names}


def _record(kind: Any, members: dict[str, Plain]) -> Plain:
    later: set[str] = set()
    if dataclasses.is_dataclass(kind):
        later = {each.name for each in dataclasses.fields(kind) if not each.init}
    make: Any = kind

    def dump(value: Any) -> Any:
        return {name: member.dump(getattr(value, name)) for name, member in members.items()}

    def load(value: Any) -> Any:
        # What is not there has its default; what is unknown here was written by another version.
        given = {name: member.load(value[name]) for name, member in members.items() if name in value}
        made = make(**{name: each for name, each in given.items() if name not in later})
        for name in later & given.keys():
            object.__setattr__(made, name, given[name])
        return made

    return Plain(dump, load)


def _typed_dict(members: dict[str, Plain]) -> Plain:
    return Plain(
        lambda value: {name: members[name].dump(each) for name, each in value.items()},
        lambda value: {name: members[name].load(each) for name, each in value.items() if name in members},
    )


def _union(arguments: tuple[Any, ...], where: str, open_: dict[Any, list[Plain]]) -> Plain:
    choices = [each for each in map(bare, arguments) if each is not type(None)]
    if len(choices) == 1:
        only = _compiled(choices[0], where, open_)
        if len(choices) == len(arguments):
            return only
        return Plain(
            lambda value: None if value is None else only.dump(value),
            lambda value: None if value is None else only.load(value),
        )
    if not all(each in _JSON for each in choices) or {int, float} <= {*choices}:
        raise TypeError(
            f"{where} may be one of several types, {' or '.join(map(_said, choices))}, and what was kept does not say "
            "which: give an encoder of your own"
        )
    allowed = tuple(kind for each in (*choices, type(None)) for kind in _JSON[each])

    def load(value: Any) -> Any:
        if type(value) not in allowed:
            raise ValueError(f"a {type(value).__name__} instead of {' or '.join(map(_said, choices))}")
        return value

    return Plain(_same, load)


def _tuple(arguments: tuple[Any, ...], where: str, open_: dict[Any, list[Plain]]) -> Plain:
    if not arguments or arguments[-1] is ...:
        return _items(tuple, arguments[:1], where, open_)
    items = [_compiled(each, f"{where}[{at}]", open_) for at, each in enumerate(arguments)]
    return Plain(
        lambda value: [item.dump(each) for item, each in zip(items, value, strict=True)],
        lambda value: tuple(item.load(each) for item, each in zip(items, _list(value), strict=True)),
    )


def _map(arguments: tuple[Any, ...], where: str, open_: dict[Any, list[Plain]]) -> Plain:
    kinds = arguments or (Any, Any)
    key, item = (_compiled(each, f"{where}[]", open_) for each in kinds)
    if bare(kinds[0]) is str:
        return Plain(
            lambda value: {name: item.dump(each) for name, each in value.items()},
            lambda value: {name: item.load(each) for name, each in value.items()},
        )
    return Plain(  # keys that are no texts: as pairs
        lambda value: [[key.dump(name), item.dump(each)] for name, each in value.items()],
        lambda value: {key.load(name): item.load(each) for name, each in _list(value)},
    )


def _list(value: Any) -> Any:
    if value.__class__ is not list:
        raise ValueError(f"{type(value).__name__} instead of a list")
    return value


def bare(kind: Any) -> Any:
    """Returns a type without its NewType, Annotated, Required or alias."""
    while True:
        if isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif get_origin(kind) in (typing.Annotated, typing.Required, typing.NotRequired):
            kind = get_args(kind)[0]
        elif hasattr(kind, "__value__"):
            kind = kind.__value__
        else:
            return type(None) if kind is None else kind


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type)


def _is_named_tuple(kind: Any) -> bool:
    return tuple in kind.__mro__ and hasattr(kind, "_fields")


def _said(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _refuse(kind: Any, where: str) -> NoReturn:
    raise TypeError(
        f"{where}: a {_said(kind)} has no form to keep: return protobuf messages, dataclasses, plain values or "
        "collections of these, or give an encoder of your own"
    )
