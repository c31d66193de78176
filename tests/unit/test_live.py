"""Live values: observers, mapping, failures."""

from __future__ import annotations

import asyncio

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


def test_one_map_for_each_function() -> None:
    """The same function gives the same live value, however often it is asked for."""
    source = Live("a")
    assert source.map(str.upper) is source.map(str.upper)
    assert source.map(str.upper) is not source.map(str.lower)


def test_a_function_may_refuse() -> None:
    """A value that a mapping function refuses does not come to be, and nobody is told of it."""
    source = Live(1)
    seen: list[float] = []
    doubled = source.map(lambda value: value * 2)
    inverse = doubled.map(lambda value: 1 / value)
    for each in (source, doubled, inverse):
        each.observe(seen.append)
    with pytest.raises(ZeroDivisionError):
        source.set(0)
    assert (source.value, doubled.value, inverse.value, seen) == (1, 2, 0.5, [])


def test_all_is_swapped_before_anybody_is_told() -> None:
    """An observer finds what is mapped changed already."""
    source = Live(1)
    seen: list[int] = []
    source.observe(lambda _: seen.append(doubled.value))
    doubled = source.map(lambda value: value * 2)
    source.set(2)
    assert seen == [4]


def test_truth_is_not_one() -> None:
    """A value of another type is another value."""
    source: Live[object] = Live(1)
    source.set(value=True)
    assert source.value is True


async def test_async_observers() -> None:
    """One task at a time; what comes meanwhile is not queued, the last value is always heard."""
    source = Live(0)
    seen: list[int] = []
    go = asyncio.Event()

    async def slow(value: int) -> None:
        await go.wait()
        seen.append(value)

    stop = source.observe(slow)
    assert source.tasks == ()
    for value in (1, 2):
        source.set(value)
    await asyncio.sleep(0)
    for value in (3, 4, 5):
        source.set(value)
    (task,) = source.tasks
    go.set()
    await task
    assert seen == [2, 5]
    assert source.tasks == ()
    source.set(6)
    (task,) = source.tasks
    stop()
    await task
    assert seen == [2, 5, 6]


def test_async_observers_need_a_loop() -> None:
    """Where no loop runs an async observer fails like any other; another loop than before is as good."""
    source = Live(0)
    seen: list[int] = []

    async def hear(value: int) -> None:
        seen.append(value)

    source.observe(hear)
    with pytest.raises(ExceptionGroup, match="observers of a live value failed"):
        source.set(1)

    async def change(value: int) -> None:
        source.set(value)
        await asyncio.wait(source.tasks)

    for value in (2, 3):
        asyncio.run(change(value))
    assert seen == [2, 3]
