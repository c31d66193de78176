"""From a target to channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO

from kratos.call import Call, Peer
from kratos.errors import ServiceUnavailable
from kratos.metadata import Metadata
from kratos.registry import Instance, MemoryRegistry
from kratos.testing import FakeClock
from kratos.transport import resolve
from kratos.transport.resolve import Nodes, Single
from kratos.transport.target import Target


class Fake:
    """A channel that knows whether it is open."""

    kind = "grpc"

    def __init__(self, address: str) -> None:
        self.peer = Peer(address)
        self.open = True

    async def unary(self, request: Any, call: Call) -> Any:
        return request

    async def stream(self, request: Any, call: Call) -> Any:
        return request

    async def aclose(self) -> None:
        self.open = False


def call() -> Call:
    return Call(KINDS_ECHO, kind="grpc", side="client", headers=Metadata())


def nodes(target: str, discovery: Any = None) -> Nodes:
    return Nodes(Target.parse(target), kind="grpc", connect=Fake, discovery=discovery)


async def turns(pool: Nodes, count: int) -> list[str]:
    return [(await pool.pick(call())).peer.address for _ in range(count)]


def instance(number: int) -> Instance:
    return Instance(str(number), "shop", endpoints=(f"grpc://a:{number}", f"http://a:{number + 1000}"))


async def test_single() -> None:
    """One channel is always the one."""
    channel = Fake("a:1")
    pool = Single(channel)
    await pool.start()
    assert await pool.pick(call()) is channel
    await pool.aclose()
    assert not channel.open


async def test_fixed_addresses_take_turns() -> None:
    """Calls go round; a channel is opened once per address, when it is needed."""
    pool = nodes("direct:///a:1,b:2,c:3")
    seen = await turns(pool, 6)
    assert sorted(seen[:3]) == ["a:1", "b:2", "c:3"]
    assert seen[:3] == seen[3:]
    channel = await pool.pick(call())
    await pool.aclose()
    assert isinstance(channel, Fake)
    assert not channel.open


def test_a_service_needs_a_registry() -> None:
    """Discovery without a registry is refused when the client is made."""
    with pytest.raises(ValueError, match="discovery="):
        nodes("discovery:///shop")


async def test_a_service_needs_entering() -> None:
    """A client that was not entered does not wait for ever."""
    with pytest.raises(RuntimeError, match="async with"):
        await nodes("discovery:///shop", MemoryRegistry()).pick(call())


async def test_discovery_follows_the_registry() -> None:
    """New nodes get calls, gone ones get none and are closed after a while."""
    registry = MemoryRegistry()
    await registry.register(instance(1))
    with FakeClock() as clock:
        pool = nodes("discovery:///shop", registry)
        await pool.start()
        first = await pool.pick(call())
        assert first.peer.address == "a:1"
        await registry.register(instance(2))
        await clock.settle()
        assert set(await turns(pool, 4)) == {"a:1", "a:2"}
        await registry.deregister(instance(1))
        await clock.settle()
        assert set(await turns(pool, 4)) == {"a:2"}
        assert isinstance(first, Fake)
        assert first.open
        await clock.advance(resolve.RETIRE_SECONDS)
        assert not first.open
        await pool.aclose()


async def test_nobody_serves() -> None:
    """An empty list is an error that names the service, until somebody comes."""
    registry = MemoryRegistry()
    with FakeClock() as clock:
        pool = nodes("discovery:///shop", registry)
        await pool.start()
        with pytest.raises(ServiceUnavailable, match="nobody serves shop over grpc") as failure:
            await pool.pick(call())
        assert failure.value.reason == "NODE_NOT_FOUND"
        await registry.register(instance(1))
        await clock.settle()
        assert await turns(pool, 1) == ["a:1"]
        await pool.aclose()


async def test_the_first_call_waits_for_the_first_list() -> None:
    """Before the registry has answered, a call waits instead of failing."""

    class Slow:
        def __init__(self) -> None:
            self.tries = 0

        async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
            self.tries += 1
            if self.tries == 1:
                raise ConnectionError("registry is away")
            await asyncio.sleep(5)
            yield (instance(1),)
            await asyncio.Event().wait()

    with FakeClock() as clock:
        pool = nodes("discovery:///shop", Slow())
        await pool.start()
        waiting = asyncio.create_task(pool.pick(call()))
        await clock.advance(resolve.RETRY_SECONDS)
        await clock.advance(4)
        assert not waiting.done()
        await clock.advance(2)
        assert (await waiting).peer.address == "a:1"
        retiring = await pool.pick(call())
        pool._update(())
        await pool.aclose()
        assert isinstance(retiring, Fake)
        assert not retiring.open
