"""The contract of registries: what each driver has to do, as tests to inherit.

A driver's tests inherit what fits: ``RegistryContract``; ``RecordContract`` if others can write there what they like;
``ServerContract`` if there is a server that can be killed, ``NetworkContract`` if it can be cut off besides. They say
how to reach the registry, and how to do these things to it::

    class TestEtcd(NetworkContract, RecordContract):
        @pytest.fixture(autouse=True)
        def server(self, etcd: Etcd) -> None:
            self.etcd = etcd

        def make(self) -> EtcdRegistry:
            return EtcdRegistry(self.etcd.address, patience=PATIENCE)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, Protocol, runtime_checkable

import pytest

from kratos.registry.base import Discovery, Instance, InvalidInstance, Registry, Troubled
from kratos.registry.patience import Patience

__all__ = [
    "PATIENCE",
    "DiscoveryContract",
    "NetworkContract",
    "RecordContract",
    "RegistryContract",
    "ServerContract",
    "Watching",
    "watching",
]

PATIENCE: Final = Patience(first=0.05, last=1.0, grace=4.0)
"""Times for tests: a registry that was away is found quickly, and what it has forgotten is soon given up."""

_LIMIT: Final = 30.0  # for what has to happen some time, on a busy machine
_WATCHERS: Final = 10
_CYCLES: Final = 100


@runtime_checkable
class _Closing(Protocol):
    async def aclose(self) -> None: ...


class Watching:
    """What one watcher was told.

    Attributes:
        lists: The lists, from the first to the last.
    """

    def __init__(self, lists: AsyncIterator[tuple[Instance, ...]]) -> None:
        self.lists: list[tuple[Instance, ...]] = []
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run(lists))

    async def until(self, wanted: Callable[[tuple[Instance, ...]], bool], what: str) -> tuple[Instance, ...]:
        """Returns the newest list as soon as it is what is wanted.

        Raises:
            AssertionError: It never was.
        """
        try:
            async with asyncio.timeout(_LIMIT):
                while not (self.lists and wanted(self.lists[-1])):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            last = self.lists[-1] if self.lists else "nothing at all"
            raise AssertionError(f"wanted {what}, was told {last}") from None
        return self.lists[-1]

    async def ids(self, *ids: str) -> tuple[Instance, ...]:
        """Returns the newest list as soon as it has these instances and no others."""
        return await self.until(lambda found: sorted(each.id for each in found) == sorted(ids), f"the ids {ids}")

    async def versions(self, *versions: str) -> tuple[Instance, ...]:
        """Returns the newest list as soon as it has instances of these versions and no others."""
        return await self.until(
            lambda found: sorted(each.version for each in found) == sorted(versions), f"the versions {versions}"
        )

    async def aclose(self) -> None:
        """Leaves."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, lists: AsyncIterator[tuple[Instance, ...]]) -> None:
        async for found in lists:
            self.lists.append(found)
            self._changed.set()


@asynccontextmanager
async def watching(discovery: Discovery, name: str, scheme: str | None = None) -> AsyncGenerator[Watching, None]:
    """Watches a service, and leaves in the end."""
    watch = Watching(discovery.watch(name, scheme))
    try:
        yield watch
    finally:
        await watch.aclose()


