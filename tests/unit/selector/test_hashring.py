"""A key has its node, and only the keys of nodes that come or go move."""

from __future__ import annotations

from collections import Counter

import pytest
from unit.selector.nodes import draw, node, nodes, picked

from kratos.selector import Asked, HashRing, Node, Outcome

KEYS = [f"user-{number}" for number in range(2000)]


def owners(balancer: HashRing) -> dict[str, str]:
    found = {}
    for key in KEYS:
        flight = picked(balancer, 0.0, Asked(key=key))
        balancer.feedback(flight, Outcome.GOOD, 0.0)
        found[key] = flight.node.address
    return found


def ring(given_nodes: list[Node], **options: float) -> HashRing:
    balancer = HashRing(draw=draw().random, **options)
    balancer.update(given_nodes)
    return balancer


def test_two_clients_agree() -> None:
    """The order in which nodes were found does not matter, nor does what was there before."""
    other = ring(nodes(3))
    other.update(list(reversed(nodes(10))))
    assert owners(ring(nodes(10))) == owners(other)


def test_even() -> None:
    """No node has twice the mean."""
    seen = Counter(owners(ring(nodes(10))).values())
    assert len(seen) == 10
    assert max(seen.values()) < 400


def test_who_leaves_takes_its_keys_only() -> None:
    """A node that comes or goes moves its own keys, and no others."""
    balancer = ring(nodes(10))
    before = owners(balancer)
    balancer.update(nodes(9))
    after = owners(balancer)
    assert {before[key] for key in KEYS if before[key] != after[key]} == {"n9:1"}
    balancer.update(nodes(11))
    later = owners(balancer)
    assert {later[key] for key in KEYS if later[key] != before[key]} == {"n10:1"}


def test_weights() -> None:
    """Twice the weight is about twice the keys; below the usual weight too."""
    seen = Counter(owners(ring([node("a", 400), node("b", 100), node("c", 25)])).values())
    assert 2 < seen["a"] / seen["b"] < 8
    assert 2 < seen["b"] / seen["c"] < 8
    assert set(owners(ring([node("a", 0.0001)])).values()) == {"a"}


def test_weight_that_changes() -> None:
    """A node that asks for more gets it."""
    balancer = ring([node("a", 100), node("b", 100)])
    balancer.update([node("a", 100), node("b", 500)])
    assert Counter(owners(balancer).values())["b"] > 1200


def test_learning_in_steps() -> None:
    """A ring that was made in steps is the one that is made at once."""
    balancer, given_nodes = ring(nodes(3)), nodes(30)
    for _ in balancer.learn(given_nodes):
        pass
    before = owners(balancer)
    assert set(before.values()) == {each.address for each in nodes(3)}
    balancer.update(given_nodes)
    assert owners(balancer) == owners(ring(given_nodes))


def test_avoided_goes_to_the_next() -> None:
    """Where the node of a key is to be avoided, its keys are spread over the others, always the same way."""
    balancer = ring(nodes(4))
    asked = Asked(key="user-1")
    home = picked(balancer, 0.0, asked).node.address
    elsewhere = {picked(balancer, 0.0, Asked(key="user-1", avoid={home})).node.address for _ in range(5)}
    assert len(elsewhere) == 1
    assert home not in elsewhere


def test_bounded() -> None:
    """A popular key overflows to others before its node has more than its share; without a bound it does not."""
    free, bounded = ring(nodes(4)), ring(nodes(4), bound=1.25)
    asked = Asked(key="everybody")
    assert len({picked(free, 0.0, asked).node.address for _ in range(100)}) == 1
    seen = Counter(picked(bounded, 0.0, asked).node.address for _ in range(100))
    assert max(seen.values()) <= 32
    others = set(seen) - {"n0:1"}
    assert picked(bounded, 0.0, Asked(key="everybody", avoid=others)).node.address == "n0:1"
    assert picked(bounded, 0.0, Asked(key="everybody", avoid=others)).node.address == "n0:1"
    with pytest.raises(ValueError, match=r"bound=1\.0"):
        HashRing(bound=1.0)


def test_everybody_is_busy() -> None:
    """Where all that is left is busy, the busy one takes it."""
    balancer = ring(nodes(3), bound=1.01)
    for _ in range(20):
        assert picked(balancer, 0.0, Asked(key="k", avoid={"n1:1", "n2:1"})).node.address == "n0:1"
