"""Which operation a path means: the table of path templates that is searched per request.

Where several templates match, the most specific wins: one with a verb before those without; then segment by segment
from the left, a literal before ``*``, ``*`` before ``**``. The order of declaration does not matter. What is
percent-encoded in a path separates nothing: neither ``%2F`` segments nor ``%3A`` a verb.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar
from urllib.parse import unquote

from kratos.errors import BadRequest, ClientError, Error, NotFound
from kratos.pathtemplate import Template

__all__ = ["Match", "Router", "not_allowed"]

T = TypeVar("T")

_SHOWN = 200  # characters of a path in an error message


# Not frozen, which would cost half a microsecond per request.
@dataclass(slots=True)
class Match(Generic[T]):
    """What a path means.

    Attributes:
        target: What was added to the router.
        values: The text of each variable, decoded.
    """

    target: T
    values: tuple[str, ...]


_Routes: TypeAlias = dict[str, tuple[Template, T]]
"""By method."""


class _Node(Generic[T]):
    """One place in the tree of segments."""

    __slots__ = ("any", "ends", "literals", "rest")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.any: _Node[T] | None = None  # below "*"
        self.ends: _Routes[T] = {}
        self.rest: _Routes[T] = {}  # "**" from here on

    def routes(self, segments: Sequence[str]) -> _Routes[T]:
        """Returns the place of a template, which is made where there is none."""
        node = self
        for segment in segments:
            if segment == "**":
                return node.rest
            if segment == "*":
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.literals.setdefault(segment, _Node())
        return node.ends

    def find(self, segments: Sequence[str], depth: int, method: str, allowed: set[str]) -> tuple[Template, T] | None:
        """Returns the most specific route; each node is visited once at most, so a path costs no more than the tree."""
        if depth == len(segments):
            return _choose(self.ends, method, allowed) or _choose(self.rest, method, allowed)
        segment = segments[depth]
        below = self.literals.get(segment)
        found = None if below is None else below.find(segments, depth + 1, method, allowed)
        if found is None and self.any is not None and segment:
            found = self.any.find(segments, depth + 1, method, allowed)
        return found or (_choose(self.rest, method, allowed) if self.rest else None)


def _choose(routes: _Routes[T], method: str, allowed: set[str]) -> tuple[Template, T] | None:
    found = routes.get(method) or routes.get("*")
    if found is None:
        allowed.update(routes)
    return found


class Router(Generic[T]):
    """Finds the target of a method and a path; complete when built.

    Args:
        routes: Method (``*`` is any), template and target of each route.
        heads: Whether a target of GET answers HEAD too, by its response without the body.

    Raises:
        ValueError: Two routes answer the same method on the same paths; the message names both targets.
    """

    def __init__(self, routes: Iterable[tuple[str, Template, T]], heads: Callable[[T], bool] = lambda _: True) -> None:
        self._fixed: dict[str, _Routes[T]] = {}
        self._trees: dict[str, _Node[T]] = {"": _Node()}
        for method, template, target in routes:
            place = self._trees.setdefault(template.verb, _Node()).routes(template.segments)
            other, owner = place.setdefault(method, (template, target))
            if other is not template:
                raise ValueError(
                    f"{method} {template.text} of {target} means the same paths as {method} {other.text} of {owner}: "
                    "change one of them"
                )
            if template.fixed:
                self._fixed[template.text] = place
        for tree in self._trees.values():
            _add_heads(tree, heads)
        # The longest first, should one verb end in another. The tree without is searched last.
        verbs = sorted(filter(None, self._trees), key=len, reverse=True)
        self._verbs = tuple((f":{verb}", self._trees[verb]) for verb in verbs)
        self._plain = self._trees[""]

    def match(self, method: str, raw_path: str) -> Match[T]:
        """Returns what answers ``method`` on a path, which is as it came: percent-encoded, without the query.

        Raises:
            Error: 404 for an unknown path, 405 for a known path and an unknown method (it names the known ones),
                400 for a path that is not UTF-8.
        """
        fixed = self._fixed.get(raw_path)
        if fixed is not None:
            known = fixed.get(method)
            if known is not None:
                return Match(known[1], ())
        found = self._straight(method, raw_path)
        if found is not None:
            return found
        allowed: set[str] = set()
        found = self._search(method, raw_path, allowed) if raw_path[:1] == "/" else None
        if found is None and "%3" in raw_path:
            # Nobody else is meant, so a verb behind an escaped colon may be one.
            found = self._search(method, re.sub("%3[Aa]", ":", raw_path), allowed)
        if found is None:
            raise self._unmatched(method, raw_path, allowed)
        return found

    def _straight(self, method: str, path: str) -> Match[T] | None:
        """Finds what ``_search`` finds, in half of the time, where no escape, verb, ``**`` or second way is in play."""
        if path[:1] != "/" or "%" in path or not path.isascii() or (self._verbs and ":" in path):
            return None
        segments = path.split("/")[1:]
        node = self._plain
        for segment in segments:
            below = node.literals.get(segment) or (node.any if segment else None)
            if below is None:
                return None
            node = below
        found = node.ends.get(method)
        if found is None:
            return None
        template, target = found
        return Match(target, tuple([variable.value(segments, segments) for variable in template.variables]))

    def _search(self, method: str, path: str, allowed: set[str]) -> Match[T] | None:
        for verb, tree in self._verbs:
            if path.endswith(verb):
                found = _walk(tree, method, path[: -len(verb)], allowed)
                if found is not None:
                    return found
        return _walk(self._plain, method, path, allowed)

    def _unmatched(self, method: str, path: str, allowed: set[str]) -> Error:
        if allowed:
            return not_allowed(method, path, allowed)
        other = path[:-1] if path.endswith("/") else f"{path}/"
        known = self._search(method, other, allowed) is not None or allowed
        hint = f"; there is something at {other[:_SHOWN]}" if known else ""
        return NotFound(f"there is nothing at {path[:_SHOWN]}{hint}", reason="ROUTE_NOT_FOUND")


def _walk(tree: _Node[T], method: str, path: str, allowed: set[str]) -> Match[T] | None:
    raw = path.split("/")[1:]
    decoded = raw if "%" not in path and path.isascii() else _decode(raw)
    found = tree.find(decoded, 0, method, allowed)
    if found is None:
        return None
    template, target = found
    return Match(target, tuple([variable.value(raw, decoded) for variable in template.variables]))


def _decode(segments: list[str]) -> list[str]:
    try:
        if not all(segment.isascii() for segment in segments):  # bytes, one character each
            segments[:] = "/".join(segments).encode("latin-1").decode().split("/")
        return [unquote(segment, errors="strict") for segment in segments]
    except UnicodeError:
        raise BadRequest("the path is not UTF-8 after percent-decoding", reason="BAD_PATH") from None


def _add_heads(node: _Node[T], heads: Callable[[T], bool]) -> None:
    for routes in (node.ends, node.rest):
        if "GET" in routes and heads(routes["GET"][1]):
            routes.setdefault("HEAD", routes["GET"])
    for below in (*node.literals.values(), *(() if node.any is None else (node.any,))):
        _add_heads(below, heads)


def not_allowed(method: str, path: str, allowed: Iterable[str]) -> Error:
    """Returns the error of a known path and a method that it does not answer; ``allow`` lists those it does.

    OPTIONS is always among them: whoever asks by it is answered with the list.
    """
    methods = ", ".join(sorted({*allowed, "OPTIONS"}))
    return ClientError(
        f"{method} is not allowed at {path[:_SHOWN]}; allowed: {methods}",
        code=405,
        reason="METHOD_NOT_ALLOWED",
        metadata={"allow": methods},
    )
