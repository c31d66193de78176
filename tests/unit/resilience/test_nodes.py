"""The breakers of an operation and of its nodes, together."""

from __future__ import annotations

import random

from kratos.resilience.nodes import Breakers
from kratos.resilience.sre import SRE, SREBreaker
from kratos.testing import FakeClock

GOOD, BAD = "10.0.0.1:80", "10.0.0.2:80"


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


def made(clock: FakeClock, drawn: float = 0.0) -> Breakers[SREBreaker]:
    def chance() -> float:
        return drawn

    return Breakers(lambda: SREBreaker(SRE(), clock=clock, random=chance), lambda one: one.idle, chance=chance)


def test_one_node_is_broken() -> None:
    """It is passed by, and the operation is not refused."""
    breakers = made(FakeClock(), 0.5)
    for _ in range(25):
        breakers.mark(GOOD, failed=False)
        breakers.mark(BAD, failed=True)
    assert breakers.allow()
    assert breakers.drop_ratio == 0.0
    assert breakers.admit(GOOD)
    assert not breakers.admit(BAD)
    assert breakers.admit("10.0.0.3:80")


def test_a_node_is_not_refused_twice() -> None:
    """Where all fail, whoever the operation lets through gets to a node: two dice would stop nearly everybody."""
    clock, dice = Steps(), random.Random(1)
    breakers: Breakers[SREBreaker] = Breakers(lambda: SREBreaker(clock=clock, random=dice.random), chance=dice.random)
    for _ in range(100):
        breakers.mark(BAD, failed=True)
    assert breakers.drop_ratio > 0.9
    assert all(breakers.admit(BAD) for _ in range(100))


def test_what_a_node_adds() -> None:
    """A node that is worse than the rest is refused as often as its own breaker would have it, and no more."""
    breakers = made(FakeClock(), 0.5)
    for _ in range(30):
        breakers.mark(BAD, failed=True)
    for _ in range(14):
        breakers.mark(GOOD, failed=False)
    # all: (44 - 28) / 45 = 0.356; the node: 30 / 31 = 0.968; let through here: 0.032 / 0.644 = 0.05
    assert not breakers.admit(BAD)
    lucky = made(FakeClock(), 0.049)
    for _ in range(30):
        lucky.mark(BAD, failed=True)
    for _ in range(14):
        lucky.mark(GOOD, failed=False)
    assert lucky.admit(BAD)


def test_refusals_count_as_failures() -> None:
    """Those of the operation, those of a node, and calls that no node was right for."""
    breakers = made(FakeClock())
    for _ in range(20):
        breakers.turned_away()
    before = breakers.drop_ratio
    assert before > 0.9
    assert not breakers.allow()
    assert breakers.drop_ratio > before


def test_no_node() -> None:
    """A call that went nowhere we know of counts for the operation alone."""
    breakers = made(FakeClock())
    breakers.mark("", failed=False)
    breakers.mark("", failed=True)
    assert breakers.nodes == {}
    assert not breakers.all.idle


def test_nodes_are_forgotten() -> None:
    """Those without calls make room; what is kept is bounded, however many there are at a time."""
    clock = Steps()
    breakers = made(clock)
    for number in range(15):
        breakers.mark(f"old:{number}", failed=False)
    clock.step(5.0)
    breakers.mark("new:0", failed=False)
    breakers.mark("new:1", failed=False)
    assert set(breakers.nodes) == {"new:0", "new:1"}
    for number in range(5000):
        breakers.mark(f"many:{number}", failed=False)
    assert len(breakers.nodes) <= 1024
    assert "many:4999" in breakers.nodes
    assert "many:0" not in breakers.nodes


def test_breakers_of_your_own_are_kept() -> None:
    """Nobody says that they may be forgotten, so only the bound counts."""
    clock = Steps()
    breakers: Breakers[SREBreaker] = Breakers(lambda: SREBreaker(clock=clock))
    for number in range(20):
        breakers.mark(f"old:{number}", failed=False)
        clock.step(5.0)
    assert len(breakers.nodes) == 20
