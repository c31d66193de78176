"""From a target to channels: who is called, who is not, and what becomes of the channels."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_CHAT, KINDS_ECHO, KINDS_WATCH
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

from kratos.call import ADMIT, TRIED, AppInfo, Call, Peer, current_call, enter_call, leave_call
from kratos.errors import BadRequest, Error, GatewayTimeout, InternalServer, ServiceUnavailable
from kratos.handler import Handler, Messages
from kratos.live import Live
from kratos.metadata import Metadata
from kratos.metrics import PrometheusMeter
from kratos.operation import AnyOperation
from kratos.registry import Instance, MemoryRegistry
from kratos.selector import WRR, Asked, Balancing, Flight, HashRing, LeastRequest, Outcome, Outlier, version, zone
from kratos.service import CallOptions
from kratos.testing import FakeClock
from kratos.transport import members
from kratos.transport.channel import HURRIED, Unreached, hurry
from kratos.transport.client import Client
from kratos.transport.lines import Lines
from kratos.transport.outcome import outcome_of
from kratos.transport.resolve import MOST_NODES, Nodes, Single
from kratos.transport.target import Target

TURNS = Balancing(balancer=WRR)


class Fake:
    """A channel that knows whether it is open, and fails as it is told."""

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


class Net:
    """Channels to nodes, some of which are dead or answer with an error."""

    def __init__(self) -> None:
        self.channels: list[Fake] = []
        self.dead: set[str] = set()
        self.answers: dict[str, Callable[[], BaseException]] = {}
        self.seen: Counter[str] = Counter()

    def connect(self, address: str) -> Fake:
        net = self

        class Channel(Fake):
            async def unary(self, request: Any, call: Call) -> Any:
                net.seen[address] += 1
                if address in net.dead:
                    raise Unreached(f"cannot reach {address}")
                if address in net.answers:
                    raise net.answers[address]()  # noqa: RSE102 - what it makes
                return request

            async def stream(self, request: Any, call: Call) -> Any:
                if isinstance(request, Messages) and net.answers:
                    await anext(request)
                return await self.unary(request, call)

        channel = Channel(address)
        self.channels.append(channel)
        return channel

    def client(self, target: str, discovery: Any = None, *, balancing: Any = TURNS, **options: Any) -> Client:
        pool = Nodes(Target.parse(target), kind="grpc", connect=self.connect, discovery=discovery, balancing=balancing)
        return Client(pool, **options)


def call(operation: AnyOperation = KINDS_ECHO, **options: Any) -> Call:
    made = Call(operation, kind="grpc", side="client", headers=Metadata())
    made.options = CallOptions(**options)
    return made


def nodes(target: str, discovery: Any = None, balancing: Any = TURNS) -> Nodes:
    return Nodes(Target.parse(target), kind="grpc", connect=Fake, discovery=discovery, balancing=balancing)


async def one(pool: Nodes, made: Call | None = None) -> Fake:
    """Makes a call that goes well, and returns where it went."""
    with await pool.pick(made or call(), None) as attempt:
        channel = attempt.channel
    assert isinstance(channel, Fake)
    return channel


async def turns(pool: Nodes, count: int) -> list[str]:
    return [(await one(pool)).peer.address for _ in range(count)]


async def echo(client: Client, **options: Any) -> Any:
    return await client.unary(KINDS_ECHO, Ping(text="x"), CallOptions(**options), {})


def instance(number: int, **facts: Any) -> Instance:
    endpoints = (f"grpc://a:{number}", f"http://a:{number + 1000}")
    return Instance(str(number), "shop", **{"endpoints": endpoints, **facts})


@asynccontextmanager
async def discovering(count: int, balancing: Any = TURNS) -> AsyncIterator[tuple[Nodes, MemoryRegistry, FakeClock]]:
    """Yields the nodes of a service with some instances."""
    registry = MemoryRegistry()
    for number in range(1, count + 1):
        await registry.register(instance(number))
    with FakeClock() as clock:
        pool = nodes("discovery:///shop", registry, balancing)
        await pool.start()
        await clock.settle()
        yield pool, registry, clock
        await pool.aclose()


async def test_single() -> None:
    """One channel is always the one."""
    channel = Fake("a:1")
    pool = Single(channel)
    await pool.start()
    with await pool.pick(call(), None) as attempt:
        assert attempt.channel is channel
    pool.measure(PrometheusMeter())
    await pool.aclose()
    assert not channel.open


async def test_fixed_addresses_take_turns() -> None:
    """Calls go round; a channel is opened once per address, when it is needed."""
    pool = nodes("direct:///a:1,b:2,c:3")
    await pool.start()
    seen = await turns(pool, 6)
    assert sorted(seen[:3]) == ["a:1", "b:2", "c:3"]
    assert seen[:3] == seen[3:]
    channel = await one(pool)
    assert "a:1,b:2,c:3 over grpc" in repr(pool)
    assert "<Nodes a:1" in repr(Client(pool))
    await pool.aclose()
    assert not channel.open


def test_a_service_needs_a_registry() -> None:
    """Discovery without a registry is refused when the client is made."""
    with pytest.raises(ValueError, match="discovery="):
        nodes("discovery:///shop")


async def test_a_service_needs_entering() -> None:
    """A client that was not entered does not wait for ever."""
    with pytest.raises(RuntimeError, match="async with"):
        await nodes("discovery:///shop", MemoryRegistry()).pick(call(), None)


async def test_discovery_follows_the_registry(caplog: pytest.LogCaptureFixture) -> None:
    """New nodes get calls, gone ones get none, and both are told of."""
    caplog.set_level(logging.DEBUG, "kratos.resolve")
    async with discovering(1) as (pool, registry, clock):
        first = await one(pool)
        assert first.peer.address == "a:1"
        await registry.register(instance(2))
        await clock.settle()
        assert set(await turns(pool, 4)) == {"a:1", "a:2"}
        await registry.deregister(instance(1))
        await clock.settle()
        assert set(await turns(pool, 4)) == {"a:2"}
        assert not first.open
    assert caplog.messages == [
        "shop over grpc: 1 nodes came, 0 went, there are 1",
        "shop over grpc: a:1 came",
        "shop over grpc: 1 nodes came, 0 went, there are 2",
        "shop over grpc: a:2 came",
        "shop over grpc: 0 nodes came, 1 went, there are 1",
        "shop over grpc: a:1 went",
    ]


async def test_a_change_of_nothing_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """What stays is no news; long lists are cut."""
    caplog.set_level(logging.DEBUG, "kratos.resolve")
    async with discovering(12) as (_, registry, clock):
        assert caplog.messages[1].endswith("a:7 came and 2 more")
        caplog.clear()
        await registry.register(instance(3, version="v2"))
        await clock.settle()
        assert caplog.messages == []


async def test_calls_under_way_end_on_a_node_that_is_gone() -> None:
    """The channel of a gone node is closed when its last call has ended."""
    async with discovering(1) as (pool, registry, clock):
        with await pool.pick(call(), None) as attempt, await pool.pick(call(), None):
            await registry.deregister(instance(1))
            await clock.advance(3600)
            assert isinstance(attempt.channel, Fake)
            assert attempt.channel.open
        await clock.settle()
        assert not attempt.channel.open


async def test_closing_closes_what_is_gone_too() -> None:
    """A call under way does not keep a channel from being closed with the client."""
    async with discovering(1) as (pool, registry, clock):
        attempt = await pool.pick(call(), None)
        await registry.deregister(instance(1))
        await clock.settle()
        await pool.aclose()
        assert isinstance(attempt.channel, Fake)
        assert not attempt.channel.open
        with attempt:
            pass


async def test_idle_channels_are_closed() -> None:
    """A channel that nobody has used for long is closed, and opened again when it is needed."""
    with FakeClock() as clock:
        pool = nodes("a:1", balancing=Balancing(idle=60))
        first = await one(pool)
        busy = await pool.pick(call(), None)
        await clock.advance(61)
        assert first.open
        with busy:
            pass
        await clock.advance(59)
        assert first.open
        await clock.advance(61)
        assert not first.open
        assert (await one(pool)).open
        await pool.aclose()


async def test_nobody_serves() -> None:
    """An empty list is an error that names the service, until somebody comes."""
    async with discovering(0) as (pool, registry, clock):
        with pytest.raises(ServiceUnavailable, match="nobody serves shop over grpc") as failure:
            await pool.pick(call(), None)
        assert failure.value.reason == "NODE_NOT_FOUND"
        waiting = asyncio.create_task(one(pool, call(wait_for_ready=True)))
        await clock.settle()
        assert not waiting.done()
        await registry.register(instance(1))
        await clock.settle()
        assert (await waiting).peer.address == "a:1"
        await registry.deregister(instance(1))
        await clock.settle()
        with pytest.raises(ServiceUnavailable):
            await pool.pick(call(), None)


async def test_filters_leave_nobody() -> None:
    """The error tells that it is the filters, and not the registry."""
    async with discovering(2, Balancing(filters=[version("v9")])) as (pool, registry, clock):
        with pytest.raises(ServiceUnavailable, match="the filters of the client leave none of the 2 nodes of shop"):
            await pool.pick(call(), None)
        await registry.register(instance(3, version="v9"))
        await clock.settle()
        assert set(await turns(pool, 4)) == {"a:3"}


class Slow:
    """A registry that is away at first, and then slow."""

    def __init__(self) -> None:
        self.tries = 0

    async def watch(self, name: str, scheme: str | None = None, /) -> AsyncIterator[tuple[Instance, ...]]:
        self.tries += 1
        if self.tries == 1:
            raise ConnectionError("registry is away")
        if self.tries == 2:
            return  # which it should not
        await asyncio.sleep(5)
        yield (instance(1),)
        await asyncio.Event().wait()


async def test_the_first_call_waits_for_the_first_list() -> None:
    """Before the registry has answered, a call waits instead of failing."""
    with FakeClock() as clock:
        pool = nodes("discovery:///shop", Slow())
        await pool.start()
        waiting = asyncio.create_task(one(pool))
        await clock.advance(members.RETRY_SECONDS)
        await clock.advance(members.RETRY_SECONDS)
        await clock.advance(4)
        assert not waiting.done()
        await clock.advance(2)
        assert (await waiting).peer.address == "a:1"
        await pool.aclose()


@pytest.mark.parametrize(
    ("registry", "options", "why"),
    [(Slow(), {}, "the registry has not answered"), (MemoryRegistry(), {"wait_for_ready": True}, "it knows nobody")],
)
async def test_nobody_in_time(registry: Any, options: Any, why: str) -> None:
    """A call whose time is up while nobody is known says so, to middleware too."""
    seen: list[Exception] = []

    async def see(request: Any, call: Call, next: Handler) -> Any:
        try:
            return await next(request, call)
        except Exception as failure:
            seen.append(failure)
            raise

    with FakeClock() as clock:
        async with Net().client("discovery:///shop", registry, timeout=2.0, middleware=[see]) as client:
            waiting = asyncio.create_task(echo(client, **options))
            await clock.advance(2.02)
            with pytest.raises(
                GatewayTimeout, match=rf"who serves shop over grpc was found within 2\.02 s.*{why}"
            ) as it:
                await waiting
            assert seen == [it.value]
            assert it.value.metadata == {"limit": "client"}
            left = asyncio.create_task(echo(client, **options))
            await clock.settle()
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left


async def test_endpoints() -> None:
    """Addresses count once; weights and other facts come with the instance."""
    registry = MemoryRegistry()
    found = [
        instance(1, endpoints=("grpc://a:1/", "grpc://a:1", "grpc://b:1?isSecure=false", "grpc:///", "http://a:9")),
        instance(2, endpoints=("grpc://a:1",), metadata={"weight": "7"}),
        instance(3, endpoints=("grpc://c:1",), metadata={"weight": "7"}, version="v2"),
        instance(4, endpoints=("grpc://d:1",), metadata={"weight": "-7"}),
        instance(5, endpoints=("grpc://e:1",), metadata={"weight": "nan"}),
        instance(6, endpoints=("grpc://f:1",), metadata={"weight": "many"}),
    ]
    for each in found:
        await registry.register(each)
    pool = nodes("discovery:///shop", registry)
    await pool.start()
    await one(pool)
    weights = {address: node.weight for address, node in pool._members.found.items()}
    assert weights == {"a:1": 100, "b:1": 100, "c:1": 7, "d:1": 100, "e:1": 100, "f:1": 100}
    third = pool._members.found["c:1"]
    assert (third.instance, third.version, third.scheme) == ("3", "v2", "grpc")
    await pool.aclose()


async def test_subset() -> None:
    """A client knows a part of many nodes, but all of them where keys decide; two clients know different parts."""
    async with discovering(100, Balancing(balancer=WRR)) as (pool, _, _):
        part = set(await turns(pool, 100))
        assert len(part) == 25
    async with discovering(100, Balancing(balancer=WRR)) as (pool, _, _):
        assert set(await turns(pool, 100)) != part
    async with discovering(100, Balancing(balancer=WRR, subset=0)) as (pool, _, _):
        assert len(set(await turns(pool, 100))) == 100
    async with discovering(100, Balancing(balancer=HashRing)) as (pool, _, _):
        assert len(pool._members.pool.nodes) == 100
        assert len({(await one(pool, call(hash_key="me"))).peer.address for _ in range(20)}) == 1


async def test_many_nodes_do_not_keep_the_loop() -> None:
    """While thousands of nodes are looked at, others run; calls see the old nodes or the new ones."""
    registry = MemoryRegistry()
    for number in range(1, 3001):
        await registry.register(instance(number))
    for balancer in (WRR, HashRing):
        pool = nodes("discovery:///shop", registry, Balancing(balancer=balancer))
        await pool.start()
        looks = 0
        while not pool._members.known.is_set():
            await asyncio.sleep(0)
            looks += 1
        assert looks > 5
        await pool.aclose()


async def test_statistics_survive_updates() -> None:
    """What is known of a node stays known when others come and go."""
    async with discovering(2, Balancing(balancer=LeastRequest)) as (pool, registry, clock):
        busy = [await pool.pick(call(), None) for _ in range(20)]
        await registry.register(instance(3))
        await registry.deregister(instance(2))
        await clock.settle()
        assert Counter(await turns(pool, 40)) == {"a:3": 40}
        for attempt in busy:
            with attempt:
                pass


async def test_live_balancing() -> None:
    """Balancer, filters and ejection may change; calls under way end where they began."""
    chosen = Live(Balancing(balancer=WRR, filters=[version("")]))
    async with discovering(3, chosen) as (pool, registry, clock):
        await registry.register(instance(4, version="v2"))
        await clock.settle()
        with await pool.pick(call(), None):
            assert "WRR" in repr(pool)
            chosen.set(Balancing(balancer=LeastRequest, filters=[version("v2")], outlier=None))
            await clock.settle()
            assert "LeastRequest" in repr(pool)
            assert set(await turns(pool, 4)) == {"a:4"}
        same = pool._members.pool
        chosen.set(Balancing(balancer=LeastRequest, outlier=Outlier(consecutive=2)))
        await clock.settle()
        assert pool._members.pool is same
        assert len(set(await turns(pool, 40))) == 4


def test_live_balancing_before_the_loop() -> None:
    """A change before anything runs counts too."""
    chosen = Live(Balancing(balancer=WRR))
    pool = nodes("direct:///a:1,b:2", balancing=chosen)
    chosen.set(Balancing(balancer=WRR, filters=[lambda found: found[1:]]))
    assert asyncio.run(turns(pool, 3)) == ["b:2"] * 3


def test_admitted_by_whoever_the_call_carries() -> None:
    """Nodes that are refused are passed by, also where there is one only."""

    async def main() -> None:
        net, asked = Net(), list[str]()

        def admit(address: str) -> bool:
            asked.append(address)
            return address != "a:1"

        async def carry(request: Any, call: Call, next: Handler) -> Any:
            call.state[ADMIT] = admit
            return await next(request, call)

        client = net.client("direct:///a:1,b:2", middleware=[carry])
        for _ in range(4):
            await echo(client)
        assert net.seen == {"b:2": 4}
        single = net.client("a:1", middleware=[carry])
        with pytest.raises(ServiceUnavailable) as failure:
            await echo(single)
        assert failure.value.reason == "CIRCUITBREAKER"
        await client.aclose()
        await single.aclose()

    asyncio.run(main())


async def test_each_try_goes_elsewhere() -> None:
    """What repeats calls finds another node each time, until there are no more."""
    net, peers = Net(), list[str]()
    net.answers = {address: lambda: ServiceUnavailable("no") for address in ("a:1", "b:2", "c:3")}

    async def repeat(request: Any, call: Call, next: Handler) -> Any:
        for _ in range(4):
            try:
                return await next(request, call)
            except ServiceUnavailable:
                peers.append(call.peer.address)
        return None

    async with net.client("direct:///a:1,b:2,c:3", middleware=[repeat]) as client:
        await echo(client)
    assert len(set(peers[:3])) == 3
    assert len(peers) == 4


async def test_dead_nodes_cost_nothing() -> None:
    """A call that could not be sent goes elsewhere at once, and no other goes to the dead node for a while."""
    net = Net()
    net.dead = {"b:2", "c:3"}
    with FakeClock() as clock:
        async with net.client("direct:///a:1,b:2,c:3") as client:
            for _ in range(30):
                await echo(client)
            assert net.seen == {"a:1": 30, "b:2": 1, "c:3": 1}
            net.dead.clear()
            await clock.advance(1.1)
            for _ in range(30):
                await echo(client)
            assert net.seen["b:2"] == net.seen["c:3"] == 11
            opened = Counter(channel.peer.address for channel in net.channels)
            assert opened == {"a:1": 1, "b:2": 2, "c:3": 2}  # no channel that waits before it tries again


async def test_where_all_are_dead() -> None:
    """The error is that of the last node; one after the other is tried, not more than five, and never one twice."""
    for count in (1, 3, 8):
        net = Net()
        target = ",".join(f"n{number}:1" for number in range(count))
        net.dead = set(target.split(","))
        async with net.client(f"direct:///{target}") as client:
            with pytest.raises(Unreached, match="cannot reach"):
                await echo(client)
        assert net.seen.total() == min(count, MOST_NODES)
        assert len(net.seen) == net.seen.total()


async def test_streams_go_elsewhere_too() -> None:
    """A stream of which nothing was read goes elsewhere; one that lost its first message fails."""

    async def pings() -> AsyncIterator[Ping]:
        yield Ping(text="x")

    net = Net()
    net.dead = {"a:1"}
    async with net.client("direct:///a:1,b:2") as client:
        for operation in (KINDS_WATCH, KINDS_CHAT):
            made = call(operation)
            await client.run_stream(Messages(pings()), made)
            assert made.peer.address == "b:2"
    read = Net()
    read.dead, read.answers = {"a:1"}, {"nobody": ValueError}
    async with read.client("direct:///a:1,b:2") as client:
        with pytest.raises(Unreached):
            await client.run_stream(Messages(pings()), call(KINDS_CHAT))


async def test_failing_nodes_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Ejections are logged and counted, by the meter of the app that the call belongs to."""
    caplog.set_level(logging.WARNING, "kratos.resolve")
    net, meter = Net(), PrometheusMeter()
    net.answers["a:1"] = lambda: ServiceUnavailable("no")
    with FakeClock() as clock:
        async with net.client("direct:///a:1,b:2,c:3") as client:
            client.measure(meter)
            client.measure(PrometheusMeter())
            for _ in range(30):
                with suppress(ServiceUnavailable):
                    await echo(client)
            assert net.seen["a:1"] == 5
            text = meter.render()[1].decode()
            assert 'client_ejections_total{cause="consecutive",kind="grpc",target="a:1,b:2,c:3"} 1.0' in text
            assert 'client_nodes{kind="grpc",state="ejected",target="a:1,b:2,c:3"} 1.0' in text
            assert 'client_nodes{kind="grpc",state="called",target="a:1,b:2,c:3"} 2.0' in text
            await clock.advance(10.1)
            net.answers.clear()
            for _ in range(200):
                await echo(client)
            assert net.seen["a:1"] > 5
    assert caplog.messages == ["a:1,b:2,c:3: a:1 is left alone for 10 s, it could not answer several calls in a row"]


