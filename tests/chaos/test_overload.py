"""Too much to do, and backends that fail: what limiter, breaker and retry make of it, over real sockets.

How much gets done is compared with how much could have been done in the same time on the same machine, however busy
that is: the work is sleep, and how long it really took is measured.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import pytest
from chaos.test_shutdown import HERE, NATIVE, running
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds

from kratos import App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.errors import Error, ServiceUnavailable
from kratos.metrics.noop import NoopMeter
from kratos.middleware import breaker, ratelimit, recovery, retry
from kratos.resilience import BBR, SRE, Retry
from kratos.selector import Balancing

pytestmark = pytest.mark.slow  # it compares what got done: nothing else is to run beside it

PATIENCE = 60.0
SLOTS, WORK = 2, 0.02  # at a time, and seconds that each takes: 100 per second
RATE = 3 * SLOTS / WORK
SECONDS = 3.0
LATE = 0.5  # seconds after which nobody wants the answer any more
TRANSPORTS = pytest.mark.parametrize("transport", ["http", "grpc"])


class Database:
    """Does what it was asked to in order, whether or not anybody still waits for it."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(SLOTS)
        self._work: set[asyncio.Task[None]] = set()
        self.took: list[float] = []

    async def query(self) -> None:
        task = asyncio.create_task(self._run())
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        await asyncio.shield(task)

    async def _run(self) -> None:
        async with self._slots:
            began = perf_counter()
            await asyncio.sleep(WORK)
            self.took.append(perf_counter() - began)

    async def aclose(self) -> None:
        for task in self._work:
            task.cancel()
        if self._work:
            await asyncio.wait(self._work)


class Shop(Kinds):
    """Asks its database."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database

    async def echo(self, request: Ping, call: Call) -> Pong:
        await self.database.query()
        return Pong(text=request.text)


@asynccontextmanager
async def served(transport: str, service: Kinds, middleware: list[Any]) -> AsyncIterator[str]:
    """Serves in this process; yields the URL."""
    server = HTTPServer("127.0.0.1:0") if transport == "http" else GRPCServer("127.0.0.1:0")
    app = App(
        name="chaos", services=[service], servers=[server], middleware=middleware, shutdown=Shutdown(finish=1, drain=0),
        meter=NoopMeter(),
    )  # fmt: skip
    async with app:
        yield server.endpoint


def client(transport: str, target: str, **options: Any) -> Any:
    return (HTTPClient if transport == "http" else GRPCClient)(target, **options)


@dataclass
class Load:
    """Calls that are begun at a rate, whatever becomes of those before."""

    good: list[float] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=perf_counter)

    async def one(self, api: KindsClient) -> None:
        try:
            await api.echo(Ping(text="a"), timeout=LATE)
            self.good.append(perf_counter() - self.began)
        except Error as failure:
            self.reasons[failure.reason] = self.reasons.get(failure.reason, 0) + 1

    async def run(self, api: KindsClient) -> float:
        """Returns how many seconds it has lasted."""
        async with asyncio.TaskGroup() as calls:
            sent = 0
            while (now := perf_counter() - self.began) < SECONDS:
                while sent < now * RATE:
                    calls.create_task(self.one(api))
                    sent += 1
                await asyncio.sleep(0.002)
            return now


@TRANSPORTS
@pytest.mark.parametrize("limited", [True, False])
async def test_three_times_too_much(transport: str, limited: bool) -> None:
    """With a limiter nine tenths of what can be done are answered in time, the rest is told at once to come back.

    Without one all wait, and in the end all of them too long: next to nothing is answered in time.
    """
    limiter = [ratelimit(BBR(cpu_threshold=0, window=2.0, buckets=20))] if limited else []
    database = Database()
    async with served(transport, Shop(database), [recovery(), *limiter]) as url, client(transport, url) as conn:
        load = Load()
        seconds = await load.run(KindsClient(conn))
        possible = SLOTS * (seconds / 2) * len(database.took) / sum(database.took)
    await database.aclose()
    late = sum(seconds / 2 < at < seconds for at in load.good)  # what was answered in the second half
    if limited:
        assert late >= 0.9 * possible, (late, possible, load.reasons)
        assert set(load.reasons) <= {"RATELIMIT", "DEADLINE_EXCEEDED"}
    else:
        assert late <= 0.3 * possible, (late, possible, load.reasons)
        assert "RATELIMIT" not in load.reasons


BURNT = 0.02  # seconds of CPU that a call takes


@asynccontextmanager
async def burning() -> AsyncIterator[dict[str, str]]:
    """Serves in a process of its own, with the limiter as it comes; yields its URLs by engine."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, HERE / "burning.py", str(BURNT),
        stdout=-1, stderr=-3, cwd=HERE.parent, env={"PYTHONPATH": str(HERE.parent), "PATH": ""},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(await process.stdout.readline())
    finally:
        process.kill()
        await process.communicate()


