"""What is configured, key by key, for people: where each value is from, without secrets; and which keys differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from kratos.config.base import Node, Place
from kratos.config.keys import fold, join
from kratos.masking import MASK, masked, secret

__all__ = ["Entry", "alike", "differing", "entries"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of the configuration, as anybody may see it.

    Attributes:
        key: Its key, with dots.
        value: The value; ``***`` for one that is secret, and in the place of passwords within a text.
        place: Where it is written: a file with its line, a variable, or the program.
        secret: Whether it is hidden as a whole.
    """

    key: str
    value: Any
    place: Place
    secret: bool = False


def entries(node: Node, path: str = "", hidden: Collection[str] = ()) -> Iterator[Entry]:
    """Yields the values of a tree in its order; a mapping or a list is one only if it is empty.

    Args:
        node: The tree.
        path: The key that it is.
        hidden: Keys of what nobody may see, beside what is called so.
    """
    below = _below(node, path)
    if below:
        for key, each in below.items():
            yield from entries(each, key, hidden)
    elif node.value and (node.secret or secret(path) or any(_touches(path, each) for each in hidden)):
        yield Entry(path, MASK, node.place, secret=True)
    else:
        value = node.plain()
        yield Entry(path, masked(value) if isinstance(value, str) else value, node.place)


def _touches(path: str, hidden: str) -> bool:
    """Tells whether a key is a hidden one, is below it, or holds it: JSON text in a variable."""
    one, other = sorted((fold(path), fold(hidden)), key=len)
    return other.startswith(one) and other[len(one) : len(one) + 1] in ("", ".", "[")


def differing(before: Node | None, after: Node | None, path: str = "") -> Iterator[str]:
    """Yields the keys whose values are not the same; a mapping or list is looked into if it was one and is one."""
    if before is after:
        return
    if before is None or after is None or not _comparable(before, after):
        yield path
        return
    low, high = _below(before, path), _below(after, path)
    for key in {**low, **high}:
        yield from differing(low.get(key), high.get(key), key)


def alike(before: Node | None, after: Node | None) -> bool:
    """Tells whether two trees say the same, wherever it is written."""
    return next(differing(before, after), None) is None


def _comparable(before: Node, after: Node) -> bool:
    """Tells whether two nodes are the same, but perhaps for what is below them."""
    if before.mapping is not None or before.items is not None:
        return (before.mapping is None, before.items is None) == (after.mapping is None, after.items is None)
    return (type(before.value), before.value, before.text) == (type(after.value), after.value, after.text)


def _below(node: Node, path: str) -> dict[str, Node]:
    if node.items is not None:
        return {f"{path}[{at}]": each for at, each in enumerate(node.items)}
    return {join(path, key): each for key, each in (node.mapping or {}).items()}
