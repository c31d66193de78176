"""Any node, by chance and weight."""

from __future__ import annotations

import random
from collections.abc import Sequence

from kratos.selector.base import Asked, Draw, Flight, Node, Outcome
from kratos.selector.lottery import Lottery

__all__ = ["Random"]


class Random:
    """Draws each node as often as its weight says, whatever it is doing; see ``Balancer``.

    Args:
        draw: Where chance comes from.
    """

    whole = False

    def __init__(self, *, draw: Draw = random.random) -> None:
        self._lottery = Lottery(draw)

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes; see ``Balancer``."""
        self._lottery.fill(nodes)

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Draws a node; see ``Balancer``."""
        node = self._lottery.one(asked.avoid)
        return None if node is None else Flight(node, now)

    def feedback(self, flight: Flight, outcome: Outcome, now: float, /) -> None:
        """Does nothing: chance learns nothing."""

    def __repr__(self) -> str:
        return f"<Random {len(self._lottery.nodes)} nodes>"
