"""What every balancer does, and what each does alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.selector.nodes import draw, node, nodes, picked, spread

from kratos.selector import P2C, WRR, Asked, Balancer, HashRing, LeastRequest, Outcome, Random
from kratos.selector.lottery import Lottery

BALANCERS: dict[str, Callable[[], Balancer]] = {
    "p2c": lambda: P2C(draw=draw().random),
    "wrr": WRR,
    "random": lambda: Random(draw=draw().random),
    "least": lambda: LeastRequest(draw=draw().random),
    "ring": lambda: HashRing(draw=draw().random),
}


@pytest.fixture(params=BALANCERS)
def make(request: pytest.FixtureRequest) -> Callable[[], Balancer]:
    return BALANCERS[request.param]


def test_nobody(make: Callable[[], Balancer]) -> None:
    """Without nodes there is no pick: never updated, updated with none, or all to be avoided."""
    balancer = make()
    assert balancer.pick(Asked(), 0.0) is None
    balancer.update([])
    assert balancer.pick(Asked(), 0.0) is None
    balancer.update(nodes(3))
    assert balancer.pick(Asked(avoid={"n0:1", "n1:1", "n2:1"}), 0.0) is None


def test_one(make: Callable[[], Balancer]) -> None:
    """A single node takes all."""
    balancer = make()
    balancer.update(nodes(1))
    assert spread(balancer, 20) == {"n0:1": 20}


def test_all_are_picked(make: Callable[[], Balancer]) -> None:
    """Equal nodes get about the same."""
    balancer = make()
    balancer.update(nodes(3))
    seen = spread(balancer, 900)
    assert set(seen) == {"n0:1", "n1:1", "n2:1"}
    assert min(seen.values()) > 150


def test_avoided(make: Callable[[], Balancer]) -> None:
    """What is to be avoided is not picked, however much that is."""
    balancer = make()
    balancer.update(nodes(10))
    assert set(spread(balancer, 200, avoid={"n3:1"})) == {node.address for node in nodes(10)} - {"n3:1"}
    assert spread(balancer, 50, avoid={node.address for node in nodes(9)}) == {"n9:1": 50}
    balancer.update(nodes(1))
    assert balancer.pick(Asked(avoid={"n0:1"}), 0.0) is None


def test_weights(make: Callable[[], Balancer]) -> None:
    """A node of three times the weight gets about three times the calls."""
    balancer = make()
    balancer.update([node("a", 100), node("b", 300)])
    seen = spread(balancer, 1200)
    assert 1.5 < seen["b"] / seen["a"] < 6


def test_weights_without_weight(make: Callable[[], Balancer]) -> None:
    """Nodes that ask for nothing are no reason to divide by zero."""
    balancer = make()
    balancer.update([node("a", 0), node("b", 0)])
    assert spread(balancer, 10).total() == 10
    balancer.update([node("a", 0), node("b", 1)])
    assert spread(balancer, 10).total() == 10


def test_nodes_come_and_go(make: Callable[[], Balancer]) -> None:
    """Who is gone gets nothing at once; a flight to it may still end."""
    balancer = make()
    balancer.update(nodes(3))
    flights = [picked(balancer, 0.0, Asked(key=str(key))) for key in range(12)]
    balancer.update(nodes(1))
    assert spread(balancer, 10) == {"n0:1": 10}
    for flight in flights:
        balancer.feedback(flight, Outcome.GOOD, 1.0)
    balancer.update(nodes(2))
    assert set(spread(balancer, 300)) == {"n0:1", "n1:1"}


def test_shown(make: Callable[[], Balancer]) -> None:
    """A balancer tells about its nodes."""
    balancer = make()
    balancer.update(nodes(2))
    picked(balancer)
    assert "2 nodes" in repr(balancer)


def test_wrr_is_smooth() -> None:
    """The golden sequence of Kratos: weights 10 and 20 give b a b, over and over."""
    balancer = WRR()
    balancer.update([node("a", 10), node("b", 20)])
    order = "".join(picked(balancer).node.address for _ in range(90))
    assert order == "bab" * 30
    assert Counter(order) == {"a": 30, "b": 60}


def test_wrr_keeps_turns() -> None:
    """An update is no reason to begin anew, and what is gone leaves nothing behind."""
    balancer = WRR()
    balancer.update(nodes(2))
    first = picked(balancer).node.address
    balancer.update(nodes(2))
    assert picked(balancer).node.address != first
    balancer.update(nodes(1))
    assert list(balancer._current) == ["n0:1"]


def test_random_is_even() -> None:
    """1,000 picks of two nodes: each gets between 400 and 600."""
    balancer = Random(draw=draw().random)
    balancer.update(nodes(2))
    assert all(400 < count < 600 for count in spread(balancer, 1000).values())


def test_least_request_sees_calls_under_way() -> None:
    """Calls that do not end are spread evenly; statistics stay when nodes come."""
    balancer = LeastRequest(draw=draw().random)
    balancer.update(nodes(2))
    flights = [picked(balancer) for _ in range(100)]
    assert {node.address for node in nodes(2)} == {flight.node.address for flight in flights}
    busy = Counter(flight.node.address for flight in flights)
    assert abs(busy["n0:1"] - busy["n1:1"]) <= 1
    balancer.update(nodes(3))
    assert all(picked(balancer, 0.0, Asked(avoid={"n0:1"})).node.address == "n2:1" for _ in range(40))


def test_least_request_of_more() -> None:
    """With as many choices as nodes the idle one is nearly always found."""
    balancer = LeastRequest(choices=8, draw=draw().random)
    balancer.update(nodes(3))
    for _ in range(30):
        picked(balancer, 0.0, Asked(avoid={"n2:1"}))
    assert Counter(picked(balancer).node.address for _ in range(10)).most_common(1)[0][0] == "n2:1"
    with pytest.raises(ValueError, match="choices=1"):
        LeastRequest(choices=1)


def test_two_that_differ() -> None:
    """Two of equal weight are never the same one; one that is left is drawn twice."""
    lottery = Lottery(draw().random)
    lottery.fill(nodes(2))
    assert all(len(set(lottery.two() or ())) == 2 for _ in range(100))
    lottery.fill(nodes(3))
    assert all(set(lottery.two({"n0:1"}) or ()) == set(nodes(3)[1:]) for _ in range(100))
    assert lottery.two({"n0:1", "n1:1"}) == (nodes(3)[2], nodes(3)[2])


def test_two_by_weight_while_avoiding() -> None:
    """With weights, what is left is drawn by weight, twice if so."""
    lottery = Lottery(draw().random)
    lottery.fill([node("a", 1), node("b", 1), node("c", 98)])
    seen = Counter(drawn.address for _ in range(200) for drawn in lottery.two({"a"}) or ())
    assert set(seen) <= {"b", "c"}
    assert seen["c"] > 300
    assert lottery.two({"a", "b", "c"}) is None


@given(
    weights=st.lists(st.floats(0, 1000), min_size=1, max_size=12),
    avoided=st.sets(st.integers(0, 11)),
    name=st.sampled_from(sorted(BALANCERS)),
    key=st.none() | st.text(max_size=5),
)
def test_a_pick_is_always_allowed(weights: list[float], avoided: set[int], name: str, key: str | None) -> None:
    """Whatever the weights: a pick is a node of the last update that is not avoided; there is one if there can be."""
    balancer = BALANCERS[name]()
    given_nodes = [node(f"n{number}", weight) for number, weight in enumerate(weights)]
    balancer.update(given_nodes)
    avoid = {f"n{number}" for number in avoided}
    allowed = {each.address for each in given_nodes} - avoid
    for now in range(5):
        flight = balancer.pick(Asked(key=key, avoid=avoid), float(now))
        if not allowed:
            assert flight is None
        else:
            assert flight is not None
            assert flight.node.address in allowed
            balancer.feedback(flight, Outcome.GOOD, now + 0.1)
