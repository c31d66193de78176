"""Which operation a path means: the path templates of ``google.api.http`` and the table that is searched per request.

The grammar is that of google/api/http.proto::

    Template  = "/" Segments [ ":" Verb ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | Literal | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"

Where several templates match, the most specific wins, segment by segment from the left: a literal before ``*``, ``*``
before ``**``; a verb before none. The order of declaration does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

from kratos.errors import BadRequest, ClientError, Error, NotFound

__all__ = ["Match", "Router", "Template", "Variable", "not_allowed"]

T = TypeVar("T")

_TOKEN = re.compile(r"(?P<var>\{(?P<path>[A-Za-z_][\w.]*)(?:=(?P<sub>[^{}]*))?\})|(?P<literal>[^{}/]+)")
_RANK = {"*": 1, "**": 2}  # any literal is 0


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of the path that fills a field.

    Attributes:
        path: The field path, ``("shelf", "name")`` for ``{shelf.name}``.
        many: Whether it may span several segments; an escaped slash then stays escaped, so that it is not mistaken.
    """

    path: tuple[str, ...]
    many: bool

    def decode(self, text: str) -> str:
        """Returns the value of the matched text."""
        if not self.many:
            return unquote(text, errors="strict")
        return text.replace("%25", "%")


class Template:
    """A parsed path template.

    Args:
        text: The template as in the proto.

    Attributes:
        text: The template as in the proto.
        segments: Literals, ``*`` and ``**`` after variables have been replaced by what they match.
        verb: What follows the colon, empty for none.
        variables: In the order of the pattern's groups.
        pattern: Matches a prepared path, one group per variable.

    Raises:
        ValueError: The template breaks the grammar; the message says where.
    """

    __slots__ = ("pattern", "segments", "text", "variables", "verb")

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.startswith("/"):
            raise ValueError(f"path template {text!r} must start with /")
        body, self.verb = _split_verb(text[1:])
        segments: list[str] = []
        variables: list[Variable] = []
        pattern: list[str] = []
        for part in _split(body, text):
            if not body:  # "/" alone is no template of the grammar, but people mean the root by it
                segments.append("")
                pattern.append("/")
                break
            token = _TOKEN.fullmatch(part)
            if token is None:
                raise ValueError(f"path template {text!r}: {part!r} is neither a literal, *, ** nor {{field}}")
            if token["var"] is None:
                segments.append(part)
                pattern.append(_pattern(part))
                continue
            inner = ["*"] if token["sub"] is None else token["sub"].split("/")
            many = len(inner) > 1 or inner[0] == "**"
            variables.append(Variable(tuple(token["path"].split(".")), many))
            segments.extend(inner)
            pattern.append(_capture(inner))
        if "**" in segments[:-1]:
            raise ValueError(f"path template {text!r}: ** must come last")
        if "" in segments and segments != [""]:
            raise ValueError(f"path template {text!r} has an empty segment")
        self.segments = tuple(segments)
        self.variables = tuple(variables)
        verb = re.escape(f":{self.verb}") if self.verb else ""
        self.pattern = re.compile("".join(pattern) + verb, re.DOTALL)

    @property
    def order(self) -> tuple[object, ...]:
        """Sorts the most specific template first."""
        return (tuple(_RANK.get(segment, 0) for segment in self.segments), not self.verb, self.text)


def _split_verb(body: str) -> tuple[str, str]:
    last = body.rfind("/")
    closing = body.rfind("}")
    colon = body.find(":", max(last, closing) + 1)
    return (body, "") if colon < 0 else (body[:colon], body[colon + 1 :])


def _split(body: str, text: str) -> Iterable[str]:
    """Splits at slashes outside of braces."""
    part = ""
    depth = 0
    for char in body:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if depth not in (0, 1):
            raise ValueError(f"path template {text!r}: braces do not match")
        if char == "/" and depth == 0:
            yield part
            part = ""
        else:
            part += char
    if depth:
        raise ValueError(f"path template {text!r}: braces do not match")
    yield part


def _pattern(segment: str) -> str:
    if segment == "**":
        return "(?:/.*)?"
    return "/[^/]+" if segment == "*" else f"/{re.escape(segment)}"


def _capture(segments: list[str]) -> str:
    if segments[0] == "**":
        return "(?:/(.*))?"
    return f"/({''.join(_pattern(segment) for segment in segments)[1:]})"


