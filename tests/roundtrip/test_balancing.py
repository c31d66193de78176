"""Several nodes over real sockets: who comes, goes, dies, fails or is slow, over HTTP and gRPC alike."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest
from chaos.test_shutdown import running
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import App, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.call import Call
from kratos.errors import Error, GatewayTimeout, InternalServer, ServiceUnavailable
from kratos.handler import Handler
from kratos.registry import Instance, MemoryRegistry
from kratos.selector import WRR, Balancing, HashRing, Outlier
from kratos.transport.client import Client

CLIENTS: dict[str, Any] = {"http": HTTPClient, "grpc": GRPCClient}


@pytest.fixture(params=CLIENTS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Shop(Kinds):
    """One node: it counts its calls, and fails or waits as it is told."""

    def __init__(self, *, failing: int = 0, seconds: float = 0.0) -> None:
        super().__init__()
        self.seen = 0
        self.failing = failing
        self.seconds = seconds

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.seen += 1
        if self.seen % 10 < self.failing:
            raise InternalServer("broken", reason="BROKEN")
        await asyncio.sleep(self.seconds)
        return Pong(text=request.text)

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        self.seen += 1
        for number in range(request.count):
            yield Pong(count=number)


@asynccontextmanager
async def serving(shop: Shop, registry: MemoryRegistry, **options: Any) -> AsyncIterator[App]:
    """Serves one node over both, and makes it known."""
    app = App(
        name="shop",
        services=[shop],
        middleware=[],
        servers=[HTTPServer("127.0.0.1:0"), GRPCServer("127.0.0.1:0")],
        registrar=registry,
        shutdown=Shutdown(finish=5, drain=0),
        **options,
    )
    async with app:
        yield app


@asynccontextmanager
async def shops(*found: Shop) -> AsyncIterator[MemoryRegistry]:
    registry = MemoryRegistry()
    async with AsyncExitStack() as stack:
        for shop in found:
            await stack.enter_async_context(serving(shop, registry))
        yield registry


def client(kind: str, registry: MemoryRegistry, balancing: Balancing | None = None, **options: Any) -> Client:
    made: Client = CLIENTS[kind](
        "discovery:///shop", discovery=registry, balancing=balancing or Balancing(), timeout=20.0, **options
    )
    return made


async def until(done: Any) -> None:
    """Waits for a condition, for half a minute at most."""
    async with asyncio.timeout(30):
        while not done():
            await asyncio.sleep(0.01)


async def test_nodes_come_and_go(kind: str) -> None:
    """A node that comes gets calls, one that goes gets none more, a stream on it ends as it should."""
    first, second = Shop(), Shop()
    async with shops(first) as registry, client(kind, registry) as conn:
        api = KindsClient(conn)
        await api.echo(Ping())
        async with serving(second, registry):
            async with asyncio.timeout(30):
                while not second.seen:
                    await api.echo(Ping())
            for _ in range(20):
                async with api.watch(Ping(count=3)) as replies:
                    assert [reply.count async for reply in replies] == [0, 1, 2]
        seen = second.seen
        for _ in range(20):
            await api.echo(Ping())
        assert second.seen == seen
        assert first.seen >= 20


async def test_fixed_addresses_are_balanced(kind: str) -> None:
    """The same for addresses that are told, the dead one among them, which nobody notices."""
    two = Shop(), Shop()
    async with shops(*two) as registry:
        addresses = [
            url.partition("://")[2]
            for instance in registry._instances["shop"].values()
            for url in instance.endpoints
            if url.startswith(kind)
        ]
        async with CLIENTS[kind](f"direct:///{','.join(addresses)},127.0.0.1:1", timeout=20.0) as conn:
            for number in range(40):
                await KindsClient(conn).echo(Ping(), wait_for_ready=bool(number % 2))
        assert two[0].seen + two[1].seen == 40
        assert min(two[0].seen, two[1].seen) > 0


@contextmanager
def off() -> Iterator[str]:
    """Yields an address where nobody answers who wants to connect, as that of a host that is off."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        address = full.getsockname()
        first.connect(address)  # the one that may wait; Linux drops what comes then
        yield f"{address[0]}:{address[1]}"


