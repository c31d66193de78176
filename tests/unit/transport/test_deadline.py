"""One table, one sweeper: when calls end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kratos.call import Call
from kratos.errors import BadRequest, GatewayTimeout
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.operation import Unary
from kratos.testing import FakeClock
from kratos.transport.deadline import Deadlines, parse_timeout

ECHO = Unary("/test.v1.Echo/Echo", str, str)


def call_of() -> Call:
    return Call(ECHO, kind="test", side="server", headers=Metadata())


async def run(deadlines: Deadlines, seconds: float, call: Call | None = None, shorten: float | None = None) -> str:
    """Works for some seconds under a watch, as a dispatcher does."""
    call = call or call_of()
    with deadlines.watch(call, usual=True):
        if shorten is not None:
            call.shorten(shorten)
        await asyncio.sleep(seconds)
    return "done"


async def test_usual_limit() -> None:
    """Calls in the table end at the usual limit, one after the other."""
    with FakeClock() as clock:
        deadlines = Deadlines(10.0, "server")
        first = asyncio.create_task(run(deadlines, 60))
        await clock.advance(5)
        second = asyncio.create_task(run(deadlines, 60))
        short = asyncio.create_task(run(deadlines, 1))
        await clock.advance(1.02)
        assert await short == "done"
        await clock.advance(4.02)
        with pytest.raises(GatewayTimeout) as failure:
            await first
        assert failure.value.metadata == {"limit": "server"}
        assert not second.done()
        await clock.advance(5)
        with pytest.raises(GatewayTimeout):
            await second
        third = asyncio.create_task(run(deadlines, 60))  # the sweeper starts again after it has stopped
        await clock.advance(10.02)
        with pytest.raises(GatewayTimeout):
            await third


async def test_shorter_wish_wins_and_longer_does_not() -> None:
    """A client's wish below the usual limit counts; one above it changes nothing."""
    with FakeClock() as clock:
        deadlines = Deadlines(10.0, "server")
        eager, patient = call_of(), call_of()
        eager.shorten(1.0, "client")
        patient.shorten(99.0, "client")
        tasks = [asyncio.create_task(run(deadlines, 60, call)) for call in (eager, patient)]
        await clock.advance(0.99)
        assert not tasks[0].done()
        await clock.advance(0.03)
        with pytest.raises(GatewayTimeout) as failure:
            await tasks[0]
        assert failure.value.metadata == {"limit": "client"}
        await clock.advance(9.03)
        with pytest.raises(GatewayTimeout) as failure:
            await tasks[1]
        assert failure.value.metadata == {"limit": "server"}


async def test_time_counts_from_arrival() -> None:
    """What a call has waited before it began is part of its time; those that did not wait are not held up by it."""
    with FakeClock() as clock:
        deadlines = Deadlines(10.0, "server")
        fresh, waited, just = call_of(), call_of(), call_of()
        waited.arrived, just.arrived = clock() - 4.0, clock() - 0.005
        tasks = [asyncio.create_task(run(deadlines, 60, call)) for call in (fresh, waited, just)]
        await clock.settle()
        assert [call.remaining() for call in (fresh, waited, just)] == pytest.approx([10.0, 6.0, 9.995])
        await clock.advance(6.02)
        assert [task.done() for task in tasks] == [False, True, False]
        await clock.advance(4.0)
        for task in tasks:
            with pytest.raises(GatewayTimeout) as failure:
                await task
            assert failure.value.metadata == {"limit": "server"}


@pytest.mark.parametrize(("wish", "limit"), [(None, "server"), (2.0, "client")])
async def test_time_up_before_it_begins(wish: float | None, limit: str) -> None:
    """A call that has waited for all of its time is rejected, with what it was rejected for before, if it was."""
    with FakeClock() as clock:
        call, broken = call_of(), call_of()
        broken.rejected = BadRequest("what is this?", reason="CODEC")
        for each in (call, broken):
            each.arrived = clock() - 11.0
            if wish is not None:
                each.shorten(wish, "client", since=each.arrived)
            with pytest.raises(GatewayTimeout), Deadlines(10.0, "server").watch(each, usual=True):
                await asyncio.sleep(0)
                await asyncio.sleep(60)
        assert call.rejected is not None
        assert (call.rejected.reason, call.rejected.metadata) == ("DEADLINE_EXCEEDED", {"limit": limit})
        assert broken.rejected.reason == "CODEC"