@dataclass(frozen=True, slots=True)
class Match(Generic[T]):
    """What a path means.

    Attributes:
        target: What was added to the router.
        values: The text of each variable, decoded.
    """

    target: T
    values: tuple[str, ...]


class Router(Generic[T]):
    """Finds the target of a method and a path; complete when built.

    Args:
        routes: Method (``*`` is any), template and target of each route.

    Raises:
        ValueError: Two routes answer the same method on the same paths.
    """

    def __init__(self, routes: Iterable[tuple[str, Template, T]]) -> None:
        self._literal: dict[str, dict[str, T]] = {}
        self._buckets: dict[tuple[int, str], list[tuple[Template, dict[str, T]]]] = {}
        claims: dict[tuple[str, str], tuple[Template, T]] = {}
        groups: dict[tuple[str, tuple[Variable, ...]], tuple[Template, dict[str, T]]] = {}
        for method, template, target in routes:
            shape = f"{'/'.join(template.segments)}:{template.verb}"
            claim, owner = claims.setdefault((method, shape), (template, target))
            if claim is not template:
                raise ValueError(
                    f"{method} {template.text} of {target} means the same paths as {claim.text} of {owner}: "
                    "change one of them"
                )
            groups.setdefault((shape, template.variables), (template, {}))[1][method] = target
        for template, methods in sorted(groups.values(), key=lambda group: group[0].order):
            self._insert(template, methods)

    def _insert(self, template: Template, methods: dict[str, T]) -> None:
        if not template.variables and not any(segment in _RANK for segment in template.segments):
            self._literal[template.text] = methods
            return
        count = 0 if template.segments[-1] == "**" else len(template.segments)
        first = "" if template.segments[0] in _RANK else template.segments[0]
        self._buckets.setdefault((count, first), []).append((template, methods))

    def match(self, method: str, raw_path: str) -> Match[T]:
        """Returns what answers ``method`` on a path, which is as it came: percent-encoded, without the query.

        Raises:
            Error: 404 for an unknown path, 405 for a known path and an unknown method (it names the known ones),
                400 for a path that is not UTF-8.
        """
        path = _prepare(raw_path)
        allowed: set[str] = set()
        methods: Mapping[str, T] = self._literal.get(path, {})
        target = _choose(methods, method)
        if target is not None:
            return Match(target, ())
        allowed.update(methods)
        for template, methods in self._candidates(path):
            found = template.pattern.fullmatch(path)
            if found is None:
                continue
            target = _choose(methods, method)
            if target is None:
                allowed.update(methods)
                continue
            groups = zip(template.variables, found.groups(default=""), strict=True)
            return Match(target, tuple(variable.decode(text) for variable, text in groups))
        raise _unmatched(method, raw_path, allowed)

    def _candidates(self, path: str) -> Iterable[tuple[Template, Mapping[str, T]]]:
        count = path.count("/")
        first = path[1:].partition("/")[0]
        for key in ((count, first), (0, first), (count, ""), (0, "")):
            yield from self._buckets.get(key, ())


def _prepare(raw_path: str) -> str:
    """Decodes everything but escaped slashes and escaped percent signs, which would change what a segment is."""
    if "%" not in raw_path:
        return raw_path
    kept = re.sub(r"%(2[Ff]|25)", r"%25\1", raw_path)
    try:
        return unquote(kept, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("the path is not UTF-8 after percent-decoding", reason="BAD_PATH") from None


def _choose(methods: Mapping[str, T], method: str) -> T | None:
    """Returns what answers a method; HEAD is a GET whose body is left out."""
    return methods.get(method) or (methods.get("GET") if method == "HEAD" else None) or methods.get("*")


def _unmatched(method: str, path: str, allowed: set[str]) -> Error:
    if not allowed:
        return NotFound(f"there is nothing at {path[:200]}", reason="ROUTE_NOT_FOUND")
    return not_allowed(method, path, allowed)


def not_allowed(method: str, path: str, allowed: Iterable[str]) -> Error:
    """Returns the error of a known path and a method that it does not answer; ``allow`` lists those it does."""
    methods = ", ".join(sorted(allowed))
    return ClientError(
        f"{method} is not allowed at {path[:200]}; allowed: {methods}",
        code=405,
        reason="METHOD_NOT_ALLOWED",
        metadata={"allow": methods},
    )
