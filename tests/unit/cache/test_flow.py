"""The decision table of Kratos' cache generator: what is returned, what is asked for, what is kept and counted.

S1 to S12 are its rows for one value, M1 to M12 those for several; where ours does otherwise, the test says so.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from unit.cache.counting import counted
from unit.cache.repositories import Cart, User, Users
from unit.cache.stores import FarStore, Marks

from kratos.cache import Cache, CacheError, MemoryStore, Options, TwoLevelStore, cached, partial
from kratos.cache.base import Store
from kratos.errors import NotFound
from kratos.metrics import PrometheusMeter
from kratos.testing import FakeClock

STORES = {
    "memory": MemoryStore,
    "far": FarStore,
    "two": lambda: TwoLevelStore(MemoryStore(), FarStore()),
}


class Rig:
    """A repository whose cache is counted."""

    def __init__(self, store: Store, **settings: Any) -> None:
        self.meter = PrometheusMeter()
        self.cache = Cache(store, **settings)
        self.cache.measure(self.meter)
        self.users = Users(self.cache)
        self.source = self.users.source

    @property
    def counts(self) -> dict[str, float]:
        return counted(self.meter)

    async def settled(self) -> None:
        """Returns when all is kept that was to be kept."""
        await self.cache.aclose()


@pytest.fixture(params=[*STORES])
def rig(request: pytest.FixtureRequest) -> Rig:
    return Rig(STORES[request.param]())


async def test_s1_what_is_there_is_returned(rig: Rig) -> None:
    assert await rig.users.user(1) == User(1, "u1")
    await rig.settled()
    rig.source.failure = RuntimeError("not asked")
    assert await rig.users.user(1) == User(1, "u1")
    assert rig.source.asked == [1]
    assert rig.counts == {'hits_total{name="Users.user"}': 1, 'misses_total{name="Users.user"}': 1}


async def test_s2_s4_what_there_is_not_is_known(rig: Rig) -> None:
    assert await rig.users.user(1000) is None
    await rig.settled()
    assert await rig.users.user(1000) is None
    assert rig.source.asked == [1000]
    assert rig.counts == {'hits_total{name="Users.user"}': 1, 'misses_total{name="Users.user"}': 1}


async def test_s5_without_null_ttl_it_is_asked_for_each_time(rig: Rig) -> None:
    assert [await rig.users.bare(1000), await rig.users.bare(1000)] == [None, None]
    assert rig.source.asked == [1000, 1000]


async def test_zero_and_empty_are_values(rig: Rig) -> None:
    """0 is no "no such thing": it is asked for once."""
    rig.source.users.clear()
    assert (await rig.users.count("a"), await rig.users.everybody()) == (0, [])
    await rig.settled()
    assert (await rig.users.count("a"), await rig.users.everybody()) == (0, [])
    assert rig.source.asked == ["a", "all"]


async def test_s6_failures_are_raised_and_not_kept(rig: Rig) -> None:
    rig.source.failure = NotFound("nobody")
    for _ in range(2):
        with pytest.raises(NotFound) as caught:
            await rig.users.user(1)
        assert caught.value is rig.source.failure
    rig.source.failure = None
    assert await rig.users.user(1) == User(1, "u1")
    assert rig.source.asked == [1, 1, 1]


async def test_s7_the_source_answers_when_the_store_does_not() -> None:
    rig = Rig(store := FarStore())
    store.down = OSError("gone")
    assert await rig.users.user(1) == User(1, "u1")
    await rig.settled()
    assert store.calls == ["get"]  # nothing is kept: it might be old by then
    assert rig.counts == {'errors_total{name="Users.user",what="get"}': 1, 'misses_total{name="Users.user"}': 1}


async def test_s8_a_failing_store_is_never_a_hit(caplog: pytest.LogCaptureFixture) -> None:
    """Kratos takes a value that comes with an error for a hit; ours cannot: an answer is one or the other."""
    rig = Rig(store := FarStore())
    await rig.users.user(1)
    await rig.settled()
    store.down = OSError("gone")
    rig.source.users[1] = User(1, "new")
    assert await rig.users.user(1) == User(1, "new")
    assert 'hits_total{name="Users.user"}' not in rig.counts
    assert "does not answer" in caplog.text


async def test_s9_the_caller_hears_of_it_if_wanted() -> None:
    cache = Cache(store := FarStore())

    @cache.cached(ttl=60, on_cache_error="raise")
    async def value(id: int) -> int:
        return id

    store.down = OSError("secret")
    with pytest.raises(CacheError) as caught:
        await value(1)
    assert (caught.value.code, caught.value.reason) == (503, "CACHE")
    assert "secret" not in str(caught.value)


async def test_s10_pages_share_one_entry(rig: Rig) -> None:
    first = await rig.users.page("all", 1, 10)
    await rig.settled()
    second = await rig.users.page("all", pn=2, ps=10)
    last = await rig.users.page("all", 4, 10)
    assert ([user.id for user in (*first, *second)], last) == ([*range(1, 21)], [])
    assert len(await rig.users.page("all")) == 20
    assert rig.source.asked == ["all"]
    await rig.users.page.invalidate("all")
    assert len(await rig.users.page.refresh("all", 2, 25)) == 5
    assert rig.source.asked == ["all", "all"]


@pytest.mark.parametrize("callers", [100, 1000])
async def test_s11_one_load_for_all(rig: Rig, callers: int) -> None:
    """Kratos has every follower fill the cache; ours fills once."""
    found = await asyncio.gather(*(rig.users.user(1) for _ in range(callers)))
    await rig.settled()
    assert found == [User(1, "u1")] * callers
    assert rig.source.asked == [1]
    assert rig.counts['misses_total{name="Users.user"}'] == 1


async def test_s12_a_full_queue_drops_and_counts() -> None:
    rig = Rig(store := FarStore(), waiting=1)
    store.turns = 3
    found = await asyncio.gather(*(rig.users.user(each) for each in (1, 2, 3)))
    assert [user.id for user in found if user] == [1, 2, 3]
    await rig.settled()
    assert rig.counts['backfill_dropped_total{name="Users.user"}'] == 2
    assert len(store.inner) == 1


async def test_what_waits_is_kept_at_the_end() -> None:
    """Kratos' worker drops its queue at the end."""
    rig = Rig(store := FarStore(turns=20))
    await rig.users.user(1)
    assert len(store.inner) == 0
    await rig.settled()
    assert (len(store.inner), store.closed) == (1, 1)


