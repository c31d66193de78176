"""Breaks statements that are too long for a line, the way ``ruff format`` and Black break them.

Only what our writers print needs to be understood: imports, calls, signatures, and tuples, lists and dicts of plain
data. The arguments of a call or signature stay together on a line of their own if they fit; whatever else is in
brackets gets a line for each element.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from kratos.tools.codegen.literals import literal

__all__ = ["fold"]

_INDENT = "    "
_OPEN, _CLOSE = "([{", ")]}"
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
_TEXT = re.compile(rf"(?P<key>(?:{_STRING.pattern}): )?(?P<text>{_STRING.pattern})")  # a string in a list or dict


def fold(line: str, width: int, tail: str = "") -> Iterator[str]:
    """Yields a statement, or an element that ``tail`` follows, in as many lines as it needs."""
    if len(line) + len(tail) <= width:
        yield line + tail
    elif line.startswith("from "):
        head, _, names = line.partition(" import ")
        yield from (f"{head} import (", *(f"{_INDENT}{name}," for name in names.split(", ")), ")")
    elif found := _bracket(line):
        yield from _broken(line, found, width, tail)
    elif text := _TEXT.fullmatch(line.lstrip()):
        yield from _text(line[: -len(text[0])], text["key"] or "", text["text"], width, tail)
    else:
        yield line + tail


def _broken(line: str, bracket: tuple[int, int], width: int, tail: str) -> Iterator[str]:
    start, end = bracket
    indent = _indent(line)
    inner = line[start + 1 : end]
    yield line[: start + 1]
    if _named(line, start) and len(indent) + len(_INDENT) + len(inner) <= width:
        yield f"{indent}{_INDENT}{inner}"
    else:
        for item in _items(inner):
            yield from fold(f"{indent}{_INDENT}{item}", width, ",")
    yield from _annotation(f"{indent}{line[end:]}{tail}", width)


def _annotation(line: str, width: int) -> Iterator[str]:
    """Yields the end of a signature, ``) -> Reply:``; or a part of its annotation."""
    start, end = line.find("["), line.rfind("]")
    indent = f"{_indent(line)}{_INDENT}"
    head, arrow, name = line.rpartition(" -> ")
    if len(line) <= width or (start < 0 and not (arrow and len(indent) + len(name) - 1 <= width)):
        yield line
        return
    if start < 0:
        yield from (f"{head} -> (", f"{indent}{name[:-1]}", f"{_indent(line)}):")
        return
    inner = line[start + 1 : end]
    items = _items(inner)
    yield line[: start + 1]
    if len(items) == 1:
        yield from _annotation(f"{indent}{inner}", width)
    elif len(indent) + len(inner) <= width:
        yield f"{indent}{inner}"
    else:
        yield from (f"{indent}{item}," for item in items)
    yield f"{_indent(line)}{line[end:]}"


def _text(indent: str, key: str, text: str, width: int, tail: str) -> Iterator[str]:
    """Yields a string in parts: in parentheses, because a comma might have been forgotten."""
    yield f"{indent}{key}("
    part = ""
    for word in re.findall(r"\S*\s*", ast.literal_eval(text)):
        if part and len(indent) + len(_INDENT) + len(literal(part + word)) > width:
            yield f"{indent}{_INDENT}{literal(part)}"
            part = ""
        part += word
    yield f"{indent}{_INDENT}{literal(part)}"
    yield f"{indent}){tail}"


def _bracket(line: str) -> tuple[int, int] | None:
    """Finds the pair to break: the first that is not empty and not a subscript."""
    pairs = ((start, end) for start, end in _pairs(line) if end > start + 1)
    return next(((start, end) for start, end in pairs if line[start] != "[" or not _named(line, start)), None)


def _named(line: str, start: int) -> bool:
    """Tells whether a bracket belongs to a name: a call, a signature or a subscript."""
    return line[start - 1 : start].isalnum() or line[start - 1 : start] == "_"


def _pairs(line: str) -> Iterator[tuple[int, int]]:
    depth = start = 0
    for at, sign in enumerate(_masked(line)):
        if sign in _OPEN:
            start = start if depth else at
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
            if depth == 0:
                yield start, at


def _items(inner: str) -> list[str]:
    items: list[str] = []
    depth = start = 0
    for at, sign in enumerate(_masked(inner)):
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == "," and depth == 0:
            items.append(inner[start:at].strip())
            start = at + 1
    return [item for item in (*items, inner[start:].strip()) if item]


def _masked(line: str) -> str:
    """Returns a line whose strings hold no brackets and commas."""
    return _STRING.sub(lambda found: "s" * len(found[0]), line)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
