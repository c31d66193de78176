"""The contract of registries, held by ZooKeeper: a real server, its own client, and faults of all kinds."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.zookeeping import NEEDED, Relay, ZooKeeper, until
from kazoo.client import KazooClient
from kazoo.security import make_digest_acl

from kratos.contrib.zookeeper import ZooKeeperRegistry
from kratos.registry import Instance, InvalidInstance, Patience
from kratos.testing.registry import PATIENCE, NetworkContract, RecordContract, ServerContract, watching

pytestmark = NEEDED

MINIMAL = b'{"id":"0","name":"helloworld","version":"","metadata":null,"endpoints":null}'
FULL = (
    b'{"id":"u1","name":"helloworld","version":"v1.0.0","metadata":{"color":"x","zone":"a\\u003cb"},'
    b'"endpoints":["http://127.0.0.1:8000?a=1\\u0026b=2","grpc://127.0.0.1:9000"]}'
)
ENDPOINTS = ("http://127.0.0.1:8000?a=1&b=2", "grpc://127.0.0.1:9000")
SHOP = Instance("u1", "helloworld", "v1.0.0", {"zone": "a<b", "color": "x"}, ENDPOINTS)
BELOW = "/microservices/helloworld"
SECONDS = 2.0  # a session lasts

Make = Callable[..., ZooKeeperRegistry]

_roots = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeper]:
    """A server that is ready."""
    zookeeper = ZooKeeper(tmp_path_factory.mktemp("zookeeper"))
    try:
        zookeeper.start()
        yield zookeeper
    finally:
        zookeeper.kill()


@pytest.fixture
def zookeeper(tmp_path: Path) -> Iterator[ZooKeeper]:
    """A server of one's own."""
    zookeeper = ZooKeeper(tmp_path)
    try:
        zookeeper.start()
        yield zookeeper
    finally:
        zookeeper.kill()


@pytest.fixture
async def registry(zookeeper: ZooKeeper) -> AsyncIterator[Make]:
    """Makes registries, and looks whether threads are left of them."""
    made: list[ZooKeeperRegistry] = []
    before = {*threading.enumerate()}

    def make(endpoints: str = zookeeper.address, **options: Any) -> ZooKeeperRegistry:
        made.append(ZooKeeperRegistry(endpoints, **{"session": SECONDS, "patience": PATIENCE, **options}))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
    await until(lambda: not kazoo_threads() - before)


@pytest.fixture
def plain(zookeeper: ZooKeeper) -> Iterator[KazooClient]:
    """A client that knows nothing of us."""
    with client(zookeeper) as known:
        yield known


@contextmanager
def client(zookeeper: ZooKeeper, **options: Any) -> Iterator[KazooClient]:
    known = KazooClient(zookeeper.address, timeout=10, **options)
    known.start()
    try:
        yield known
    finally:
        known.stop()
        known.close()


def kazoo_threads() -> set[threading.Thread]:
    """Returns the threads of kazoo's that there are, and ours that end them."""
    return {each for each in threading.enumerate() if "asyncio" not in each.name and each.daemon}


class TestContract(RecordContract):
    """Each test has a root of its own in one server."""

    @pytest.fixture(autouse=True)
    def place(self, server: ZooKeeper) -> None:
        self.server = server
        self.root = f"/contract/{next(_roots)}"

    def make(self) -> ZooKeeperRegistry:
        return ZooKeeperRegistry(self.server.address, root=self.root, patience=PATIENCE)

    async def spoil(self, name: str) -> None:
        with client(self.server) as plain:
            plain.create(f"{self.root}/{name}/bad", b'{"id": 1}')
            plain.create(f"{self.root}/{name}/empty", b"")
            plain.create(f"{self.root}/{name}/secret", MINIMAL, acl=[make_digest_acl("somebody", "else", all=True)])
