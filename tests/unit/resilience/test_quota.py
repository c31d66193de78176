"""Quotas: so many at a time, so many per second."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.live import Live
from kratos.resilience import Priority, Quota, QuotaLimiter
from kratos.testing import FakeClock


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


def admitted(limiter: QuotaLimiter, priority: Priority = Priority.CRITICAL) -> int:
    """Returns how many come in, until one does not."""
    count = 0
    while limiter.allow(priority):
        count += 1
    return count


def test_concurrency() -> None:
    """As many at a time, and no more; who leaves makes room."""
    limiter = QuotaLimiter(Quota(concurrency=3), clock=FakeClock())
    assert admitted(limiter) == 3
    limiter.done(1.0)
    assert admitted(limiter) == 1
    assert (limiter.in_flight, limiter.max_in_flight) == (3, 3)
    assert limiter.keeps_streams


def test_concurrency_by_priority() -> None:
    """What may be shed fills a part; what matters fills it all, and not more."""
    limiter = QuotaLimiter(Quota(concurrency=8), clock=FakeClock())
    assert admitted(limiter, Priority.SHEDDABLE) == 4
    assert limiter.pressed
    assert admitted(limiter, Priority.SHEDDABLE_PLUS) == 2
    assert admitted(limiter, Priority.CRITICAL) == 2
    assert admitted(limiter, Priority.CRITICAL_PLUS) == 0


def test_one_at_a_time_is_for_everybody() -> None:
    """A part of one is one."""
    limiter = QuotaLimiter(Quota(concurrency=1), clock=FakeClock())
    assert admitted(limiter, Priority.SHEDDABLE) == 1


def test_rate() -> None:
    """A second's worth at once, then as time goes by."""
    clock = Steps()
    limiter = QuotaLimiter(Quota(rate=10), clock=clock)
    assert admitted(limiter) == 10
    clock.step(0.1)
    assert admitted(limiter) == 1
    clock.step(100.0)
    assert admitted(limiter) == 10
    assert limiter.max_in_flight == 0


def test_bursts() -> None:
    """Fewer or more at once than in a second; a slow rate begins with one."""
    clock = Steps()
    assert admitted(QuotaLimiter(Quota(rate=10, burst=3), clock=clock)) == 3
    assert admitted(QuotaLimiter(Quota(rate=10, burst=30), clock=clock)) == 30
    slow = QuotaLimiter(Quota(rate=0.5), clock=clock)
    assert admitted(slow) == 1
    clock.step(1.9)
    assert admitted(slow) == 0
    clock.step(0.1)
    assert admitted(slow, Priority.SHEDDABLE) == 1


def test_rate_by_priority() -> None:
    """What may be shed leaves some for those that matter."""
    limiter = QuotaLimiter(Quota(rate=9), clock=FakeClock())
    assert admitted(limiter, Priority.SHEDDABLE) == 5
    assert admitted(limiter, Priority.SHEDDABLE_PLUS) == 2
    assert admitted(limiter, Priority.CRITICAL) == 2


def test_both() -> None:
    """The first that is reached counts, and one that is refused by it takes nothing of the other."""
    clock = Steps()
    limiter = QuotaLimiter(Quota(concurrency=2, rate=5), clock=clock)
    assert admitted(limiter) == 2
    assert limiter.tokens == 3
    limiter.done(None)
    limiter.done(None)
    assert admitted(limiter) == 2
    limiter.done(None)
    limiter.done(None)
    assert admitted(limiter) == 1


def test_pressed_only_where_it_matters() -> None:
    """While much is left nobody is asked how much a call matters."""
    limiter = QuotaLimiter(Quota(concurrency=100, rate=1000), clock=FakeClock())
    assert limiter.allow()
    assert not limiter.pressed
    unlimited = QuotaLimiter(Quota(), clock=FakeClock())
    assert all(unlimited.allow() for _ in range(1000))
    assert not unlimited.pressed


def test_live() -> None:
    """Another quota counts from the next call on."""
    settings = Live(Quota(concurrency=1))
    limiter = QuotaLimiter(settings, clock=FakeClock())
    assert admitted(limiter) == 1
    settings.set(Quota(concurrency=3))
    assert admitted(limiter) == 2


@given(
    rate=st.integers(1, 50),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 2), max_size=40),
)
def test_never_more_than_the_rate(rate: int, burst: int, pauses: list[float]) -> None:
    """In any time from the beginning: the burst, and the rate times the time."""
    clock = Steps()
    limiter = QuotaLimiter(Quota(rate=rate, burst=burst), clock=clock)
    count, passed = 0, 0.0
    for pause in pauses:
        clock.step(pause)
        passed += pause
        count += admitted(limiter)
        assert count <= burst + rate * passed + 1e-6


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"concurrency": 0}, "concurrency=0"),
        ({"rate": 0}, "rate=0"),
        ({"rate": math.inf}, "rate=inf"),
        ({"rate": 5, "burst": 0}, "burst=0"),
        ({"burst": 5}, "burst=5"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, int], named: str) -> None:
    """They are refused by name, with what is allowed."""
    with pytest.raises(ValueError, match=rf"Quota\({named}\): .+"):
        Quota(**options)