@pytest.mark.skipif(sys.platform != "linux", reason="how many connections wait to be accepted is Linux's count")
@pytest.mark.parametrize("engine", ["http", "grpcio", "native"])
@pytest.mark.parametrize("method", ["echo", "watch", "chat"])
async def test_a_host_that_is_off(engine: Any, method: str) -> None:
    """A call does not spend its time on a node that does not even say no: it goes on to another, and calls follow."""
    shop = Shop()
    server: Any = HTTPServer("127.0.0.1:0") if engine == "http" else GRPCServer("127.0.0.1:0", engine=engine)
    app = App(name="shop", services=[shop], middleware=[], servers=[server], shutdown=Shutdown(finish=5, drain=0))
    async with app:
        url = server.endpoint
        kind, _, here = url.partition("://")
        with off() as away:
            target = f"direct:///{away},{here}"
            async with CLIENTS[kind](target, balancing=Balancing(balancer=WRR), timeout=6.0) as conn:
                api = KindsClient(conn)
                for _ in range(3):
                    if method == "echo":
                        await api.echo(Ping(text="x"))
                    elif method == "watch":
                        async with api.watch(Ping(count=2), timeout=6.0) as replies:
                            assert [reply.count async for reply in replies] == [0, 1]
                    else:
                        async with api.chat(timeout=6.0) as stream:
                            await stream.send(Ping(text="x"))
                            assert (await anext(aiter(stream))).text == "x"
                assert f"['{away}'] out" in repr(conn)


@pytest.mark.skipif(sys.platform != "linux", reason="how many connections wait to be accepted is Linux's count")
async def test_all_hosts_are_off(kind: str) -> None:
    """What is left of the call is spent on the last one, and closing does not wait for anybody."""
    with off() as one, off() as other:
        async with CLIENTS[kind](f"direct:///{one},{other}", balancing=Balancing(balancer=WRR), timeout=1.0) as conn:
            with pytest.raises(GatewayTimeout):
                await KindsClient(conn).echo(Ping())
            waiting = asyncio.create_task(KindsClient(conn).echo(Ping(), timeout=20.0))
            await asyncio.sleep(0)
            async with asyncio.timeout(10):
                await conn.aclose()
                with pytest.raises(ServiceUnavailable):
                    await waiting


async def test_killed_under_load(kind: str) -> None:
    """A process is killed under load: what was on it may fail, nothing else does, and nobody calls it any more."""
    registry = MemoryRegistry()
    ended: list[tuple[str, str, bool]] = []  # peer, reason of the failure, whether it began after the death was known
    known, stop = asyncio.Event(), asyncio.Event()

    async def note(request: Any, call: Call, next: Handler) -> Any:
        after, reason = known.is_set(), ""
        try:
            return await next(request, call)
        except Error as failure:
            reason = str(failure.reason)
            raise
        finally:
            ended.append((call.peer.address, reason, after))

    async def calling(api: KindsClient) -> None:
        while not stop.is_set():
            with suppress(ServiceUnavailable):
                await api.echo(Ping(text="x"))

    async with AsyncExitStack() as stack:
        rigs = [await stack.enter_async_context(running(1.0)) for _ in range(3)]
        for number, rig in enumerate(rigs):
            await registry.register(Instance(str(number), "shop", endpoints=tuple(rig.urls)))
        dead = next(url for url in rigs[0].urls if url.startswith(kind)).partition("://")[2]
        conn = await stack.enter_async_context(client(kind, registry, Balancing(balancer=WRR), middleware=[note]))
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(calling(KindsClient(conn)))
            await until(lambda: sum(peer == dead for peer, _, _ in ended) > 20)
            rigs[0].process.kill()
            await rigs[0].process.wait()
            await until(lambda: f"['{dead}'] out" in repr(conn))
            known.set()
            total = len(ended)
            await until(lambda: len(ended) > total + 300)
            stop.set()
    lost = [reason for _, reason, _ in ended if reason]
    assert set(lost) <= {"CONNECTION_LOST"}
    assert len(lost) <= 16  # eight under way, and one more each on a connection that was thought to be alive
    later = [(peer, reason) for peer, reason, after in ended if after]
    assert len(later) > 100
    assert all(peer != dead and not reason for peer, reason in later)


