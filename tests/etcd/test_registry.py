"""Instances in a real etcd: what the keys hold, and what happens to them when the server or the network goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from etcd.serving import NEEDED, Etcd
from killable import PATIENCE_SECONDS, until

from kratos.contrib.etcd import EtcdRegistry
from kratos.contrib.etcd import span as span_module
from kratos.contrib.etcd.connection import Connection as EtcdConnection
from kratos.registry import Instance, Patience
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import DeleteRangeRequest, PutRequest

pytestmark = NEEDED

MINIMAL = '{"id":"0","name":"helloworld","version":"","metadata":null,"endpoints":null}'
FULL = (
    '{"id":"u1","name":"helloworld","version":"v1.0.0","metadata":{"color":"x","zone":"a\\u003cb"},'
    '"endpoints":["http://127.0.0.1:8000?a=1\\u0026b=2","grpc://127.0.0.1:9000"]}'
)
ENDPOINTS = ("http://127.0.0.1:8000?a=1&b=2", "grpc://127.0.0.1:9000")
SHOP = Instance("u1", "helloworld", "v1.0.0", {"zone": "a<b", "color": "x"}, ENDPOINTS)

Make = Callable[..., EtcdRegistry]


class Seen:
    """What a watcher has been told."""

    def __init__(self) -> None:
        self.lists: list[tuple[Instance, ...]] = []

    @property
    def last(self) -> dict[str, str]:
        """Ids and versions of the last list."""
        return {instance.id: instance.version for instance in self.lists[-1]} if self.lists else {"nothing": "yet"}

    async def until(self, **versions: str) -> None:
        """Returns when there is just this."""
        await until(lambda: self.last == versions)


@asynccontextmanager
async def watching(registry: EtcdRegistry, name: str = "helloworld") -> AsyncIterator[Seen]:
    """Watches a service for as long as the block lasts."""
    seen = Seen()

    async def watch() -> None:
        async for found in registry.watch(name):
            seen.lists.append(found)

    task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_keys_and_records(etcd: Etcd, registry: Make) -> None:
    """They are those of Kratos for Go, byte for byte, with a lease; leaving takes both away."""
    ours = registry(ttl=15)
    await ours.register(SHOP)
    await ours.register(Instance("0", "helloworld"))
    assert etcd.keys() == {"/microservices/helloworld/u1": FULL, "/microservices/helloworld/0": MINIMAL}
    leases = etcd.leases()
    told = [etcd.ctl("lease", "timetolive", lease, "--keys") for lease in leases]
    assert len(leases) == 2
    assert all("granted with TTL(15s)" in each for each in told)
    await ours.deregister(SHOP)
    assert [*etcd.keys()] == ["/microservices/helloworld/0"]
    await ours.deregister(Instance("0", "helloworld"))
    assert (etcd.keys(), etcd.leases()) == ({}, [])


async def test_records_of_others(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What Go has written is found; what nobody can read is skipped and told once, and hides nobody."""
    below = "/shops/helloworld/"
    etcd.ctl("put", f"{below}u1", FULL)
    etcd.ctl("put", f"{below}bad", '{"id": 1}')
    async with watching(registry(namespace="/shops/")) as seen:
        await seen.until(u1="v1.0.0")
        assert seen.lists[-1] == (SHOP,)
        etcd.ctl("put", f"{below}worse", "\x01")
        etcd.ctl("put", f"{below}0", MINIMAL)
        await seen.until(u1="v1.0.0", **{"0": ""})
        etcd.ctl("del", f"{below}u1")
        await seen.until(**{"0": ""})
        etcd.ctl("del", "", "--prefix")
        await seen.until()
    skipped = [record.getMessage() for record in caplog.records if "is skipped" in record.getMessage()]
    assert [line.split(" is ")[0] for line in skipped] == [f"etcd: {below}bad", f"etcd: {below}worse"]


