"""Nodes drawn at random, by their weights."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Final

from kratos.selector.base import Draw, Node

__all__ = ["Lottery"]

_TRIES: Final = 4
"""How often an address to avoid may be drawn before all others are listed."""


class Lottery:
    """Draws nodes, each as often as its weight says.

    Args:
        draw: Where chance comes from.

    Attributes:
        nodes: What is drawn from.
        even: Whether all have the same weight.
    """

    __slots__ = ("_bounds", "_draw", "_total", "even", "nodes")

    def __init__(self, draw: Draw = random.random) -> None:
        self._draw = draw
        self.fill(())

    def fill(self, nodes: Sequence[Node]) -> None:
        """Takes the nodes to draw from."""
        self.nodes = nodes
        weights = [node.weight for node in nodes]
        self.even = len(set(weights)) < 2
        self._bounds = [] if self.even else list(accumulate(weights))
        self._total = self._bounds[-1] if self._bounds else 0.0

    def one(self, avoid: Collection[str] = ()) -> Node | None:
        """Returns a node, None if there is none that need not be avoided."""
        if not self.nodes:
            return None
        if not avoid:
            return self.nodes[self._index()]
        for _ in range(_TRIES):
            node = self.nodes[self._index()]
            if node.address not in avoid:
                return node
        return self._left(avoid).one()

    def two(self, avoid: Collection[str] = ()) -> tuple[Node, Node] | None:
        """Returns two nodes, None if there is none.

        They are different ones if all have the same weight. If not, one may be drawn twice: otherwise two nodes would
        come in pairs whatever their weights.
        """
        count = len(self.nodes)
        if count == 1 and not avoid:
            return self.nodes[0], self.nodes[0]
        if avoid or not count:
            first = self.one(avoid)
            if first is None:
                return None
            second = self.one({*avoid, first.address}) if self.even else self.one(avoid)
            return first, second or first
        if not self.even:
            return self.nodes[self._index()], self.nodes[self._index()]
        left = int(self._draw() * count)
        right = int(self._draw() * (count - 1))
        return self.nodes[left], self.nodes[right + 1 if right >= left else right]

    def _index(self) -> int:
        if self.even:
            return int(self._draw() * len(self.nodes))
        return min(bisect_right(self._bounds, self._draw() * self._total), len(self.nodes) - 1)

    def _left(self, avoid: Collection[str]) -> Lottery:
        left = Lottery(self._draw)
        left.fill([node for node in self.nodes if node.address not in avoid])
        return left
