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
    ring = {point: member for member in dict.fromkeys(listed) for point in points(member)}
    chosen: dict[str, None] = {}
    for point in sorted(ring, key=lambda point: _distance(start, point)):
        chosen[ring[point]] = None
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

    def learn(self, nodes: Sequence[Node]) -> Iterator[None]:
        """Looks at new nodes, one at each step of the iterator: 20 us each, which is long for thousands of them."""
        if not self._few(nodes):
            self._nearest = {node.address: at for node in nodes if (at := self._nearest.get(node.address)) is not None}
            yield
            for node in nodes:
                if node.address not in self._nearest:
                    self._look(node.address)
                    yield

    def choose(self, nodes: Sequence[Node]) -> Sequence[Node]:
        """Returns the client's part of some nodes; all of them if they are few."""
        if self._few(nodes):
            return nodes
        for node in nodes:
            if node.address not in self._nearest:
                self._look(node.address)
        # The walk along the ring meets members in the order of their first points on it.
        near = nsmallest(self.size + _SPARE, range(len(nodes)), key=lambda at: self._nearest[nodes[at].address])
        by_address = {nodes[at].address: nodes[at] for at in sorted(near)}
        return [by_address[address] for address in subset(self._key, by_address, self.size)]

    def _few(self, nodes: Sequence[Node]) -> bool:
        return self.size <= 0 or len(nodes) <= self.size

    def _look(self, address: str) -> None:
        start = self._start
        self._nearest[address] = min((point - start - 1) % _RING for point in points(address))


def _distance(start: int, point: int) -> int:
    """Returns how far behind the start a point is; the start itself is the farthest."""
    return (point - start - 1) % _RING