def _check(holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _instance(id: str = "1", name: str = "shop", version: str = "") -> Instance:
    return Instance(id, name, version, {"zone": "a"}, ("http://10.0.0.7:8000", "grpc://10.0.0.7:9000"))


async def _settled(condition: Callable[[], bool], message: str) -> None:
    """Returns as soon as something holds; for what cannot be waited for otherwise."""
    try:
        async with asyncio.timeout(_LIMIT):
            while not condition():  # noqa: ASYNC110 - tasks that end tell nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(message) from None


class _Places:
    """Makes registries and closes them."""

    def __init__(self, make: Callable[[], Registry]) -> None:
        self._make = make
        self._made: list[Registry] = []

    def __call__(self) -> Registry:
        made = self._make()
        self._made.append(made)
        return made

    async def aclose(self) -> None:
        for each in self._made:
            if isinstance(each, _Closing):
                await each.aclose()


class DiscoveryContract:
    """What everybody holds to who finds services, also without a registry behind.

    Attributes:
        listed: Instances of the service ``shop`` that ``find`` finds.
    """

    listed: tuple[Instance, ...] = ()

    def find(self) -> Discovery:
        """Returns a discovery that knows ``listed``, and nobody of the service ``bank``."""
        raise NotImplementedError

    async def test_the_list_is_complete(self) -> None:
        """The first list has all instances, in the order of their ids."""
        async with watching(self.find(), "shop") as watch:
            found = await watch.ids(*(each.id for each in self.listed))
        _check(found == tuple(sorted(self.listed, key=lambda each: each.id)), f"found {found}")

    async def test_nobody_serves(self) -> None:
        """That nobody serves is told, and not waited for."""
        async with watching(self.find(), "bank") as watch:
            await watch.ids()

    async def test_leaving_is_prompt(self) -> None:
        """A watcher that is cancelled while it waits leaves at once, and leaves nothing behind."""
        before = asyncio.all_tasks()
        discovery = self.find()
        for _ in range(_CYCLES):
            lists = discovery.watch("shop")
            await anext(lists)
            waiting = asyncio.ensure_future(anext(lists))
            await asyncio.sleep(0)
            waiting.cancel()
            async with asyncio.timeout(_LIMIT):
                await asyncio.wait([waiting])
            _check(waiting.cancelled(), f"the cancellation was taken for something else: {waiting}")
        await _settled(lambda: asyncio.all_tasks() <= before, "tasks are left")


class RegistryContract:
    """What every registry does.

    Attributes:
        crowd: How many instances of one service it has to take.
        flaps: How often one is registered and deregistered in a row.
        names: Names of services that it has to tell apart, or to refuse with ``InvalidInstance``.
    """

    crowd: int = 10_000
    flaps: int = 1_000
    names: tuple[str, ...] = ("a", "a/b", "/a", "a b", "..", "%2E", "日本", "grüße", "a.b:c@d#e?f", "x" * 200)

    def make(self) -> Registry:
        """Returns a registry as another process would have it: a new one, to the same server."""
        raise NotImplementedError

    async def test_registered_is_found(self) -> None:
        """What one registers others find, with all that is known of it; an empty value is not a missing one."""
        instance = Instance("u1", "shop", "v1.0.0", {"a": "", "zone": "a<b&c>", "ß": "日本"}, ("http://127.0.0.1:1",))
        async with self._registries() as make, watching(make(), "shop") as watch:
            await make().register(instance)
            found = await watch.ids("u1")
        _check(found == (instance,), f"found {found}")

    async def test_an_empty_service(self) -> None:
        """That nobody serves is told at once."""
        async with self._registries() as make, watching(make(), "nobody") as watch:
            await watch.ids()

    async def test_update(self) -> None:
        """An id that is registered again is replaced, and is never away meanwhile."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.register(_instance(version="1"))
            await watch.ids("1")
            seen = len(watch.lists)
            for version in ("2", "3"):
                await registry.register(_instance(version=version))
                await watch.versions(version)
        _check(all(len(each) == 1 for each in watch.lists[seen:]), f"it was away: {watch.lists[seen:]}")

    async def test_the_last_one_leaves(self) -> None:
        """Watchers are told when nobody serves any more."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.register(_instance())
            await watch.ids("1")
            await registry.deregister(_instance())
            await watch.ids()

    async def test_two_writers(self) -> None:
        """Instances of two processes stand beside each other, and one leaves without the other."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            one, two = make(), make()
            await asyncio.gather(one.register(_instance("1")), two.register(_instance("2")))
            await watch.ids("1", "2")
            await one.deregister(_instance("1"))
            await watch.ids("2")

    async def test_two_instances_of_one_process(self) -> None:
        """One registry object keeps more than one instance."""
        async with self._registries() as make, watching(make(), "shop") as shop, watching(make(), "bank") as bank:
            registry = make()
            await asyncio.gather(registry.register(_instance("1")), registry.register(_instance("2", "bank")))
            await shop.ids("1")
            await bank.ids("2")
            await registry.deregister(_instance("1"))
            await shop.ids()
            await registry.register(_instance("3"))
            await shop.ids("3")
            await bank.ids("2")

    async def test_one_id_of_two_services(self) -> None:
        """An id is unique in its service only: one registry object keeps both, and one leaves without the other."""
        async with self._registries() as make, watching(make(), "shop") as shop, watching(make(), "bank") as bank:
            registry = make()
            await registry.register(_instance(version="s"))
            await registry.register(_instance(name="bank", version="b"))
            await shop.versions("s")
            await bank.versions("b")
            await registry.register(_instance(version="s2"))
            await registry.deregister(_instance(name="bank"))
            await bank.ids()
            await shop.versions("s2")
            if isinstance(registry, Troubled):
                _check(not registry.trouble(_instance()), f"it is in trouble: {registry.trouble(_instance())}")
            await registry.deregister(_instance())
            await shop.ids()

    async def test_deregistering_nothing(self) -> None:
        """Who is unknown, or is deregistered twice, is deregistered."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.deregister(_instance("unknown"))
            await registry.register(_instance())
            await watch.ids("1")
            await asyncio.gather(registry.deregister(_instance()), registry.deregister(_instance()))
            await registry.deregister(_instance())
            await watch.ids()

    async def test_coming_again(self) -> None:
        """An id that has left may come again."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            for version in ("1", "2", "3"):
                await registry.register(_instance(version=version))
                await watch.versions(version)
                await registry.deregister(_instance(version=version))
                await watch.ids()

    async def test_names_are_told_apart(self) -> None:
        """``helloworld2`` is nobody's business who watches ``helloworld``."""
        async with self._registries() as make, watching(make(), "helloworld") as watch:
            registry = make()
            await registry.register(_instance("2", "helloworld2"))
            await registry.register(_instance("1", "helloworld"))
            await registry.register(_instance("3", "hello"))
            await watch.ids("1")
            async with watching(make(), "helloworld2") as other:
                await other.ids("2")
        _check(all(each.id == "1" for found in watch.lists for each in found), f"saw others: {watch.lists}")

    async def test_strange_names(self) -> None:
        """Slashes and letters of all kinds are names like any other, in services and ids, or are refused clearly."""
        async with self._registries() as make:
            registry = make()
            taken: list[str] = []
            for name in self.names:
                try:
                    await registry.register(_instance(f"id/{name}", name))
                except InvalidInstance:
                    continue
                taken.append(name)
            _check("a" in taken, "not even the plainest name is taken")
            for name in taken:
                async with watching(make(), name) as watch:
                    await watch.ids(f"id/{name}")

    async def test_schemes(self) -> None:
        """Whoever wants one scheme sees only instances that have it."""
        http = Instance("2", "shop", endpoints=("http://10.0.0.8:8000",))
        async with (
            self._registries() as make,
            watching(make(), "shop", "grpc") as grpc,
            watching(make(), "shop") as all_,
        ):
            registry = make()
            await registry.register(http)
            await registry.register(_instance("1"))
            await grpc.ids("1")
            await all_.ids("1", "2")

    async def test_many_watchers(self) -> None:
        """Each of ten watchers is told of one change."""
        async with self._registries() as make:
            discovery = make()
            watches = [Watching(discovery.watch("shop")) for _ in range(_WATCHERS)]
            try:
                await asyncio.gather(*(watch.ids() for watch in watches))
                await make().register(_instance())
                await asyncio.gather(*(watch.ids("1") for watch in watches))
                _check(all(len(watch.lists) == len(watches[0].lists) for watch in watches), "some were told more often")
            finally:
                await asyncio.gather(*(watch.aclose() for watch in watches))

    async def test_leaving_disturbs_nobody(self) -> None:
        """A watcher that leaves, or is cancelled while it waits, is missed by nobody and leaves no task behind."""
        async with self._registries() as make:
            discovery, registry = make(), make()
            await registry.register(_instance())
            async with watching(discovery, "shop") as staying:
                await staying.ids("1")
                before = asyncio.all_tasks()
                for _ in range(_CYCLES):
                    lists = discovery.watch("shop")
                    await anext(lists)
                    waiting = asyncio.ensure_future(anext(lists))
                    await asyncio.sleep(0)
                    waiting.cancel()
                    async with asyncio.timeout(_LIMIT):
                        await asyncio.wait([waiting])
                    _check(waiting.cancelled(), f"the cancellation was taken for something else: {waiting}")
                await _settled(lambda: asyncio.all_tasks() <= before, "tasks are left")
                await registry.deregister(_instance())
                await staying.ids()

    async def test_coming_and_going(self) -> None:
        """A hundred watchers, one after the other and each the only one, leave nothing behind."""
        async with self._registries() as make:
            discovery, registry = make(), make()
            await registry.register(_instance())
            before = asyncio.all_tasks()
            for _ in range(_CYCLES):
                async with watching(discovery, "shop") as watch:
                    await watch.ids("1")
            await _settled(lambda: asyncio.all_tasks() <= before, "tasks are left")

    async def test_a_crowd(self) -> None:
        """Thousands of instances of one service are found, all of them."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            ids = [f"{number:05}" for number in range(self.crowd)]
            for at in range(0, len(ids), 500):
                await asyncio.gather(*(registry.register(_instance(each)) for each in ids[at : at + 500]))
            await watch.ids(*ids)
            await registry.deregister(_instance(ids[-1]))
            await watch.ids(*ids[:-1])

    async def test_flapping(self) -> None:
        """Whatever came before, the last word counts."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            for number in range(self.flaps):
                await registry.register(_instance(version=str(number)))
                await registry.deregister(_instance())
            await watch.ids()
            await registry.register(_instance(version="last"))
            found = await watch.ids("1")
        _check(found[0].version == "last", f"found {found}")

    @asynccontextmanager
    async def _registries(self) -> AsyncGenerator[Callable[[], Registry], None]:
        places = _Places(self.make)
        try:
            yield places
        finally:
            await places.aclose()


class RecordContract(RegistryContract):
    """What every registry does in which others may write what they like."""

    async def spoil(self, name: str) -> None:
        """Puts a record that is none among those of a service."""
        raise NotImplementedError

    async def test_a_bad_neighbour(self) -> None:
        """A record that is none is skipped; the others are found."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.register(_instance("1"))
            await self.spoil("shop")
            await registry.register(_instance("2"))
            await watch.ids("1", "2")
            async with watching(make(), "shop") as later:
                await later.ids("1", "2")


class ServerContract(RegistryContract):
    """What every registry does whose driver talks to a server.

    Registries have to be made with ``PATIENCE``.
    """

    async def kill(self) -> None:
        """Ends the server, as kill -9 does."""
        raise NotImplementedError

    async def start(self) -> None:
        """Starts the server again at the same address, with nothing in it."""
        raise NotImplementedError

    async def test_an_empty_restart(self) -> None:
        """A server that comes back with nothing is told anew, once; no watcher ever believes that nobody serves."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.register(_instance("1"))
            await watch.ids("1")
            seen = len(watch.lists)
            await self.kill()
            await _troubled(registry, _instance("1"))
            await self.start()
            await _untroubled(registry, _instance("1"))
            await make().register(_instance("2"))
            await watch.ids("1", "2")
            async with watching(make(), "shop") as later:
                await later.ids("1", "2")
            await registry.deregister(_instance("1"))
            await watch.ids("2")
        _check(all(watch.lists[seen:]), f"believed that nobody serves: {watch.lists[seen:]}")

    async def test_who_does_not_come_back(self) -> None:
        """An instance that a server has forgotten, and that is not told anew, is given up in the end."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            gone = make()
            await gone.register(_instance("1"))
            await watch.ids("1")
            await self.kill()
            await _troubled(gone, _instance("1"))
            with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own words
                await gone.deregister(_instance("1"))
            await self.start()
            await watch.ids()

    async def test_the_server_comes_late(self) -> None:
        """What is registered while there is no server is found when there is one."""
        await self.kill()
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            registering = asyncio.create_task(registry.register(_instance()))
            await _troubled(registry, _instance())
            _check(not watch.lists, "something was told before anything was known")
            await self.start()
            async with asyncio.timeout(_LIMIT):
                await registering
            await watch.ids("1")

    async def test_gone_is_gone(self) -> None:
        """Who leaves while there is no server does not come back with it."""
        async with self._registries() as make:
            registry = make()
            await registry.register(_instance())
            await self.kill()
            await _troubled(registry, _instance())
            with pytest.raises(Exception):  # noqa: B017, PT011 - the driver's own words
                await registry.deregister(_instance())
            await self.start()
            await make().register(_instance("2"))
            await asyncio.sleep(3 * PATIENCE.last)  # in which a registration that is still under way would be back
            async with watching(make(), "shop") as watch:
                await watch.ids("2")


class NetworkContract(ServerContract):
    """What every registry does over a network that can be cut.

    Attributes:
        forgets: After how many seconds the server forgets a process that it cannot reach, at the latest.
    """

    forgets: float = 15.0

    async def cut(self) -> None:
        """Lets no byte through any more, without closing a connection."""
        raise NotImplementedError

    async def heal(self) -> None:
        """Lets bytes through again."""
        raise NotImplementedError

    async def test_a_network_that_is_cut(self) -> None:
        """The last list stands while nothing comes through; afterwards everybody is there, and what changed is told."""
        async with self._registries() as make, watching(make(), "shop") as watch:
            registry = make()
            await registry.register(_instance("1"))
            await watch.ids("1")
            seen = len(watch.lists)
            await self.cut()
            try:
                await asyncio.sleep(self.forgets)  # the server's own clock
                await _troubled(registry, _instance("1"))
            finally:
                await self.heal()
            await _untroubled(registry, _instance("1"))
            await make().register(_instance("2"))
            await watch.ids("1", "2")
        _check(all(watch.lists[seen:]), f"believed that nobody serves: {watch.lists[seen:]}")


async def _troubled(registry: Registry, instance: Instance) -> None:
    await _stands(registry, instance, well=False)


async def _untroubled(registry: Registry, instance: Instance) -> None:
    await _stands(registry, instance, well=True)


async def _stands(registry: Registry, instance: Instance, *, well: bool) -> None:
    _check(isinstance(registry, Troubled), "it cannot tell how registrations stand")
    if isinstance(registry, Troubled):
        troubled = registry
        await _settled(
            lambda: (not troubled.trouble(instance)) is well,
            f"it never was {'registered again' if well else 'in trouble'}: {troubled.trouble(instance)!r}",
        )