def test_another_event_loop() -> None:
    """Whoever goes on in another event loop is not left to the sweeps of the first, which has ended."""
    deadlines = Deadlines(0.05, "server")

    async def brief() -> None:
        assert await run(deadlines, 0) == "done"

    async def late() -> None:
        async with asyncio.timeout(30):
            with pytest.raises(GatewayTimeout):
                await run(deadlines, 60)

    asyncio.run(brief())
    asyncio.run(late())


async def test_shortened_on_the_way() -> None:
    """Middleware may bring the end closer while the call runs, twice if it likes."""
    with FakeClock() as clock:
        call = call_of()
        task = asyncio.create_task(run(Deadlines(10.0, "server"), 60, call, shorten=5.0))
        await clock.settle()
        call.shorten(7.0)
        call.shorten(2.0)
        await clock.advance(2.02)
        with pytest.raises(GatewayTimeout) as failure:
            await task
        assert failure.value.metadata == {"limit": "method"}


async def test_no_limit() -> None:
    """None is no limit."""
    with FakeClock() as clock:
        task = asyncio.create_task(run(Deadlines(None, "server"), 3600))
        await clock.advance(3600)
        assert await task == "done"


async def test_cancellation_from_outside_stays_one() -> None:
    """A cancelled task is cancelled, even if its time ran out in the same moment."""
    with FakeClock() as clock:
        task = asyncio.create_task(run(Deadlines(1.0, "server"), 60))
        await clock.settle()
        task.cancel()
        await clock.advance(1.05)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_interrupted_task_can_go_on() -> None:
    """After a deadline the task owes no cancellation to anybody."""
    with FakeClock() as clock:

        async def caller() -> int:
            with pytest.raises(GatewayTimeout):
                await run(Deadlines(1.0, "server"), 60)
            task: asyncio.Task[Any] | None = asyncio.current_task()
            assert task is not None
            await asyncio.sleep(0)
            return task.cancelling()

        task = asyncio.create_task(caller())
        await clock.advance(1.05)
        assert await task == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("1H", 3600), ("2M", 120), ("3S", 3), ("250m", 0.25), ("500u", 0.0005), ("7n", 7e-9)]
)
def test_timeout_syntax(text: str, seconds: float) -> None:
    """Every unit of grpc-timeout is understood."""
    assert parse_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "S", "-1S", "1.5S", "123456789S", "1s", "1 S"])
def test_bad_timeout(text: str) -> None:
    """Anything else is refused with an example of what is right."""
    with pytest.raises(BadRequest, match="such as 250m"):
        parse_timeout(text)


async def test_the_usual_limit_changes() -> None:
    """A live limit counts for calls that begin after a change, in whatever order they end then."""
    limit: Live[float | None] = Live(10.0)
    with FakeClock() as clock:
        deadlines = Deadlines(limit, "server")
        first = asyncio.create_task(run(deadlines, 60))
        await clock.settle()
        limit.set(1.0)
        assert deadlines.seconds == 1.0
        second = asyncio.create_task(run(deadlines, 60))
        await clock.settle()
        limit.set(None)
        third = asyncio.create_task(run(deadlines, 60))
        await clock.settle()
        limit.set(3.0)
        fourth = asyncio.create_task(run(deadlines, 60))
        for pause, task in ((1.02, second), (2.0, fourth), (7.0, first)):
            assert not task.done()
            await clock.advance(pause)
            with pytest.raises(GatewayTimeout):
                await task
        await clock.advance(60)
        assert await third == "done"


async def test_limits_that_are_none() -> None:
    """A live limit cannot become what no call can keep."""
    limit: Live[float | None] = Live(10.0)
    deadlines = Deadlines(limit, "server")
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="more than no time"):
            limit.set(wrong)
        with pytest.raises(ValueError, match="more than no time"):
            Deadlines(Live(wrong), "server")
    assert (limit.value, deadlines.seconds) == (10.0, 10.0)
