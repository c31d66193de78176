"""Retries: pauses, and how many there may be."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.resilience import Retry, RetryBudget
from kratos.testing import FakeClock


class Steps(FakeClock):
    """A clock that a test moves by hand."""

    def step(self, seconds: float) -> None:
        self._now += seconds


def test_pauses_double() -> None:
    """Up to twice as long each time, and never longer than the longest; by chance any part of it."""
    retry = Retry(attempts=100, backoff=0.1, max_backoff=1.0)

    def longest(attempt: int) -> float | None:
        return retry.pause(attempt, None, lambda: 1.0)

    assert [longest(attempt) for attempt in range(1, 6)] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert Retry(attempts=10**6).pause(10**5, None, lambda: 1.0) == 2.0
    assert retry.pause(2, None, lambda: 0.0) == 0.0
    assert retry.pause(2, None, lambda: 0.5) == 0.1


def test_attempts() -> None:
    """After the last one there is none."""
    assert Retry(attempts=2).pause(1, None) is not None
    assert Retry(attempts=2).pause(2, None) is None
    assert Retry(attempts=1).pause(1, None) is None


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.05), (1.5, 1.55), (10.0, 10.05), (10.1, None), (-1.0, None)])
def test_what_a_server_asks_for(asked: float, pause: float | None) -> None:
    """At least as long, and a little by chance; too long or for ever is not at all."""
    assert Retry().pause(1, asked, lambda: 0.5) == pause


def spent(budget: RetryBudget, retry: Retry, wanted: int) -> int:
    return sum(budget.spend(retry) for _ in range(wanted))


def test_a_fifth_of_the_calls() -> None:
    """Each call pays for a part of a retry; some are saved up."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=0.0, burst=20)
    assert spent(budget, retry, 5) == 0
    for _ in range(50):
        budget.called()
    assert budget.left(retry) == 10
    assert spent(budget, retry, 15) == 10
    assert budget.left(retry) == 0
    for _ in range(1000):
        budget.called()
    clock.step(1000.0)
    assert spent(budget, retry, 100) == 20


def calls_of_a_second(budget: RetryBudget, retry: Retry, clock: Steps, rate: int, wanted: int = 0) -> list[int]:
    """Makes the calls of one second; returns how many retries each could have."""
    got = []
    for _ in range(rate):
        budget.called()
        got.append(spent(budget, retry, wanted))
        clock.step(1 / rate)
    return got


@pytest.mark.parametrize("rate", [20, 60, 200, 1000])
def test_an_outage(rate: int) -> None:
    """Retries are a fifth of the calls in each second of it, the first too, in which they come when they are needed."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=0.0)
    for _ in range(30):
        calls_of_a_second(budget, retry, clock, rate)
    got = [each for _ in range(10) for each in calls_of_a_second(budget, retry, clock, rate, wanted=2)]
    seconds = [sum(got[begin : begin + rate]) for begin in range(len(got) - rate + 1)]
    assert max(seconds) <= 0.2 * rate
    assert sum(got[: rate // 5]) == 0.2 * rate
    assert sum(got) >= 0.16 * len(got)
    tenth = rate // 10
    tenths = [sum(got[begin : begin + tenth]) for begin in range(rate, len(got))]
    assert max(tenths) <= 0.3 * tenth + 1  # evenly after that


def test_few_calls() -> None:
    """A client that calls once in a second has three retries for the first two calls that fail, then one for five."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=0.0)
    for _ in range(30):
        calls_of_a_second(budget, retry, clock, 1)
    assert [sum(calls_of_a_second(budget, retry, clock, 1, wanted=2)) for _ in range(12)] == [
        2, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0
    ]  # fmt: skip


def test_savings_of_busy_times() -> None:
    """What many calls have saved is gone with them."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=0.0)
    calls_of_a_second(budget, retry, clock, 1000)
    assert budget.left(retry) >= 180
    clock.step(2.0)
    assert budget.left(retry) == 3
    budget.called()
    assert spent(budget, retry, 9) == 3
    clock.step(1.0)
    assert budget.left(retry) == 0


def test_the_floor() -> None:
    """Who calls seldom may try again all the same, the first time too, and pays for it with calls to come."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=0.1)
    budget.called()
    assert budget.left(retry) == 1
    assert spent(budget, retry, 5) == 1
    clock.step(9.9)
    assert spent(budget, retry, 5) == 0
    clock.step(0.1)
    assert spent(budget, retry, 5) == 1
    for _ in range(13):
        budget.called()
    assert spent(budget, retry, 5) == 0
    budget.called()
    assert spent(budget, retry, 5) == 1


def test_debts_are_bounded() -> None:
    """A client that has lived on its floor for long is not in debt for ever."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(floor=1.0, burst=2)
    for _ in range(100):
        assert spent(budget, retry, 2) == 1
        clock.step(1.0)
    for _ in range(15):
        budget.called()
    assert budget.left(Retry(floor=0.0, burst=2)) == 1


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(0, 30), st.integers(0, 30)), max_size=60),
    st.sampled_from([0.0, 0.1, 2.0]),
)
def test_it_is_never_exceeded(steps: list[tuple[float, int, int]], floor: float) -> None:
    """However calls and failures come, retries are a fifth of the calls, in each second or in all, or as few as ever.

    Or as the floor says.
    """
    clock = Steps()
    retry = Retry(budget=0.2, floor=floor, burst=5)
    budget = RetryBudget(clock=clock)
    calls = retries = 0
    history: list[tuple[float, int, int]] = []
    for pause, called, wanted in steps:
        clock.step(pause)
        for _ in range(called):
            budget.called()
        left = budget.left(retry)
        got = spent(budget, retry, wanted)
        assert got <= max(left, 0)
        calls, retries = calls + called, retries + got
        history.append((clock(), called, got))
        if not floor:
            assert retries <= 0.2 * calls + 1e-6
        before = sum(count for then, count, _ in history if then > clock() - 1)
        second = sum(count for then, _, count in history if then > clock() - 0.95)
        assert second <= max(0.2 * before, 5) + math.ceil(floor) + 1e-6


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attempts", 0), ("backoff", -0.1), ("max_backoff", math.nan), ("patience", -1), ("budget", -0.2),
        ("burst", -1), ("floor", -1), ("codes", frozenset({200})),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(option: str, value: Any) -> None:
    """They are refused by name, with what is allowed."""
    with pytest.raises(ValueError, match=rf"Retry\({option}=.+\): .+"):
        Retry(**{option: value})
