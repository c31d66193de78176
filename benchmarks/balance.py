"""What it costs to pick a node, and to take in many of them: microseconds per pick, milliseconds per update.

    python benchmarks/balance.py [rounds]

Everything is CPU time, so a busy machine counts less. Picks are made in tens, and get their feedback ten milliseconds
later by a clock of their own, so all statistics are at work; the least of the rounds counts. An update is one instance
more in a registry, until calls see it: in memory, and in an etcd where there is one. *Gap* is the longest time for
which the event loop did nothing else, without the garbage collector, whose pauses depend on all that a process has.
"""

from __future__ import annotations

import asyncio
import gc
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from etcd.serving import ETCD, ETCDCTL, Etcd

from kratos.call import Call
from kratos.contrib.etcd import EtcdRegistry
from kratos.contrib.etcd.connection import Connection
from kratos.metadata import Metadata
from kratos.operation import Unary
from kratos.registry import Discovery, Instance, MemoryRegistry
from kratos.registry.record import encode
from kratos.selector import P2C, WRR, Asked, Balancer, Balancing, HashRing, LeastRequest, Node, Outcome, Pool, Random
from kratos.transport.resolve import Nodes, Single
from kratos.transport.target import Target
from kratos.wire.etcd.etcdserverpb.rpc_kratos import KVClient
from kratos.wire.etcd.etcdserverpb.rpc_pb import PutRequest

BALANCERS: dict[str, Callable[[], Balancer]] = {
    "P2C": P2C,
    "LeastRequest": LeastRequest,
    "Random": Random,
    "HashRing, with keys": HashRing,
    "WRR": WRR,
}
SIZES = (3, 25, 1000)
ECHO = Unary("/bench.v1.Echo/Echo", str, str)


def nodes(count: int) -> list[Node]:
    return [Node(f"10.0.{number // 250}.{number % 250}:9000", "grpc") for number in range(count)]


def pick(make: Callable[[], Balancer], count: int, rounds: int) -> str:
    """Returns the microseconds of a pick among so many nodes, and of its feedback."""
    pool = Pool(make(), Balancing().outlier)
    pool.update(nodes(count))
    batches = 50 if make is WRR else 500
    picks, feedbacks, now = float("inf"), float("inf"), 0.0
    for _ in range(rounds):
        gc.collect()
        picking = ending = 0.0
        for batch in range(batches):
            now += 0.005
            began = time.process_time()
            flights = [
                pool.pick(Asked(ECHO.name, str(batch * 10 + number) if make is HashRing else None), now)
                for number in range(10)
            ]
            picked = time.process_time()
            for flight in flights:
                if flight is not None:
                    pool.done(flight, Outcome.GOOD, now + 0.01)
            ending += time.process_time() - picked
            picking += picked - began
        picks, feedbacks = min(picks, picking), min(feedbacks, ending)
    return f"{picks / batches * 1e5:8.2f} + {feedbacks / batches * 1e5:4.2f}"


Place = Callable[[int], AbstractAsyncContextManager[tuple[Discovery, Callable[[], Awaitable[object]]]]]


def instance(number: int) -> Instance:
    address = f"10.{number // 62500}.{number // 250 % 250}.{number % 250}:9000"
    return Instance(f"{number:05}", "shop", metadata={"weight": "100"}, endpoints=(f"grpc://{address}",))


@asynccontextmanager
async def memory(count: int) -> AsyncIterator[tuple[Discovery, Callable[[], Awaitable[object]]]]:
    """A registry in memory with so many instances, and what adds one."""
    registry = MemoryRegistry()
    for number in range(count):
        await registry.register(instance(number))
    yield registry, lambda: registry.register(instance(count))