async def test_what_is_late_at_the_end_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(store := FarStore(), timeout=1000, flush=3)
    with FakeClock() as clock:
        rig.source.gate.clear()
        held = asyncio.create_task(rig.users.user(1))
        await clock.settle()
        closing = asyncio.create_task(rig.cache.aclose())
        await clock.advance(2)
        assert not closing.done()
        await clock.advance(2)
        await closing
        with pytest.raises(asyncio.CancelledError):
            await held
    assert store.closed == 1
    assert "1 loads or fills were not done after 3 s" in caplog.text


async def test_sync_waits_until_it_is_kept() -> None:
    cache = Cache(store := FarStore(turns=5))

    @cache.cached(ttl=60, backfill="sync")
    async def value(id: int) -> int:
        return id

    await value(1)
    assert len(store.inner) == 1


async def test_m1_nothing_is_asked_for_nothing(rig: Rig) -> None:
    assert await rig.users.users([]) == {}
    assert (rig.source.asked, rig.counts) == ([], {})


async def test_m2_m3_only_what_is_missing_is_asked_for(rig: Rig) -> None:
    await rig.users.users([1, 1000])
    await rig.settled()
    assert await rig.users.users([3, 1, 1000, 2]) == {3: User(3, "u3"), 1: User(1, "u1"), 2: User(2, "u2")}
    await rig.settled()
    assert [*await rig.users.users([3, 1, 1000, 2])] == [3, 1, 2]
    assert rig.source.asked == [(1, 1000), (3, 2)]
    assert rig.counts == {'hits_total{name="Users.users"}': 6, 'misses_total{name="Users.users"}': 4}


async def test_one_and_several_share_entries(rig: Rig) -> None:
    await rig.users.users([1, 2])
    await rig.settled()
    assert await rig.users.user(2) == User(2, "u2")
    assert rig.source.asked == [(1, 2)]


async def test_m4_m5_a_store_that_fails(rig: Rig) -> None:
    rig = Rig(store := FarStore())
    await rig.users.users([1])
    await rig.settled()
    store.down = OSError("gone")
    assert await rig.users.users([1, 2]) == {1: User(1, "u1"), 2: User(2, "u2")}
    assert rig.source.asked == [(1,), (1, 2)]


