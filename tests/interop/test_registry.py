"""One etcd or ZooKeeper for Kratos for Go and us: each finds the other, over both transports, and reads its records."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from contracts.zookeeping import NEEDED as NEEDS_ZOOKEEPER
from contracts.zookeeping import ZooKeeper
from etcd.serving import NEEDED as NEEDS_ETCD
from etcd.serving import Etcd
from kazoo.client import KazooClient

from interop.contract import InteropClient, Thing
from interop.peer import SECONDS, GoClient, GoServer
from interop.service import Interop
from kratos.app import App, Server, Shutdown
from kratos.contrib.etcd import EtcdRegistry
from kratos.contrib.zookeeper import ZooKeeperRegistry
from kratos.middleware import metadata, recovery
from kratos.registry import Instance
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.http import HTTPClient, HTTPServer

pytestmark = pytest.mark.interop

# Theirs is the beginning of ours, and Kratos for Go asks etcd for all that begins so.
OURS, THEIRS = "interop-py", "interop"

KINDS = [pytest.param("etcd", marks=NEEDS_ETCD), pytest.param("zookeeper", marks=NEEDS_ZOOKEEPER)]


class Place:
    """A registry that both know.

    Attributes:
        url: Where it is, for the Go program.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self._server = Etcd(folder) if kind == "etcd" else ZooKeeper(folder)
        self._server.start()
        self.url = f"{kind}://{self._server.address}"

    def client(self) -> EtcdRegistry | ZooKeeperRegistry:
        """Returns our way to it."""
        make = EtcdRegistry if isinstance(self._server, Etcd) else ZooKeeperRegistry
        return make(self._server.address)

    def records(self) -> dict[str, str]:
        """Returns what somebody else's client finds there."""
        if isinstance(self._server, Etcd):
            return self._server.keys()
        client = KazooClient(self._server.address)
        client.start()
        try:
            paths = [
                f"/microservices/{name}/{child}"
                for name in client.get_children("/microservices")
                for child in client.get_children(f"/microservices/{name}")
            ]
            return {path: client.get(path)[0].decode() for path in paths}
        finally:
            client.stop()
            client.close()

    def kill(self) -> None:
        """Ends it."""
        self._server.kill()


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Each kind of registry in turn."""
    there = Place(request.param, tmp_path_factory.mktemp(request.param))
    yield there
    there.kill()


@pytest.fixture
async def registry(place: Place) -> AsyncIterator[EtcdRegistry | ZooKeeperRegistry]:
    """Our way to it."""
    found = place.client()
    yield found
    await found.aclose()


@pytest.fixture
def theirs(program: Path, place: Place) -> Iterator[GoServer]:
    """A server in Go that is registered."""
    server = GoServer(program, registry=place.url)
    yield server
    server.close()


@pytest.fixture(params=["grpcio", "native"])
async def ours(registry: EtcdRegistry | ZooKeeperRegistry, request: pytest.FixtureRequest) -> AsyncIterator[App]:
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


async def listed(registry: EtcdRegistry | ZooKeeperRegistry, name: str, count: int) -> tuple[Instance, ...]:
    """Returns the instances of a service once there are so many."""
    async with asyncio.timeout(SECONDS):
        async for found in registry.watch(name):
            if len(found) == count:
                return found
    raise AssertionError("a watch never ends by itself")


@pytest.mark.usefixtures("ours")
async def test_their_client_finds_us(program: Path, place: Place, transport: str) -> None:
    """By the name alone, though a service of theirs has a name that ours begins with."""
    client = GoClient(program, transport, f"discovery:///{OURS}")
    outcome = await client.call("Get", Thing(name="there"), registry=place.url)
    assert outcome.error is None
    assert outcome.replies[0]["thing"]["name"] == "there"


@pytest.mark.usefixtures("theirs", "ours")
async def test_our_client_finds_them(registry: EtcdRegistry | ZooKeeperRegistry, transport: str) -> None:
    """By the name alone, though a service of ours has a name that begins with theirs."""
    client = HTTPClient if transport == "http" else GRPCClient
    target = f"discovery:///{THEIRS}"
    async with client(target, discovery=registry, middleware=[metadata()], timeout=SECONDS) as conn:
        reply = await InteropClient(conn).get(Thing(name="there"))
    assert reply.thing is not None
    assert reply.thing.name == "there"


@pytest.mark.usefixtures("ours")
async def test_records(registry: EtcdRegistry | ZooKeeperRegistry, theirs: GoServer, place: Place) -> None:
    """Both have the same form, and both go when their services stop."""
    (found,) = await listed(registry, THEIRS, 1)
    assert (found.name, found.version, found.metadata["zone"]) == (THEIRS, "v3", "a<b&c")
    assert set(found.endpoints) == {f"http://{theirs.http}", f"grpc://{theirs.grpc}"}
    (own,) = await listed(registry, OURS, 1)
    records = await asyncio.to_thread(place.records)
    assert set(records) == {f"/microservices/{each.name}/{each.id}" for each in (found, own)}
    shapes = [{key: type(value) for key, value in json.loads(record).items()} for record in records.values()]
    assert shapes == [{"id": str, "name": str, "version": str, "metadata": dict, "endpoints": list}] * 2
    theirs.close()
    assert await listed(registry, THEIRS, 0) == ()
