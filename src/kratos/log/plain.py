"""Values of any kind as what JSON has a form for, for people to read: masked, bounded, whatever is in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import lru_cache
from itertools import islice
from math import isfinite
from typing import Any, Final, TypeGuard, cast

from kratos.codec.jsonvalues import JsonValues
from kratos.codec.messages import EnumShape, Field, Message, Shape, get, has, is_message, sensitive, shape
from kratos.log.json import shown
from kratos.log.raised import discreet
from kratos.masking import MASK, REST

__all__ = ["Plain"]

_DEEPEST = 12
_FEW: Final = 16
"""So many fields may be as long as may be; more of them share their letters."""
_ATOMS: Final = frozenset({bool, int, type(None)})
_JSON: Final = JsonValues()


class Plain:
    """Turns values into plain ones.

    Args:
        text: What becomes of a text.
        secret: ``(key, path)``: whether the value of a key is masked.
        longest: Letters of a text; more is cut off.
        most: Elements of a value or a record, all of its levels together; of their texts a share of the letters each
            would have.
    """

    __slots__ = ("letters", "longest", "most", "secret", "text")

    def __init__(
        self, text: Callable[[str], str], secret: Callable[[str, Sequence[str]], bool], *, longest: int, most: int
    ) -> None:
        self.text = text
        self.secret = secret
        self.longest = longest
        self.most = most
        self.letters = _FEW * longest

    def value(self, thing: Any) -> Any:
        """Returns a value as a plain one."""
        if type(thing) in _ATOMS:
            return thing
        if type(thing) is str and len(thing) <= self.longest:
            return self.text(thing)
        return _Walk(self).plain(thing, ())

    def pairs(self, facts: Mapping[Any, Any]) -> dict[str, Any]:
        """Returns a mapping as a plain one."""
        if len(facts) > _FEW:
            named = ((key if isinstance(key, str) else shown(key), thing, False) for key, thing in facts.items())
            return _Walk(self).members(named, ())
        secret, text, longest = self.secret, self.text, self.longest
        walk: _Walk | None = None
        found: dict[str, Any] = {}
        for key, thing in facts.items():  # no comprehension: each access line comes by here
            name = key if isinstance(key, str) else shown(key)
            if secret(name, ()):
                found[name] = MASK
            elif type(thing) in _ATOMS:
                found[name] = thing
            elif type(thing) is str and len(thing) <= longest:
                found[name] = text(thing)
            else:
                walk = walk or _Walk(self)
                found[name] = walk.plain(thing, (name,))
        return found

    def argument(self, thing: Any) -> Any:
        """Returns an argument whose text has no secrets."""
        if type(thing) in _ATOMS or isinstance(thing, str | bytes | float):
            return thing
        if is_message(thing) or _is_record(thing):
            found = self.value(thing)
            if isinstance(found, dict):
                members = (f"{key}={each!r}" for key, each in cast("dict[str, Any]", found).items())
                return _Shown(f"{type(thing).__name__}({', '.join(members)})")
            return _Shown(shown(found))
        if isinstance(thing, Mapping | BaseException):
            return self._raised(thing) if isinstance(thing, BaseException) else self.value(thing)
        if _is_many(thing) or _hook(cast("object", thing)) or _is_foreign(thing):
            return _Shown(shown(self.value(thing)))
        return thing

    def _raised(self, failure: BaseException) -> Any:
        text = shown(failure)
        try:
            form = repr(failure)
        except Exception:
            form = text
        masked = discreet(text, failure, self), discreet(form, failure, self)
        return failure if masked == (text, form) else _Shown(*masked)


class _Shown:
    """A text by ``%s``, and by ``%r`` the same if there is no other."""

    __slots__ = ("_form", "_text")

    def __init__(self, text: str, form: str = "") -> None:
        self._text = text
        self._form = form or text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._form


class _Walk:
    """One value or record, on the way through it."""

    __slots__ = ("_left", "_letters", "_rules")

    def __init__(self, rules: Plain) -> None:
        self._rules = rules
        self._left = rules.most
        self._letters = rules.letters

    def plain(self, thing: Any, path: tuple[str, ...]) -> Any:
        if type(thing) in _ATOMS:
            return thing
        if len(path) > _DEEPEST:
            return REST
        try:
            if is_message(thing):
                return self._message(thing, path)
            return self._simple(thing) if isinstance(thing, str | int | float | bytes) else self._inside(thing, path)
        except Exception:  # A thing that fails when it is looked at; it may be one that hides something.
            return f"<{type(thing).__name__} that cannot be shown>"

    def _simple(self, thing: str | float | bytes) -> Any:
        """Returns texts, numbers and bytes, and what is derived from them."""
        if isinstance(thing, str):
            text = str.__str__(thing)
            longest = min(self._rules.longest, self._letters)
            self._letters -= min(len(text), longest)
            cut = text if len(text) <= longest else f"{text[:longest]}{REST} ({len(text)} letters)"
            return self._rules.text(cut)
        if isinstance(thing, bytes):
            return _size(thing)
        if isinstance(thing, int):
            return int(thing)
        return float(thing) if isfinite(thing) else str(float(thing))

    def _inside(self, thing: Any, path: tuple[str, ...]) -> Any:
        found: Any
        hook = _hook(thing)
        if hook is not None:
            found = self.plain(hook(thing), (*path, ""))
        elif _is_record(thing):
            members = ((each.name, getattr(thing, each.name, None), not each.repr) for each in fields(thing))
            found = self.members(members, path)
        elif _is_mapping(thing):
            named = ((key if isinstance(key, str) else shown(key), each, False) for key, each in thing.items())
            found = self.members(named, path)
        elif hasattr(thing, "_asdict"):
            found = self._inside(thing._asdict(), path)
        elif isinstance(thing, bytearray | memoryview):
            found = _size(cast("bytearray", thing))
        elif _is_many(thing):
            found = self._elements(thing, path)
        elif isinstance(thing, BaseException):
            found = self._simple(discreet(shown(thing), thing, self._rules))
        elif _is_foreign(thing):
            found = f"<{type(thing).__name__}>"
        else:
            found = thing.name if isinstance(thing, Enum) else self._simple(shown(thing))
        return found

    def members(self, members: Iterable[tuple[str, Any, bool]], path: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, thing, hidden in members:
            self._left -= 1
            if self._left < 0:
                found[REST] = "more is left out"
                break
            is_secret = hidden or self._rules.secret(key, path)
            found[key] = MASK if is_secret else self.plain(thing, (*path, key))
        return found

    def _elements(self, things: Iterable[Any], path: tuple[str, ...]) -> list[Any]:
        found: list[Any] = []
        for thing in islice(things, max(self._left, 0)):
            self._left -= 1
            # The empty name counts as a level and matches no rule.
            found.append(self.plain(thing, (*path, "")))
            if self._left <= 0:
                found.append(REST)
                break
        return found

    def _message(self, message: Message, path: tuple[str, ...]) -> Any:
        known = shape(type(message)).well_known
        if known == "Any":  # without a registry nobody knows what is in it
            return {"@type": str(get(message, shape(type(message)).named["type_url"])), "value": MASK}
        if known is not None:
            return self.plain(_JSON.dump(message), path)
        return self.members(self._set(message), path)

    def _set(self, message: Message) -> Iterator[tuple[str, Any, bool]]:
        for field, hidden in _fields(shape(type(message))):
            if has(message, field):
                thing = MASK if hidden else get(message, field)
                yield (
                    field.json_name,
                    thing if hidden or field.enum is None else _named(field, field.enum, thing),
                    hidden,
                )


@lru_cache(1024)
def _fields(known: Shape) -> tuple[tuple[Field, bool], ...]:
    """Returns the fields of a message type, each with whether its proto calls it sensitive."""
    return tuple((field, sensitive(field)) for field in known.fields)


def _named(field: Field, enum: EnumShape, thing: Any) -> Any:
    """Returns the name of an enum's value, of each of them in a list or map."""
    names = enum.names
    if field.key is not None:
        return {key: names.get(int(each), int(each)) for key, each in thing.items()}
    if field.repeated:
        return [names.get(int(each), int(each)) for each in thing]
    return names.get(int(thing), int(thing))


def _is_mapping(thing: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(thing, Mapping)


def _is_many(thing: object) -> TypeGuard[Iterable[Any]]:
    return isinstance(thing, list | tuple | set | frozenset | deque) or (
        isinstance(thing, Sequence | AbstractSet | MappingView)
        and not isinstance(thing, str | bytes | bytearray | range)
    )


def _hook(thing: object) -> Callable[[Any], Any] | None:
    found = getattr(type(thing), "redact", None)
    return found if callable(found) else None


def _is_record(thing: object) -> bool:
    return is_dataclass(thing) and not isinstance(thing, type)


def _is_foreign(thing: object) -> bool:
    """Whether it is a message of Google's runtime, whose options we do not read."""
    return hasattr(type(thing), "SerializeToString")


def _size(data: bytes | bytearray | memoryview) -> str:
    return f"<{len(data)} bytes>"