@asynccontextmanager
async def etcd(count: int) -> AsyncIterator[tuple[Discovery, Callable[[], Awaitable[object]]]]:
    """The same in a real etcd; the records are written as by others."""
    with tempfile.TemporaryDirectory() as folder:
        server = Etcd(Path(folder))
        try:
            server.start()
            registry = EtcdRegistry(server.url)
            async with Connection(server.url, user="", password="", tls=None, timeout=60.0) as connection:
                client = KVClient(connection)

                def put(number: int) -> Awaitable[object]:
                    key = f"/microservices/shop/{number:05}".encode()
                    return client.put(PutRequest(key=key, value=encode(instance(number))))

                for at in range(0, count, 500):
                    await asyncio.gather(*(put(number) for number in range(at, at + 500)))
                yield registry, lambda: put(count)
            await registry.aclose()
        finally:
            server.kill()


async def until(done: Callable[[], bool]) -> tuple[float, float]:
    """Returns the milliseconds until something is so, and the longest for which nobody else ran."""
    began = last = time.process_time()
    gap = 0.0
    while not done():
        await asyncio.sleep(0)
        now = time.process_time()
        gap, last = max(gap, now - last), now
    return (last - began) * 1e3, gap * 1e3


async def update(balancing: Balancing, count: int, place: Place) -> str:
    """Returns how long the first list of so many instances takes, and one that has one more."""
    async with place(count) as (discovery, more):
        pool = Nodes(
            Target(service="shop"), kind="grpc", connect=lambda _: None, discovery=discovery, balancing=balancing,  # type: ignore[arg-type,return-value]
        )  # fmt: skip
        gc.collect()
        gc.disable()
        await pool.start()
        first, first_gap = await until(pool._members.known.is_set)
        part = pool._members.pool
        before = part.nodes
        adding = asyncio.ensure_future(more())
        again, gap = await until(lambda: part.nodes is not before)
        await adding
        await pool.aclose()
        gc.enable()
    return f"{first:8.1f} {first_gap:8.1f} {again:8.1f} {gap:8.1f}"


async def client(rounds: int) -> None:
    """Prints what a client pays for a pick, with channels, in place of a fixed one."""
    call = Call(ECHO, kind="grpc", side="client", headers=Metadata())

    class Channel:
        kind, peer = "grpc", call.peer

        async def aclose(self) -> None: ...

    for name, channels in (
        ("one channel", Single(Channel())),  # type: ignore[arg-type]
        ("one address", Nodes(Target.parse("a:1"), kind="grpc", connect=lambda _: Channel())),  # type: ignore[arg-type,return-value]
        ("three addresses", Nodes(Target.parse("direct:///a:1,b:1,c:1"), kind="grpc", connect=lambda _: Channel())),  # type: ignore[arg-type,return-value]
    ):
        best = float("inf")
        for _ in range(rounds):
            began = time.process_time()
            for _ in range(5000):
                with await channels.pick(call, None):
                    pass
            best = min(best, time.process_time() - began)
        await channels.aclose()
        print(f"  {name:<22}{best / 5000 * 1e6:8.2f}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"Python {platform.python_version()}, best of {rounds} rounds")
    print("\nus for a pick + its feedback among" + "".join(f"{size:>15,}" for size in SIZES) + " nodes")
    for name, make in BALANCERS.items():
        print(f"  {name:<34}" + "".join(pick(make, size, rounds) for size in SIZES))
    print("\nus for pick and end of an attempt of a client")
    asyncio.run(client(rounds))
    print("\nms until 10,000 instances are taken in,     first      gap   10,001      gap")
    places: dict[str, Place] = {"memory": memory}
    if ETCD and ETCDCTL:
        places["etcd"] = etcd
    for name, balancing in (
        ("P2C, a subset of 25", Balancing()),
        ("P2C, all of them", Balancing(subset=0)),
        ("HashRing", Balancing(balancer=HashRing)),
    ):
        for where, place in places.items():
            print(f"  {f'{name}, {where}':<38}{asyncio.run(update(balancing, 10_000, place))}")


if __name__ == "__main__":
    main()