@pytest.mark.parametrize("engine", ["http", pytest.param("native", marks=NATIVE.marks), "grpcio"])
async def test_the_limiter_as_it_comes(engine: str) -> None:
    """It sees by itself that the event loop is busy: nobody is turned away while it is not, and many are then.

    Those behind grpcio, too, which shows one call at a time. How much gets done meanwhile is for a machine that does
    nothing else, see benchmarks/faults.py.
    """
    transport = "http" if engine == "http" else "grpc"
    async with burning() as urls, client(transport, urls[engine], timeout=None) as conn:
        api, reasons = KindsClient(conn), Counter[str]()
        for _ in range(5):
            await api.echo(Ping(text="a"))

        async def calling() -> None:
            while reasons["RATELIMIT"] < 100:
                try:
                    await api.echo(Ping(text="a"))
                    reasons["OK"] += 1
                except Error as failure:
                    reasons[failure.reason] += 1
                    await asyncio.sleep(BURNT)

        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as callers:
            for _ in range(20):
                callers.create_task(calling())
    assert set(reasons) == {"RATELIMIT", "OK"}
    assert reasons["OK"] > 20


class Sick(Kinds):
    """Fails until it is healed, and counts who comes."""

    def __init__(self, *, healed: bool = False) -> None:
        super().__init__()
        self.healed = healed
        self.asked = 0

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.asked += 1
        if not self.healed:
            raise ServiceUnavailable("down", reason="DOWN")
        return Pong(text=request.text)


async def share(api: KindsClient, calls: int, pause: float = 0.0, **options: Any) -> float:
    """Returns how many of some calls are answered."""
    good = 0
    for _ in range(calls):
        try:
            await api.echo(Ping(text="a"), timeout=PATIENCE, **options)
            good += 1
        except ServiceUnavailable:
            pass
        await asyncio.sleep(pause)
    return good / calls


@TRANSPORTS
async def test_a_backend_that_heals(transport: str) -> None:
    """While it is down hardly anybody is sent there; ten seconds after it is back, nine of ten and more are."""
    service = Sick()
    settings = SRE(window=0.6, probe=0.1, requests=5)
    async with (
        served(transport, service, []) as url,
        client(transport, url, middleware=[breaker(settings)]) as conn,
    ):
        api = KindsClient(conn)
        await share(api, 100)
        asked = service.asked
        await share(api, 200, 0.002)
        assert service.asked - asked < 60
        service.healed = True
        async with asyncio.timeout(10):
            while await share(api, 50, 0.002) < 0.9:
                pass


DOWN = 25.0  # seconds: by then grpcio would try once in ten, if it were left to itself