async def test_m6_what_there_was_goes_with_the_failure(rig: Rig) -> None:
    await rig.users.users([1])
    await rig.settled()
    rig.source.failure = NotFound("broken")
    with pytest.raises(NotFound) as caught:
        await rig.users.users([1, 2])
    assert partial(caught.value) == {1: User(1, "u1")}


@pytest.mark.parametrize("mode", ["break", "continue"])
async def test_m7_m8_batches(mode: Any) -> None:
    """A failing batch ends its siblings, or not; what came in time is kept, where Kratos keeps none of it."""
    cache = Cache(MemoryStore())
    ended: list[int] = []
    begun: list[list[int]] = []

    @cache.cached("{ids}", ttl=60, batch_size=2, on_batch_error=mode)
    async def values(ids: list[int]) -> dict[int, int]:
        begun.append([*ids])
        if 3 in ids:
            await asyncio.sleep(0)
            raise NotFound("three")
        for _ in range(20 if 5 in ids else 0):
            await asyncio.sleep(0)
        ended.extend(ids)
        return {each: each for each in ids}

    with pytest.raises(NotFound) as caught:
        await values([1, 2, 3, 4, 5, 6])
    assert begun == [[1, 2], [3, 4], [5, 6]]
    good = [1, 2] if mode == "break" else [1, 2, 5, 6]
    assert [*partial(caught.value)] == good
    for _ in range(30):
        await asyncio.sleep(0)
    assert ended == good
    begun.clear()
    assert await values(good) == {each: each for each in good}
    assert begun == []


async def test_batches_have_a_limit() -> None:
    """Kratos' limit counts keys and not groups, so its worked trace has none; ours counts groups."""
    cache = Cache(MemoryStore())
    now = highest = 0

    @cache.cached("{ids}", ttl=60, batch_size=2, max_concurrency=2, null_ttl=5)
    async def values(ids: list[int]) -> dict[int, int]:
        nonlocal now, highest
        now += 1
        highest = max(highest, now)
        await asyncio.sleep(0)
        now -= 1
        return {each: each for each in ids if each != 7}

    assert await values(range(1, 8)) == {each: each for each in range(1, 7)}  # type: ignore[arg-type]
    assert highest == 2


async def test_m9_overlapping_calls_share_what_they_have_in_common(rig: Rig) -> None:
    """Kratos merges calls for exactly the same ids."""
    rig.source.gate.clear()
    calls = [asyncio.create_task(rig.users.users(ids)) for ids in ([1, 2], [2, 3], [3, 1])]
    single = asyncio.create_task(rig.users.user(4))
    for _ in range(20):
        await asyncio.sleep(0)
    rig.source.gate.set()
    assert [[*found] for found in await asyncio.gather(*calls)] == [[1, 2], [2, 3], [3, 1]]
    assert await single == User(4, "u4")
    assert rig.source.asked == [(1, 2), (3,), 4]


async def test_m10_a_zero_stays_a_zero(rig: Rig) -> None:
    """Kratos reports a 0 of the source as absent when it is read again."""
    cache = rig.cache

    @cache.cached("n:{ids}", ttl=60, null_ttl=5)
    async def values(ids: list[int]) -> dict[int, int]:
        return {each: 0 for each in ids if each != 2}

    assert await values([1, 2]) == {1: 0}
    await rig.settled()
    assert await values([1, 2]) == {1: 0}


async def test_m11_a_source_without_an_answer(rig: Rig) -> None:
    """Kratos writes into a map that is not there."""

    @rig.cache.cached("n:{ids}", ttl=60, null_ttl=5)
    async def values(ids: list[int]) -> dict[int, int]:
        return None  # type: ignore[return-value]

    assert [await values([1]), await values([1])] == [{}, {}]


async def test_m12_twice_is_as_good_as_once(rig: Rig) -> None:
    """Kratos counts and forwards ids that come twice."""
    assert await rig.users.users([1, 1, 2, 1]) == {1: User(1, "u1"), 2: User(2, "u2")}
    await rig.settled()
    await rig.users.users([1, 1])
    assert rig.source.asked == [(1, 2)]
    assert rig.counts == {'hits_total{name="Users.users"}': 1, 'misses_total{name="Users.users"}': 2}


async def test_a_check_need_not_guard_against_nothing(rig: Rig) -> None:
    """Kratos' check expression is put to a nil; ours sees values only."""
    marker = Cart(-1)

    @rig.cache.cached("c:{id}", ttl=60, null_value=marker, is_null=lambda cart: cart.id == -1)
    async def cart(id: int) -> Cart | None:
        return None if id else marker

    assert [await cart(1), await cart(1), await cart(0), await cart(0)] == [None] * 4
    assert cart.plan.options.null_ttl == 300


