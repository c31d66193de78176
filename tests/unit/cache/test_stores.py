"""What stores in the process promise."""

from __future__ import annotations

import asyncio

import pytest
from unit.cache.repositories import User, Users
from unit.cache.stores import FarStore

from kratos.cache import Cache, MemoryStore, TwoLevelStore
from kratos.cache.base import NOTHING, Entry, Fill
from kratos.cache.singleflight import Flight, Flights
from kratos.testing import FakeClock


def keep(store: MemoryStore, key: str, ttl: float = 60) -> None:
    assert [*store.put([Fill(key, Entry(value=key), ttl, store.peek(key).ticket)])] == [True]


def test_the_least_recently_used_goes() -> None:
    store = MemoryStore(limit=2, clock=FakeClock())
    for key in ("a", "b"):
        keep(store, key)
    store.peek("a")
    keep(store, "c")
    assert [store.peek(key).entry is None for key in ("a", "b", "c")] == [False, True, False]
    assert len(store) == 2


async def test_each_has_its_time() -> None:
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    keep(store, "a", 1)
    keep(store, "b", 3)
    await clock.advance(2)
    assert [store.peek(key).entry is None for key in ("a", "b")] == [True, False]
    assert len(store) == 1


def test_what_is_forgotten_about_forgetting_is_refused() -> None:
    """Only so many invalidations are remembered; a ticket from before the others is good for nothing."""
    store = MemoryStore(limit=2, clock=FakeClock())
    early = store.peek("a").ticket
    for key in ("a", "b", "c"):
        store.forget([key])
    assert [*store.put([Fill("a", Entry(value="old"), 60, early)])] == [False]
    keep(store, "a")


@pytest.mark.parametrize(
    "wrong", [lambda: MemoryStore(limit=0), lambda: TwoLevelStore(MemoryStore(), FarStore(), near_ttl=0)]
)
def test_sizes(wrong: type) -> None:
    with pytest.raises(ValueError, match=r"leaves room for nothing|is no time"):
        wrong()
    assert repr(NOTHING) == "NOTHING"


async def test_two_levels_forget_in_both() -> None:
    near, far = MemoryStore(), FarStore()
    store = TwoLevelStore(near, far)
    for down in (None, OSError("gone")):
        far.down = None
        ((_, ticket),) = await store.get(["k"])
        assert [*await store.fill([Fill("k", Entry(b"v", form="raw"), 60, ticket)])] == [True]
        assert store.near("k").entry is not None
        far.down = down
        try:
            await store.invalidate(["k"], 60)
        except OSError:
            far.down = None
            await far.invalidate(["k"], 60)
        assert store.near("k").entry is None


async def test_near_entries_are_of_the_far_store() -> None:
    near, far = MemoryStore(), FarStore()
    here, there = TwoLevelStore(near, far), TwoLevelStore(MemoryStore(), far)
    ((_, ticket),) = await there.get(["k"])
    ((_, late),) = await here.get(["k"])
    await there.fill([Fill("k", Entry(b"v", form="raw"), 60, ticket)])
    assert near.peek("k").entry is None
    ((entry, _),) = await here.get(["k"])
    assert entry is not None
    assert near.peek("k").entry is entry
    await there.invalidate(["k"], 60)
    assert [*await here.fill([Fill("k", Entry(b"old", form="raw"), 60, late)])] == [False]


async def test_only_who_began_before_joins_what_has_landed() -> None:
    flights: Flights[int] = Flights(60)

    async def fly(flight: Flight[int]) -> None:
        flight.deliver({"k": 1})

    before = flights.begin(["k"])
    flight = flights.launch({"k": "ticket"}, fly)
    assert await flight.wait(leading=True) == {"k": 1}
    while not flight.landed:
        await asyncio.sleep(0)
    after = flights.begin(["k"])
    assert flights.find("k", "ticket", before) is flight
    assert flights.find("k", "ticket", after) is None
    assert flights.find("k", "another", before) is None
    flights.detach(["k"])
    assert flights.find("k", "ticket", before) is None
    for _ in range(2):
        flights.end(["k"])
    assert flights._slots == {}


@pytest.mark.parametrize("far", [False, True])
async def test_a_refresh_is_not_undone_by_who_began_before(far: bool) -> None:
    users = Users(Cache(FarStore() if far else MemoryStore()))
    gate = asyncio.Event()
    users.source.gate = gate
    slow = asyncio.create_task(users.user(1))
    while not users.source.asked:
        await asyncio.sleep(0)
    old = users.source.users
    users.source.gate = asyncio.Event()
    users.source.gate.set()
    users.source.users = {**old, 1: User(1, "new")}
    assert await users.user.refresh(1) == User(1, "new")
    users.source.users = old
    gate.set()
    assert await slow == User(1, "u1")
    for _ in range(20):
        await asyncio.sleep(0)
    assert await users.user(1) == User(1, "new")
    assert users.source.asked == [1, 1]
    await users.cache.aclose()
