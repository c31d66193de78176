"""Calls with the same key go to the same node, as long as it is there: for caches, sessions, shards.

Multi-probe consistent hashing (Appleton and O'Reilly, 2015): a node is one point on a ring, a key is looked up at
several places, and the place that is nearest to the next node counts. Spread is that of hundreds of points for each
node, with one: nodes come and go cheaply, and only the keys of who came or left move.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from math import ceil
from typing import Final

from kratos.selector.base import DEFAULT_WEIGHT, Asked, Draw, Flight, Node, Outcome

__all__ = ["HashRing"]

PROBES: Final = 21
"""At how many places a key is looked up: the busiest node has a tenth more than the mean."""
_SPACE: Final = 2**64
_LOW: Final = 2**32


class HashRing:
    """Picks by ``hash_key`` of the call; see ``Balancer``. Calls without one go anywhere.

    All clients should agree, so they all know all nodes: there is no subset.

    A node with a weight of 200 has two points, one of 50 counts half of the time.

    Args:
        bound: How many times the mean of calls under way a node may have; what is too much goes to the next one on the
            ring. None is no bound.
        draw: Where chance comes from, for calls without a key.

    Raises:
        ValueError: The bound is not above 1.
    """

    whole = True

    def __init__(self, *, bound: float | None = None, draw: Draw = random.random) -> None:
        if bound is not None and bound <= 1:
            raise ValueError(f"bound={bound}: a node may have more than the mean, 1.25 times for example")
        self._bound = bound
        self._draw = draw
        self._at: list[int] = []
        self._owners: dict[int, Node] = {}
        self._points: dict[str, tuple[int, ...]] = {}
        self._count = 0
        self._next: tuple[Sequence[Node], dict[int, Node], list[int]] = ((), {}, [])
        self._active: dict[str, list[int]] = {}
        self._total = 0

    def learn(self, nodes: Sequence[Node], /) -> Iterator[None]:
        """Puts the nodes of the next update on a ring, in many steps; see ``Learning``."""
        owners: dict[int, Node] = {}
        for node in nodes:
            owners.update((point, node) for point in self._look(node))
            yield
        kept = [point for point in self._at if point in owners]
        yield
        came = owners.keys() - set(kept)
        yield
        self._next = nodes, owners, sorted([*kept, *came])  # what is in order already is sorted in no time

    def update(self, nodes: Sequence[Node], /) -> None:
        """Takes the nodes; see ``Balancer``."""
        if self._next[0] is not nodes:
            for _ in self.learn(nodes):
                pass
        known = {node.address for node in nodes}
        for gone in self._points.keys() - known:
            del self._points[gone]
            self._active.pop(gone, None)
        _, self._owners, self._at = self._next
        self._count = len(known)

    def pick(self, asked: Asked, now: float, /) -> Flight | None:
        """Returns a flight to the node of the key; see ``Balancer``."""
        if not self._at:
            return None
        first = int(self._draw() * len(self._at)) if asked.key is None else self._nearest(asked.key)
        node = self._fitting(first, asked)
        if node is None:
            return None
        active = self._active.setdefault(node.address, [0])
        active[0] += 1
        self._total += 1
        return Flight(node, now, active)

    def feedback(self, flight: Flight, _outcome: Outcome, _now: float, /) -> None:
        """Takes a flight that has ended; see ``Balancer``."""
        active: list[int] = flight.stat
        active[0] -= 1
        self._total -= 1

    def _nearest(self, key: str) -> int:
        """Returns the index of the point that a key belongs to."""
        digest = blake2b(key.encode(), digest_size=16).digest()
        place, step = int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big") | 1
        best, nearest = -1, _SPACE
        at, owners, count = self._at, self._owners, len(self._at)
        for _ in range(PROBES):
            place = (place + step) % _SPACE
            index = bisect_left(at, place) % count
            distance = (at[index] - place) % _SPACE
            weight = owners[at[index]].weight
            if distance < nearest and (weight >= DEFAULT_WEIGHT or _counts(place, weight)):
                best, nearest = index, distance
        return best if best >= 0 else bisect_left(at, place) % count

    def _fitting(self, first: int, asked: Asked) -> Node | None:
        """Returns the first node from an index on that is neither to be avoided nor too busy, or else only busy."""
        most = None if self._bound is None else ceil(self._bound * (self._total + 1) / self._count)
        busy: Node | None = None
        for step in range(len(self._at)):
            node = self._owners[self._at[(first + step) % len(self._at)]]
            if node.address in asked.avoid:
                continue
            active = self._active.get(node.address)
            if most is None or active is None or active[0] < most:
                return node
            busy = busy or node
        return busy

    def _look(self, node: Node) -> tuple[int, ...]:
        """Returns where on the ring a node is."""
        count = max(1, round(node.weight / DEFAULT_WEIGHT))
        found = self._points.get(node.address, ())
        if len(found) != count:
            found = self._points[node.address] = tuple(_hash(f"{copy} {node.address}") for copy in range(count))
        return found

    def __repr__(self) -> str:
        return f"<HashRing {self._count} nodes, {self._total} calls under way>"


def _counts(place: int, weight: float) -> bool:
    """Tells whether a light node counts at this place: as often as its weight says, and always the same way."""
    return place % _LOW < weight / DEFAULT_WEIGHT * _LOW


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
