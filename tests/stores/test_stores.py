"""What a store promises, against Redis and memcached as they are."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Self

import pytest
from unit.cache.law import broken, some_plays
from unit.cache.repositories import User, Users

from kratos.cache import Cache, MemoryStore
from kratos.cache.base import Entry, Fill, Store
from kratos.cache.envelope import tombstone, unpack
from kratos.contrib.memcached import KratosV1Store, MemcachedStore
from kratos.contrib.memcached.client import Memcached, MemcachedError, exptime
from kratos.contrib.redis import RedisStore
from stores.conftest import Make
from stores.serving import Deaf, Server, memcached, redis


def cache(make: Make, prefix: str = "") -> Cache:
    return Cache(make(), prefix=prefix or f"{uuid.uuid4()}:", timeout=60, flush=60)


async def test_a_thousand_misses_are_one_load(make: Make) -> None:
    users = Users(cache(make))
    found = await asyncio.gather(*(users.user(1) for _ in range(1000)))
    assert found == [User(1, "u1")] * 1000
    assert users.source.asked == [1]
    await users.cache.aclose()


async def test_the_leader_leaves(make: Make) -> None:
    users = Users(cache(make))
    users.source.gate.clear()
    leader = asyncio.create_task(users.user(1))
    while not users.source.asked:
        await asyncio.sleep(0)
    followers = [asyncio.create_task(users.user(1)) for _ in range(50)]
    (slot,) = users.cache._shared.flights._slots.values()
    while slot.flight is None or slot.flight._waiting < 51:
        await asyncio.sleep(0.001)
    leader.cancel()
    await asyncio.wait([leader])
    users.source.gate.set()
    assert await asyncio.gather(*followers) == [User(1, "u1")] * 50
    assert users.source.asked == [1]
    await users.cache.aclose()


async def test_all_shapes(make: Make) -> None:
    """Set, get, delete, get: none, one, several, texts, nothing."""
    prefix = f"{uuid.uuid4()}:"
    here, there = Users(cache(make, prefix)), Users(cache(make, prefix))
    assert await here.users([1, 2, 1000]) == {1: User(1, "u1"), 2: User(2, "u2")}
    assert len(await here.everybody()) == 99
    assert await here.count("a text: with blanks, and ümläuts") == 0
    await here.cache.aclose()
    assert await there.user(1) == User(1, "u1")
    assert await there.user(1000) is None
    assert await there.everybody() == await here.everybody()
    assert await there.count("a text: with blanks, and ümläuts") == 0
    assert there.source.asked == []
    await here.save(User(1, "new"))
    await here.user.invalidate(1000)
    await here.user.invalidate(4000)
    near = Users(cache(make, prefix))
    assert await near.user(1) == User(1, "u1")  # what its source has
    assert near.source.asked == [1]
    for users in (here, there, near):
        await users.cache.aclose()


async def test_what_began_before_is_refused(make: Make) -> None:
    """Whoever loads in another process hears of the invalidation by its ticket."""
    slow, quick = make(), make()
    key = str(uuid.uuid4())
    ((entry, ticket),) = await slow.get([key])
    assert entry is None
    await quick.invalidate([key], 60)
    assert [*await slow.fill([Fill(key, Entry(b"old", form="raw"), 60, ticket)])] == [False]
    ((entry, ticket),) = await quick.get([key])
    assert entry is None
    assert [*await quick.fill([Fill(key, Entry(b"new", form="raw"), 60, ticket)])] == [True]
    ((entry, again),) = await slow.get([key])
    assert entry is not None
    assert entry.data == b"new"
    assert again != ticket
    await quick.invalidate([key], 60)
    await quick.invalidate([key], 60)
    assert [*await slow.fill([Fill(key, Entry(b"renewed", form="raw"), 60, again)])] == [False]
    await slow.aclose()
    await quick.aclose()


async def test_entries_and_marks_end(make: Make) -> None:
    store = make()
    key, other = str(uuid.uuid4()), str(uuid.uuid4())
    found = await store.get([key])
    await store.fill([Fill(key, Entry(b"v", form="raw"), 1, found[0].ticket)])
    await store.invalidate([other], 1)
    while (await make_far(store).get([key]))[0].entry is not None:
        await asyncio.sleep(0.05)
    while (await make_far(store).get([other]))[0].ticket not in (None, b""):
        await asyncio.sleep(0.05)
    await store.aclose()


def make_far(store: object) -> RedisStore | MemcachedStore:
    far = getattr(store, "_far", store)
    assert isinstance(far, RedisStore | MemcachedStore)
    return far


@pytest.mark.parametrize("seed", range(3))
async def test_the_law_among_processes(seed: int, redis_server: Server, memcached_server: Server) -> None:
    """A read is never older than the last invalidation, whoever has invalidated."""
    for make in (
        lambda: RedisStore(f"redis://{redis_server.address}", timeout=60),
        lambda: MemcachedStore(memcached_server.address, timeout=60),
    ):
        for steps in some_plays(4, 3, seed):
            prefix = f"{uuid.uuid4()}:"
            caches = [Cache(make(), prefix=prefix, timeout=60) for _ in range(3)]
            assert await broken(caches, steps, beat=0.0002) == []


@pytest.mark.parametrize("seed", range(3))
async def test_the_law_over_two_levels(make: Make, seed: int) -> None:
    for steps in some_plays(4, 1, seed):
        assert await broken([cache(make)], steps, beat=0.0002) == []


# What a cache waits for a store by default, and what a busy machine may add to it.
LONGEST_SECONDS = 0.5 + 10
OVER: dict[str, tuple[Callable[[], Server], Callable[[str], Store]]] = {
    "redis": (redis, lambda address: RedisStore(f"redis://{address}")),
    "memcached": (memcached, MemcachedStore),
    "v1": (memcached, KratosV1Store),
}


class Load:
    """Twenty who read and one who writes: how many answers there were, and which were older than what was known."""

    def __init__(self, users: Users) -> None:
        self.users = users
        self.wrong: list[User | None] = []
        self.answers = 0
        self._known = 1
        self._stop = False

    async def __aenter__(self) -> Self:
        self._work = [asyncio.create_task(each) for each in (*(self._read() for _ in range(20)), self._write())]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop = True
        await asyncio.gather(*self._work)

    async def more(self, count: int) -> None:
        """Waits until so many answers more have come."""
        until = self.answers + count
        while self.answers < until:
            await asyncio.wait(self._work, timeout=0.02, return_when=asyncio.FIRST_COMPLETED)
            for task in self._work:
                if task.done():
                    await task

    async def _read(self) -> None:
        while not self._stop:
            least = self._known
            async with asyncio.timeout(LONGEST_SECONDS):
                found = await self.users.user(1)
            self.answers += 1
            if found is None or int(found.name.removeprefix("u")) < least:
                self.wrong.append(found)
            await asyncio.sleep(0)

    async def _write(self) -> None:
        while not self._stop:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self.users.save(User(1, f"u{self._known + 1}"))
            self._known += 1
            await asyncio.sleep(0.01)


async def is_back(users: Users, id: int) -> None:
    """Waits until what was loaded is there the next time."""
    await users.user(id)
    asked = 0
    async with asyncio.timeout(60):
        while users.source.asked.count(id) != asked:
            asked = users.source.asked.count(id)
            await asyncio.sleep(0.05)
            await users.user(id)


@pytest.mark.parametrize("kind", ["redis", "memcached"])
@pytest.mark.parametrize(("goes", "comes"), [("kill", "start"), ("pause", "resume")])
async def test_a_server_that_goes_loses_values_and_nothing_else(kind: str, goes: str, comes: str) -> None:
    """Killed or standing still under load: answers stay right, each is bounded in time, and the cache comes back."""
    run, store = OVER[kind]
    server = run()
    try:
        users = Users(Cache(store(server.address), pause=0.2))
        async with Load(users) as load:
            for act in (goes, comes, goes, comes):
                await load.more(200)
                await asyncio.to_thread(getattr(server, act))
            await load.more(200)
        assert load.wrong == []
        await is_back(users, 2)
        await users.cache.aclose()
    finally:
        server.close()


@pytest.mark.parametrize("kind", [*OVER])
async def test_a_connection_that_goes_deaf_is_left(kind: str) -> None:
    """By default the cache gives up when the store's own client would: that must not keep the connection."""
    run, store = OVER[kind]
    server = run()
    try:
        async with Deaf(server) as proxy:
            users = Users(Cache(store(proxy.address), pause=0.05))
            async with Load(users) as load:
                for _ in range(2):
                    await load.more(200)
                    connections = proxy.connections
                    proxy.deafen()
                    await load.more(200)
                    await is_back(users, connections + 2)
                    assert proxy.connections > connections
            assert load.wrong == []
            await users.cache.aclose()
    finally:
        server.close()


