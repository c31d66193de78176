"""One server of each kind for the session; a store of each, on an empty server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kratos.cache import MemoryStore, TwoLevelStore
from kratos.cache.base import Store
from kratos.contrib.memcached import KratosV1Store, MemcachedStore
from kratos.contrib.redis import RedisStore
from stores.serving import Server, memcached, redis

Make = Callable[[], Store]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    server = redis()
    yield server
    server.close()


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[Server]:
    server = memcached()
    yield server
    server.close()


@pytest.fixture(params=["redis", "memcached", "two levels"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes stores over one server: each as another process would have it."""
    patient = {"timeout": 30.0}
    if request.param == "memcached":
        address = request.getfixturevalue("memcached_server").address
        return lambda: MemcachedStore(address, **patient)
    url = f"redis://{request.getfixturevalue('redis_server').address}"
    if request.param == "redis":
        return lambda: RedisStore(url, **patient)
    return lambda: TwoLevelStore(MemoryStore(), RedisStore(url, **patient), near_ttl=30)


@pytest.fixture
def v1(memcached_server: Server) -> KratosV1Store:
    return KratosV1Store(memcached_server.address, timeout=30)
