"""Path templates: the grammar of ``google.api.http`` paths.

The grammar is that of google/api/http.proto::

    Template  = "/" Segments [ ":" Verb ]
    Segments  = Segment { "/" Segment }
    Segment   = "*" | "**" | Literal | Variable
    Variable  = "{" FieldPath [ "=" Segments ] "}"

Servers route by them, clients build paths of them, and the linter looks whether two of them mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

__all__ = ["WILD", "Template", "Variable"]

WILD: Final = ("*", "**")
"""Segments that match what they are not: one segment, or any number of them."""

_TOKEN: Final = re.compile(r"\{(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:=(?P<sub>[^{}]*))?\}|(?P<literal>[^{}/]+)")
_SLASH: Final = re.compile("(%2[Ff])")


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of the path that fills a field.

    Attributes:
        text: As in the template, ``{name=shelves/*}``.
        path: The field path, ``("shelf", "name")`` for ``{shelf.name}``.
        segments: What it matches: literals, ``*`` and ``**``.
        start: Which segment of the path is its first.
        many: Whether it may span several segments; an escaped slash then stays escaped, so that it is not mistaken.
    """

    text: str
    path: tuple[str, ...]
    segments: tuple[str, ...]
    start: int
    many: bool

    def value(self, raw: Sequence[str], decoded: Sequence[str]) -> str:
        """Returns what the segments of a path give it: as they came, and decoded."""
        if not self.many:
            return decoded[self.start]
        stop = len(raw) if self.segments[-1] == "**" else self.start + len(self.segments)
        if raw is decoded:
            return "/".join(raw[self.start : stop])
        return "/".join(map(_decode_but_slashes, raw[self.start : stop]))


class Template:
    """A parsed path template.

    Args:
        text: The template as in the proto. Literals may be percent-encoded.

    Attributes:
        text: The template as in the proto.
        parts: Literals (decoded), ``*``, ``**`` and variables: one for each part between slashes.
        segments: The same after variables have been replaced by what they match.
        verb: What follows the colon, empty for none.
        variables: In the order of the path.

    Raises:
        ValueError: The template breaks the grammar; the message says where.
    """

    __slots__ = ("parts", "segments", "text", "variables", "verb")

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.startswith("/"):
            raise self._wrong("must start with /")
        body, colon, self.verb = _split_verb(text[1:])
        if colon and not self.verb:
            raise self._wrong("has a colon and no verb behind it")
        segments: list[str] = []
        parts: list[str | Variable] = []
        for piece in self._split(body) if body else ("",):  # "/" alone is none of the grammar, but people mean the root
            part = self._part(piece, len(segments)) if piece else ""
            parts.append(part)
            segments.extend(part.segments if isinstance(part, Variable) else (part,))
        if "**" in segments[:-1]:
            raise self._wrong("** must come last")
        if "" in segments and body:
            raise self._wrong("has an empty segment")
        self.parts = tuple(parts)
        self.segments = tuple(segments)
        self.variables = tuple(part for part in parts if isinstance(part, Variable))
        if len({variable.path for variable in self.variables}) < len(self.variables):
            raise self._wrong("names a field twice")

    @property
    def fixed(self) -> bool:
        """Whether it matches one path only."""
        return not self.variables and not any(segment in WILD for segment in self.segments)

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"path template {self.text!r} {what}")

    def _part(self, piece: str, start: int) -> str | Variable:
        token = _TOKEN.fullmatch(piece)
        if token is None:
            raise self._wrong(f"has {piece!r}, which is neither a literal, *, ** nor {{field}}")
        if token["path"] is None:
            return _literal(piece)
        inner = ["*"] if token["sub"] is None else [_literal(part) for part in token["sub"].split("/")]
        return Variable(piece, tuple(token["path"].split(".")), tuple(inner), start, inner[0] == "**" or len(inner) > 1)

    def _split(self, body: str) -> Iterable[str]:
        """Splits at slashes outside of braces."""
        part = ""
        depth = 0
        for char in body:
            depth += {"{": 1, "}": -1}.get(char, 0)
            if depth not in (0, 1):
                raise self._wrong("has braces that do not match")
            if char == "/" and depth == 0:
                yield part
                part = ""
            else:
                part += char
        if depth:
            raise self._wrong("has braces that do not match")
        yield part


def _split_verb(body: str) -> tuple[str, str, str]:
    start = max(body.rfind("/"), body.rfind("}")) + 1
    head, colon, verb = body[start:].partition(":")
    return body[:start] + head, colon, verb


def _literal(text: str) -> str:
    # An escaped asterisk stays escaped: decoded it would be a wildcard.
    decoded = unquote(text)
    return text if decoded in WILD else decoded


def _decode_but_slashes(segment: str) -> str:
    if "%" not in segment:
        return segment
    return "".join(
        part if number % 2 else unquote(part, errors="strict") for number, part in enumerate(_SLASH.split(segment))
    )
