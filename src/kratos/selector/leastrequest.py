"""The least busy one of a few nodes that are drawn at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

from kratos.selector.base import Asked, Draw, Flight, Node, Outcome
from kratos.selector.lottery import Lottery

__all__ = ["LeastRequest"]


class LeastRequest:
    """Draws some nodes and takes the one with the fewest calls under way, by weight; see ``Balancer``.

    Args:
        choices: How many are drawn. More find an idle node more surely, and more clients find the same one.
        draw: Where chance comes from.

    Raises:
        ValueError: There would be no choice.
    """

    whole = False

    def __init__(self, *, choices: int = 2, draw: Draw = random.random) -> None:
        if choices < 2:
            raise ValueError(f"choices={choices}: draw two nodes at least, or use Random")
        self._choices = choices
        self._lottery = Lottery(draw)
        self._active: dict[str, list[int]] = {}

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes; see ``Balancer``."""
        self._lottery.fill(nodes)
        for address in self._active.keys() - {node.address for node in nodes}:
            del self._active[address]

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Returns a flight to the least busy one; see ``Balancer``."""
        pair = self._lottery.two(asked.avoid)
        if pair is None:
            return None
        drawn = [*pair, *(node for _ in range(self._choices - 2) if (node := self._lottery.one(asked.avoid)))]
        best = min(drawn, key=self._load)
        active = self._active.setdefault(best.address, [0])
        active[0] += 1
        return Flight(best, now, active)

    def feedback(self, flight: Flight, _outcome: Outcome, _now: float, /) -> None:
        """Takes a flight that has ended; see ``Balancer``."""
        active: list[int] = flight.stat
        active[0] -= 1

    def _load(self, node: Node) -> float:
        active = self._active.get(node.address)
        return active[0] / max(node.weight, 1e-9) if active else 0.0

    def __repr__(self) -> str:
        busy = ", ".join(f"{address}: {active[0]} under way" for address, active in self._active.items())
        return f"<LeastRequest {len(self._lottery.nodes)} nodes; {busy}>"
