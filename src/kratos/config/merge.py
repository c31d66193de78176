"""Many layers, one tree: mappings are merged key by key, everything else is replaced.

What comes later wins, whatever it is: false, zero, an empty text and null override like any value, a list is never
appended to another, and a scalar replaces a mapping as a mapping replaces a scalar.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import MappingProxyType

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Problem
from kratos.config.keys import fold, join

__all__ = ["merge", "merge_layers"]


def merge(low: Node, high: Node) -> Node:
    """Returns ``high`` over ``low``; both stay as they are."""
    below, above = low.mapping, high.mapping
    if below is None or above is None:
        return high
    merged = dict(below)
    for key, node in above.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(MappingProxyType(merged), low.place if below else high.place)


def merge_layers(layers: Sequence[Layer]) -> Node:
    """Returns all layers in one tree, later ones over earlier ones.

    Keys of loose layers become those that they mean. Only then all are merged, so the order of layers decides which
    value wins and never which key is meant.

    Raises:
        ConfigError: A loose key means more than one.
    """
    known = EMPTY
    for layer in layers:
        if not layer.loose:
            known = _keys(known, layer.root)
    problems: list[Problem] = []
    tree = EMPTY
    for layer in layers:
        root = layer.root
        if layer.loose:
            root = _spelled(root, known, "", problems)
            known = _keys(known, root)
        tree = merge(tree, root)
    if problems:
        raise ConfigError(problems)
    return tree


def _keys(low: Node, high: Node) -> Node:
    """Returns all keys of both: unlike ``merge``, a scalar does not hide the keys below it."""
    below, above = low.mapping, high.mapping
    if below is None or above is None:
        return high if below is None else low
    merged = dict(below)
    for key, node in above.items():
        merged[key] = _keys(merged[key], node) if key in merged else node
    return Node(MappingProxyType(merged), high.place)


def _spelled(node: Node, known: Node | None, path: str, problems: list[Problem]) -> Node:
    """Returns a node of a loose layer with the keys that are known."""
    keys = node.mapping
    names = known.mapping if known is not None else None
    if keys is None or not names:
        return node
    spelled: dict[str, Node] = {}
    for key, below in keys.items():
        name, *others = _meant(key, names)
        if others:
            problems.append(Problem(f"may mean {' or '.join([name, *others])}", join(path, key), below.place))
            continue
        found = _spelled(below, names.get(name), join(path, name), problems)
        spelled[name] = merge(spelled[name], found) if name in spelled else found
    return Node(MappingProxyType(spelled), node.place)


def _meant(key: str, names: Collection[str]) -> list[str]:
    """Returns the name that a loose key means, itself if there is none; several if that is not clear."""
    if key in names:
        return [key]
    alike = [name for name in names if fold(name) == fold(key)]
    return [name for name in alike if name.lower() == key.lower()] or alike or [key]
