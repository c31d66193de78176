"""The clock under control: sleeps, timeouts and deadlines follow it, and the wall does not."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kratos.testing.clock import FakeClock


def test_clock_of_an_algorithm() -> None:
    """Outside of a loop the clock is a function that starts where it is told to."""
    assert FakeClock()() == 1000.0
    assert FakeClock(5.0)() == 5.0


@given(st.lists(st.floats(0, 1e6), max_size=5))
def test_clock_adds_up(steps: list[float]) -> None:
    """Time is the sum of what it was advanced by, and never goes back."""

    async def run() -> None:
        clock = FakeClock(0.0)
        now = 0.0
        for step in steps:
            await clock.advance(step)
            now += step
            assert clock() == now

    asyncio.run(run())


async def test_sleeps_follow() -> None:
    """A sleep ends when its time has come and not before, and no real time passes."""
    began = time.monotonic()
    with FakeClock() as clock:
        assert asyncio.get_running_loop().time() == clock()
        sleeper = asyncio.create_task(asyncio.sleep(3600))
        await clock.advance(3599)
        assert not sleeper.done()
        await clock.advance(1)
        assert sleeper.done()
    assert time.monotonic() - began < 60


async def test_timeouts_follow() -> None:
    """``asyncio.timeout`` and ``wait_for`` expire by the clock."""

    async def slow() -> str:
        try:
            async with asyncio.timeout(5):
                await asyncio.sleep(100)
        except TimeoutError:
            return "too slow"
        return "done"

    with FakeClock() as clock:
        one = asyncio.create_task(slow())
        two = asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 7))
        await clock.advance(5)
        assert one.result() == "too slow"
        assert not two.done()
        await clock.advance(2)
        assert isinstance(two.exception(), TimeoutError)


async def test_chains_of_wake_ups_settle() -> None:
    """What wakes somebody who wakes somebody is done when ``advance`` returns."""
    with FakeClock() as clock:
        events = [asyncio.Event() for _ in range(5)]

        async def pass_on(number: int) -> None:
            await events[number].wait()
            events[number + 1].set()

        tasks = [asyncio.create_task(pass_on(number)) for number in range(4)]
        asyncio.get_running_loop().call_later(1, events[0].set)
        await clock.advance(1)
        assert all(task.done() for task in tasks)


async def test_timers_set_before_keep_their_time() -> None:
    """A timer from before the clock took over does not fire because the time base changed."""
    fired = asyncio.Event()
    handle = asyncio.get_running_loop().call_later(50, fired.set)
    with FakeClock(0.0) as clock:
        await clock.settle()
        assert not fired.is_set()
        await clock.advance(51)
        assert fired.is_set()
    handle.cancel()


async def test_real_time_returns() -> None:
    """Leaving gives the loop its own clock back, also after a failure; leaving twice is harmless."""
    loop = asyncio.get_running_loop()
    clock = FakeClock(1e9)
    times = []

    def fail() -> None:
        with clock:
            times.append(loop.time())
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert times == [1e9]
    assert loop.time() < 1e9
    clock.__exit__(None, None, None)
    with FakeClock(2e9):
        assert loop.time() == 2e9


async def test_one_clock_at_a_time() -> None:
    """Two clocks for one loop are refused, and the first one stays."""
    with FakeClock() as clock:
        with pytest.raises(RuntimeError, match="another FakeClock"):
            FakeClock().__enter__()
        assert asyncio.get_running_loop().time() == clock()


def test_needs_a_running_loop() -> None:
    """Outside of a loop there is nothing to drive."""
    with pytest.raises(RuntimeError, match="no running event loop"):
        FakeClock().__enter__()


def test_needs_asyncios_own_loop() -> None:
    """Another loop has no seam for its clock, which is said clearly."""
    uvloop = pytest.importorskip("uvloop", reason="not made for Windows", exc_type=ImportError)

    async def run() -> None:
        with pytest.raises(TypeError, match="asyncio's own event loop, not Loop"):
            FakeClock().__enter__()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