async def test_nobody_has_the_same_mutable_value(rig: Rig) -> None:
    """Kratos' followers share one map: what one changes, all see."""
    rig.source.gate.clear()
    calls = [asyncio.create_task(rig.users.cart(1)) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0)
    rig.source.gate.set()
    carts = await asyncio.gather(*calls)
    await rig.settled()
    carts += [await rig.users.cart(1), await rig.users.cart(1)]
    assert len({id(cart) for cart in carts}) == len({id(cart.lines) for cart in carts}) == 5
    carts[0].lines.append("mine")
    carts[4].lines.append("mine too")
    assert (await rig.users.cart(1)).lines == ["first"]


async def test_share_is_a_promise() -> None:
    cache = Cache(MemoryStore())

    @cache.cached(ttl=60, share=True)
    async def cart(id: int) -> Cart:
        return Cart(id)

    assert await cart(1) is await cart(1)


async def test_refresh_loads_anew(rig: Rig) -> None:
    await rig.users.user(1)
    await rig.settled()
    rig.source.users[1] = User(1, "new")
    assert await rig.users.user.refresh(1) == User(1, "new")
    await rig.settled()
    assert await rig.users.user(1) == User(1, "new")
    rig.source.users[1] = User(1, "newer")
    assert await rig.users.users.refresh([1, 2]) == {1: User(1, "newer"), 2: User(2, "u2")}
    await rig.settled()
    assert await rig.users.user(1) == User(1, "newer")
    assert rig.source.asked == [1, 1, (1, 2)]


async def test_writes_invalidate(rig: Rig) -> None:
    await rig.users.user(1)
    await rig.settled()
    await rig.users.save(User(1, "new"))
    assert await rig.users.user(1) == User(1, "new")
    rig.source.failure = OSError("the write has failed, or was done")
    with pytest.raises(OSError, match="or was done"):
        await rig.users.save(User(1, "newer"))
    rig.source.failure = None
    assert await rig.users.user(1) == User(1, "newer")
    assert await rig.users.delete(1)
    assert await rig.users.user(1) is None


async def test_old_values_are_answered_while_one_loads() -> None:
    with FakeClock() as clock:
        rig = Rig(MemoryStore(), clock=clock)
        assert await rig.users.old(1) == User(1, "u1")
        rig.source.users[1] = User(1, "new")
        await clock.advance(11)
        rig.source.gate.clear()
        assert [await rig.users.old(1) for _ in range(5)] == [User(1, "u1")] * 5
        await clock.settle()
        assert rig.source.asked == [1, 1]
        rig.source.gate.set()
        await clock.settle()
        assert await rig.users.old(1) == User(1, "new")
        await clock.advance(21)
        rig.source.users[1] = User(1, "newer")
        assert await rig.users.old(1) == User(1, "newer")  # too old to be answered


async def test_old_values_over_two_levels() -> None:
    """What is near and old is loaded anew by the ticket of the far store."""
    with FakeClock() as clock:
        far = FarStore()
        far.inner = MemoryStore(clock=clock)
        rig = Rig(TwoLevelStore(MemoryStore(clock=clock), far, near_ttl=100), clock=clock)
        await rig.users.old(1)
        await clock.settle()
        rig.source.users[1] = User(1, "new")
        await clock.advance(11)
        assert await rig.users.old(1) == User(1, "u1")
        await clock.settle()
        assert await rig.users.old(1) == User(1, "new")
        assert rig.source.asked == [1, 1]
        await rig.settled()


async def test_what_cannot_be_loaded_anew_stays(caplog: pytest.LogCaptureFixture) -> None:
    with FakeClock() as clock:
        rig = Rig(MemoryStore(), clock=clock)
        await rig.users.old(1)
        await clock.advance(11)
        rig.source.failure = OSError("gone")
        assert [await rig.users.old(1)] == [User(1, "u1")]
        await clock.settle()
        assert "could not be loaded anew" in caplog.text
        assert rig.counts['errors_total{name="Users.old",what="renew"}'] == 1


