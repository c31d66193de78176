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


def test_a_fifth_of_the_calls() -> None:
    """Of a hundred calls twenty may be tried again, until they are too long ago."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry()
    for _ in range(100):
        budget.called()
    assert budget.left(retry) == 20
    assert [budget.spend(retry) for _ in range(25)] == [True] * 20 + [False] * 5
    assert budget.left(retry) == 0
    clock.step(10.0)
    assert budget.left(retry) == 1


def test_the_floor() -> None:
    """Who calls seldom may try again all the same; 0 is really none."""
    budget = RetryBudget(clock=FakeClock())
    budget.called()
    assert [budget.spend(Retry(floor=0.3)) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(Retry(floor=0.0))


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 30), st.integers(0, 30)), max_size=60))
def test_it_is_never_exceeded(steps: list[tuple[float, int, int]]) -> None:
    """However calls and failures come: in the window, and in all, retries are at most a fifth, or the floor."""
    clock = Steps()
    budget, retry = RetryBudget(clock=clock), Retry(budget=0.2, floor=0.1)
    calls = retries = 0
    passed = 0.0
    recent: list[tuple[int, int, int]] = []
    for pause, called, wanted in steps:
        clock.step(pause)
        passed += pause
        for _ in range(called):
            budget.called()
        spent = sum(budget.spend(retry) for _ in range(wanted))
        calls, retries = calls + called, retries + spent
        recent.append((math.floor(clock() + 1e-6), called, spent))
        live = [each for each in recent if recent[-1][0] - each[0] < 10]
        assert sum(each[2] for each in live) <= max(0.2 * sum(each[1] for each in live), 1) + 1e-9 or not spent
        assert retries <= 0.2 * calls + 1 + passed * 0.1 + 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("attempts", 0), ("backoff", -0.1), ("max_backoff", math.nan), ("patience", -1), ("budget", -0.2),
        ("floor", -1), ("codes", frozenset({200})),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(option: str, value: Any) -> None:
    """They are refused by name, with what is allowed."""
    with pytest.raises(ValueError, match=rf"Retry\({option}=.+\): .+"):
        Retry(**{option: value})
