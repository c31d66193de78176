"""The statistics of Kratos for Go, and who is picked by them."""

from __future__ import annotations

from collections import Counter

import pytest
from unit.selector.nodes import draw, node, nodes, picked, spread

from kratos.selector import P2C, Asked, Outcome
from kratos.selector.ewma import FRESH, SLOTS, Ewma

MS = 1_000_000
START = 10**12


def ended(stat: Ewma, at: int, took: int, outcome: Outcome = Outcome.GOOD) -> None:
    stat.end(at, at + took, outcome, stat.begin(at))


def test_golden_fresh() -> None:
    """A new, idle node weighs 100; with one call under way 50."""
    stat = Ewma()
    assert stat.weight(START) == 100.0
    stat.begin(START)
    assert stat.weight(START + FRESH) == 100.0  # kept for 5 ms
    assert stat.weight(START + FRESH + 1) == 50.0


def test_golden_lag() -> None:
    """The first latency is taken as it is, later ones fade in: int(old * e^(-td/600 ms) + new * (1 - that))."""
    stat = Ewma()
    ended(stat, START, 10 * MS)
    assert (stat.lag, stat.success) == (10 * MS, 1000)
    # sqrt(10 ms + 5 ms) in ns is 3872.98
    assert stat.weight(START + 20 * MS) == 1000 * 10_000 / 3872
    ended(stat, START + 600 * MS, 10 * MS + 0)  # td = 600 ms: e^-1
    ended(stat, START + 610 * MS, 100 * MS)
    # td = 100 ms: 10 ms * 0.846481724890614 + 100 ms * 0.153518275109386
    assert stat.lag == 23_816_644


def test_golden_success() -> None:
    """Of a node that fails little is left after 600 ms; what a caller cut short says nothing."""
    stat = Ewma()
    ended(stat, START, 10 * MS)
    ended(stat, START + 600 * MS, 10 * MS, Outcome.DOWN)
    assert stat.success == 367  # 1000 * e^-1
    ended(stat, START + 610 * MS, 600 * MS, Outcome.LEFT)
    assert stat.success == 367
    ended(stat, START + 1200 * MS, 10 * MS, Outcome.ERROR)  # an answer
    assert stat.success == 767  # 367 * e^-1 + 1000 * (1 - e^-1)
    ended(stat, START + 1800 * MS, 10 * MS, Outcome.UNREACHED)
    assert stat.success == 282


def test_golden_prediction() -> None:
    """If most calls under way take longer than usual, their mean age is the latency."""
    stat = Ewma()
    ended(stat, START, 10 * MS)
    first, second = START + 100 * MS, START + 150 * MS
    stat.begin(first)
    assert stat.load(first + 5 * MS) == 3872 * 2  # not late yet
    stat.begin(second)
    # two of two are late: mean of 100 and 50 ms is 75 ms; sqrt(75 ms + 5 ms) = 8944.27
    assert stat.load(second + 50 * MS) == 8944 * 3
    stat.begin(second + 50 * MS)
    stat.begin(second + 50 * MS)
    assert stat.load(second + 50 * MS) == 3872 * 5  # two of four are not most


def test_slots() -> None:
    """200 calls under way are looked at; streams are counted, and their time is not."""
    stat = Ewma()
    slots = [stat.begin(START) for _ in range(SLOTS)]
    assert len(set(slots)) == SLOTS
    assert stat.begin(START) == -1
    stat.end(START, START + 10 * MS, Outcome.GOOD, -1)
    assert stat.lag == 10 * MS
    assert stat.begin(START, stream=True) is None
    stat.end(START, START + 10**12, Outcome.GOOD, None)
    assert (stat.lag, stat.inflight) == (10 * MS, SLOTS)


def test_clocks_that_go_back() -> None:
    """Time that runs backwards is no time."""
    stat = Ewma()
    ended(stat, START, 10 * MS)
    ended(stat, START - 5000 * MS, -7 * MS)
    assert stat.lag == 10 * MS


def test_weight_counts_what_is_under_way() -> None:
    """A node of three times the weight is as busy with three calls as another with one."""
    heavy, light = Ewma(1.5), Ewma(0.5)
    for _ in range(3):
        heavy.begin(START)
    light.begin(START)
    assert heavy.load(START) == light.load(START) == 300_000


def test_spread_under_load() -> None:
    """9,000 calls at once over three nodes: each gets between 1,500 and 4,500."""
    balancer = P2C(draw=draw().random)
    balancer.update(nodes(3))
    busy = Counter(picked(balancer, number / 1e5).node.address for number in range(9000))
    assert all(1500 < count < 4500 for count in busy.values())


def run(balancer: P2C, latencies: dict[str, float], count: int, failing: str = "") -> Counter[str]:
    """Makes calls, two at a time, on nodes that take so long."""
    seen: Counter[str] = Counter()
    now = 0.0
    for _ in range(count):
        pair = [picked(balancer, now), picked(balancer, now)]
        for flight in pair:
            address = flight.node.address
            seen[address] += 1
            outcome = Outcome.DOWN if address == failing else Outcome.GOOD
            balancer.feedback(flight, outcome, now + latencies[address])
        now += 0.05
    return seen


def test_slow_gets_less() -> None:
    """A node that is ten times as slow gets a small part, and not nothing."""
    balancer = P2C(draw=draw().random)
    balancer.update(nodes(3))
    seen = run(balancer, {"n0:1": 0.005, "n1:1": 0.005, "n2:1": 0.05}, 1500)
    assert 0 < seen["n2:1"] < 300
    assert "n2:1: 50.0 ms, 100 %" in repr(balancer)


def test_failing_gets_less() -> None:
    """A node that fails fast does not attract calls."""
    balancer = P2C(draw=draw().random)
    balancer.update(nodes(3))
    seen = run(balancer, {"n0:1": 0.005, "n1:1": 0.005, "n2:1": 0.001}, 1500, failing="n2:1")
    assert 0 < seen["n2:1"] < 300


def test_forced() -> None:
    """Who has not been picked for three seconds is picked once."""
    balancer = P2C(draw=draw().random)
    balancer.update(nodes(2))
    now = 10.0
    for _ in range(2):  # both are known now
        balancer.feedback(picked(balancer, now), Outcome.GOOD, now + 0.001)
    slow = picked(balancer, now, Asked(avoid={"n0:1"}))
    balancer.feedback(slow, Outcome.DOWN, now + 5.0)
    quick = [picked(balancer, now + 5.1) for _ in range(3)]
    assert [flight.node.address for flight in quick].count("n1:1") == 1  # 5 s after its last
    for flight in quick:
        balancer.feedback(flight, Outcome.GOOD, now + 5.11)


def test_nobody_is_forced_upon_who_wants_nothing() -> None:
    """A node without weight is not picked to see how it is."""
    balancer = P2C(draw=draw().random)
    balancer.update([node("a", 0), node("b", 1)])
    assert spread(balancer, 50, now=10.0) == {"b": 50}


def test_statistics_survive() -> None:
    """An update keeps what is known of nodes that stay; weights that change are taken over."""
    balancer = P2C(draw=draw().random)
    balancer.update(nodes(2))
    spread(balancer, 20)
    known = balancer._stats["n0:1"]
    balancer.update(nodes(3))
    assert balancer._stats["n0:1"] is known
    balancer.update([node("n0:1", 300), node("n9:1", 100)])
    assert known.share == pytest.approx(1.5)
    assert set(balancer._stats) == {"n0:1"}
    balancer.update(nodes(1))
    assert known.share == 1.0
