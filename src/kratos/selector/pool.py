"""The nodes of a client: who takes a call, and what becomes of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from kratos.errors import ServiceUnavailable
from kratos.selector.base import Asked, Balancer, Draw, Flight, Learning, Node, Outcome
from kratos.selector.outlier import Ejection, Ejections, Outlier

__all__ = ["Admit", "Pool"]

Admit = Callable[[str], bool]
"""Tells whether a call may go to an address."""

_REFUSALS: Final = 3
"""How many nodes may be refused to a call before it fails."""


def _silent(ejection: Ejection) -> None:
    """Tells nobody."""


class Pool:
    """Nodes and a balancer, without those that fail.

    Args:
        balancer: Chooses.
        outlier: When a node is left alone; None is never, unless it cannot be connected to.
        told: Called with each ejection.
        draw: Where chance comes from.

    Attributes:
        balancer: Chooses.
        ejections: Who is left alone.
        nodes: Who is there.
    """

    def __init__(
        self,
        balancer: Balancer,
        outlier: Outlier | None = None,
        *,
        told: Callable[[Ejection], object] = _silent,
        draw: Draw = random.random,
    ) -> None:
        self.balancer = balancer
        self.ejections = Ejections(outlier, told=told, draw=draw)
        self.nodes: Sequence[Node] = ()

    def update(self, nodes: Sequence[Node]) -> None:
        """Takes the nodes that there are now. Those without weight count if there are no others."""
        for _ in self.updating(nodes):
            pass

    def updating(self, nodes: Sequence[Node]) -> Iterator[None]:
        """Takes the nodes at the last of many steps, so that others can run while balancers prepare."""
        weighty = [node for node in nodes if node.weight > 0] or list(nodes)
        yield
        if isinstance(self.balancer, Learning):
            yield from self.balancer.learn(weighty)
            yield
        self.nodes = weighty
        self.balancer.update(weighty)
        alone = self.ejections.alone
        absent = alone.difference(node.address for node in self.nodes) if alone else ()
        self.ejections.count = len(self.nodes) + len(absent)

    def pick(
        self, asked: Asked, now: float, *, admit: Admit | None = None, tried: Collection[str] = ()
    ) -> Flight | None:
        """Returns a flight to a node, None if there is none.

        Nodes that were tried, or are left alone, are picked if there are no others.

        Args:
            asked: What is known of the call.
            now: The time.
            admit: Asked whether the call may go to an address; None is always.
            tried: Where the call has been.

        Raises:
            ServiceUnavailable: ``admit`` said no to three nodes, or to all; reason ``CIRCUITBREAKER``.
        """
        alone = self.ejections.avoid(now)
        refused: set[str] = set()
        for _ in range(_REFUSALS):
            flight = self._pick(asked, now, alone, tried, refused)
            if flight is None:
                break
            if admit is None or admit(flight.node.address):
                self.ejections.sent(flight.node.address, now)
                return flight
            self.balancer.feedback(flight, Outcome.LEFT, now)
            refused.add(flight.node.address)
        if refused:
            raise ServiceUnavailable("request failed due to circuit breaker triggered", reason="CIRCUITBREAKER")
        return None

    def done(self, flight: Flight, outcome: Outcome, now: float) -> None:
        """Takes what became of a flight."""
        self.balancer.feedback(flight, outcome, now)
        self.ejections.record(flight.node.address, outcome, now, flight.began)

    def _pick(
        self, asked: Asked, now: float, alone: Collection[str], tried: Collection[str], refused: Collection[str]
    ) -> Flight | None:
        pick = self.balancer.pick
        if not (alone or tried or refused):
            return pick(asked, now)
        last: Collection[str] | None = None
        for avoid in ({*alone, *tried, *refused}, {*alone, *refused}, {*tried, *refused}, refused):
            if avoid != last:
                asked.avoid = last = avoid
                flight = pick(asked, now)
                if flight is not None:
                    return flight
        return None

    def __repr__(self) -> str:
        return f"<Pool {self.balancer!r}, {self.ejections!r}>"
