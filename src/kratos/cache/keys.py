"""Keys from the arguments of a method: ``"user:{id}"`` is compiled once; different arguments give different keys.

A part of a key is plain where its parameter is of one type: ``user:42``, ``name:42`` too where that is a text. Where it
may be of several, or of any, what could be taken for something else is marked: ``%S42`` is a text. What is equal and of
related types (1 and a member of an ``IntEnum``, a list and a tuple of the same) has one key.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import re
import string
import types
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

from kratos.cache.plain import bare

__all__ = ["Key", "Write", "fields", "parameters", "part", "reach", "template", "writer"]

Key: TypeAlias = Callable[[Sequence[Any]], str]
"""Makes a key of the arguments in the order of the parameters."""

Write: TypeAlias = Callable[[Any], str]
"""Writes an argument as a part of a key."""

_AWKWARD: Final = re.compile(r"[%:\s\x00-\x1f\x7f]")
_ALIKE: Final = re.compile(r"-?\d|[()]|(true|false|-?inf|nan)\Z|[0-9a-f]{8}-")
"""How what is no text may begin."""
_DATES: Final = (dt.date, dt.time)
_PARTED: Final = re.compile(r"[:\s\x00-\x1f\x7f]")
"""What no part has in it."""
_ENDS: Final[dict[Any, str]] = {int: "%", bool: "%", uuid.UUID: "%-", dt.date: "%-"}
"""Types of which it is known where they end: at what is no letter or digit, and none of these."""


def part(value: object, kind: Any = object, /) -> str:
    """Returns an argument as part of a key: what separates parts is escaped, and nothing is taken for something else.

    Args:
        value: The argument.
        kind: The type of the parameter, if it has one: a text is always plain where nothing else may come.

    Raises:
        TypeError: It is no plain value.

    Example:
        >>> part(42), part("a:b c"), part(None), part("42"), part("42", str)
        ('42', 'a%3Ab%20c', '%N', '%S42', '42')
    """
    return _told(value) if kind is object else writer(kind)(value)


def writer(kind: Any) -> Write:
    """Returns how arguments of a type are written; see ``part``."""
    try:
        return _writer(kind)
    except TypeError:  # it has no hash, and so is something of its own
        return _told


@lru_cache(maxsize=1024)
def _writer(kind: Any) -> Write:
    kind = bare(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        found = {_writer(each) for each in arguments if each is not type(None)}
        return found.pop() if len(found) == 1 else _told
    if origin is Literal:
        return _text if all(isinstance(each, str) for each in arguments) else _told
    if not isinstance(kind, type) or origin is not None:
        return _told
    if issubclass(kind, enum.Enum) and not issubclass(kind, int | str):
        return partial(_member, kind)
    return next((write for sole, write in _SOLE if issubclass(kind, sole)), _told)


def _told(value: object) -> str:
    """Writes whatever it is so that it cannot be taken for something else."""
    kind = type(value)
    if kind is int:
        return str(value)
    for some, write in _WRITERS:
        if isinstance(value, some):
            return write(value)
    raise TypeError(
        f"a {kind.__name__} cannot be part of a key: name a field of it in the key, as in "
        '"user:{request.id}", or give a function that makes the key'
    )


def _text(value: object) -> str:
    return _escaped(str.__str__(value)) if isinstance(value, str) else _stranger(value)


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else _stranger(value)


def _float(value: object) -> str:
    if isinstance(value, int) and abs(value) < 1 << 53:  # 1 is 1.0, and both are taken
        return repr(float(value))
    return float.__repr__(value) if isinstance(value, float) else _stranger(value)


def _member(kind: type[enum.Enum], value: object) -> str:
    return _told(value.value) if isinstance(value, kind) else _stranger(value)


def _stranger(value: object) -> str:
    """Writes what is of another type than its parameter."""
    return "%N" if value is None else f"%O{_told(value)}"


def _escaped(text: str) -> str:
    if text.isalnum():
        return text
    return _AWKWARD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _marked(value: str) -> str:
    text = str.__str__(value)
    return f"%S{_escaped(text)}" if _ALIKE.match(text) else _escaped(text)


def _listed(items: Iterable[object]) -> str:
    return "(" + "".join(f"{_told(item)}:" for item in items) + ")"


# The first that fits: a bool is an int, and members of enums may be texts or integers.
_WRITERS: Final[Sequence[tuple[type | tuple[type, ...], Write]]] = (
    (str, _marked),
    (bool, lambda value: "true" if value else "false"),
    (int, int.__repr__),
    (type(None), lambda _: "%N"),
    (float, float.__repr__),
    (uuid.UUID, str),
    (bytes, lambda value: f"%X{value.hex()}"),
    ((tuple, list), _listed),
    (enum.Enum, lambda value: f"%K{_escaped(type(value).__qualname__)}({_told(value.value)})"),
    (_DATES, lambda value: _escaped(str(value))),
    (dt.timedelta, lambda value: f"%T{_escaped(str(value))}"),
)
_SOLE: Final[Sequence[tuple[type, Write]]] = ((str, _text), (bytes, _hex), (float, _float))


def template(text: str, names: Sequence[str], where: str, kinds: Mapping[str, Any] | None = None) -> Key:
    """Compiles a key.

    Args:
        text: Such as ``user:{id}`` or ``order:{request.tenant}:{request.id}``.
        names: The parameters, in their order.
        where: Whose key it is, for errors.
        kinds: The types of the parameters; not known yet if not given.

    Raises:
        ValueError: It names something else, cannot be read, or does not keep its parts apart.
    """
    pieces: list[_Piece] = []
    said: list[str] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as problem:
        raise ValueError(f"{where}: the key {text!r} cannot be read: {problem}") from None
    for literal, field, form, conversion in parsed:
        if field is None:
            pieces.append(_Piece(literal, -1, (), _told, object))
            continue
        name, *attributes = field.split(".")
        if name not in names or form or conversion or not all(each.isidentifier() for each in attributes):
            known = ", ".join(f"{{{each}}}" for each in names) or "nothing, for there are no parameters"
            raise ValueError(f"{where}: the key {text!r} has {{{field}}}; it may have {known}, or fields of these")
        kind = object if attributes else (kinds or {}).get(name, object)
        pieces.append(_Piece(literal, names.index(name), tuple(attributes), writer(kind), kind))
        said.append(field)
    if kinds is not None:
        _check_parted(text, pieces, said, where)
    if len(pieces) == 1 and pieces[0].at >= 0 and not pieces[0].attributes:
        start, at, _, write, _ = pieces[0]
        return lambda arguments: start + write(arguments[at])
    return partial(_written, tuple(pieces))


class _Piece(NamedTuple):
    """A text, and a field behind it."""

    literal: str
    at: int
    attributes: tuple[str, ...]
    write: Write
    kind: Any


def _check_parted(text: str, pieces: Sequence[_Piece], said: Sequence[str], where: str) -> None:
    for number, (one, other) in enumerate(pairwise(piece for piece in pieces if piece.at >= 0)):
        if not _parted(one.kind, other.literal):
            raise ValueError(
                f"{where}: the key {text!r} does not say where {{{said[number]}}} ends and {{{said[number + 1]}}} "
                'begins, so that different calls could get each other\'s values: put a ":" between them'
            )


def _parted(kind: Any, between: str) -> bool:
    """Tells whether what stands between two fields shows where the first one ends, whatever that is."""
    if _PARTED.search(between):
        return True
    kind = bare(kind)
    if get_origin(kind) in (Union, types.UnionType):
        some = [bare(each) for each in get_args(kind) if each is not type(None)]
        kind = some[0] if len(some) == 1 else object
    ends = _ENDS.get(kind) if isinstance(kind, type) else None
    return ends is not None and between != "" and not between[0].isalnum() and between[0] not in ends


def _written(pieces: Sequence[_Piece], arguments: Sequence[Any]) -> str:
    text = ""
    for literal, at, attributes, write, _ in pieces:
        text += literal
        if at >= 0:
            text += write(reach(arguments[at], attributes))
    return text


def reach(value: Any, attributes: Iterable[str]) -> Any:
    """Returns a field of a field of a value."""
    for each in attributes:
        value = getattr(value, each)
    return value


def fields(text: str) -> tuple[str, ...]:
    """Returns the names at the roots of a template's fields."""
    return tuple(dict.fromkeys(field.split(".")[0] for _, field, _, _ in string.Formatter().parse(text) if field))


def parameters(function: Callable[..., object], *, method: bool, where: str) -> list[inspect.Parameter]:
    """Returns what a function takes, less ``self``.

    Raises:
        TypeError: It takes ``*args`` or ``**kwargs``, whose names a key cannot have.
    """
    found = list(inspect.signature(function).parameters.values())[1 if method else 0 :]
    for each in found:
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
            raise TypeError(f"{where} takes {each}: give each parameter a name, so that the key can have it")
    return found