async def test_long_keys_in_memcached(memcached_server: Server) -> None:
    store = MemcachedStore(memcached_server.address, timeout=30)
    key = f"{uuid.uuid4()} {'x' * 300}"
    found = await store.get([key, key + "y"])
    await store.fill([Fill(key, Entry(b"v", form="raw"), 60, found[0].ticket)])
    found = await store.get([key, key + "y"])
    assert [each.entry is None for each in found] == [False, True]
    await store.aclose()


async def test_values_that_memcached_refuses(memcached_server: Server) -> None:
    """One that is too large says nothing of the server."""
    store = MemcachedStore(memcached_server.address, timeout=30)
    key = str(uuid.uuid4())
    with pytest.raises(ValueError, match="too large"):
        await store.fill([Fill(key, Entry(b"x" * 2_000_000, form="raw"), 60, None)])
    assert [found.entry for found in await store.get([key])] == [None]
    await store.aclose()


async def test_the_client_survives_those_who_leave(memcached_server: Server) -> None:
    """A reply that nobody waits for is read all the same: the next one is the next one's."""
    client = Memcached(memcached_server.address, timeout=30)
    names = [f"{uuid.uuid4()}" for _ in range(50)]
    await asyncio.gather(*(client.store("set", name, name.encode()) for name in names))
    tasks = [asyncio.create_task(client.get([name])) for name in names]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks[1::2])
    assert [next(iter(each.values())).data.decode() for each in found] == names[1::2]
    assert await client.delete(names[0])
    assert not await client.delete(names[0])
    with pytest.raises(ValueError, match="250 bytes"):
        await client.get(["a b"])
    with pytest.raises(MemcachedError):
        await client._ask(b"nonsense\r\n", _never)
    assert [*await client.get(names[1:2])] == names[1:2]
    await client.aclose()
    assert [*await client.get(names[1:2])] == names[1:2]
    await client.aclose()


