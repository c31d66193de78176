"""Nodes that fail, a backend that heals, a registry that is away and comes back empty; seen by clients under load."""

from __future__ import annotations

import asyncio
import math
import shutil
import sys
import tempfile
import time
import urllib.request
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offering import Log, Node, client, node, offer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from etcd.serving import ETCD, ETCDCTL, Etcd

from kratos.call import Call
from kratos.contrib.etcd import EtcdRegistry
from kratos.handler import Handler
from kratos.middleware import breaker, retry
from kratos.resilience import Retry
from kratos.selector import WRR, Balancing

__all__ = [
    "AWAY",
    "DOWN",
    "EMPTY",
    "FAILING",
    "HEALING",
    "KILLED",
    "REGISTRY",
    "Outage",
    "failing",
    "healing",
    "registry",
    "restarted",
]

FAILING = 24.0  # seconds of load on three nodes, one of which fails 30 %
HEALING = 28.0  # seconds of load on one backend
DOWN = 4.0, 12.0  # when it is down
AWAY = 3.0, 28.0  # when its process is: by then grpcio would try once in ten seconds, if it were left to itself
REGISTRY = 40.0  # seconds of load on three nodes found by etcd
EMPTY = 4.0, 24.0  # from when until when etcd is away, longer than a lease; it comes back without data
KILLED = 36.0  # when a node is killed

_TIMEOUT = 2.0  # the usual one of our clients


async def failing(kind: str, seconds: float = FAILING) -> dict[str, Log]:
    """Three nodes, one of which fails 30 % of its calls, each after 200 ms; clients with and without ejection."""
    clients = {
        "each in turn, no ejection": Balancing(balancer=WRR, outlier=None),
        "each in turn, ejection": Balancing(balancer=WRR),
        "the default: P2C, ejection": Balancing(),
    }
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(failing=share, slow=0.2)) for share in (0.3, 0.0, 0.0)]
        target = "direct:///" + ",".join(each.url(kind).partition("://")[2] for each in nodes)
        logs = {name: Log() for name in clients}
        async with asyncio.TaskGroup() as group:
            for name, balancing in clients.items():
                conn = await stack.enter_async_context(client(kind, target, balancing=balancing))
                group.create_task(offer(conn, [(seconds, 60.0)], log=logs[name], timeout=_TIMEOUT))
    return logs


