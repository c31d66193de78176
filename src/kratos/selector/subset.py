"""A part of many nodes for each client, so that not everybody is connected to everybody.

It is the part that Kratos for Go chooses for the same key: members have 160 points each on a ring of FNV-1a hashes, and
from the point of the key on the first ones are taken. Who joins or leaves changes little.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Final

from kratos.selector.base import Node
from kratos.selector.fnv import fnv1a, points

__all__ = ["Subset", "subset"]

_RING: Final = 2**32
_SPARE: Final = 4
"""How many more than wanted are put on the ring: two points may meet, and then one of them does not count."""


def subset(key: str, members: Iterable[str], size: int) -> list[str]:
    """Returns the part of some names that belongs to a key.

    Args:
        key: Who chooses: another key is another part.
        members: The names. All of them come back, as they are, if they are no more than ``size``.
        size: How many to choose; 0 is all.

    Example:
        >>> subset("key", [f"svc-{number}" for number in range(10)], 3)
        ['svc-7', 'svc-2', 'svc-9']
    """
    listed = list(members)
    if size <= 0 or len(listed) <= size:
        return listed
    start = fnv1a(key)
    ring = {_distance(start, point): member for member in dict.fromkeys(listed) for point in points(member)}
    chosen: dict[str, None] = {}
    for at in sorted(ring):
        chosen[ring[at]] = None
        if len(chosen) == size:
            break
    return list(chosen)


class Subset:
    """The part of one client, which follows the nodes as they come and go.

    Args:
        key: The client's own; a random one spreads clients evenly.
        size: How many nodes to choose; 0 is all.
    """

    def __init__(self, key: str, size: int) -> None:
        self.size = size
        self._key = key
        self._start = fnv1a(key)
        self._nearest: dict[str, int] = {}
        self._next: tuple[Sequence[Node], dict[str, Node]] = ((), {})

    def learn(self, nodes: Sequence[Node]) -> Iterator[None]:
        """Prepares a choice in many steps: a new node takes 20 us, which is long for thousands of them."""
        if self._few(nodes):
            return
        known = self._nearest
        self._nearest = {node.address: at for node in nodes if (at := known.get(node.address)) is not None}
        yield
        for node in nodes:
            if node.address not in self._nearest:
                self._look(node.address)
                yield
        nearest = [self._nearest[node.address] for node in nodes]
        yield
        # The walk along the ring meets members in the order of their first points on it.
        near = sorted(nsmallest(self.size + _SPARE, range(len(nodes)), key=nearest.__getitem__))
        self._next = nodes, {nodes[at].address: nodes[at] for at in near}
        yield

    def choose(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Returns the client's part of some nodes; all of them if they are few."""
        if self._few(nodes):
            return nodes
        if self._next[0] is not nodes:
            for _ in self.learn(nodes):
                pass
        by_address = self._next[1]
        return [by_address[address] for address in subset(self._key, by_address, self.size)]

    def _few(self, nodes: Sequence[Node]) -> bool:
        return self.size <= 0 or len(nodes) <= self.size

    def _look(self, address: str) -> None:
        start = self._start + 1
        self._nearest[address] = min([(point - start) % _RING for point in points(address)])


def _distance(start: int, point: int) -> int:
    """Returns how far behind the start a point is; the start itself is the farthest."""
    return (point - start - 1) % _RING