async def test_the_meter_of_the_app() -> None:
    """Inside of a served call, the meter of its app is found by the first failure; one that refuses is no matter."""
    for meter, logged in ((PrometheusMeter(), False), (PrometheusMeter(), True)):
        if logged:
            meter.gauge("client_ejections_total", "Something else.")
        net = Net()
        net.dead = {"a:1"}
        pool = Nodes(Target.parse("direct:///a:1,b:2"), kind="grpc", connect=net.connect, balancing=TURNS)
        served = Call(KINDS_ECHO, kind="grpc", side="server", headers=Metadata(), app=AppInfo(meter=meter))
        async with Client(pool) as client:
            made = Call(KINDS_ECHO, kind="grpc", side="client", headers=Metadata(), parent=served)
            for _ in range(3):
                await client._chain(KINDS_ECHO)(Ping(), made)
        assert ('cause="unreached",kind="grpc",target="a:1,b:2"} 1.0' in meter.render()[1].decode()) is not logged


async def test_others_take_the_place_of_who_fails() -> None:
    """A neighbour that fails is replaced, by another zone where there are not enough, until it is back."""
    registry, net = MemoryRegistry(), Net()
    for number, where in enumerate(("here", "here", "there", "there"), 1):
        await registry.register(instance(number, metadata={"zone": where}))
    balancing = Balancing(balancer=WRR, filters=[zone("here")], outlier=Outlier(warm=0))
    with FakeClock() as clock:
        async with net.client("discovery:///shop", registry, balancing=balancing) as client:

            async def some() -> set[str]:
                net.seen.clear()
                for _ in range(20):
                    with suppress(ServiceUnavailable):
                        await echo(client)
                await clock.settle()
                return set(net.seen)

            assert await some() == {"a:1", "a:2"}
            net.answers["a:1"] = lambda: ServiceUnavailable("no")
            await some()
            assert await some() == {"a:2", "a:3", "a:4"}
            net.answers.clear()
            await clock.advance(10.1)
            assert await some() == {"a:1", "a:2"}
            net.answers = {f"a:{number}": lambda: ServiceUnavailable("no") for number in (1, 2, 3)}
            await some()
            await some()
            await clock.advance(1.0)
            client_nodes = repr(client)
            assert "out" in client_nodes