async def test_a_failing_node_is_left_alone(kind: str) -> None:
    """Of a node that fails 30 % of its calls, a few are seen, and then no more: nobody waits for it either."""
    bad, good = Shop(failing=3), [Shop(), Shop()]
    balancing = Balancing(balancer=WRR, outlier=Outlier(seconds=300.0))
    async with shops(bad, *good) as registry, client(kind, registry, balancing) as conn:
        failures, seen = 0, 0
        for number in range(300):
            if number == 150:
                seen = bad.seen
            try:
                await KindsClient(conn).echo(Ping())
            except InternalServer:
                failures += 1
        assert 3 <= failures <= 9
        assert bad.seen == seen < 40
        assert "out" in repr(conn)


async def test_a_slow_node_gets_less(kind: str) -> None:
    """Two nodes are quick and one is slow: by far most calls go to the quick ones."""
    slow, quick = Shop(seconds=0.2), [Shop(), Shop()]
    async with shops(slow, *quick) as registry, client(kind, registry) as conn:
        for _ in range(20):
            await asyncio.gather(*(KindsClient(conn).echo(Ping()) for _ in range(10)))
        assert slow.seen < 60
        assert sum(shop.seen for shop in quick) == 200 - slow.seen


async def test_keys_stick(kind: str) -> None:
    """Calls with one key go to one node, also from another client and over the other protocol."""
    found = [Shop(), Shop(), Shop()]
    async with shops(*found) as registry, client(kind, registry, Balancing(balancer=HashRing)) as conn:
        for number in range(10):
            before = [shop.seen for shop in found]
            async with client(kind, registry, Balancing(balancer=HashRing)) as other:
                for _ in range(3):
                    await KindsClient(conn).echo(Ping(), hash_key=f"user-{number}")
                    await KindsClient(other).echo(Ping(), hash_key=f"user-{number}")
            assert sorted(shop.seen - was for shop, was in zip(found, before, strict=True)) == [0, 0, 6]
        for number in range(10, 1000):  # where nodes stand on the ring, and how much of it is theirs, is their ports'
            if all(shop.seen for shop in found):
                break
            await KindsClient(conn).echo(Ping(), hash_key=f"user-{number}")
        assert all(shop.seen for shop in found)


async def test_the_first_call_waits(kind: str) -> None:
    """A call that is made before anybody serves is answered when somebody does, if it says so."""
    registry = MemoryRegistry()
    async with client(kind, registry) as conn:
        waiting = asyncio.create_task(KindsClient(conn).echo(Ping(text="early"), wait_for_ready=True))
        await asyncio.sleep(0)
        async with serving(Shop(), registry):
            assert (await waiting).text == "early"


async def test_the_log_has_the_peer(kind: str) -> None:
    """Middleware, and so the access log, know which node it was; calls that fail too."""
    seen: list[str] = []

    async def note(request: Any, call: Call, next: Handler) -> Any:
        try:
            return await next(request, call)
        finally:
            seen.append(call.peer.address)

    async with shops(Shop(failing=10)) as registry, client(kind, registry, middleware=[note]) as conn:
        with pytest.raises(InternalServer):
            await KindsClient(conn).echo(Ping())
        ((instance,),) = (known.values() for known in registry._instances.values())
        assert f"{kind}://{seen[0]}" in instance.endpoints


async def test_a_peer_that_passes_on_what_it_could_not_reach(kind: str) -> None:
    """An answer that sounds like a dead peer is an answer: the call was carried out, and is not repeated elsewhere."""

    class Relay(Shop):
        async def echo(self, request: Ping, call: Call) -> Pong:
            self.seen += 1
            raise ServiceUnavailable("failed to connect to all addresses", reason=request.text)

    both = Relay(), Relay()
    async with shops(*both) as registry, client(kind, registry, Balancing(outlier=Outlier(most=0))) as conn:
        for number, reason in enumerate(("CONNECTION_FAILED", ""), 1):
            with pytest.raises(ServiceUnavailable, match="failed to connect"):
                await KindsClient(conn).echo(Ping(text=reason))
            assert both[0].seen + both[1].seen == number
