"""Layers: what of an app may know what, in the layout with layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from kratos.tools.lint.base import Finding, Rule
from kratos.tools.lint.python.module import Module

__all__ = ["RULES", "find"]

LAYER: Final = Rule(
    "KRY208",
    "layer",
    "error",
    "A layer imports one that it must not know.",
    "What biz knows of a database or a transport cannot be tested without it, and changes with it.",
    "biz declares a Protocol for what it needs; data implements it, main puts both together.",
    tests=False,
)
LIBRARY: Final = Rule(
    "KRY209",
    "layer-library",
    "warning",
    "biz or service imports a client of a database or of another service.",
    "The rules of the business then depend on how something is stored, and tests need it to be there.",
    "Move it to data, behind a Protocol of biz.",
    tests=False,
)
FOREIGN: Final = Rule(
    "KRY210",
    "foreign-internal",
    "error",
    "An app imports what is internal to another one.",
    "The two can be deployed and changed together only: they are one app.",
    "Call it through its contract, or move what is shared to a package of its own.",
)
RULES: Final = (LAYER, LIBRARY, FOREIGN)
"""The rules for layers."""

_PLACE = re.compile(r"(?P<app>.*?)\.?internal\.(?P<layer>biz|data|service|server|conf)(?:\.|$)")
_INTERNAL = re.compile(r"(?P<app>[\w.]+)\.internal(?:\.|$)")
_FORBIDDEN: Final[Mapping[str, frozenset[str]]] = {
    "biz": frozenset({"data", "service", "server"}),
    "data": frozenset({"service", "server"}),
    "service": frozenset({"data", "server"}),
    "conf": frozenset({"biz", "data", "service", "server"}),
}
_LIBRARIES: Final = frozenset(
    {
        "aiohttp", "aiomysql", "aiopg", "aiosqlite", "asyncmy", "asyncpg", "boto3", "databases", "elasticsearch",
        "httpx", "motor", "mysql", "peewee", "piccolo", "psycopg", "psycopg2", "pymongo", "pymysql", "redis",
        "requests", "sqlalchemy", "sqlite3", "sqlmodel", "tortoise", "urllib3",
    }
)  # fmt: skip


def find(module: Module, packages: Collection[str]) -> Iterator[Finding]:
    """Yields imports that a layer must not have.

    Args:
        module: The file.
        packages: The project's own packages, those at the top.
    """
    place = _PLACE.match(module.name)
    told: set[tuple[int, str]] = set()
    for statement, name in module.imports:
        wrong = _layered(place, name) if place else None
        if wrong is None and (foreign := _foreign(module, name, packages)):
            wrong = FOREIGN, foreign, f"{name} is internal to {foreign}"
        if wrong is not None and (statement.lineno, wrong[1]) not in told:
            told.add((statement.lineno, wrong[1]))
            yield module.at(wrong[0], statement, wrong[2])


def _layered(place: re.Match[str], name: str) -> tuple[Rule, str, str] | None:
    """Returns the rule that an import breaks in a layer, what it imports, and what is wrong with that."""
    layer = place["layer"]
    mine = f"{place['app']}.internal." if place["app"] else "internal."
    if name.startswith(mine):
        other = name.removeprefix(mine).partition(".")[0]
        if other in _FORBIDDEN.get(layer, frozenset()):
            return LAYER, other, f"{layer} must not know {other}: {name}"
    top = name.partition(".")[0]
    if layer in ("biz", "service") and top in _LIBRARIES:
        return LIBRARY, top, f"{top} belongs to data, not to {layer}"
    return None


def _foreign(module: Module, name: str, packages: Collection[str]) -> str:
    """Returns the app that a name is internal to, if that is another one."""
    found = _INTERNAL.match(f"{name}.")
    if found is None or module.is_test:
        return ""
    app, mine = found["app"], _INTERNAL.match(f"{module.name}.")
    own = mine["app"] if mine else module.name.partition(".")[0]
    return app if app != own and not app.startswith(f"{own}.") and app.partition(".")[0] in packages else ""
