"""One etcd for Kratos for Go and us: each finds the other, over both transports, and reads its records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from etcd.serving import NEEDED, Etcd

from interop.contract import InteropClient, Thing
from interop.peer import SECONDS, GoClient, GoServer
from interop.service import Interop
from kratos.app import App, Server, Shutdown
from kratos.contrib.etcd import EtcdRegistry
from kratos.middleware import metadata, recovery
from kratos.registry import Instance
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.http import HTTPClient, HTTPServer

pytestmark = [pytest.mark.interop, NEEDED]

# Theirs is the beginning of ours, and Kratos for Go asks for all that begins so.
OURS, THEIRS = "interop-py", "interop"


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """The registry that both know."""
    server = Etcd(tmp_path_factory.mktemp("etcd"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def registry(etcd: Etcd) -> AsyncIterator[EtcdRegistry]:
    """Our way to it."""
    found = EtcdRegistry(etcd.address)
    yield found
    await found.aclose()


@pytest.fixture
def theirs(program: Path, etcd: Etcd) -> Iterator[GoServer]:
    """A server in Go that is registered."""
    server = GoServer(program, registry=f"etcd://{etcd.address}")
    yield server
    server.close()


@pytest.fixture(params=["grpcio", "native"])
async def ours(registry: EtcdRegistry, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    """A server of ours that is registered."""
    servers: list[Server] = [
        HTTPServer("127.0.0.1:0", timeout=SECONDS),
        GRPCServer("127.0.0.1:0", timeout=SECONDS, engine=request.param),
    ]
    app = App(
        name=OURS, version="v1", services=[Interop()], servers=servers, middleware=[recovery(), metadata()],
        registrar=registry, metadata={"zone": "a<b&c"}, shutdown=Shutdown(finish=1, drain=0),
    )  # fmt: skip
    async with app:
        yield app


async def listed(registry: EtcdRegistry, name: str, count: int) -> tuple[Instance, ...]:
    """Returns the instances of a service once there are so many."""
    async with asyncio.timeout(SECONDS):
        async for found in registry.watch(name):
            if len(found) == count:
                return found
    raise AssertionError("a watch never ends by itself")


@pytest.mark.usefixtures("ours")
async def test_their_client_finds_us(program: Path, etcd: Etcd, transport: str) -> None:
    """By the name alone, though a service of theirs has a name that ours begins with."""
    client = GoClient(program, transport, f"discovery:///{OURS}")
    outcome = await client.call("Get", Thing(name="there"), registry=f"etcd://{etcd.address}")
    assert outcome.error is None
    assert outcome.replies[0]["thing"]["name"] == "there"


@pytest.mark.usefixtures("theirs", "ours")
async def test_our_client_finds_them(registry: EtcdRegistry, transport: str) -> None:
    """By the name alone, though a service of ours has a name that begins with theirs."""
    client = HTTPClient if transport == "http" else GRPCClient
    target = f"discovery:///{THEIRS}"
    async with client(target, discovery=registry, middleware=[metadata()], timeout=SECONDS) as conn:
        reply = await InteropClient(conn).get(Thing(name="there"))
    assert reply.thing is not None
    assert reply.thing.name == "there"


@pytest.mark.usefixtures("ours")
async def test_records(registry: EtcdRegistry, theirs: GoServer, etcd: Etcd) -> None:
    """Both have the same form, and both go when their services stop."""
    (found,) = await listed(registry, THEIRS, 1)
    assert (found.name, found.version, found.metadata["zone"]) == (THEIRS, "v3", "a<b&c")
    assert set(found.endpoints) == {f"http://{theirs.http}", f"grpc://{theirs.grpc}"}
    (own,) = await listed(registry, OURS, 1)
    keys = {f"/microservices/{each.name}/{each.id}" for each in (found, own)}
    records = etcd.keys()
    assert set(records) == keys
    shapes = [{key: type(value) for key, value in json.loads(record).items()} for record in records.values()]
    assert shapes == [{"id": str, "name": str, "version": str, "metadata": dict, "endpoints": list}] * 2
    theirs.close()
    assert await listed(registry, THEIRS, 0) == ()
