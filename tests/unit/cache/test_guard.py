"""A store that fails: it costs little, is asked again, and nothing it says is believed before it knows what it must."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from unit.cache.counting import counted
from unit.cache.repositories import User, Users
from unit.cache.stores import FarStore

from kratos.cache import Cache, CacheError, MemoryStore, TwoLevelStore
from kratos.metrics import PrometheusMeter
from kratos.testing import FakeClock


async def test_a_store_that_hangs_costs_its_timeout_once() -> None:
    users = Users(Cache(store := FarStore(), timeout=0.5, pause=1))
    store.hangs = True
    with FakeClock() as clock:
        first = asyncio.create_task(users.user(1))
        await clock.advance(0.4)
        assert not first.done()
        await clock.advance(0.2)
        assert await first == User(1, "u1")
        for each in range(2, 50):
            assert await users.user(each) == User(each, f"u{each}")
        assert store.calls == ["get"]


async def test_it_is_asked_again_by_one() -> None:
    users = Users(Cache(store := FarStore(), pause=1))
    store.down = OSError("gone")
    with FakeClock() as clock:
        await users.user(1)
        await clock.advance(1.1)
        await asyncio.gather(*(users.user(each) for each in range(2, 20)))
        assert store.calls == ["get", "get"]
        store.down = None
        await clock.advance(1.1)
        await users.user(1)
        await clock.settle()
        await users.user(1)
        assert store.calls == ["get"] * 3 + ["fill", "get"]


async def test_one_wrong_key_says_nothing_of_the_store() -> None:
    users = Users(Cache(store := FarStore()))
    store.down = ValueError("this key is too long")
    await users.user(1)
    store.down = None
    await users.user(2)
    assert store.calls[:2] == ["get", "get"]


@pytest.mark.parametrize("near", [False, True])
async def test_what_it_has_not_heard_of_is_told_first(near: bool) -> None:
    """A write while the store is gone: what it still has is not believed when it is back."""
    store = FarStore()
    cache = Cache(TwoLevelStore(MemoryStore(), store) if near else store, pause=1)
    users = Users(cache)
    with FakeClock() as clock:
        await users.user(1)
        await clock.settle()
        store.down = OSError("gone")
        await users.save(User(1, "new"))
        assert await users.user(1) == User(1, "new")
        assert len(store.inner) == 1  # the old one
        store.down = None
        store.calls.clear()
        assert await users.user(1) == User(1, "new")
        await clock.advance(1.1)
        assert await users.user(1) == User(1, "new")
        assert store.calls[0] == "invalidate"
        await cache.aclose()


async def test_it_is_told_without_being_asked() -> None:
    """For the sake of other processes."""
    meter = PrometheusMeter()
    cache = Cache(store := FarStore(), pause=1)
    cache.measure(meter)
    users = Users(cache)
    with FakeClock() as clock:
        await users.user(1)
        await clock.settle()
        store.down = OSError("gone")
        await users.user.invalidate(1)
        assert counted(meter)['errors_total{name="Users.user",what="invalidate"}'] == 1
        await clock.advance(1.1)
        store.down = None
        await clock.advance(1.1)
        assert len(store.inner) == 0
        await cache.aclose()


async def test_an_invalidation_that_was_left_is_delivered() -> None:
    cache = Cache(store := FarStore(turns=5), pause=1)
    users = Users(cache)
    with FakeClock() as clock:
        await users.user(1)
        await clock.settle()
        call = asyncio.create_task(users.user.invalidate(1))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        users.source.users[1] = User(1, "new")
        assert await users.user(1) == User(1, "new")
        await cache.aclose()
        assert store.closed == 1


async def test_too_many_invalidations_are_refused() -> None:
    cache = Cache(store := FarStore(), pause=1000)

    @cache.cached("{ids}", ttl=60)
    async def values(ids: list[int]) -> dict[int, int]:
        return {each: each for each in ids}

    store.down = OSError("gone")
    await values.invalidate([*range(10_000)])
    with pytest.raises(CacheError):
        await values.invalidate([10_001])
    await cache.aclose()


class Picky(FarStore):
    """Takes no key with an x."""

    async def invalidate(self, keys: Sequence[str], hold: float, /) -> None:
        await self._answer("invalidate")
        if any("x" in key for key in keys):
            raise ValueError("no x")
        await self.inner.invalidate(keys, hold)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "kratos.cache"]


@pytest.mark.parametrize("outage", [False, True])
async def test_what_can_never_be_delivered_does_not_wait(outage: bool, caplog: pytest.LogCaptureFixture) -> None:
    """A key that the store does not take has nothing under it; the others of the call are delivered."""
    meter = PrometheusMeter()
    cache = Cache(store := Picky(), pause=1)
    cache.measure(meter)
    asked: list[list[str]] = []

    @cache.cached("{names}", ttl=60)
    async def values(names: list[str]) -> dict[str, str]:
        asked.append(names)
        return {each: each for each in names}

    names = ["a", "b", "x1", "c", "d", "x2", "e"]
    with FakeClock() as clock:
        await values([*"abcde"])
        await clock.settle()
        store.down = OSError("gone") if outage else None
        await values.invalidate(names)
        store.down = None
        await clock.advance(1.1)
        await clock.advance(1.1)
        assert len(store.inner) == 0
        await values([*"abcde"])
        await clock.settle()
        asked.clear()
        store.calls.clear()
        await values([*"abcde"])
        assert (asked, store.calls) == ([], ["get"])
    assert sum("cannot take the key 'x1'" in each for each in told(caplog)) == 1
    assert counted(meter)['errors_total{name="values",what="invalidate"}'] == 1
    await cache.aclose()


async def test_the_end_delivers_what_waits(caplog: pytest.LogCaptureFixture) -> None:
    """For the sake of those who stay, in whose cache it would be stale."""
    cache, other = (Users(Cache(store, pause=1000)) for store in [FarStore()] * 2)
    store = cache.cache._guard._store
    assert isinstance(store, FarStore)
    await cache.user(1)
    await asyncio.gather(*cache.cache._shared.flights._tasks)
    store.down = OSError("gone")
    await cache.save(User(1, "new"))
    store.down = None
    await cache.cache.aclose()
    other.source.users[1] = User(1, "new")
    assert await other.user(1) == User(1, "new")
    assert not [each for each in told(caplog) if "not delivered" in each]


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_end_does_not_wait_for_ever(hangs: bool, caplog: pytest.LogCaptureFixture) -> None:
    users = Users(Cache(store := FarStore(), timeout=50, pause=1000, flush=5))
    with FakeClock() as clock:
        store.down = OSError("gone")
        await users.save(User(1, "new"))
        store.hangs = hangs
        store.calls.clear()
        ending = asyncio.create_task(users.cache.aclose())
        await clock.advance(5.1)
        assert ending.done()
        await ending
    assert (store.calls, store.closed) == (["invalidate"], 1)
    assert [each for each in told(caplog) if each.startswith("1 invalidations were not delivered")]


async def test_a_fill_that_fails_is_counted() -> None:
    meter = PrometheusMeter()
    cache = Cache(store := FarStore())
    cache.measure(meter)
    users = Users(cache)
    users.source.gate.clear()
    call = asyncio.create_task(users.user(1))
    for _ in range(10):
        await asyncio.sleep(0)
    store.down = OSError("gone")
    users.source.gate.set()
    assert await call == User(1, "u1")
    await cache.aclose()
    assert counted(meter)['errors_total{name="Users.user",what="fill"}'] == 1


@pytest.mark.parametrize("name", ["timeout", "pause", "hold", "flush"])
def test_times_are_times(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=0: give seconds above 0"):
        Cache(MemoryStore(), **{name: 0})  # type: ignore[arg-type]
