"""Smooth weighted round robin: each node as often as its weight says, and never in bursts."""

from __future__ import annotations

from collections.abc import Sequence

from kratos.selector.base import Asked, Flight, Node, Outcome

__all__ = ["WRR"]


class WRR:
    """Nodes take turns, by weight; see ``Balancer``. A pick looks at all of them: for a hundred or fewer."""

    whole = False

    def __init__(self) -> None:
        self._nodes: Sequence[Node] = ()
        self._current: dict[str, float] = {}

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes; see ``Balancer``."""
        self._nodes = nodes
        current = self._current
        self._current = {node.address: current.get(node.address, 0.0) for node in nodes}

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Returns a flight to the node whose turn it is; see ``Balancer``."""
        current = self._current
        best: Node | None = None
        most, total = float("-inf"), 0.0
        for node in self._nodes:
            if asked.avoid and node.address in asked.avoid:
                continue
            total += node.weight
            has = current[node.address] = current[node.address] + node.weight
            if has > most:
                best, most = node, has
        if best is None:
            return None
        current[best.address] -= total
        return Flight(best, now)

    def feedback(self, flight: Flight, outcome: Outcome, now: float, /) -> None:
        """Does nothing: turns are taken whatever becomes of them."""

    def __repr__(self) -> str:
        return f"<WRR {len(self._nodes)} nodes>"
