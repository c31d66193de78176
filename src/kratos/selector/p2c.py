"""The better one of two nodes that are drawn at random: fast and healthy nodes get more, and nobody gets all."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from kratos.selector.base import Asked, Draw, Flight, Node, Outcome
from kratos.selector.ewma import Ewma
from kratos.selector.lottery import Lottery

__all__ = ["P2C"]

FORCED: Final = 3_000_000_000
"""Nanoseconds after which a node that lost every time is picked once, so that its recovery is seen."""
_SECOND: Final = 1_000_000_000


class P2C:
    """Draws two nodes and takes the better one, by latency, failures and calls under way; see ``Balancer``.

    Args:
        draw: Where chance comes from.
    """

    whole = False

    def __init__(self, *, draw: Draw = random.random) -> None:
        self._lottery = Lottery(draw)
        self._stats: dict[str, Ewma] = {}
        self._mean = 1.0

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes; see ``Balancer``."""
        was_even = self._lottery.even
        self._lottery.fill(nodes)
        self._mean = (sum(node.weight for node in nodes) / len(nodes) if nodes else 0.0) or 1.0
        for address in self._stats.keys() - {node.address for node in nodes}:
            del self._stats[address]
        if not (was_even and self._lottery.even):
            for node in nodes:
                if node.address in self._stats:
                    self._stats[node.address].share = self._share(node)

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Returns a flight to the better one of two; see ``Balancer``."""
        pair = self._lottery.two(asked.avoid)
        if pair is None:
            return None
        at = int(now * _SECOND)
        node, other = pair
        stat = self._stat(node)
        if other is not node:
            second = self._stat(other)
            if second.weight(at) > stat.weight(at):
                node, other, stat, second = other, node, second, stat
            if at - second.picked > FORCED and other.weight > 0:
                node, stat = other, second
        return Flight(node, now, stat, stat.begin(at, stream=asked.stream))

    def feedback(self, flight: Flight, outcome: Outcome, now: float, /) -> None:
        """Takes how long a flight took and how it ended; see ``Balancer``."""
        stat: Ewma = flight.stat
        stat.end(int(flight.began * _SECOND), int(now * _SECOND), outcome, flight.slot)

    def _stat(self, node: Node) -> Ewma:
        stat = self._stats.get(node.address)
        if stat is None:
            stat = self._stats[node.address] = Ewma(self._share(node))
        return stat

    def _share(self, node: Node) -> float:
        return max(node.weight, 1e-9) / self._mean

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{address}: {stat.lag / 1e6:.1f} ms, {stat.success / 10:.0f} %, {stat.inflight} under way"
            for address, stat in self._stats.items()
        )
        return f"<P2C {len(self._lottery.nodes)} nodes; {shown}>"
