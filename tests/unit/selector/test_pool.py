"""Nodes, balancer and ejections together."""

from __future__ import annotations

from collections import Counter

import pytest
from unit.selector.nodes import node, nodes

from kratos.errors import ServiceUnavailable
from kratos.selector import P2C, WRR, Asked, Balancing, Ejection, HashRing, Outcome, Outlier, Pool


def pool(count: int, outlier: Outlier | None = None) -> Pool:
    made = Pool(WRR(), outlier, draw=lambda: 0.99)
    made.update(nodes(count))
    return made


def where(made: Pool, now: float = 0.0, **options: object) -> str:
    flight = made.pick(Asked(), now, **options)  # type: ignore[arg-type]
    assert flight is not None
    made.done(flight, Outcome.GOOD, now)
    return flight.node.address


def fail(made: Pool, address: str, outcome: Outcome, times: int = 1, now: float = 0.0) -> None:
    others = {each.address for each in made.nodes} - {address}
    for _ in range(times):
        flight = made.balancer.pick(Asked(avoid=others), now)
        assert flight is not None
        made.done(flight, outcome, now)


def test_nobody() -> None:
    assert pool(0).pick(Asked(), 0.0) is None
    assert pool(0).pick(Asked(), 0.0, tried={"x"}) is None


def test_elsewhere() -> None:
    """A call that has been somewhere goes elsewhere, and back if there is nowhere else."""
    made = pool(2)
    assert {where(made, tried={"n0:1"}) for _ in range(4)} == {"n1:1"}
    assert {where(made, tried={"n0:1", "n1:1"}) for _ in range(4)} == {"n0:1", "n1:1"}


def test_left_alone() -> None:
    """Who fails gets nothing while there are others; where all fail, all are tried."""
    told: list[Ejection] = []
    made = Pool(WRR(), Outlier(), told=told.append)
    made.update(nodes(2))
    fail(made, "n0:1", Outcome.DOWN, 5)
    assert told == [Ejection("n0:1", "consecutive", 10.0)]
    assert {where(made) for _ in range(4)} == {"n1:1"}
    assert where(made, tried={"n1:1"}) == "n1:1"  # once more rather than to who is out
    fail(made, "n1:1", Outcome.UNREACHED)
    assert {where(made) for _ in range(4)} == {"n0:1", "n1:1"}
    assert {where(made, tried={"n1:1"}) for _ in range(4)} == {"n0:1"}


def test_one_finds_out() -> None:
    """Who could not be connected to gets one call when its time is over, and all of its own when that is answered."""
    made = pool(2)
    fail(made, "n0:1", Outcome.UNREACHED)
    assert {where(made, 0.5) for _ in range(4)} == {"n1:1"}
    flights = [made.pick(Asked(), 1.0) for _ in range(4)]
    (scout,) = [each for each in flights if each is not None and each.node.address == "n0:1"]
    made.done(scout, Outcome.UNREACHED, 1.9)
    assert {where(made, 3.8) for _ in range(4)} == {"n1:1"}  # two seconds this time
    flights = [made.pick(Asked(), 3.9) for _ in range(4)]
    (scout,) = [each for each in flights if each is not None and each.node.address == "n0:1"]
    made.done(scout, Outcome.LEFT, 4.0)  # says nothing: the next one does, in a while
    assert {where(made, 4.8) for _ in range(4)} == {"n1:1"}
    assert {where(made, 4.9) for _ in range(4)} == {"n0:1", "n1:1"}
    assert [where(made, 4.9) for _ in range(4)].count("n0:1") == 2


def test_who_is_gone_is_not_asked_for() -> None:
    """What was to be found out about a node is forgotten with it."""
    made = pool(3)
    fail(made, "n0:1", Outcome.UNREACHED)
    scouts = [made.pick(Asked(), 1.0) for _ in range(3)]
    made.ejections.keep({"n1:1", "n2:1"})
    for scout in scouts:
        assert scout is not None
        made.done(scout, Outcome.GOOD, 1.5)
    assert made.ejections.out(1.5) == frozenset()


def test_admitted() -> None:
    """The picked node is asked for, each at most once; who is refused three times is refused."""
    made = pool(5)
    asked: list[str] = []
    assert where(made, admit=lambda address: address == "n2:1") == "n2:1"  # the third one that is picked
    with pytest.raises(ServiceUnavailable, match="request failed due to circuit breaker triggered") as failure:
        where(made, admit=lambda address: bool(asked.append(address)))
    assert failure.value.reason == "CIRCUITBREAKER"
    assert len(set(asked)) == len(asked) == 3


def test_all_refused() -> None:
    """With fewer than three nodes, all of them have to be refused, the tried ones too."""
    made = pool(2)
    with pytest.raises(ServiceUnavailable):
        made.pick(Asked(), 0.0, admit=lambda _: False)
    asked: list[str] = []
    with pytest.raises(ServiceUnavailable):
        made.pick(Asked(), 0.0, admit=lambda address: bool(asked.append(address)), tried={"n0:1"})
    assert asked == ["n1:1", "n0:1"]


def test_refused_is_no_failure() -> None:
    """A node that was refused has nothing under way."""
    made = Pool(P2C())
    made.update(nodes(1))
    with pytest.raises(ServiceUnavailable):
        made.pick(Asked(), 0.0, admit=lambda _: False)
    assert "0 under way" in repr(made)


def test_without_weight() -> None:
    """Who wants no calls gets none while there are others."""
    made = Pool(WRR())
    made.update([node("a", 0), node("b", 1)])
    assert {where(made) for _ in range(4)} == {"b"}
    made.update([node("a", 0)])
    assert where(made) == "a"


def test_absent_nodes_count() -> None:
    """Half of the nodes is half of all, those that are left alone and replaced among them."""
    made = pool(4, Outlier())
    fail(made, "n0:1", Outcome.DOWN, 5)
    fail(made, "n1:1", Outcome.DOWN, 5)
    made.update(nodes(4)[2:])
    fail(made, "n2:1", Outcome.DOWN, 5)
    assert made.ejections.alone == {"n0:1", "n1:1"}


def test_in_steps() -> None:
    """A balancer that learns is given time, and nothing changes before the last step."""
    made = Pool(HashRing())
    made.update(nodes(1))
    steps = made.updating(nodes(50))
    for _ in range(50):
        next(steps)
    assert made.nodes == nodes(1)
    for _ in steps:
        pass
    assert made.nodes == nodes(50)
    seen = Counter(where(made) for _ in range(200))
    assert len(seen) > 20


@pytest.mark.parametrize("options", [{"subset": -1}, {"idle": 0}])
def test_balancing_is_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Balancing"):
        Balancing(**options)  # type: ignore[arg-type]


def test_defaults() -> None:
    balancing = Balancing()
    assert isinstance(balancing.balancer(), P2C)
    assert (balancing.subset, balancing.filters, balancing.outlier, balancing.idle) == (25, (), Outlier(), 300.0)
