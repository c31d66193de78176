"""Several registries are one, and none waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kratos.metrics import PrometheusMeter
from kratos.metrics.base import Meter
from kratos.registry import Instance, InvalidInstance, MemoryRegistry, MultiRegistry, StaticDiscovery
from kratos.testing import FakeClock

ONE = Instance("1", "shop", endpoints=("grpc://a:1",))
TWO = Instance("2", "shop", endpoints=("grpc://b:1",))


class Wild(MemoryRegistry):
    """A registry that fails, or hangs, until it is told not to."""

    def __init__(self, fails: Exception | None = None) -> None:
        super().__init__()
        self.fails = fails
        self.free = asyncio.Event()
        self.measured: list[Meter] = []
        self.is_closed = False

    async def register(self, instance: Instance, /) -> None:
        await self._try()
        await super().register(instance)

    async def deregister(self, instance: Instance, /) -> None:
        await self._try()
        await super().deregister(instance)

    async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        await self._try()
        async for found in super().watch(name, scheme):
            yield found

    def trouble(self, instance: Instance, /) -> str:
        return "" if instance.id in self._instances.get(instance.name, ()) else "no such instance"

    def measure(self, meter: Meter, /) -> None:
        self.measured.append(meter)

    async def aclose(self) -> None:
        self.is_closed = True

    async def _try(self) -> None:
        if self.fails is not None:
            raise self.fails
        await self.free.wait()


def freed(wild: Wild) -> Wild:
    wild.free.set()
    return wild


async def listed(registry: MemoryRegistry) -> tuple[Instance, ...]:
    return await anext(MemoryRegistry.watch(registry, "shop"))


async def test_registered_everywhere() -> None:
    """What is registered is found in each of them, and in none when it has left."""
    one, two = MemoryRegistry(), freed(Wild())
    multi = MultiRegistry(one, two)
    await multi.register(ONE)
    assert await listed(one) == await listed(two) == (ONE,)
    assert multi.trouble(ONE) == ""
    await multi.deregister(ONE)
    assert await listed(one) == await listed(two) == ()
    assert multi.trouble(ONE) == "Wild: no such instance"


async def test_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The others do not hear of it, the log does."""
    one, two = MemoryRegistry(), Wild(ConnectionError("no registry"))
    multi = MultiRegistry(two, one)
    await multi.register(ONE)
    assert await listed(one) == (ONE,)
    assert "shop is not registered by Wild: ConnectionError('no registry')" in caplog.text
    with pytest.raises(ExceptionGroup, match="shop was not deregistered everywhere"):
        await multi.deregister(ONE)
    assert await listed(one) == ()


class Starting:
    """A registrar of a user's own, which does not try again by itself."""

    def __init__(self, *fails: Exception) -> None:
        self.fails = [*fails]
        self.has: set[str] = set()

    async def register(self, instance: Instance, /) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.has.add(instance.id)

    async def deregister(self, instance: Instance, /) -> None:
        self.has.discard(instance.id)


async def test_one_that_gives_up_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """It is asked until it takes the instance, and what stands in the way is told meanwhile."""
    starting = Starting(ConnectionError("starting"), ConnectionError("still starting"))
    multi = MultiRegistry(MemoryRegistry(), starting)
    with FakeClock() as clock:
        await multi.register(ONE)
        assert multi.trouble(ONE) == "Starting: ConnectionError: starting"
        await clock.advance(0.2)
        await clock.advance(0.4)
        assert starting.has == {"1"}
        assert multi.trouble(ONE) == ""
        assert "shop is registered by Starting, after 2 attempts that failed" in caplog.text
        assert caplog.text.count("is not registered by") == 1
        await multi.deregister(ONE)
        assert starting.has == set()


async def test_one_that_gives_up_and_is_left() -> None:
    """Who has been deregistered meanwhile, or whose registry is closed, is not registered any more."""
    starting = Starting(*(ConnectionError("starting") for _ in range(2)))
    multi = MultiRegistry(MemoryRegistry(), starting)
    with FakeClock() as clock:
        await multi.register(ONE)
        await multi.deregister(ONE)
        await multi.register(ONE)
        assert multi.trouble(ONE) == "Starting: ConnectionError: starting"
        await multi.aclose()
        for _ in range(10):
            await clock.advance(10)
    assert not starting.fails
    assert starting.has == set()


async def test_one_that_never_takes_it(caplog: pytest.LogCaptureFixture) -> None:
    """An instance that can never be registered there is not tried again, and is in trouble for ever."""
    starting = Starting(InvalidInstance("too long"), AssertionError("asked again"))
    multi = MultiRegistry(MemoryRegistry(), starting)
    with FakeClock() as clock:
        await multi.register(ONE)
        await clock.advance(100)
        assert multi.trouble(ONE) == "Starting: InvalidInstance: too long"
    assert len(starting.fails) == 1
    assert "Trying again" not in caplog.text


async def test_one_fails_at_first_and_the_other_hangs() -> None:
    """The one that takes it at its second attempt ends the waiting."""
    starting = Starting(ConnectionError("starting"))
    with FakeClock() as clock:
        multi = MultiRegistry(Wild(), starting)
        registering = asyncio.create_task(multi.register(ONE))
        await clock.advance(0.2)
        assert starting.has == {"1"}
        await clock.advance(1.1)
        await registering
        assert multi.trouble(ONE) == "Wild: no such instance"
        await multi.aclose()


