"""The contract of registries, held over a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from etcd.serving import NEEDED, Etcd
from killable import Relay

from kratos.contrib.etcd import EtcdRegistry
from kratos.contrib.etcd import registry as registry_module
from kratos.testing.registry import PATIENCE, NetworkContract, RecordContract

pytestmark = NEEDED


class TestEtcd(NetworkContract, RecordContract):
    """Each registry object stands for a process: it has a connection of its own."""

    forgets = 12.0  # so long that watchers have noticed too, by their pings: else they hear that leases have ended
    ttl = 2.0

    @pytest.fixture(autouse=True)
    def server(self, etcd: Etcd) -> Iterator[None]:
        self.etcd = etcd
        self.relay = Relay(etcd.address)
        self.address = self.relay.address
        yield
        self.relay.close()

    def make(self) -> EtcdRegistry:
        return EtcdRegistry(self.address, ttl=self.ttl, patience=PATIENCE)

    @pytest.fixture
    def patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Leases last longer than a busy machine needs; ten thousand of one process are renewed more seldom."""
        monkeypatch.setattr(registry_module, "_RENEW_SECONDS", 300.0)
        self.ttl = 900.0
        self.address = self.etcd.address

    @pytest.mark.usefixtures("patient")
    async def test_a_crowd(self) -> None:
        """Thousands of instances of one service are found, all of them."""
        await super().test_a_crowd()

    async def spoil(self, name: str) -> None:
        for number, value in enumerate(("", "{", '{"id": 1}', "null", "\x01", "[" * 100_000)):
            await asyncio.to_thread(self.etcd.ctl, "put", f"/microservices/{name}/bad{number}", value)

    async def kill(self) -> None:
        await asyncio.to_thread(self.etcd.kill)
        self.etcd.wipe()

    async def start(self) -> None:
        await asyncio.to_thread(self.etcd.start)

    async def cut(self) -> None:
        self.relay.cut()

    async def heal(self) -> None:
        self.relay.heal()