async def test_time_to_live_is_shorter_at_random() -> None:
    lives: list[float] = []
    store = MemoryStore(limit=1000)
    put = store.put
    store.put = lambda fills: lives.extend(fill.ttl for fill in fills) or put(fills)  # type: ignore[method-assign,func-returns-value]
    users = Users(Cache(store))
    for each in range(1, 60):
        await users.user(each)
    await users.user(1000)
    assert len(set(lives[:-1])) > 30
    assert 54 <= min(lives[:-1]) < max(lives[:-1]) <= 60
    assert 4.5 <= lives[-1] <= 5


async def test_versions_do_not_see_each_other() -> None:
    store = MemoryStore()
    cache = Cache(store, prefix="shop:")
    for version in ("1", "2"):
        values = cache.values(int, Options(ttl=60, version=version, name="n"))

        async def load(version: str = version) -> int:
            return int(version)

        assert await values.get("a", load) == int(version)
        assert values.prefix == f"shop:{version}:"
    assert len(store) == 2


async def test_a_second_invalidation_follows() -> None:
    """For sources that are late: what they gave in between is forgotten too."""
    cache = Cache(MemoryStore())
    value = 1

    @cache.cached(ttl=60, invalidate_again=2)
    async def late(id: int) -> int:
        return value

    with FakeClock() as clock:
        await late(1)
        await late.invalidate(1)
        assert await late(1) == 1
        value = 2
        await clock.advance(3)
        assert await late(1) == 2
        await late.invalidate(1)
        await cache.aclose()  # does not wait the two seconds


async def test_another_form_of_a_value_is_loaded() -> None:
    """What another version of the program has kept is loaded anew, and counted."""
    store = FarStore()
    rig = Rig(store)
    before = rig.cache.values(str, Options(ttl=60, name="n"))
    after = rig.cache.values(User, Options(ttl=60, name="n"))
    other = rig.cache.values(list[int], Options(ttl=60, name="n"))

    async def text() -> str:
        return "text"

    async def user() -> User:
        return User(1, "u")

    async def numbers() -> list[int]:
        return [1]

    await before.get("k", text)
    await rig.settled()
    assert await after.get("k", user) == User(1, "u")
    await rig.settled()
    assert await other.get("k", numbers) == [1]
    await rig.settled()
    assert rig.counts['errors_total{name="n",what="decode"}'] == 2


async def test_a_value_that_has_no_form_is_returned(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(FarStore())

    @rig.cache.cached(ttl=60)
    async def value(id: int) -> Cart:
        return object()  # type: ignore[return-value]

    found = await asyncio.gather(value(1), value(1))
    assert len(found) == 2
    assert caplog.text.count("cannot be kept") == 1


async def test_loads_that_took_too_long_are_not_kept() -> None:
    """The store may have forgotten an invalidation by then."""
    with FakeClock() as clock:
        store = FarStore()
        rig = Rig(store, hold=5, timeout=100)
        rig.source.gate.clear()
        call = asyncio.create_task(rig.users.user(1))
        await clock.advance(6)
        rig.source.gate.set()
        assert await call == User(1, "u1")
        await clock.settle()
        assert "fill" not in store.calls


async def test_a_load_that_is_too_old_is_not_joined() -> None:
    """Its mark is forgotten: by then nobody can tell that it began before an invalidation."""
    store = FarStore(inner=Marks())
    slow, quick = Users(Cache(store, hold=5, timeout=60)), Users(Cache(store, hold=5, timeout=60))
    slow.source.gate.clear()
    with FakeClock() as clock:
        old = asyncio.create_task(slow.kept(1))
        await clock.settle()
        assert slow.source.asked == [1]
        slow.source.users[1] = quick.source.users[1] = User(1, "new")
        await quick.kept.invalidate(1)
        await clock.advance(70)
        later = asyncio.create_task(slow.kept(1))
        await clock.settle()
        slow.source.gate.set()
        assert await later == User(1, "new")
        assert await old == User(1, "u1")
        await clock.settle()
        assert await quick.kept(1) == User(1, "new")
        assert quick.source.asked == []
        await slow.cache.aclose()


async def test_a_source_is_found_by_its_attribute() -> None:
    class Other:
        def __init__(self) -> None:
            self.kept = Cache(MemoryStore())

        @cached(ttl=60, attribute="kept")
        async def value(self, id: int) -> int:
            return id

        @cached(ttl=60)
        async def lost(self, id: int) -> int:
            return id

    assert await Other().value(1) == 1
    with pytest.raises(TypeError, match=r"Other\.lost finds no cache: set self\.cache"):
        await Other().lost(1)