class Sent:
    """A middleware that takes note of what is sent: innermost, it sees each attempt.

    Attributes:
        times: When, in seconds since the beginning.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.times: list[float] = []

    async def __call__(self, request: Any, call: Call, next: Handler) -> Any:
        self.times.append(time.perf_counter() - self._began)
        return await next(request, call)


async def healing(kind: str) -> tuple[dict[str, Log], dict[str, Sent]]:
    """A backend is down for some seconds and is back; returns the calls of each client, and what each has sent."""
    clients: dict[str, tuple[float, list[Any]]] = {
        "breaker(), 20 calls a second": (20.0, [breaker()]),
        "breaker(), 100 calls a second": (100.0, [breaker()]),
        "retry(), no budget": (50.0, [retry(Retry(budget=9.0, burst=1000))]),
        "retry()": (50.0, [retry()]),
    }
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(node())
        logs, sent = {name: Log() for name in clients}, {}
        async with asyncio.TaskGroup() as group:
            for name, (rate, middleware) in clients.items():
                sent[name] = Sent()
                conn = client(kind, there.url(kind), middleware=[*middleware, sent[name]])
                await stack.enter_async_context(conn)
                group.create_task(offer(conn, [(HEALING, rate)], log=logs[name], timeout=_TIMEOUT, idempotent=True))
            for at, share in zip(DOWN, (1.0, 0.0), strict=True):
                group.create_task(_told(there, at, share))
    return logs, sent


async def restarted() -> tuple[dict[str, Log], float]:
    """A process is killed, and another one listens at its ports later; returns the calls by transport, and when."""
    logs = {kind: Log() for kind in ("http", "grpc")}
    began = time.perf_counter()

    async def until(seconds: float) -> None:
        await asyncio.sleep(began + seconds - time.perf_counter())

    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(node())
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for kind, log in logs.items():
                conn = await stack.enter_async_context(client(kind, there.url(kind), middleware=[breaker()]))
                group.create_task(offer(conn, [(AWAY[1] + 14, 20.0)], log=log, timeout=_TIMEOUT))
            await until(AWAY[0])
            there.process.kill()
            await until(AWAY[1] - 1.0)  # it takes a while to come up
            await stack.enter_async_context(node(**{kind: there.ports[kind] for kind in logs}))
            back = time.perf_counter() - began
    return logs, back


async def _told(there: Node, seconds: float, share: float) -> None:
    await asyncio.sleep(seconds)
    await there.tell(share)


@dataclass
class Outage:
    """What was seen while a registry was away.

    Attributes:
        logs: The calls, by transport.
        gauge: Moments and how many of the three nodes say ``kratos_registered 1``.
        keys: Moments and how many instances etcd has; none where it is away.
        dead: Seconds after its death of each call that ended at the node that was killed.
        back: Seconds after its return until etcd had all instances.
    """

    logs: dict[str, Log]
    gauge: list[tuple[float, int]] = field(default_factory=list)
    keys: list[tuple[float, int]] = field(default_factory=list)
    dead: list[float] = field(default_factory=list)
    back: float = 0.0


class _Incident:
    """What happens to etcd and to a node, and who looks on."""

    def __init__(self, etcd: Etcd, nodes: list[Node], seen: Outage) -> None:
        self._etcd = etcd
        self._nodes = nodes
        self._seen = seen
        self._began = time.perf_counter()
        self._killed = math.inf
        self._gone = {f"127.0.0.1:{nodes[0].ports[kind]}" for kind in ("http", "grpc")}

    def _now(self) -> float:
        return time.perf_counter() - self._began

    async def note(self, request: Any, call: Call, next: Handler) -> Any:
        """The middleware that sees where calls end."""
        try:
            return await next(request, call)
        finally:
            if self._now() > self._killed and call.peer.address in self._gone:
                self._seen.dead.append(self._now() - self._killed)

    async def happens(self) -> None:
        """Takes etcd away, brings it back without its data, and kills a node."""
        await asyncio.sleep(EMPTY[0] - self._now())
        await asyncio.to_thread(self._etcd.kill)
        self._etcd.wipe()
        await asyncio.sleep(EMPTY[1] - self._now())
        await asyncio.to_thread(self._etcd.start)
        await asyncio.sleep(KILLED - self._now())
        self._nodes[0].process.kill()
        self._killed = self._now()

    async def watched(self) -> None:
        """Asks all nodes for their gauge, and etcd for its keys."""
        seen = self._seen
        while (now := self._now()) < REGISTRY:
            texts = await asyncio.gather(*(asyncio.to_thread(_metrics, each.ports["admin"]) for each in self._nodes))
            seen.gauge.append((now, sum(_registered(text) for text in texts)))
            keys = await asyncio.to_thread(_keys, self._etcd)
            seen.keys.append((now, keys))
            if keys == len(self._nodes) and now > EMPTY[1] and not seen.back:
                seen.back = now - EMPTY[1]
            await asyncio.sleep(0.1)


async def registry() -> Outage | None:
    """Etcd is killed, started again empty, and a node is killed; None if there is no etcd."""
    if ETCD is None or ETCDCTL is None:
        return None
    seen = Outage({kind: Log() for kind in ("http", "grpc")})
    folder = tempfile.mkdtemp()
    etcd = Etcd(Path(folder))
    etcd.ctl_flags.append("--command-timeout=1s")  # who asks while it dies would wait until it is back
    try:
        await asyncio.to_thread(etcd.start)
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(node(etcd=etcd.url)) for _ in range(3)]
            found = EtcdRegistry(etcd.url)
            stack.push_async_callback(found.aclose)
            incident = _Incident(etcd, nodes, seen)
            async with asyncio.TaskGroup() as group:
                for kind, log in seen.logs.items():
                    conn = client(kind, "discovery:///chaos", discovery=found, middleware=[incident.note])
                    await stack.enter_async_context(conn)
                    group.create_task(offer(conn, [(REGISTRY, 100.0)], log=log, timeout=_TIMEOUT))
                group.create_task(incident.watched())
                group.create_task(incident.happens())
    finally:
        etcd.kill()
        shutil.rmtree(folder)
    return seen


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as reply:
            return str(reply.read().decode())
    except OSError:
        return ""


def _registered(text: str) -> bool:
    return any(line.startswith("kratos_registered{") and float(line.split()[-1]) == 1 for line in text.splitlines())


def _keys(etcd: Etcd) -> int:
    if not etcd.running:
        return 0
    said = etcd.ctl("get", "/microservices/chaos/", "--prefix", "--keys-only", check=False)
    return said.count("/microservices/chaos/")
