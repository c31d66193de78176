"""Live values: observers, mapping, failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.live import Live, live


def test_live_wraps_once() -> None:
    """A plain value becomes live; a live one stays itself."""
    value = live(1)
    assert value.value == 1
    assert live(value) is value
    assert repr(value) == "Live(1)"


@given(st.lists(st.integers(0, 3)))
def test_observers_see_each_change_once(values: list[int]) -> None:
    """Observers are told each value that differs from the one before, and a mapped value follows."""
    source = Live(0)
    seen: list[int] = []
    source.observe(seen.append)
    doubled = source.map(lambda value: value * 2)
    for value in values:
        source.set(value)
        assert doubled.value == 2 * value
    changes = [new for old, new in zip([0, *values], values, strict=False) if new != old]
    assert seen == changes


def test_observation_ends() -> None:
    """The returned function ends one observation, even of an observer given twice, and may be called again."""
    source = Live(0)
    seen: list[int] = []
    stop = source.observe(seen.append)
    source.observe(seen.append)
    stop()
    stop()
    source.set(1)
    assert seen == [1]


def test_failures_come_after_everybody_was_told() -> None:
    """One failing observer neither keeps the others from hearing nor the value from changing."""
    source = Live(0)
    seen: list[int] = []

    def fail(value: int) -> None:
        raise LookupError(value)

    source.observe(fail)
    source.observe(seen.append)
    source.observe(fail)
    with pytest.raises(ExceptionGroup) as raised:
        source.set(5)
    assert [str(failure) for failure in raised.value.exceptions] == ["5", "5"]
    assert (seen, source.value) == ([5], 5)


def test_last_word_of_nested_sets() -> None:
    """When an observer sets the value anew, nobody hears the older value after the newer one."""
    source = Live(0)
    seen: list[int] = []
    source.observe(lambda value: source.set(2) if value == 1 else None)
    source.observe(seen.append)
    source.set(1)
    assert (source.value, seen) == (2, [2])