async def test_names_keep_to_themselves(etcd: Etcd, registry: Make) -> None:
    """Names with slashes, beginnings of others and foreign letters have keys, and lists, of their own."""
    ours = registry()
    names = ["a", "a/b", "ab", "a/", "größe/ß", "größe", "a%2Fb", "*", "a b"]
    ids = ["1", "b/1", "b%2F1", "1%", "%252F"]
    for name in names:
        for each in ids:
            await ours.register(Instance(each, name, f"{name} {each}"))
    keys = etcd.keys()
    assert len(keys) == len(names) * len(ids)
    assert {"/microservices/a/1", "/microservices/a/b/1", "/microservices/größe/1", "/microservices/a/1%"} <= {*keys}
    for name in names:
        async with watching(ours, name) as seen:
            await seen.until(**{each: f"{name} {each}" for each in ids})


async def test_registering_again_replaces(etcd: Etcd, registry: Make) -> None:
    """A watcher sees the new record in the place of the old one, and never neither."""
    ours = registry()
    await ours.register(SHOP)
    async with watching(registry()) as seen:
        await seen.until(u1="v1.0.0")
        for version in ("v2", "v3", "v4"):
            await ours.register(Instance("u1", "helloworld", version))
            await seen.until(u1=version)
        assert all(len(found) == 1 for found in seen.lists)
        await until(lambda: len(etcd.leases()) == 1)
        await ours.deregister(SHOP)
        await seen.until()


async def test_leaving_twice_and_for_others(etcd: Etcd, registry: Make) -> None:
    """Whoever is not registered can be deregistered: what an earlier process has left goes, or nothing."""
    etcd.ctl("put", "/microservices/helloworld/u1", FULL)
    ours = registry()
    await ours.deregister(SHOP)
    assert etcd.keys() == {}
    await ours.deregister(SHOP)


