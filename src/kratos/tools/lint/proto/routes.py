"""Paths: each means one method of one service, wherever they are declared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from kratos.pathtemplate import WILD, Template
from kratos.tools.codegen.http import Rule as Binding
from kratos.tools.codegen.survey import MethodFacts, Survey
from kratos.tools.lint.base import Finding, Rule

__all__ = ["RULES", "Route", "find", "routes"]

CONFLICT: Final = Rule(
    "KRP101",
    "route-conflict",
    "error",
    "Two RPCs answer the same HTTP method on the same paths.",
    "A server that has both services does not start: nobody could say which of them is meant.",
    "Change the path of one of them.",
)
SHADOWED: Final = Rule(
    "KRP102",
    "route-shadowed",
    "warning",
    "A path of one service lies among the paths of a variable of another one.",
    "/users/me takes the place of the user whose id is me. In one service that is seen at a glance, across services it "
    "is found out in production.",
    "Move one of them, or give the variable a pattern: {id=users/*}.",
)
TEMPLATE: Final = Rule(
    "KRP106",
    "path-template",
    "error",
    "A path breaks the grammar of google.api.http.",
    "The server does not start.",
    "Write literals, *, ** at the end, and {field} or {field=pattern} between slashes.",
)
VERSION: Final = Rule(
    "KRP112",
    "route-version",
    "warning",
    "A path begins with another version than its package has.",
    "It is what copying a file leaves behind: callers of /v1 get messages of v2.",
    "Begin the path with the version at the end of the package.",
)
RULES: Final = (CONFLICT, SHADOWED, TEMPLATE, VERSION)
"""The rules for paths."""

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of one RPC.

    Attributes:
        method: The RPC.
        binding: The binding.
        template: Its path.
    """

    method: MethodFacts
    binding: Binding
    template: Template

    def __str__(self) -> str:
        return f"{self.binding.method} {self.binding.path}"

    @property
    def key(self) -> tuple[str, ...]:
        """What two routes have in common that mean the same paths."""
        return (self.binding.method, self.template.verb, *self.template.segments)


def routes(survey: Survey) -> Iterator[Route]:
    """Yields the routes of a contract; paths that are none are left out."""
    for method in survey.methods:
        for binding in method.rules:
            try:
                yield Route(method, binding, Template(binding.path))
            except ValueError:
                continue


def find(survey: Survey) -> Iterator[Finding]:
    """Yields what is wrong with paths."""
    for method in survey.methods:
        yield from _malformed(method)
    known = list(routes(survey))
    for route in known:
        yield from _versioned(route)
    first: dict[tuple[str, ...], Route] = {}
    for route in known:
        other = first.setdefault(route.key, route)
        if other is not route:
            said = f"{route} means the same paths as {other.binding.path} of {other.method.full_name}"
            yield _at(CONFLICT, route.method, f"{said} ({other.method.place.path}:{other.method.place.line})")
    for one, another in combinations(first.values(), 2):
        if one.method.service != another.method.service and _meet(one, another):
            winner, loser = sorted((one, another), key=_rank)
            said = f"{loser} does not get what {winner} of {winner.method.full_name} takes"
            place = f"{winner.method.place.path}:{winner.method.place.line}"
            yield _at(SHADOWED, loser.method, f"{said} ({place})")


def _at(rule: Rule, method: MethodFacts, message: str) -> Finding:
    return rule.at(method.place.path, method.place.line, method.place.column, message)


def _malformed(method: MethodFacts) -> Iterator[Finding]:
    for binding in method.rules:
        try:
            Template(binding.path)
        except ValueError as wrong:
            yield _at(TEMPLATE, method, str(wrong))


def _versioned(route: Route) -> Iterator[Finding]:
    said, wanted = route.template.segments[0], route.method.package.rpartition(".")[2]
    if _VERSION.fullmatch(said) and _VERSION.fullmatch(wanted) and said != wanted:
        yield _at(VERSION, route.method, f"{route} is of {said}, and its package {route.method.package} of {wanted}")


def _meet(one: Route, another: Route) -> bool:
    """Tells whether there are paths that both routes match."""
    if one.template.verb != another.template.verb:
        return False
    methods = {one.binding.method, another.binding.method}
    if len(methods) > 1 and "*" not in methods:
        return False
    return _overlap(one.template.segments, another.template.segments)


def _overlap(one: tuple[str, ...], another: tuple[str, ...]) -> bool:
    for at in range(max(len(one), len(another)) + 1):
        mine, other = one[at : at + 1], another[at : at + 1]
        if "**" in (*mine, *other):
            return True
        if not mine or not other:
            return mine == other
        if mine != other and mine[0] not in WILD and other[0] not in WILD:
            return False
    return True


def _rank(route: Route) -> tuple[tuple[int, ...], bool]:
    """Returns by what routes win where several match: segment by segment, a literal before ``*`` before ``**``."""
    return tuple(WILD.index(each) + 1 if each in WILD else 0 for each in route.template.segments), (
        route.binding.method == "*"
    )
