"""Processes that a real etcd knows, and clients that call them without a pause over HTTP and gRPC at once.

The registry dies and comes back empty, a node is killed, a node hangs: what callers notice of it, and what etcd's own
client says is in it.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from adminport import ask
from etcd.serving import NEEDED, Etcd
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping

from kratos import GRPCClient, HTTPClient
from kratos.call import Call
from kratos.contrib.etcd import EtcdRegistry
from kratos.errors import Error
from kratos.handler import Handler
from kratos.selector import WRR, Balancing, Outlier

pytestmark = [NEEDED, pytest.mark.slow]  # it counts seconds: nothing else is to run beside it

HERE = Path(__file__).parent
PATIENCE = 60.0
CALLERS = 4  # of each transport
NODES = 3


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    """A server that is ready."""
    server = Etcd(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@dataclass
class Node:
    """A process that serves."""

    process: asyncio.subprocess.Process
    id: str
    urls: list[str]
    admin: str

    @property
    def addresses(self) -> set[str]:
        return {url.partition("://")[2] for url in self.urls}

    async def registered(self) -> float:
        """Returns the gauge, as whoever scrapes the metrics has it."""
        text = (await ask(self.admin, "/metrics")).text
        (value,) = re.findall(r'^kratos_registered\{name="kinds",registry="etcd"\} (\S+)$', text, re.MULTILINE)
        return float(value)


@asynccontextmanager
async def node(etcd: Etcd, ttl: int) -> AsyncIterator[Node]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, HERE / "registered.py", etcd.url, str(ttl), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL, cwd=HERE.parent, env={"PYTHONPATH": str(HERE.parent), "PATH": ""},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield Node(process, **json.loads(await process.stdout.readline()))
    finally:
        if process.returncode is None:
            process.kill()  # also one that is stopped
        await process.communicate()


@dataclass
class Ended:
    """A call that is over."""

    began: float
    peer: str
    reason: str


@dataclass
class Load:
    """Calls without a pause."""

    clients: list[Any] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        return [each.reason for each in self.ended if each.reason]

    async def note(self, request: Any, call: Call, next: Handler) -> Any:
        """The middleware that sees each call; one that the test cuts off as it leaves has not ended."""
        began = time.monotonic()
        try:
            reply = await next(request, call)
        except Error as failure:
            self.ended.append(Ended(began, call.peer.address, failure.reason))
            raise
        self.ended.append(Ended(began, call.peer.address, ""))
        return reply

    async def call(self, conn: Any, timeout: float) -> None:
        """Calls until it is cancelled."""
        while True:
            with suppress(Error):  # `note` has it
                await KindsClient(conn).echo(Ping(text="x"), timeout=timeout)
            await asyncio.sleep(0.005)

    async def more(self, count: int) -> None:
        """Waits until so many more calls are over."""
        total = len(self.ended)
        await until(lambda: len(self.ended) >= total + count)

    def out(self, address: str) -> bool:
        """Tells whether somebody leaves a node alone."""
        return any(f"['{address}'] out" in repr(conn) for conn in self.clients)


@asynccontextmanager
async def rig(etcd: Etcd, *, ttl: int, timeout: float, **balancing: Any) -> AsyncIterator[tuple[list[Node], Load]]:
    """Nodes that etcd knows, and callers of all of them."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(node(etcd, ttl)) for _ in range(NODES)]
        registry = EtcdRegistry(etcd.url, ttl=ttl)
        stack.push_async_callback(registry.aclose)
        load = Load()
        for made in (HTTPClient, GRPCClient):
            conn = made(
                "discovery:///kinds", discovery=registry, balancing=Balancing(**balancing), middleware=[load.note]
            )
            load.clients.append(await stack.enter_async_context(conn))
        tasks = [asyncio.create_task(load.call(conn, timeout)) for conn in load.clients for _ in range(CALLERS)]
        try:
            await until(lambda: {each.peer for each in load.ended} == set.union(*(each.addresses for each in nodes)))
            yield nodes, load
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(condition: Callable[[], object]) -> None:
    """Waits for what others do in their own time."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def gauges(nodes: list[Node], value: float) -> None:
    """Waits until all nodes say the same."""
    async with asyncio.timeout(PATIENCE):
        while {await each.registered() for each in nodes} != {value}:
            await asyncio.sleep(0.05)


def written(etcd: Etcd) -> dict[str, tuple[int, int, int]]:
    """Returns for each instance when its key was made, when it was written, and how often: as etcdctl has it."""
    found = json.loads(etcd.ctl("get", "/microservices/kinds/", "--prefix", "--write-out=json")).get("kvs", [])
    return {
        b64decode(each["key"]).decode().rpartition("/")[2]: (
            each["create_revision"], each["mod_revision"], each["version"]
        )
        for each in found
    }  # fmt: skip


async def test_the_registry_comes_back_empty(etcd: Etcd) -> None:
    """No call fails; within ten seconds each instance is there again, written once; its gauge goes from 1 to 0 to 1."""
    async with rig(etcd, ttl=2, timeout=PATIENCE) as (nodes, load):
        ids = {each.id for each in nodes}
        assert {*await asyncio.to_thread(written, etcd)} == ids
        await gauges(nodes, 1.0)
        etcd.kill()
        etcd.wipe()
        await gauges(nodes, 0.0)
        await load.more(200)
        await asyncio.to_thread(etcd.start)
        async with asyncio.timeout(10):
            while len(back := await asyncio.to_thread(written, etcd)) < NODES:
                await load.more(1)
        assert {*back} == ids
        await gauges(nodes, 1.0)
        total = len(load.ended)
        addresses = set.union(*(each.addresses for each in nodes))
        await until(lambda: len(load.ended) > total + 200 and {each.peer for each in load.ended[total:]} == addresses)
        later = await asyncio.to_thread(written, etcd)
        assert later == back  # nobody has written again
        assert all(made == last and count == 1 for made, last, count in later.values())
        assert not load.failures


async def test_a_node_is_killed(etcd: Etcd) -> None:
    """What was under way on it may fail. After a second nobody calls it, though the registry lists it for long."""
    async with rig(etcd, ttl=60, timeout=PATIENCE) as (nodes, load):
        dead = nodes[0]
        dead.process.kill()
        killed = time.monotonic()
        await dead.process.wait()
        await until(lambda: time.monotonic() > killed + 1 and all(load.out(each) for each in dead.addresses))
        await load.more(300)
        assert dead.id in await asyncio.to_thread(written, etcd)
    assert set(load.failures) <= {"CONNECTION_LOST"}
    # Those under way, and one more each on a connection that was thought to be alive.
    assert len(load.failures) <= 2 * 2 * CALLERS
    later = [each for each in load.ended if each.began > killed + 1]
    assert len(later) >= 200
    assert not [each for each in later if each.reason or each.peer in dead.addresses]


async def test_a_node_hangs(etcd: Etcd) -> None:
    """Calls to a node that says nothing end when their time is up; it is left alone, and gets calls when it is back."""
    outlier = Outlier(seconds=10.0, warm=0.5)
    async with rig(etcd, ttl=60, timeout=0.5, balancer=WRR, outlier=outlier) as (nodes, load):
        await load.more(100)
        first = len(load.failures)  # of a machine that is too busy
        hanging = nodes[0]
        hanging.process.send_signal(signal.SIGSTOP)
        await until(lambda: all(load.out(each) for each in hanging.addresses))
        stopped = time.monotonic()
        await load.more(100)
        later = [each for each in load.ended if stopped < each.began < stopped + 3]
        assert len(later) > 20
        assert not [each for each in later if each.peer in hanging.addresses]
        assert len(load.failures) - first >= 2 * 2  # over HTTP and over gRPC
        assert set(load.failures) == {"DEADLINE_EXCEEDED"}
        hanging.process.send_signal(signal.SIGCONT)
        back = time.monotonic()

        def answers() -> set[str]:
            return {each.peer for each in load.ended if each.began > back and not each.reason}

        await until(lambda: hanging.addresses <= answers())
