"""An etcd for a test, and a registry that leaves nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from etcd.serving import Etcd

from kratos.contrib.etcd import EtcdRegistry


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    """A server that is ready."""
    server = Etcd(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def registry(etcd: Etcd) -> AsyncIterator[Callable[..., EtcdRegistry]]:
    """Makes registries; they are closed in the end."""
    made: list[EtcdRegistry] = []

    def make(endpoints: Any = None, **options: Any) -> EtcdRegistry:
        made.append(EtcdRegistry(endpoints or etcd.url, **{"ttl": 2, **options}))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()