async def test_where_nobody_is_well_all_are_asked() -> None:
    """If filters leave none of those that are well, they choose among all."""
    net, registry = Net(), MemoryRegistry()
    await registry.register(instance(1, version="v1"))
    await registry.register(instance(2, version="v2"))
    await registry.register(instance(3, version="v2"))
    net.dead = {"a:2", "a:3"}
    balancing = Balancing(balancer=WRR, filters=[version("v2")])
    with FakeClock() as clock:
        async with net.client("discovery:///shop", registry, balancing=balancing) as client:
            with pytest.raises(Unreached):
                await echo(client)
            await clock.settle()
            with pytest.raises(Unreached):
                await echo(client)
            assert set(net.seen) == {"a:2", "a:3"}


async def test_a_channel_that_cannot_be_made() -> None:
    """What is wrong with an address is told, and no call is counted as under way."""

    def refuse(address: str) -> Fake:
        raise ValueError(f"no channel to {address}")

    for target in ("a:1", "direct:///a:1,b:2"):
        pool = Nodes(Target.parse(target), kind="grpc", connect=refuse, balancing=Balancing(balancer=LeastRequest))
        with pytest.raises(ValueError, match="no channel"):
            await pool.pick(call(), None)
        assert "1 under way" not in repr(pool)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (None, Outcome.GOOD),
        (BadRequest("no"), Outcome.GOOD),
        (Error("no", code=501), Outcome.GOOD),
        (InternalServer("no"), Outcome.ERROR),
        (Error("no", code=502), Outcome.DOWN),
        (ServiceUnavailable("no"), Outcome.DOWN),
        (ServiceUnavailable("no", reason="CONNECTION_FAILED"), Outcome.DOWN),  # of somebody behind the peer
        (GatewayTimeout("no"), Outcome.DOWN),
        (Unreached("no"), Outcome.UNREACHED),
        (ServiceUnavailable("no", reason="CONNECTION_CLOSED"), Outcome.LEFT),
        (Error("no", code=499), Outcome.LEFT),
        (asyncio.CancelledError(), Outcome.LEFT),
        (ValueError("of our own"), Outcome.LEFT),
    ],
)
def test_outcomes(failure: BaseException | None, outcome: Outcome) -> None:
    """What a failure says about the node."""
    assert outcome_of(failure, call()) is outcome


