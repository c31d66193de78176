"""What is cached: under which key, and for how long."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kratos.tools.codegen.survey import Survey
from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Function, Module

__all__ = ["RULES", "find", "find_options"]

COLLISION: Final = Rule(
    "KRA401",
    "key-collision",
    "error",
    "Two different things are cached under the same keys.",
    "One is read where the other was written: users get each other's data.",
    'Begin each key with what it is of: "user:{id}", "order:{id}".',
)
EXPIRY: Final = Rule(
    "KRA402",
    "missing-expiry",
    "error",
    "Something is cached for ever.",
    "What changed behind the cache's back is never seen, and memory fills up.",
    "Say how long with ttl; a day is better than never.",
)
ARGUMENT: Final = Rule(
    "KRA403",
    "key-without-argument",
    "error",
    "A key does not have all of what the function is asked for.",
    "Two calls that differ in the rest share an entry, and the second one gets the first one's answer.",
    "Put the argument into the key.",
)
FIELD: Final = Rule(
    "KRA404",
    "key-field",
    "error",
    "A key names what there is not.",
    "The first call fails, or code cannot be generated.",
    "Name an argument of the function, or a field of the message.",
)
RULES: Final = (COLLISION, EXPIRY, ARGUMENT, FIELD)
"""The rules for caches."""

_OPTION: Final = "kratos.options.v1.cache"
_HOLE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")
_NOT_ASKED: Final = frozenset({"self", "cls", "call"})


@dataclass(frozen=True, slots=True)
class _Cached:
    """A function whose results are kept.

    Attributes:
        module: Its file.
        function: The function.
        call: How it was said.
        key: The key as a template; None if it is not written as one.
    """

    module: Module
    function: Function
    call: ast.Call
    key: str | None

    @property
    def shape(self) -> str:
        """What keys have in common that can be the same."""
        return _HOLE.sub("{}", self.key or "")


def find(modules: Sequence[Module]) -> Iterator[Finding]:
    """Yields what is wrong with functions that are ``@cached``."""
    first: dict[str, _Cached] = {}
    for module in modules:
        for cached in () if module.is_test else _cached(module):
            yield from _judged(cached)
            if cached.key is None or _keyword(cached.call, "namespace", "prefix", "name") is not None:
                continue
            other = first.setdefault(cached.shape, cached)
            if other is not cached:
                place = f"{other.module.path}:{other.function.lineno}"
                message = f"{cached.key!r} are the keys of {other.function.name} too ({place})"
                yield module.at(COLLISION, cached.call, message)


def _cached(module: Module) -> Iterator[_Cached]:
    for function in module.functions:
        for decorator in function.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            if call is not None and _means(module, call):
                yield _Cached(module, function, call, _template(_keyword(call, "key")))


def _means(module: Module, call: ast.Call) -> bool:
    origin = module.imported_origin(call.func)
    if origin.startswith("kratos.") and origin.endswith(".cached"):
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr == "cached" and _keyword(call, "key") is not None


def _keyword(call: ast.Call, *names: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg in names), None)


def _template(key: ast.expr | None) -> str | None:
    match key:
        case ast.Constant(value=str(text)):
            return text
        case ast.Lambda(body=ast.JoinedStr(values)):
            return "".join(_piece(value) for value in values)
        case _:
            return None


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    return f"{{{ast.unparse(value.value)}}}" if isinstance(value, ast.FormattedValue) else "{}"


def _judged(cached: _Cached) -> Iterator[Finding]:
    module, function, call = cached.module, cached.function, cached.call
    ttl = _keyword(call, "ttl")
    starred = any(each.arg is None for each in call.keywords)
    never = isinstance(ttl, ast.Constant) and ttl.value in (None, 0)
    if (ttl is None and not starred) or never:
        yield module.at(EXPIRY, call, f"{function.name} is cached for ever: it has no ttl")
    if cached.key is None:
        return
    named = {found[0] for hole in _HOLE.findall(cached.key) if (found := _NAME.match(hole.strip()))}
    arguments = function.args
    asked = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    if any(not hole.strip() or hole.strip().isdigit() for hole in _HOLE.findall(cached.key)):
        return  # by position, which says less than by name
    ignored = _keyword(call, "ignore", "ignored")
    left = [name for name in asked if name not in named | _NOT_ASKED]
    if left and ignored is None:
        yield module.at(
            ARGUMENT, call, f"the key of {function.name} has no {', '.join(left)}: such calls share an entry"
        )
    known = {*asked, *(each.arg for each in (arguments.vararg, arguments.kwarg) if each)}
    if strange := sorted(named - known) if not isinstance(_keyword(call, "key"), ast.Lambda) else []:
        yield module.at(FIELD, call, f"{function.name} has no argument {', '.join(strange)}, which its key names")


def find_options(survey: Survey) -> Iterator[Finding]:
    """Yields what is wrong with messages that are cached by an option."""
    first: dict[str, str] = {}
    for message in survey.messages.values():
        option = message.options.get(_OPTION)
        if option is None or not message.own:
            continue
        place = message.place
        key, ttl = option.get("key", ""), option.get("ttl", "")
        if not ttl or ttl == "0s":
            yield EXPIRY.at(place.path, place.line, place.column, f"{message.name} is cached for ever: it has no ttl")
        strange = [hole for hole in _HOLE.findall(key) if survey.field_at(message.name, hole.split(".")) is None]
        if strange:
            said = f"{message.name} has no field {', '.join(strange)}, which its key names"
            yield FIELD.at(place.path, place.line, place.column, said)
        other = first.setdefault(_HOLE.sub("{}", key), message.name)
        if key and other != message.name:
            yield COLLISION.at(place.path, place.line, place.column, f"{key!r} are the keys of {other} too")
