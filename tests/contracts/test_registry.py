"""The contract of registries, held by those that need no server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from contracts.fakeregistry import FakeRegistry, FakeServer

from kratos.metrics import PrometheusMeter
from kratos.registry import FileRegistry, Instance, MemoryRegistry, MultiRegistry, StaticDiscovery
from kratos.registry.base import Discovery, Registry
from kratos.testing.registry import PATIENCE, DiscoveryContract, NetworkContract, RecordContract, RegistryContract

ONE = Instance("1", "shop", endpoints=("grpc://10.0.0.7:9000",))
TWO = Instance("2", "shop", "v2", {"zone": "b"}, ("http://10.0.0.8:8000", "grpc://10.0.0.8:9000"))


class TestMemory(RegistryContract):
    """In memory all share one registry."""

    @pytest.fixture(autouse=True)
    def shared(self) -> None:
        self.registry = MemoryRegistry()

    def make(self) -> Registry:
        return self.registry


class TestFile(RecordContract):
    """Each registry object stands for a process: it has a lock of its own."""

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "registry"

    def make(self) -> Registry:
        return FileRegistry(self.folder, every=0.02)

    async def spoil(self, name: str) -> None:
        for record in list((self.folder / name).glob("*.json")):
            record.with_name(f"bad-{record.name}").write_text('{"id": 1}')


class TestFake(NetworkContract):
    """The supervisor over the smallest driver there can be."""

    forgets = 1.0
    crowd = 1000  # each of them is woken up for each of the others

    @pytest.fixture(autouse=True)
    def began(self) -> None:
        self.server = FakeServer()

    def make(self) -> Registry:
        return FakeRegistry(self.server, PATIENCE)

    async def kill(self) -> None:
        self.server.kill()

    async def start(self) -> None:
        self.server.start()

    async def cut(self) -> None:
        self.server.cut()

    async def heal(self) -> None:
        self.server.heal()


class TestMulti(RegistryContract):
    """Two registries are one."""

    crowd = 1000

    @pytest.fixture(autouse=True)
    def places(self) -> Iterator[None]:
        with ExitStack() as stack:
            self.folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.memory = MemoryRegistry()
            yield

    def make(self) -> Registry:
        return MultiRegistry(self.memory, FileRegistry(self.folder, every=0.02))


class TestStatic(DiscoveryContract):
    """What is written down is found."""

    listed = (TWO, ONE)

    def find(self) -> Discovery:
        return StaticDiscovery({"shop": self.listed})


async def test_what_a_driver_need_not_write() -> None:
    """Measuring, and what is in the banner, come with the supervisor."""
    server, meter = FakeServer(), PrometheusMeter()
    registry = FakeRegistry(server, PATIENCE)
    registry.measure(meter)
    assert str(registry) == "fake"
    await registry.register(ONE)
    assert b'kratos_registered{name="shop",registry="fake"} 1.0' in meter.render()[1]
    assert registry.trouble(ONE) == ""
    await registry.aclose()
    assert registry.trouble(ONE) == "it is not registered"
