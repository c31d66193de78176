"""Keys from the arguments of a method: ``"user:{id}"`` is compiled once; different arguments give different keys."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import re
import string
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

__all__ = ["Key", "fields", "parameters", "part", "reach", "template"]

Key: TypeAlias = Callable[[Sequence[Any]], str]
"""Makes a key of the arguments in the order of the parameters."""

_AWKWARD: Final = re.compile(r"[%:\s\x00-\x1f\x7f]")
_DATES: Final = (dt.date, dt.time, dt.timedelta)


def part(value: object) -> str:
    """Returns an argument as part of a key: what separates parts is escaped, and None is no text.

    Raises:
        TypeError: It is no plain value.

    Example:
        >>> part(42), part("a:b c"), part(None)
        ('42', 'a%3Ab%20c', '%N')
    """
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str:
        return _escaped(str(value))
    return _other(value)


def _escaped(text: str) -> str:
    if text.isalnum():
        return text
    return _AWKWARD.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def _other(value: object) -> str:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise TypeError(
        f"a {type(value).__name__} cannot be part of a key: name a field of it in the key, as in "
        '"user:{request.id}", or give a function that makes the key'
    )


def _listed(items: Iterable[object]) -> str:
    return "(" + "".join(f"{part(item)}:" for item in items) + ")"


# The first that fits: a bool is an int, and an enum may be anything.
_WRITERS: Final[Sequence[tuple[type | tuple[type, ...], Callable[[Any], str]]]] = (
    (type(None), lambda _: "%N"),
    (enum.Enum, lambda value: part(value.value)),
    (bool, lambda value: "true" if value else "false"),
    (str, lambda value: _escaped(str(value))),
    ((int, float, uuid.UUID), str),
    (bytes, bytes.hex),
    ((tuple, list), _listed),
    (_DATES, lambda value: _escaped(str(value))),
)


def template(text: str, names: Sequence[str], where: str) -> Key:
    """Compiles a key.

    Args:
        text: Such as ``user:{id}`` or ``order:{request.tenant}:{request.id}``.
        names: The parameters, in their order.
        where: Whose key it is, for errors.

    Raises:
        ValueError: It names something else, or cannot be read.
    """
    pieces: list[tuple[str, int, tuple[str, ...]]] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as problem:
        raise ValueError(f"{where}: the key {text!r} cannot be read: {problem}") from None
    for literal, field, form, conversion in parsed:
        if field is None:
            pieces.append((literal, -1, ()))
            continue
        name, *attributes = field.split(".")
        if name not in names or form or conversion or not all(each.isidentifier() for each in attributes):
            known = ", ".join(f"{{{each}}}" for each in names) or "nothing, for there are no parameters"
            raise ValueError(f"{where}: the key {text!r} has {{{field}}}; it may have {known}, or fields of these")
        pieces.append((literal, names.index(name), tuple(attributes)))
    if len(pieces) == 1 and pieces[0][1] >= 0 and not pieces[0][2]:
        start, at, _ = pieces[0]
        return lambda arguments: start + part(arguments[at])
    return partial(_written, tuple(pieces))


def _written(pieces: Sequence[tuple[str, int, tuple[str, ...]]], arguments: Sequence[Any]) -> str:
    text = ""
    for literal, at, attributes in pieces:
        text += literal
        if at >= 0:
            text += part(reach(arguments[at], attributes))
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
