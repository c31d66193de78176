"""A budget on its way through three apps on mixed transports: it shrinks, it ends the last hop, and nothing is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import nothing_left

from kratos import App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.errors import Error, GatewayTimeout
from kratos.handler import Messages
from kratos.middleware import metadata
from kratos.service import CallOptions

BUDGET = 1.0
# What a hop takes for itself before it asks the next one, where that is looked at. grpcio takes its deadlines from one
# clock to another and back, which a busy machine makes wrong by some milliseconds.
WORK_SECONDS = 0.1
PATIENCE = 60.0
KINDS = ("echo", "watch", "collect", "chat")

NATIVE = pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")
ROUTES = [("http", "grpcio", "http"), ("http", "native", "http"), ("grpcio", "http", "grpcio"),
          ("native", "http", "native")]  # fmt: skip
pytestmark = pytest.mark.parametrize(
    "route", [pytest.param(each, marks=NATIVE if "native" in each else (), id="-".join(each)) for each in ROUTES]
)


@pytest.fixture(autouse=True)
def quiet_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)


class Hop(KindsService):
    """Hands every call on to the next hop; the last one answers, or hangs if the text says so.

    Attributes:
        following: The next hop's client.
        calls: What has been served.
        left: How much time each call had.
        work: Seconds that each call takes before it goes on.
        hanging: How many calls hang here.
        cancelled: The kinds of call whose handlers were cancelled here.
    """

    def __init__(self) -> None:
        self.following: KindsClient | None = None
        self.calls: list[Call] = []
        self.left: list[float | None] = []
        self.work = 0.0
        self.hanging = 0
        self.cancelled: list[str] = []
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def serving(self, call: Call) -> AsyncIterator[None]:
        self.calls.append(call)
        self.left.append(call.remaining())
        try:
            await asyncio.sleep(self.work)
            yield
        except (asyncio.CancelledError, GeneratorExit):  # the latter where a reply was on its way meanwhile
            self.cancelled.append(call.operation.method)
            raise
        finally:
            self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something holds of this hop."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def answer(self, request: Ping) -> Pong:
        if request.text == "hang":
            self.hanging += 1
            self.changed.set()
            await asyncio.Event().wait()
        return Pong(text=request.text, count=request.count)

    def options(self) -> CallOptions:
        # Each hop says something to the next one alone.
        return CallOptions(headers={"x-md-local-from": type(self).__name__})

    async def echo(self, request: Ping, call: Call) -> Pong:
        async with self.serving(call):
            if self.following is None:
                return await self.answer(request)
            return await self.following.echo(request, **self.options())

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        async with self.serving(call):
            if self.following is None:
                yield Pong(text="first")
                yield await self.answer(request)
                return
            async with self.following.watch(request, **self.options()) as replies:
                async for reply in replies:
                    yield reply

    async def collect(self, requests: Messages[Ping], call: Call) -> Pong:
        async with self.serving(call):
            if self.following is None:
                return [await self.answer(request) async for request in requests][-1]
            async with self.following.collect(**self.options()) as stream:
                async for request in requests:
                    await stream.send(request)
                return await stream.reply()

    async def chat(self, requests: Messages[Ping], call: Call) -> AsyncIterator[Pong]:
        async with self.serving(call):
            if self.following is None:
                async for request in requests:
                    yield await self.answer(request)
                return
            async with self.following.chat(**self.options()) as stream:
                async for request in requests:
                    await stream.send(request)
                    yield await anext(aiter(stream))
                await stream.done()
                async for reply in stream:
                    yield reply


class Chain:
    """Three hops, and a client of the first one."""

    def __init__(self, hops: list[Hop], api: KindsClient) -> None:
        self.hops = hops
        self.api = api

    @property
    def last(self) -> Hop:
        return self.hops[-1]

    def call(self, kind: str, text: str, **options: Any) -> Coroutine[Any, Any, list[Pong]]:
        """Makes one call of a kind; returns all replies."""
        return getattr(self, f"_{kind}")(Ping(text=text), options)  # type: ignore[no-any-return]

    async def _echo(self, ping: Ping, options: Any) -> list[Pong]:
        return [await self.api.echo(ping, **options)]

    async def _watch(self, ping: Ping, options: Any) -> list[Pong]:
        async with self.api.watch(ping, **options) as replies:
            return [reply async for reply in replies]

    async def _collect(self, ping: Ping, options: Any) -> list[Pong]:
        async with self.api.collect(**options) as stream:
            await stream.send(Ping(text="first"))
            await stream.send(ping)
            return [await stream.reply()]

    async def _chat(self, ping: Ping, options: Any) -> list[Pong]:
        async with self.api.chat(**options) as stream:
            await stream.send(Ping(text="first"))
            assert (await anext(aiter(stream))).text == "first"
            await stream.send(ping)
            await stream.done()
            return [reply async for reply in stream]


@asynccontextmanager
async def chained(
    route: tuple[str, ...], limits: tuple[float | None, ...] = (None, None, None)
) -> AsyncIterator[Chain]:
    """Serves three apps; the limits are those of their servers for unary calls."""
    names = ("Hop1", "Hop2", "Hop3")
    hops: list[Hop] = [type(name, (Hop,), {})() for name in names]
    following: KindsClient | None = None
    both = [metadata()]
    async with AsyncExitStack() as stack:
        for hop, transport, limit in reversed(list(zip(hops, route, limits, strict=True))):
            hop.following = following
            http = transport == "http"
            server: Any = (
                HTTPServer("127.0.0.1:0", timeout=limit)
                if http
                else GRPCServer("127.0.0.1:0", timeout=limit, engine=transport)  # type: ignore[arg-type]
            )
            made = App(name=type(hop).__name__, services=[hop], middleware=both, servers=[server],
                       shutdown=Shutdown(finish=1, drain=0))  # fmt: skip
            app = await stack.enter_async_context(made)
            client = (HTTPClient if http else GRPCClient)(app.info.endpoints[0], middleware=both, timeout=None)
            following = KindsClient(await stack.enter_async_context(client))
        assert following is not None
        yield Chain(hops, following)


async def settled(tasks: int) -> None:
    """Waits until there are no more tasks than before."""
    async with asyncio.timeout(PATIENCE):
        while len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.005)


async def warm(chain: Chain) -> int:
    """Makes a call of each kind, so that connections are there; returns how many tasks there are afterwards."""
    for kind in KINDS:
        assert (await chain.call(kind, "warm"))[-1].text == "warm"
    for hop in chain.hops:
        await hop.until(lambda hop=hop: len(hop.calls) == len(KINDS))  # type: ignore[misc]
    # grpcio has a task for each method that waits for the next call, and makes it when it is done with the last one.
    count = 0
    while count != (count := len(asyncio.all_tasks())):
        await asyncio.sleep(0.05)
    for hop in chain.hops:
        assert hop.cancelled == []
        hop.calls.clear()
        hop.left.clear()
    return count


async def test_a_budget_shrinks(route: Any) -> None:
    """Each hop has less time than the one before, none more than the budget, whatever the kind of call."""
    with nothing_left():
        async with chained(route) as chain:
            await warm(chain)
            for hop in chain.hops:
                hop.work = WORK_SECONDS
            for kind in KINDS:
                await chain.call(kind, "a", timeout=BUDGET)
    for first, second, third in zip(*(hop.left for hop in chain.hops), strict=True):
        assert BUDGET >= first > second > third > 0


async def test_a_cancelled_caller_ends_the_chain(route: Any) -> None:
    """The last hop's handler is cancelled when the first caller leaves, for each kind; nothing runs on."""
    with nothing_left():
        async with chained(route) as chain:
            tasks = await warm(chain)
            for count, kind in enumerate(KINDS, 1):
                caller = asyncio.create_task(chain.call(kind, "hang", timeout=PATIENCE))
                await chain.last.until(lambda count=count: chain.last.hanging == count)  # type: ignore[misc]
                caller.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await caller
                for hop in chain.hops:
                    await hop.until(lambda hop=hop, count=count: len(hop.cancelled) == count)  # type: ignore[misc]
                await settled(tasks)
            assert chain.last.cancelled == ["Echo", "Watch", "Collect", "Chat"]