async def test_two_writers(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The later one of two with one id stands, and the earlier one does not take it along when it leaves."""
    first, second = registry(ttl=1), registry(ttl=1)
    await first.register(SHOP)
    await second.register(Instance("u1", "helloworld", "v2"))
    await until(lambda: "is this id used twice?" in caplog.text)
    assert '"version":"v2"' in etcd.keys()["/microservices/helloworld/u1"]
    await second.deregister(SHOP)
    await until(lambda: etcd.keys() == {"/microservices/helloworld/u1": FULL})  # the first one is still there
    await second.register(Instance("u1", "helloworld", "v3"))
    await first.deregister(SHOP)
    assert '"version":"v3"' in etcd.keys()["/microservices/helloworld/u1"]


async def test_a_deleted_record(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody has deleted by hand, or whose lease somebody has ended, is written again."""
    await registry().register(SHOP)
    etcd.ctl("del", "", "--prefix")
    await until(lambda: etcd.keys() == {"/microservices/helloworld/u1": FULL})
    assert "/microservices/helloworld/u1 was deleted by somebody" in caplog.text
    etcd.ctl("lease", "revoke", *etcd.leases())
    await until(lambda: etcd.keys() == {"/microservices/helloworld/u1": FULL})


async def test_an_etcd_that_comes_back_empty(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """Everybody is back, once; watchers go on with what they had all the while."""
    ours = registry()
    await ours.register(SHOP)
    await ours.register(Instance("2", "helloworld"))
    async with watching(registry()) as seen:
        await seen.until(u1="v1.0.0", **{"2": ""})
        before = len(seen.lists)
        etcd.kill()
        etcd.wipe()
        await until(lambda: "the last list stands until then" in caplog.text)
        await asyncio.to_thread(etcd.start)
        await until(lambda: len(etcd.keys()) == 2)
        await ours.register(Instance("2", "helloworld", "v2"))
        await seen.until(u1="v1.0.0", **{"2": "v2"})
        assert len(etcd.leases()) >= 2
        assert all(len(found) == 2 for found in seen.lists[before:])
    assert ours.trouble(SHOP) == ""


async def test_an_etcd_that_is_killed(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """One that comes back with its data has lost nothing, and goes on telling of changes."""
    ours = registry(ttl=60)
    await ours.register(SHOP)
    (lease,) = etcd.leases()
    async with watching(registry()) as seen:
        await seen.until(u1="v1.0.0")
        etcd.kill()
        await until(lambda: "the last list stands until then" in caplog.text)
        await asyncio.to_thread(etcd.start)
        assert etcd.leases() == [lease]
        etcd.ctl("put", "/microservices/helloworld/0", MINIMAL)
        await seen.until(u1="v1.0.0", **{"0": ""})
        await ours.deregister(SHOP)
        await seen.until(**{"0": ""})
        assert all(found for found in seen.lists)


async def test_an_etcd_that_sleeps(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It says nothing for longer than a lease lasts, and its connections stay open: who has lost it comes back."""
    ours = registry(ttl=1)
    await ours.register(SHOP)
    async with watching(registry()) as seen:
        await seen.until(u1="v1.0.0")
        etcd.pause()
        await until(lambda: ours.trouble(SHOP) and "the last list stands until then" in caplog.text)
        etcd.resume()
        await until(lambda: not ours.trouble(SHOP))
        await until(lambda: etcd.keys() == {"/microservices/helloworld/u1": FULL})
        etcd.ctl("put", "/microservices/helloworld/0", MINIMAL)
        await seen.until(u1="v1.0.0", **{"0": ""})


async def test_an_etcd_that_is_not_there_yet(etcd: Etcd, registry: Make) -> None:
    """Registering waits for it, and so does watching."""
    etcd.kill()
    ours = registry()
    registering = asyncio.create_task(ours.register(SHOP))
    async with watching(ours) as seen:
        await until(lambda: "CONNECTION_FAILED" in ours.trouble(SHOP))
        assert not registering.done()
        await asyncio.to_thread(etcd.start)
        await registering
        await seen.until(u1="v1.0.0")


async def test_leaving_without_etcd(etcd: Etcd, registry: Make) -> None:
    """It is an error, within bounds; nothing comes back afterwards."""
    ours = registry(ttl=60, patience=Patience(attempt=1))
    await ours.register(SHOP)
    etcd.pause()
    with pytest.raises(Exception, match="within 1 s|longer than the client allows"):
        await ours.deregister(SHOP)
    etcd.resume()
    await ours.deregister(SHOP)
    assert etcd.keys() == {}


async def test_ten_thousand(etcd: Etcd, registry: Make) -> None:
    """A service of ten thousand is one list, and changes of it are few."""
    many = {str(number): "" for number in range(10_000)}
    async with EtcdConnection(etcd.url, user="", password="", tls=None, timeout=60.0) as connection:
        client = KVClient(connection)
        for start in range(0, len(many), 500):
            await asyncio.gather(
                *(
                    client.put(PutRequest(key=f"/microservices/many/{each}".encode(), value=record(each)))
                    for each in [*many][start : start + 500]
                )
            )
        async with watching(registry(), "many") as seen:
            await seen.until(**many)
            assert len(seen.lists) == 1
            await client.delete_range(
                DeleteRangeRequest(key=b"/microservices/many/1", range_end=b"/microservices/many/2")
            )
            await seen.until(**{each: "" for each in many if not each.startswith("1")})
            assert len(seen.lists) < 100


def record(id: str) -> bytes:
    return f'{{"id":"{id}","name":"many"}}'.encode()


async def test_pages(etcd: Etcd, registry: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list comes in pages, whole ones and a last one."""
    monkeypatch.setattr(span_module, "_PAGE", 10)
    for count in (10, 35):
        for number in range(count):
            etcd.ctl("put", f"/microservices/many/{number}", f'{{"id":"{number}","name":"many"}}')
        async with watching(registry(), "many") as seen:
            await seen.until(**{str(number): "" for number in range(count)})
            assert len(seen.lists) == 1


async def test_nothing_is_left(etcd: Etcd, registry: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred watches and registrations leave no task, no connection and no lease behind."""
    caplog.set_level(logging.WARNING)
    ours = registry()
    tasks = asyncio.all_tasks()
    for number in range(100):
        instance = Instance(str(number), "helloworld")
        await ours.register(instance)
        async with aclosing(ours.watch("helloworld")) as lists:
            assert instance in await anext(lists)
        await ours.deregister(instance)
    await ours.aclose()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while asyncio.all_tasks() - tasks:
            await asyncio.sleep(0.01)
    assert (etcd.keys(), etcd.leases()) == ({}, [])
    assert not caplog.records
