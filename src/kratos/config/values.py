"""``Values``: what the program says itself: defaults before other sources, overrides behind them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from kratos.config.base import EMPTY, ConfigError, Layer, Node, Place, Problem, node
from kratos.config.keys import parse
from kratos.config.merge import merge

__all__ = ["Values"]


class Values:
    """A mapping, nested or with dots in its keys: ``{"server.http.addr": ":8000"}``; a quoted segment keeps its dots.

    Args:
        values: The mapping. It is copied.
        name: What error messages call it.

    Raises:
        ConfigError: A key is no path, or it nests too deep.
    """

    def __init__(self, values: Mapping[str, Any], *, name: str = "values of the program") -> None:
        self._name = name
        self._root = _spread(node(values, Place(name)))

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self._name

    async def load(self) -> Layer:
        """Returns the copy."""
        return Layer(self._root)


def _spread(root: Node) -> Node:
    """Returns a mapping whose keys with dots are mappings in mappings."""
    if root.mapping is None:
        return root
    spread = EMPTY
    for key, below in root.mapping.items():
        segments = parse(key)
        if not segments or not all(isinstance(segment, str) for segment in segments):
            raise ConfigError([Problem("not a key", key, root.place)])
        value = _spread(below)
        for segment in reversed(segments):
            value = Node(MappingProxyType({str(segment): value}), root.place)
        spread = merge(spread, value)
    return Node(spread.value, root.place)
