"""The breaker: the numbers of Kratos' specification, and how it heals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kratos.live import Live
from kratos.resilience import SRE, SREBreaker
from kratos.resilience.nodes import Breakers
from kratos.testing import FakeClock


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


def never_lucky() -> float:
    return 0.0


def breaker(
    clock: Callable[[], float], settings: SRE | Live[SRE] | None = None, chance: Any = never_lucky
) -> SREBreaker:
    return SREBreaker(settings or SRE(), clock=clock, random=chance)


def mark(one: SREBreaker, *, ok: int = 0, failed: int = 0) -> None:
    for _ in range(ok):
        one.mark_success()
    for _ in range(failed):
        one.mark_failure()


@pytest.mark.parametrize(
    ("ok", "failed", "ratio"),
    [
        (0, 0, 0.0),
        (0, 19, 0.0),
        (0, 20, 20 / 21),
        (10, 10, 0.0),
        (10, 11, 1 / 22),
        (20, 0, 0.0),
        (0, 100_000, 0.98),
    ],
)
def test_golden(ok: int, failed: int, ratio: float) -> None:
    """Up to twice the successes nothing is refused, from 20 calls on; and never quite all."""
    one = breaker(FakeClock())
    mark(one, ok=ok, failed=failed)
    assert one.drop_ratio == pytest.approx(ratio)
    assert one.allow() is (ratio == 0.0)


def test_chance() -> None:
    """Refused is who draws less than the share to be refused."""
    for drawn, allowed in ((0.95, False), (0.953, True)):
        one = breaker(FakeClock(), chance=lambda drawn=drawn: drawn)
        mark(one, failed=20)
        assert one.allow() is allowed


def test_other_ratios() -> None:
    """With 0.4, as in v2 of Kratos, K is 1.667; with 0 each failure counts."""
    one = breaker(FakeClock(), SRE(failure_ratio=0.4, requests=100))
    mark(one, ok=60, failed=39)
    assert one.drop_ratio == 0.0
    mark(one, failed=41)
    assert one.drop_ratio == pytest.approx((140 - 100) / 141)
    strict = breaker(FakeClock(), SRE(failure_ratio=0.0, requests=1))
    mark(strict, ok=1, failed=1)
    assert strict.drop_ratio == pytest.approx(1 / 3)


def test_successes_close_it() -> None:
    """Enough of them, and nothing is refused."""
    one = breaker(FakeClock())
    mark(one, failed=20)
    assert not one.allow()
    mark(one, ok=20)
    assert one.allow()


def test_time_closes_it() -> None:
    """What is older than the window does not count."""
    clock = Steps()
    one = breaker(clock)
    mark(one, failed=20)
    assert not one.allow()
    assert not one.idle
    clock.step(3.0)
    assert one.allow()
    assert one.idle


def test_it_probes() -> None:
    """After half a second in which nothing went through, one call does."""
    clock = Steps()
    one = breaker(clock)
    mark(one, failed=20)
    assert not one.allow()
    clock.step(0.4)
    assert not one.allow()
    clock.step(0.1)
    assert one.allow()
    assert not one.allow()
    clock.step(0.5)
    assert one.allow()


def test_live() -> None:
    """Other settings count from the next call on, and begin anew."""
    settings = Live(SRE())
    one = breaker(FakeClock(), settings)
    mark(one, failed=20)
    assert not one.allow()
    settings.set(SRE(requests=5))
    assert one.allow()
    mark(one, failed=5)
    assert not one.allow()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("failure_ratio", 1.0), ("failure_ratio", -0.1), ("failure_ratio", math.nan), ("requests", 0), ("window", 0.0),
        ("buckets", 0), ("most_dropped", 1.1), ("probe", 0.0),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(option: str, value: float) -> None:
    """They are refused by name, with what is allowed."""
    with pytest.raises(ValueError, match=rf"SRE\({option}={value!r}\): .+"):
        SRE(**{option: value})  # type: ignore[arg-type]  # one of several


def shares(rate: int, *, nodes: int, seed: int) -> Iterator[tuple[float, float]]:
    """Yields, for each second since a backend of some nodes was healed, how many of its calls get through."""
    clock, chance = Steps(), random.Random(seed).random
    breakers = Breakers(lambda: breaker(clock, chance=chance), lambda one: one.idle, chance=chance)
    for second in range(-20, 15):
        served = 0
        for number in range(rate):
            clock.step(1 / rate)
            if breakers.allow():
                node = f"10.0.0.{number % nodes}:80"
                if breakers.admit(node):
                    breakers.mark(node, failed=second < 0)
                    served += 1
                else:
                    breakers.turned_away()
        yield second, served / rate


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("rate", [10, 100, 1000])
def test_it_heals(rate: int, nodes: int) -> None:
    """Ten seconds after the other side is back, nine of ten calls and more are let through; before, hardly one."""
    found = dict(shares(rate, nodes=nodes, seed=rate + nodes))
    assert found[-1] <= max(0.05, 3 / rate)
    assert found[9] >= 0.9
    assert found[14] == 1.0
