"""The contract of registries, held over a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from etcd.serving import NEEDED, Etcd, Relay

from kratos.contrib.etcd import EtcdRegistry
from kratos.testing.registry import PATIENCE, NetworkContract, RecordContract

pytestmark = NEEDED


class TestEtcd(NetworkContract, RecordContract):
    """Each registry object stands for a process: it has a connection of its own."""

    forgets = 12.0  # so long that watchers have noticed too, by their pings: else they hear that leases have ended
    ttl = 2.0
    crowd = 1000  # each of them has a lease of its own, which one process has to keep alive

    @pytest.fixture(autouse=True)
    def server(self, etcd: Etcd) -> Iterator[None]:
        self.etcd = etcd
        self.relay = Relay(etcd.address)
        yield
        self.relay.close()

    def make(self) -> EtcdRegistry:
        return EtcdRegistry(self.relay.address, ttl=self.ttl, patience=PATIENCE)

    async def test_a_crowd(self) -> None:
        """Thousands of instances of one service are found; their leases last longer than a busy machine needs."""
        self.ttl = 60.0
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
