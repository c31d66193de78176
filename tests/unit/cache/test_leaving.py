"""Who leaves, who fails, and who is left: one load for many is nobody's alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from unit.cache.repositories import User, Users
from unit.cache.stores import FarStore

from kratos.cache import Cache, MemoryStore
from kratos.cache.base import Store
from kratos.cache.singleflight import another
from kratos.errors import GatewayTimeout, NotFound


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture(params=[MemoryStore, FarStore])
def users(request: pytest.FixtureRequest) -> Users:
    make: Callable[[], Store] = request.param
    return Users(Cache(make()))


async def test_the_leader_leaves(users: Users) -> None:
    """The load goes on for those who have come to it."""
    users.source.gate.clear()
    leader = asyncio.create_task(users.user(1))
    await turns()
    followers = [asyncio.create_task(users.user(1)) for _ in range(10)]
    await turns()
    leader.cancel()
    await turns()
    users.source.gate.set()
    assert await asyncio.gather(*followers) == [User(1, "u1")] * 10
    assert leader.cancelled()
    assert users.source.asked == [1]


async def test_the_leader_leaves_and_the_load_fails(users: Users) -> None:
    """Perhaps because it has left: others try again, with one load for all."""
    users.source.gate.clear()
    users.source.failure = NotFound("because of the leader")
    leader = asyncio.create_task(users.user(1))
    await turns()
    followers = [asyncio.create_task(users.user(1)) for _ in range(10)]
    await turns()
    leader.cancel()
    users.source.gate.set()
    await turns(2)
    users.source.failure = None
    assert await asyncio.gather(*followers) == [User(1, "u1")] * 10
    assert users.source.asked == [1, 1]


async def test_the_last_one_turns_out_the_light(users: Users) -> None:
    """A load that nobody waits for any more is cancelled, and nobody joins it."""
    users.source.gate.clear()
    callers = [asyncio.create_task(users.user(1)) for _ in range(3)]
    await turns()
    for caller in callers:
        caller.cancel()
    later = asyncio.create_task(users.user(1))
    await turns()
    users.source.gate.set()
    assert await later == User(1, "u1")
    assert users.source.asked == [1, 1]
    assert users.cache._shared.flights._slots == {}


async def test_leaving_before_anything_has_begun(users: Users) -> None:
    call = asyncio.create_task(users.user(1))
    call.cancel()
    await turns()
    call = asyncio.create_task(users.user(1))
    await asyncio.sleep(0)
    call.cancel()
    await turns()
    assert await users.user(1) == User(1, "u1")
    await turns()
    assert users.cache._shared.flights._slots == {}


async def test_failures_are_not_shared(users: Users) -> None:
    """Each caller raises an exception of its own, whose traceback is its own."""
    users.source.gate.clear()
    users.source.failure = NotFound("nobody", reason="NOBODY", metadata={"id": "1"})
    calls = [asyncio.create_task(users.user(1)) for _ in range(3)]
    await turns()
    users.source.gate.set()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert len({id(failure) for failure in failures}) == 3
    for failure in failures:
        assert isinstance(failure, NotFound)
        assert (failure.reason, failure.metadata, failure.message) == ("NOBODY", {"id": "1"}, "nobody")
    assert users.source.asked == [1]


def test_failures_that_cannot_be_copied() -> None:
    class Odd(Exception):
        def __init__(self, number: int) -> None:
            super().__init__(f"number {number}", number)

    class Strange(Exception):
        def __init__(self, number: int, /, *, other: int) -> None:
            super().__init__(number)

    for failure in (Odd(1), Strange(1, other=2)):
        assert another(failure) is failure
    twin = another(KeyError("k"))
    assert (type(twin), twin.args) == (KeyError, ("k",))


async def test_the_leaders_time_is_not_that_of_others(users: Users) -> None:
    """Who is out of time may have had less of it: others try once more, and then hear of it."""
    users.source.gate.clear()
    users.source.failure = GatewayTimeout("too late")
    calls = [asyncio.create_task(users.user(1)) for _ in range(4)]
    await turns()
    users.source.gate.set()
    failures = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(failure) for failure in failures] == [GatewayTimeout] * 4
    assert users.source.asked == [1, 1]


async def test_a_load_that_cancels_itself(users: Users) -> None:
    users.source.failure = asyncio.CancelledError()
    calls = [asyncio.create_task(users.user(1)) for _ in range(3)]
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls)


async def test_without_single_flight_each_loads(users: Users) -> None:
    assert await asyncio.gather(*(users.alone(1) for _ in range(5))) == [User(1, "u1")] * 5
    assert users.source.asked == [1] * 5


async def test_leaving_a_call_for_several(users: Users) -> None:
    """Only what nobody else waits for ends."""
    users.source.gate.clear()
    leaving = asyncio.create_task(users.batches([1, 2, 3, 4]))
    await turns()
    staying = asyncio.create_task(users.batches([3]))
    await turns()
    leaving.cancel()
    await turns()
    users.source.gate.set()
    assert await staying == {3: User(3, "u3")}
    assert users.source.asked == [(1, 2), (3, 4)]
    await turns()
    assert users.cache._shared.flights._slots == {}


async def test_a_load_sees_the_context_of_its_caller(users: Users) -> None:
    """The trace and the call that it belongs to."""
    who: ContextVar[str] = ContextVar("who")
    seen: list[str] = []

    @users.cache.cached(ttl=60)
    async def value(id: int) -> int:
        seen.append(who.get())
        return id

    who.set("me")
    await value(1)
    assert seen == ["me"]


async def test_nothing_is_left_of_failures_nobody_waited_for(
    users: Users, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    users.source.gate.clear()
    users.source.failure = NotFound("nobody is here to hear it")
    call = asyncio.create_task(users.batches([1, 2, 3, 4]))
    await turns()
    users.source.gate.set()
    call.cancel()
    await turns()
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    assert not [*recwarn]
