"""What is cached: under which key, and for how long."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Function, Module

__all__ = ["RULES", "find"]

COLLISION: Final = Rule(
    "KRA401",
    "key-collision",
    "error",
    "Two different things are cached under the same keys.",
    "One is read where the other was written: users get each other's data.",
    'Begin each key with what it is of: "user:{id}", "order:{id}". A method for one and one for many may share keys.',
)
EXPIRY: Final = Rule(
    "KRA402",
    "missing-expiry",
    "error",
    "Something is cached, and nobody says for how long.",
    "What changed behind the cache's back would never be seen; the program does not start.",
    "Say how long with ttl; a day is better than never.",
)
ARGUMENT: Final = Rule(
    "KRA403",
    "key-without-argument",
    "error",
    "A key does not have all of what the function is asked for.",
    "Two calls that differ in the rest would get each other's values; the program does not start.",
    "Put the argument into the key, or name it in ignore.",
)
FIELD: Final = Rule(
    "KRA404",
    "key-field",
    "error",
    "A key names what the function is not asked for.",
    "The program does not start.",
    "Name an argument of the function, or a field of one.",
)
RULES: Final = (COLLISION, EXPIRY, ARGUMENT, FIELD)
"""The rules for caches."""

_HOLE = re.compile(r"\{([^{}]*)\}")
_ROOT = re.compile(r"[A-Za-z_]\w*")
_DECORATORS: Final = ("cached", "cacheable")
_DEEPEST: Final = 8  # constants of constants; a circle ends too
_MAPS = re.compile(r"(?:\w+\.)*(?:dict|Dict|Mapping|MutableMapping)")
_OPTIONAL = re.compile(r"\s*\|\s*None\b|\bNone\s*\|\s*")


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
    def place(self) -> tuple[str, str, str]:
        """What two functions have in common whose keys can be the same: cache, version, and all but the holes."""
        receiver = ast.unparse(self.call.func.value) if isinstance(self.call.func, ast.Attribute) else ""
        said = [ast.unparse(found) for name in ("attribute", "version") if (found := _keyword(self.call, name))]
        return receiver, ":".join(said), _HOLE.sub("{}", self.key or "")

    @property
    def kind(self) -> tuple[str, bool]:
        """What is kept, and whether the function returns many of it."""
        returned = self.function.returns
        match returned:
            case ast.Subscript(value, ast.Tuple([_, each])) if _MAPS.fullmatch(ast.unparse(value)):
                return _OPTIONAL.sub("", ast.unparse(each)), True
            case _:
                return _OPTIONAL.sub("", ast.unparse(returned)) if returned else "", False

    def shares(self, other: _Cached) -> bool:
        """Tells whether it is meant to share its entries with another one: they are the same things."""
        (mine, many), (theirs, of_many) = self.kind, other.kind
        return mine == theirs and (many != of_many or self.key == other.key)


def find(modules: Sequence[Module]) -> Iterator[Finding]:
    """Yields what is wrong with functions that are ``@cached``."""
    first: dict[tuple[str, str, str], _Cached] = {}
    for module in modules:
        for cached in () if module.is_test else _cached(module):
            yield from _judged(cached)
            if cached.key is None:
                continue
            other = first.setdefault(cached.place, cached)
            if other is not cached and not cached.shares(other):
                where = f"{other.module.path}:{other.function.lineno}"
                message = f"{cached.key!r} are the keys of {other.function.name} too ({where})"
                yield module.at(COLLISION, cached.call, message)


def _cached(module: Module) -> Iterator[_Cached]:
    for function in module.functions:
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and _means(module, decorator):
                yield _Cached(module, function, decorator, _template(decorator))


def _means(module: Module, call: ast.Call) -> bool:
    """Tells whether a decorator is ours: imported from kratos, or a cache's own, which has a key or a ttl."""
    origin = module.imported_origin(call.func)
    if origin:
        return origin.startswith("kratos.") and origin.rpartition(".")[2] in _DECORATORS
    ours = _template(call) is not None or _keyword(call, "ttl") is not None
    return isinstance(call.func, ast.Attribute) and call.func.attr in _DECORATORS and ours


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _template(call: ast.Call) -> str | None:
    match call.args:
        case [ast.Constant(value=str(text))]:
            return text
        case _:
            return None


def _judged(cached: _Cached) -> Iterator[Finding]:
    module, function, call = cached.module, cached.function, cached.call
    ttl = _keyword(call, "ttl")
    starred = any(each.arg is None for each in call.keywords)
    never = isinstance(ttl, ast.Constant) and ttl.value in (None, 0)
    if (ttl is None and not starred) or never:
        yield module.at(EXPIRY, call, f"{function.name} is cached for ever: it has no ttl")
    if cached.key is None:
        return
    named = {found[0] for hole in _HOLE.findall(cached.key) if (found := _ROOT.match(hole))}
    arguments = function.args
    asked = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    asked = [name for at, name in enumerate(asked) if at or name not in ("self", "cls")]
    ignored = _left_out(module, call)
    left = [name for name in asked if ignored is not None and name not in named | ignored]
    if left and not starred:
        message = f"the key of {function.name} has no {', '.join(left)}: such calls share an entry"
        yield module.at(ARGUMENT, call, message)
    if strange := sorted(named - {*asked}):
        yield module.at(FIELD, call, f"{function.name} has no argument {', '.join(strange)}, which its key names")


def _left_out(module: Module, call: ast.Call) -> set[str] | None:
    """Returns the arguments that are in no key: those that are ignored, and those that choose a page.

    None if they are known only when the program runs.
    """
    paging = _keyword(call, "paging")
    left: set[str] = {"pn", "ps"} if paging is not None else set()
    for said in (_keyword(call, "ignore"), paging):
        names = set[str]() if said is None else _texts(module, said)
        if names is None:
            return None
        left |= names
    return left


def _texts(module: Module, said: ast.expr, depth: int = 0) -> set[str] | None:
    """Returns the texts in a value that is written down, here or as a constant of the module; None if it is not."""
    match said:
        case ast.Constant(value):
            return {value} if isinstance(value, str) else set()
        case ast.Name(name) if depth < _DEEPEST and (value := module.constant(name)) is not None:
            return _texts(module, value, depth + 1)
        case ast.Starred(value):
            return _texts(module, value, depth)
        case ast.Tuple(parts) | ast.List(parts) | ast.Set(parts):
            pass
        case ast.BinOp(left, ast.Add() | ast.BitOr(), right):
            parts = [left, right]
        case ast.Call(ast.Name() | ast.Attribute(), arguments, keywords) if all(each.arg for each in keywords):
            parts = [*arguments, *(each.value for each in keywords)]
        case _:
            return None
    found = [_texts(module, part, depth) for part in parts]
    return None if None in found else {name for names in found for name in names or ()}
