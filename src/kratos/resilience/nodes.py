"""The breakers of one operation: one for all of it, and one for each node that it is sent to.

The first is Kratos': where an operation fails everywhere, most of its calls are refused before anybody is asked. The
others steer around a node that is broken while the rest is not; a share of failures that one node can cause does not
trip the first. A call that no node was right for counts as failed for the operation, as one that it has refused itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from kratos.resilience.base import Breaker

__all__ = ["Breakers"]

B = TypeVar("B", bound=Breaker)

_MOST_NODES: Final = 1024


class Breakers(Generic[B]):
    """Decides for one operation whether, and where to, calls should be made.

    Args:
        make: Makes a breaker.
        idle: Tells whether a breaker may be forgotten, because it is like a new one.
        chance: Returns a number from 0 to below 1.

    Attributes:
        all: The one of the operation.
    """

    __slots__ = ("_chance", "_idle", "_make", "_nodes", "_sweep", "all")

    def __init__(
        self,
        make: Callable[[], B],
        idle: Callable[[B], bool] = lambda _: False,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._make = make
        self._idle = idle
        self._chance = chance
        self._nodes: dict[str, B] = {}
        self._sweep = 16  # at so many nodes idle ones are looked for
        self.all = make()

    @property
    def drop_ratio(self) -> float:
        """How many of the calls are refused now, whatever their node."""
        return self.all.drop_ratio

    @property
    def nodes(self) -> dict[str, B]:
        """The breakers by address; a copy."""
        return dict(self._nodes)

    def allow(self) -> bool:
        """Tells whether a call should be made at all; takes note if not."""
        if self.all.allow():
            return True
        self.all.mark_failure()
        return False

    def admit(self, address: str) -> bool:
        """Tells whether a call that is allowed should go to a node; takes note if not.

        What the operation's breaker lets through is not refused a second time: of all calls as many get to a node as
        its own breaker would let there.
        """
        node = self._nodes.get(address)
        if node is None:
            return True
        drop = node.drop_ratio
        if not drop:
            return True
        before = self.all.drop_ratio
        if drop <= before or self._chance() < (1 - drop) / (1 - before):
            return True
        node.mark_failure()
        return False

    def turned_away(self) -> None:
        """Takes note of a call that nobody was asked to answer."""
        self.all.mark_failure()

    def mark(self, address: str, *, failed: bool) -> None:
        """Takes note of how a call ended.

        Args:
            address: The node it went to; empty if to none.
            failed: Whether it failed.
        """
        node = (self._nodes.get(address) or self._node(address)) if address else None
        if failed:
            self.all.mark_failure()
            if node is not None:
                node.mark_failure()
        else:
            self.all.mark_success()
            if node is not None:
                node.mark_success()

    def _node(self, address: str) -> B:
        if len(self._nodes) >= self._sweep:
            busy = [(each, node) for each, node in self._nodes.items() if not self._idle(node)]
            self._nodes = dict(busy[-_MOST_NODES // 2 :])  # those that were there first go first
            self._sweep = max(16, min(2 * len(self._nodes), _MOST_NODES))
        node = self._nodes[address] = self._make()
        return node