def test_time_that_is_up_says_nothing_of_a_stream() -> None:
    assert outcome_of(GatewayTimeout("no"), call(KINDS_WATCH)) is Outcome.LEFT


async def test_tried_is_where_the_call_has_been() -> None:
    """A call keeps the addresses that failed it, and none for a caller that left."""
    pool = nodes("direct:///a:1,b:2")
    made = call()
    with pytest.raises(ServiceUnavailable), await pool.pick(made, None) as attempt:
        raise ServiceUnavailable("no")
    assert made.state[TRIED] == {attempt.channel.peer.address}
    left = call()
    with pytest.raises(asyncio.CancelledError), await pool.pick(left, None):
        raise asyncio.CancelledError
    assert TRIED not in left.state
    await pool.aclose()


async def test_a_balancer_that_finds_nobody() -> None:
    """A balancer of somebody's may find none of the nodes to its taste."""

    class Picky(WRR):
        def pick(self, asked: Asked, now: float, /) -> Flight | None:
            return None

    with pytest.raises(ServiceUnavailable, match="the balancer wants none"):
        await nodes("direct:///a:1,b:2", balancing=Balancing(balancer=Picky)).pick(call(), None)


async def test_a_balancer_that_goes_where_it_likes() -> None:
    """A balancer that heeds nothing keeps no call going for ever."""

    class Stubborn(WRR):
        def pick(self, asked: Asked, now: float, /) -> Flight | None:
            return Flight(self._nodes[0], now)

    net = Net()
    net.dead = {"a:1"}
    async with net.client("direct:///a:1,b:2", balancing=Balancing(balancer=Stubborn)) as client:
        with pytest.raises(Unreached):
            await echo(client)
        assert net.seen == {"a:1": 2}
    made = call()
    made.state[ADMIT] = lambda _: False
    with pytest.raises(ServiceUnavailable):
        await nodes("direct:///a:1,b:2", balancing=Balancing(balancer=Stubborn)).pick(made, None)