async def test_one_word_after_the_other() -> None:
    """A later word about an id ends the earlier one, also while that is waiting for one before it."""
    starting = Starting(*(ConnectionError("starting") for _ in range(3)))
    multi = MultiRegistry(Wild(), starting)
    with FakeClock() as clock:
        words = []
        for _ in range(3):
            words.append(asyncio.create_task(multi.register(ONE)))
            await asyncio.sleep(0)
        for _ in range(4):
            await clock.advance(2)
        await asyncio.gather(*words)
        assert starting.has == {"1"}
        asking = {task for task in asyncio.all_tasks() if "kratos register" in task.get_name()}
        assert asking == {each.task for each in multi._asked["shop", "1"] if not each.task.done()}
        await multi.aclose()


async def test_all_that_fail() -> None:
    """Nowhere to be found is an error."""
    with pytest.raises(ExceptionGroup, match="shop is registered nowhere") as failure:
        await MultiRegistry(Wild(ConnectionError("one")), Wild(ConnectionError("two"))).register(ONE)
    assert [str(each) for each in failure.value.exceptions] == ["one", "two"]


async def test_one_that_hangs() -> None:
    """It has another second after the first one that is ready, and then goes on by itself."""
    one, two = MemoryRegistry(), Wild()
    with FakeClock() as clock:
        multi = MultiRegistry(one, two)
        registering = asyncio.create_task(multi.register(ONE))
        await clock.advance(0.9)
        assert not registering.done()
        await clock.advance(0.2)
        await registering
        assert await listed(two) == ()
        two.free.set()
        await clock.settle()
        assert await listed(two) == (ONE,)


async def test_leaving_before_all_have_taken_it() -> None:
    """What is still under way ends with the deregistration, or with closing; a new registration replaces it."""
    one, two = MemoryRegistry(), Wild()
    with FakeClock() as clock:
        multi = MultiRegistry(one, two)
        for end in (multi.deregister(ONE), multi.aclose(), multi.register(ONE)):
            registering = asyncio.create_task(multi.register(ONE))
            await clock.advance(1)
            await registering
            ending = asyncio.create_task(end)
            await clock.settle()
            two.free.set()
            await clock.advance(2)
            await ending
            assert len(await listed(two)) == (1 if end.__name__ == "register" else 0)
            two.free.clear()
        assert two.is_closed


async def test_found_anywhere() -> None:
    """Each id comes once, as the first registry has it; who only finds is asked too."""
    one, two = MemoryRegistry(), MemoryRegistry()
    multi = MultiRegistry(one, two, StaticDiscovery({"shop": [Instance("0", "shop")]}))
    await one.register(ONE)
    await two.register(Instance("1", "shop", "older"))
    await two.register(TWO)
    lists = multi.watch("shop")
    found = await anext(lists)
    while [each.id for each in found] != ["0", "1", "2"]:
        found = await anext(lists)
    assert found[1:] == (ONE, TWO)
    await two.deregister(TWO)
    assert [each.id for each in await anext(lists)] == ["0", "1"]
    waiting = asyncio.ensure_future(anext(lists))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not one._changed
    assert not two._changed


async def test_nobody_serves_when_all_say_so(caplog: pytest.LogCaptureFixture) -> None:
    """One that is away may know somebody: an empty list waits for it, and it is asked again."""
    one, two = MemoryRegistry(), Wild(ConnectionError("no registry"))
    with FakeClock() as clock:
        lists = MultiRegistry(one, two).watch("shop")
        waiting = asyncio.ensure_future(anext(lists))
        await clock.advance(5)
        assert not waiting.done()
        assert "watching shop by Wild failed" in caplog.text
        two.fails = None
        two.free.set()
        await clock.advance(1)
        assert await waiting == ()
        waiting = asyncio.ensure_future(anext(lists))
        await clock.settle()
        waiting.cancel()
        await clock.settle()


async def test_a_watch_that_ends() -> None:
    """It is begun again, a second later."""

    class Ending(MemoryRegistry):
        async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
            yield tuple(self._instances.get(name, {}).values())

    ending = Ending()
    with FakeClock() as clock:
        lists = MultiRegistry(ending).watch("shop")
        assert await anext(lists) == ()
        await ending.register(ONE)
        waiting = asyncio.ensure_future(anext(lists))
        await clock.advance(0.9)
        assert not waiting.done()
        await clock.advance(0.2)
        assert await waiting == (ONE,)
        await lists.aclose()  # type: ignore[attr-defined]


async def test_parts() -> None:
    """What registries have besides is reached through it; who only registers is not watched."""

    class Only:
        async def register(self, instance: Instance, /) -> None: ...
        async def deregister(self, instance: Instance, /) -> None: ...

    wild = Wild()
    multi = MultiRegistry(wild, MemoryRegistry(), Only())
    meter = PrometheusMeter()
    multi.measure(meter)
    assert wild.measured == [meter]
    assert "in this process only" in str(multi)
    await multi.aclose()
    assert wild.is_closed
    lists = MultiRegistry(Only()).watch("shop")
    assert await anext(lists) == ()
    await lists.aclose()  # type: ignore[attr-defined]


def test_what_is_no_registry() -> None:
    """At least one, and of the right kind."""
    with pytest.raises(ValueError, match="needs a registry"):
        MultiRegistry()
    with pytest.raises(TypeError, match="'etcd' is no registry"):
        MultiRegistry("etcd")  # type: ignore[arg-type]
