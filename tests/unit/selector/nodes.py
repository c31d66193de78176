"""Nodes and chance for tests of balancers."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from kratos.selector import Asked, Balancer, Flight, Node, Outcome

SEED = 20240229


def node(name: str, weight: float = 100.0, **facts: str) -> Node:
    """Returns a node; facts are its metadata, but for its version."""
    return Node(name, "grpc", version=facts.pop("version", ""), weight=weight, metadata=facts)


def nodes(count: int) -> list[Node]:
    return [node(f"n{number}:1") for number in range(count)]


def draw() -> random.Random:
    """Returns chance that is the same in each run."""
    return random.Random(SEED)


def spread(balancer: Balancer, count: int, *, avoid: Iterable[str] = (), now: float = 0.0) -> Counter[str]:
    """Returns how often each node is picked by calls that follow each other, 10 ms each."""
    seen: Counter[str] = Counter()
    for number in range(count):
        at = now + number * 0.02
        flight = picked(balancer, at, Asked(avoid=frozenset(avoid)))
        seen[flight.node.address] += 1
        balancer.feedback(flight, Outcome.GOOD, at + 0.01)
    return seen


def picked(balancer: Balancer, now: float = 0.0, asked: Asked | None = None) -> Flight:
    flight = balancer.pick(asked or Asked(), now)
    assert flight is not None
    return flight