async def _never(reader: asyncio.StreamReader) -> None:
    raise MemcachedError((await reader.readline()).decode())


async def test_a_server_that_hangs() -> None:
    """It is left, and the next request has another connection."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while await reader.readline():
            asked += 1
            if asked > 1:
                writer.write(b"END\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = Memcached(f"127.0.0.1:{port}", timeout=0.2)
        with pytest.raises(TimeoutError, match="took longer than"):
            await client.get(["a"])
        client._timeout = 30
        assert await client.get(["a"]) == {}
        await client.aclose()


async def test_a_server_that_says_what_nobody_understands() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        client = Memcached(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=30)
        for work in (client.get(["a"]), client.delete("a")):
            with pytest.raises(ConnectionError):
                await work
        await client.aclose()


@pytest.mark.parametrize("address", ["", "localhost", ":11211", "host:port"])
def test_addresses(address: str) -> None:
    with pytest.raises(ValueError, match="say host:port"):
        MemcachedStore(address)


def test_times_to_live() -> None:
    assert [exptime(seconds, 1000.2) for seconds in (0.1, 1, 1.2, 30 * 86400, 30 * 86400 + 1)] == [
        1, 1, 2, 2592000, 2593001,
    ]  # fmt: skip


def test_strangers_are_nothing() -> None:
    assert [unpack(data) for data in (b"", b"K", b"x" * 40, tombstone())] == [None] * 4


async def test_redis_that_is_not_there() -> None:
    users = Users(Cache(RedisStore("redis://127.0.0.1:1"), timeout=30))
    assert await asyncio.gather(*(users.user(1) for _ in range(100))) == [User(1, "u1")] * 100
    await users.cache.aclose()


async def test_leaving_redis_while_it_is_asked(redis_server: Server) -> None:
    store = RedisStore(f"redis://{redis_server.address}", timeout=30)
    tasks = [asyncio.create_task(store.get([f"{number}"])) for number in range(600)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() or task.result()[0].entry is None for task in tasks)
    await store.aclose()


async def test_memory_is_bounded() -> None:
    users = Users(Cache(MemoryStore(limit=100)))
    for number in range(5000):
        await users.count(str(number))
        await users.count.invalidate(str(number + 10_000))
    store = users.cache._shared.local
    assert isinstance(store, MemoryStore)
    assert (len(store), len(store._invalidated)) == (100, 100)
    assert users.cache._shared.flights._slots == {}
