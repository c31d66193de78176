"""Values in memcached as services of Kratos v1 have them: what `genmc` writes we read, and the other way."""

from __future__ import annotations

import asyncio
import gzip
import uuid
from dataclasses import dataclass

import pytest
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloReply

from kratos.cache import Cache, Options
from kratos.cache.base import Entry, Fill
from kratos.contrib.memcached import KratosV1Store
from kratos.contrib.memcached.client import Memcached
from stores.serving import Server

GOB, JSON, PROTOBUF, GZIP, LARGE = 1, 2, 4, 1 << 15, 1 << 30


@dataclass
class Demo:
    id: int
    title: str = ""


class Rig:
    def __init__(self, store: KratosV1Store, server: Server) -> None:
        self.cache = Cache(store, prefix=f"{uuid.uuid4()}_", timeout=60)
        self.client = Memcached(server.address, timeout=30)

    async def written(self, kind: object, value: object) -> tuple[bytes, int]:
        """Returns what is in memcached for a value of ours."""
        values = self.cache.values(kind, Options(ttl=60, backfill="sync", name="v"))

        async def load() -> object:
            return value

        await values.get("k", load)
        (item,) = (await self.client.get([values.prefix + "k"])).values()
        await values.invalidate("k")
        assert await self.client.get([values.prefix + "k"]) == {}
        return item.data, item.flags

    async def read(self, kind: object, data: bytes, flags: int) -> object:
        """Returns what we make of what somebody else has written; None if nothing."""
        values = self.cache.values(kind, Options(ttl=60, name="v"))
        await self.client.store("set", values.prefix + "k", data, flags=flags)

        async def load() -> object:
            return None

        try:
            return await values.get("k", load)
        finally:
            await values.invalidate("k")

    async def close(self) -> None:
        await self.cache.aclose()
        await self.client.aclose()


async def test_flags(v1: KratosV1Store, memcached_server: Server) -> None:
    rig = Rig(v1, memcached_server)
    reply = HelloReply(message="hello")
    cases: list[tuple[object, object, bytes, int]] = [
        (int, 42, b"42", 0),
        (str, "täxt", "täxt".encode(), 0),
        (bytes, b"\r\nEND\r\n", b"\r\nEND\r\n", 0),
        (Demo, Demo(1, "one"), b'{"id":1,"title":"one"}', JSON),
        (HelloReply, reply, reply.to_binary(), PROTOBUF),
    ]
    for kind, value, data, flags in cases:
        assert await rig.written(kind, value) == (data, flags)
        assert await rig.read(kind, data, flags) == value
        assert await rig.read(kind, gzip.compress(data), flags | GZIP) == value
    await rig.close()


async def test_what_is_not_ours_is_loaded(v1: KratosV1Store, memcached_server: Server) -> None:
    rig = Rig(v1, memcached_server)
    assert await rig.read(Demo, b"gob", GOB) is None
    assert await rig.read(Demo, b"not gzip", JSON | GZIP) is None
    assert await rig.read(Demo, b"{", JSON) is None
    assert await rig.read(Demo, b"10", JSON | LARGE) is None
    assert await rig.read(Demo, b"999999999999", JSON | LARGE) is None
    await rig.close()


@pytest.mark.parametrize("size", [999_999, 1_000_000, 2_500_000, 3_000_000])
async def test_large_values(v1: KratosV1Store, memcached_server: Server, size: int) -> None:
    """They lie in several keys: the head has the length, key1, key2 and so on the parts."""
    key = str(uuid.uuid4())
    data = bytes(number % 251 for number in range(size))
    assert [*await v1.fill([Fill(key, Entry(data, form="raw"), 60, None)])] == [True]
    client = Memcached(memcached_server.address, timeout=30)
    (head,) = (await client.get([key])).values()
    if size < 1_000_000:
        assert (head.data, head.flags) == (data, 0)
    else:
        parts = await client.get([f"{key}{number}" for number in range(1, size // 1_000_000 + 2)])
        assert (head.data, head.flags) == (str(size).encode(), LARGE)
        assert b"".join(part.data for part in parts.values()) == data
    ((entry, _),) = await v1.get([key])
    assert entry is not None
    assert entry.data == data
    await client.aclose()
    await v1.aclose()


async def test_nothing_is_a_value_of_its_own(v1: KratosV1Store, memcached_server: Server) -> None:
    rig = Rig(v1, memcached_server)
    options = Options(ttl=60, null_ttl=5, null_value=Demo(-1), backfill="sync", name="v")
    values = rig.cache.values(Demo, options)
    asked = 0

    async def load() -> None:
        nonlocal asked
        asked += 1

    assert [await values.get("none", load), await values.get("none", load), asked] == [None, None, 1]
    (item,) = (await rig.client.get([values.prefix + "none"])).values()
    assert (item.data, item.flags) == (b'{"id":-1,"title":""}', JSON)
    plain = rig.cache.values(Demo, Options(ttl=60, null_ttl=5, backfill="sync", name="v"))
    assert [await plain.get("other", load), await plain.get("other", load), asked] == [None, None, 3]
    await rig.close()


async def test_compressed_if_wanted(memcached_server: Server) -> None:
    rig = Rig(KratosV1Store(memcached_server.address, timeout=30, compress=100), memcached_server)
    data, flags = await rig.written(str, "a" * 1000)
    assert (gzip.decompress(data), flags) == (b"a" * 1000, GZIP)
    assert await rig.written(str, "a") == (b"a", 0)
    await rig.close()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Entry(b"x" * 8_000_001, form="raw"), "up to 8000000 bytes"),
        (Entry(b"x", form="msgpack"), "v1 reads raw, json and proto"),
    ],
)
async def test_what_v1_does_not_take(v1: KratosV1Store, entry: Entry, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        await v1.fill([Fill("k", entry, 60, None)])
    await v1.aclose()


@pytest.mark.parametrize("single_flight", [True, False])
async def test_in_one_process_nothing_old_is_kept(v1: KratosV1Store, single_flight: bool) -> None:
    """Without marks too, whoever is loading while a key is invalidated here keeps nothing."""
    cache = Cache(v1, prefix=f"{uuid.uuid4()}_", timeout=60)
    gate = asyncio.Event()
    rows = [1]

    @cache.cached(ttl=60, backfill="sync", single_flight=single_flight)
    async def value(number: int) -> int:
        row = rows[-1]
        await gate.wait()
        return row

    slow = asyncio.create_task(value(1))
    while not cache._shared.flights._tasks:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
    rows.append(2)
    await value.invalidate(1)
    gate.set()
    assert [await slow, await value(1)] == [1, 2]
    await cache.aclose()