async def test_only_the_last_node_is_waited_for() -> None:
    """A call is hurried on while there are other nodes, one that would wait for a connection too."""
    net, hurried = Net(), list[Any]()
    net.dead = {"a:1", "b:2", "c:3"}

    async def note(request: Any, call: Call, next: Handler) -> Any:
        class Noted(dict[str, Any]):
            def __setitem__(self, key: str, value: Any) -> None:
                super().__setitem__(key, value)
                if key == HURRIED:
                    hurried.append(value)

        call.state = Noted(call.state)
        return await next(request, call)

    async with net.client("direct:///a:1,b:2,c:3", middleware=[note]) as client:
        with pytest.raises(Unreached):
            await echo(client, wait_for_ready=True)
        assert hurried == [True, True, False]
        hurried.clear()
        with pytest.raises(Unreached):
            await echo(client)
        assert hurried == [True, True, False]
    hurried.clear()
    async with net.client("a:1", middleware=[note]) as client:
        with pytest.raises(Unreached):
            await echo(client)
    assert hurried == []


@pytest.mark.parametrize(
    ("others", "left", "seconds"),
    [(True, None, 1.0), (True, 10.0, 1.0), (True, 1.0, 0.5), (True, 0.05, 0.1), (False, 10.0, None)],
)
async def test_how_long_a_connection_may_take(others: bool, left: float | None, seconds: float | None) -> None:
    """Half of what is left of the call, a second at most, while there are others; all of it for the last one."""
    with FakeClock():
        made = call()
        made.state[HURRIED] = others
        if left is not None:
            made.shorten(left, "client")
        assert hurry(made) == seconds


async def test_calls_are_not_kept_by_timers() -> None:
    """What looks after channels later on does not hold the call that opened them."""
    serving = Call(KINDS_ECHO, kind="grpc", side="server", headers=Metadata())
    seen: list[Any] = []

    class Lazy(Fake):
        async def aclose(self) -> None:
            seen.append(current_call())

    with FakeClock() as clock:
        token = enter_call(serving)
        pool = Nodes(Target.parse("a:1"), kind="grpc", connect=Lazy)
        await one(pool)
        leave_call(token)
        await clock.advance(301)
        await clock.advance(301)
        assert seen == [None]
        await pool.aclose()


async def test_lines_that_are_not_there() -> None:
    """To let go of what nobody has called is nothing."""
    lines = Lines(Fake, lambda: 60.0)
    lines.drop("a:1")
    await lines.aclose()
