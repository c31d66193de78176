"""Keys: how they are written, which of them are near another, and what they hold as a message may show it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from kratos.config.base import Node
from kratos.masking import MASK, masked, secret

__all__ = ["fold", "join", "lookup", "nearest", "parse", "shown"]

_SEGMENT = re.compile(r'"(?P<quoted>[^"]*)"|(?P<bare>[^."\[\]]+)')
_INDEX = re.compile(r"\[(\d{1,9})\]")
_BARE = re.compile(r'[^."\[\]]+')

_LONGEST_SHOWN = 60


def fold(key: str) -> str:
    """Returns what spellings of one key have in common: ``readTimeout``, ``read_timeout``, ``READ-TIMEOUT``."""
    return key.replace("_", "").replace("-", "").lower()


def join(path: str, key: str) -> str:
    """Returns the path of a key below ``path``; a key with a dot in it is quoted."""
    segment = key if _BARE.fullmatch(key) else f'"{key}"'
    return f"{path}.{segment}" if path else segment


def parse(path: str) -> tuple[str | int, ...] | None:
    """Returns the segments of a path such as ``servers[0].labels."a.b"``; None if it is no path."""
    segments: list[str | int] = []
    at = 0
    while at < len(path):
        found = _SEGMENT.match(path, at)
        if found is None:
            return None
        segments.append(found["bare"] if found["quoted"] is None else found["quoted"])
        at = found.end()
        while index := _INDEX.match(path, at):
            segments.append(int(index[1]))
            at = index.end()
        if at < len(path):
            if path[at] != "." or at + 1 == len(path):
                return None
            at += 1
    return tuple(segments)


def lookup(root: Node, segments: Iterable[str | int], *, exact: bool = False) -> tuple[Node | None, Node, str]:
    """Follows a path; keys as they are written first, else the one that differs by case and underscores alone.

    Args:
        root: Where it begins.
        segments: The path.
        exact: Whether keys are only what they are written.

    Returns:
        The node, None if there is none; the last node on the way to it; the segment that is missing there.
    """
    current = root
    for segment in segments:
        found = step(current, segment, exact=exact)
        if found is None:
            return None, current, str(segment)
        current = found
    return current, current, ""


def step(current: Node, segment: str | int, *, exact: bool) -> Node | None:
    """Returns what is below a node by one segment of a path."""
    if current.items is not None:
        if isinstance(segment, str):
            segment = int(segment) if segment.isdecimal() and segment.isascii() and len(segment) < 10 else -1
        return current.items[segment] if 0 <= segment < len(current.items) else None
    keys = current.mapping
    if keys is None or isinstance(segment, int):
        return None
    if segment in keys or exact:
        return keys.get(segment)
    alike = [key for key in keys if fold(key) == fold(segment)]
    return keys[alike[0]] if len(alike) == 1 else None


def nearest(key: str, names: Iterable[str]) -> str:
    """Returns a question that names the nearest name, empty if none is near."""
    by_fold = {fold(name): name for name in names}
    found = get_close_matches(fold(key), by_fold, 1, 0.6)
    return f"; did you mean {by_fold[found[0]]}?" if found else ""


def shown(node: Node, path: str) -> str:
    """Returns a value for a message: short, without secrets."""
    value: Any = node.value
    if node.mapping is not None:
        return "a mapping"
    if node.items is not None:
        return "a list"
    if node.secret or secret(path):
        return MASK
    if not isinstance(value, str):
        return node.text or str(value)
    if value.lstrip().startswith("{"):  # JSON, whose keys say what is secret in it
        return "the text"
    return repr(masked(value, _LONGEST_SHOWN))