async def test_a_server_that_is_killed_and_starts_again() -> None:
    """Ten seconds after it is back nine of ten calls and more go through, by a breaker and a channel as they come."""
    async with AsyncExitStack() as stack:
        apis: list[KindsClient] = []
        async with running(1.0) as rig:
            for url in sorted(rig.urls):
                conn = client(url.partition(":")[0], url, middleware=[breaker(chance=random.Random(1).random)])
                apis.append(KindsClient(await stack.enter_async_context(conn)))
            for api in apis:
                assert await share(api, 10) == 1.0
            rig.process.kill()
            await rig.process.communicate()
        down = asyncio.get_running_loop().time() + DOWN
        while asyncio.get_running_loop().time() < down:
            assert await asyncio.gather(*(share(api, 20, 0.02) for api in apis)) == [0.0, 0.0]
        ports = [int(url.rpartition(":")[2]) for url in sorted(rig.urls, reverse=True)]
        async with running(1.0, ports=ports), asyncio.timeout(10):
            while min(await asyncio.gather(*(share(api, 50, 0.01) for api in apis))) < 0.9:
                pass


@TRANSPORTS
async def test_one_node_of_two_is_broken(transport: str) -> None:
    """It is passed by: nearly all calls are answered, where it would be half of them."""
    services = Sick(healed=True), Sick()
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(served(transport, each, [])) for each in services]
        target = "direct:///" + ",".join(url.partition("://")[2] for url in urls)
        balancing = Balancing(outlier=None)  # which would leave it alone for reasons of its own
        chance = random.Random(1).random
        conn = client(transport, target, middleware=[breaker(SRE(window=30), chance=chance)], balancing=balancing)
        await stack.enter_async_context(conn)
        api = KindsClient(conn)
        await share(api, 200)
        asked = services[1].asked
        assert await share(api, 300) > 0.9
        assert services[1].asked - asked < 30


@TRANSPORTS
async def test_retries_in_an_outage(transport: str) -> None:
    """A backend that is down gets a fifth more than the calls there are, and no more."""
    service = Sick()
    settings = Retry(attempts=5, backoff=0.0001, floor=0.0)
    async with (
        served(transport, service, []) as url,
        client(transport, url, middleware=[retry(settings)]) as conn,
    ):
        await share(KindsClient(conn), 300, idempotent=True)
    assert 330 <= service.asked <= 360


class Dropping:
    """A server that reads a whole request and hangs up, so that nobody knows whether it did it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Dropping]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()


@pytest.mark.parametrize(("options", "sent"), [({}, 1), ({"idempotent": True}, 3)])
async def test_nobody_knows_whether_it_was_done(options: dict[str, bool], sent: int) -> None:
    """What buys is sent once, however the connection ends; what may be repeated is."""
    async with (
        Dropping().running() as server,
        HTTPClient(server.url, middleware=[retry(Retry(backoff=0.001, budget=9.0))], timeout=PATIENCE) as conn,
    ):
        with pytest.raises(ServiceUnavailable) as lost:
            await KindsClient(conn).echo(Ping(text="buy"), **options)  # type: ignore[arg-type]  # options of a call
    assert lost.value.reason == "CONNECTION_LOST"
    assert [request.split(b" ", 1)[0] for request in server.requests] == [b"POST"] * sent


async def until(condition: Callable[[], object]) -> None:
    """Waits for what the other side does in its own time."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@TRANSPORTS
async def test_places_are_given_back(transport: str) -> None:
    """Callers that leave, time that is up and streams that break off leave nothing in flight behind."""
    service, limiter = Kinds(), ratelimit(BBR(cpu_threshold=0))
    counted: Any = limiter
    async with served(transport, service, [recovery(), limiter]) as url, client(transport, url, timeout=None) as conn:
        api = KindsClient(conn)
        hanging = asyncio.create_task(api.echo(Ping(text="hang")))
        await until(lambda: service.hanging == 1)
        assert counted._limiter.in_flight == 1
        hanging.cancel()
        await until(lambda: counted._limiter.in_flight == 0)
        with pytest.raises(Error, match="longer"):
            await api.echo(Ping(text="hang"), timeout=0.2)
        await until(lambda: counted._limiter.in_flight == 0)
        async with api.chat() as stream:
            await stream.send(Ping(text="hello"))
            await anext(aiter(stream))
        with pytest.raises(Error):
            await api.echo(Ping(text="crash"))
        await until(lambda: counted._limiter.in_flight == 0)
