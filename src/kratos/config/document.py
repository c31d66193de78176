"""Documents: bytes in one of the formats, read into nodes that know their lines.

What formats leave open is decided here for all: UTF-8, with a byte order mark or without; no key twice; a mapping at
the top; at most ``MAX_DEPTH`` levels.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final, Literal, NoReturn, TypeAlias

from kratos.config.base import EMPTY, MAX_DEPTH, ConfigError, Node, Place, Problem, node

__all__ = ["FORMATS", "Format", "read"]

Format: TypeAlias = Literal["yaml", "json", "toml"]
"""What a document is written in."""

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".toml": "toml"}
)
"""The formats by the ends of file names."""


def read(data: bytes, format: Format, name: str) -> Node:
    """Reads a document; an empty one is an empty mapping.

    Args:
        data: The document.
        format: What it is written in.
        name: What error messages call it, such as the path of the file.

    Raises:
        ConfigError: It cannot be understood; with line and column.
        ImportError: It is YAML, and the library for that is missing.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8-sig", "replace")) + 1
        raise _wrong("not UTF-8", name, before.count(b"\n") + 1, column) from None
    if not text.strip():
        return Node(EMPTY.value, Place(name))
    try:
        root = _READERS[format](text, name)
    except RecursionError:
        raise _wrong(f"nested deeper than {MAX_DEPTH} levels", name) from None
    if root.mapping is None:
        raise _wrong("not a mapping: configuration is keys and values", name, root.place.line)
    return root


def _yaml(text: str, name: str) -> Node:
    try:
        library = import_module("kratos.config.yaml")  # now, because many programs have no YAML
    except ImportError as error:
        raise ImportError('reading YAML needs PyYAML: pip install "pyyaml>=6.0.2"') from error
    root: Node = library.read(text, name)
    return root


def _toml(text: str, name: str) -> Node:
    try:
        # The parser knows line breaks of Unix and Windows only, and tells no lines of what it has read.
        return node(tomllib.loads(text), Place(name))
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        line, column = (int(found[2] or 0), int(found[3] or 0)) if found else (0, 0)
        what = found[1] if found else str(error)
        raise _wrong(f"not TOML: {what[:1].lower()}{what[1:]}", name, line or text.count("\n") + 1, column) from None


def _json(text: str, name: str) -> Node:
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
        raise _wrong(f"not JSON: {what}", name, error.lineno, error.colno) from None
    except ValueError as error:  # NaN, or more digits than int() takes
        raise _wrong(f"not JSON: {error}", name) from None
    return _Json(text, name).node(0)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


class _Json:
    """Reads text that is known to be JSON a second time, for the lines.

    Args:
        text: The text.
        name: What it is called.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._line = 1
        self._counted = 0

    def node(self, depth: int) -> Node:
        """Reads the value that comes next."""
        return self._value(next(self._tokens), None, depth)

    def _value(self, token: re.Match[str], place: Place | None, depth: int) -> Node:
        """Reads the value that begins with a token.

        Args:
            token: Its first token.
            place: Where its key is, if it has one.
            depth: How deep it is.
        """
        place = place or self._place(token)
        if depth > MAX_DEPTH:
            raise RecursionError
        match token[0]:
            case "{":
                return Node(MappingProxyType(self._members(depth)), place)
            case "[":
                return Node(tuple(self._elements(depth)), place)
            case text:
                value = json.loads(text)
                return Node(value, place, text="" if isinstance(value, str) else text)

    def _members(self, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        for token in self._until("}"):
            key = json.loads(token[0])
            place = self._place(token)
            if key in members:
                raise _twice(key, members[key], place, token.start() - self._text.rfind("\n", 0, token.start()))
            next(self._tokens)  # the colon
            members[key] = self._value(next(self._tokens), place, depth + 1)
        return members

    def _elements(self, depth: int) -> Iterator[Node]:
        for token in self._until("]"):
            yield self._value(token, None, depth + 1)

    def _until(self, end: str) -> Iterator[re.Match[str]]:
        """Yields the first token of each element, up to the bracket that ends them."""
        while (token := next(self._tokens))[0] != end:
            if token[0] != ",":
                yield token

    def _place(self, token: re.Match[str]) -> Place:
        self._line += self._text.count("\n", self._counted, token.start())
        self._counted = token.start()
        return Place(self._name, self._line)


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def _twice(key: str, first: Node, place: Place, column: int) -> ConfigError:
    what = f"the key {key!r} comes twice; first in line {first.place.line}"
    return _wrong(what, place.name, place.line, column)


def _wrong(what: str, name: str, line: int = 0, column: int = 0) -> ConfigError:
    return ConfigError([Problem(what, place=Place(name, line, column))])


_READERS: Final[Mapping[Format, Callable[[str, str], Node]]] = {"yaml": _yaml, "json": _json, "toml": _toml}