async def test_a_spent_budget_ends_the_chain(route: Any) -> None:
    """The last hop's handler is cancelled when time is up; the caller learns that the limit was its own."""
    with nothing_left():
        async with chained(route) as chain:
            tasks = await warm(chain)
            began = time.monotonic()
            callers = [asyncio.create_task(chain.call(kind, "hang", timeout=BUDGET)) for kind in KINDS]
            for failure in await asyncio.gather(*callers, return_exceptions=True):
                assert isinstance(failure, GatewayTimeout), failure
                assert failure.reason == "DEADLINE_EXCEEDED"
                assert failure.metadata == {"limit": "client"}
            assert time.monotonic() - began > 0.9 * BUDGET
            await chain.last.until(lambda: len(chain.last.cancelled) == len(KINDS))
            assert sorted(chain.last.cancelled) == ["Chat", "Collect", "Echo", "Watch"]
            await settled(tasks)


async def test_whose_limit_it_was(route: Any) -> None:
    """A hop's own limit is told as the server's, through the hops before it, whose callers have time left."""
    with nothing_left():
        async with chained(route, limits=(None, None, 0.2)) as chain:
            with pytest.raises(GatewayTimeout) as failure:
                await chain.call("echo", "hang", timeout=PATIENCE)
            assert failure.value.metadata == {"limit": "server"}
            await chain.last.until(lambda: chain.last.cancelled == ["Echo"])
            # A limit of a hop on the way cuts the one behind it; that is a server's limit all the same.
        async with chained(route, limits=(None, 0.2, None)) as chain:
            with pytest.raises(Error) as failure:
                await chain.call("echo", "hang", timeout=PATIENCE)
            assert (failure.value.code, failure.value.metadata) == (504, {"limit": "server"})
            await chain.last.until(lambda: chain.last.cancelled == ["Echo"])


async def test_metadata_travels_as_far_as_it_may(route: Any) -> None:
    """What is global reaches the last hop; what is local is for the next hop alone, whoever says it."""
    headers = {"x-md-global-tenant": "t1", "x-md-local-from": "caller"}
    async with chained(route) as chain:
        for kind in KINDS:
            await chain.call(kind, "a", headers=headers)
    for hop, before in zip(chain.hops, ("caller", "Hop1", "Hop2"), strict=True):
        assert len(hop.calls) == len(KINDS)
        for call in hop.calls:
            assert sorted(call.metadata.items()) == [("x-md-global-tenant", "t1"), ("x-md-local-from", before)]
