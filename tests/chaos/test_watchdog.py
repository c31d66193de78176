"""Handlers that block the event loop on purpose, until the log names them: in development only."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong

from kratos import App, Call, GRPCClient, GRPCServer, HTTPClient, HTTPServer, blocking
from kratos.app import loop_factory
from kratos.registry import Registration

THREAD = "kratos watchdog"
NATIVE = pytest.param(
    "native", marks=pytest.mark.skipif(not find_spec("pygrpc_native"), reason="needs kratos-py[native]")
)
SERVERS = pytest.mark.parametrize("server", ["http", "grpcio", NATIVE])
PATIENCE = 60.0


class Told(logging.Handler):
    """The watchdog's records, and an event that somebody may block on."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.event = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.event.set()


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    logger = logging.getLogger("kratos.watchdog")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KRATOS_ENV", "development")
    # grpc.aio's poller complains in the log when one process uses several event loops, as tests do.
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)


class Blocking(KindsService):
    """Blocks until the watchdog has spoken."""

    def __init__(self, told: Told) -> None:
        self.told = told
        self.threads: list[str] = []

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.threads = [thread.name for thread in threading.enumerate()]
        self.told.event.wait(PATIENCE)
        return Pong()

    async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
        yield Pong()
        self.told.event.wait(PATIENCE)


def place(function: Callable[..., Any], lines: int) -> str:
    """Returns where a method stands, so many lines below its first."""
    return f"{function.__qualname__} ({__file__}:{function.__code__.co_firstlineno + lines})"


def run(make: Callable[[], Awaitable[None]], factory: Any = None) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.wait_for(make(), PATIENCE))


def app(server: str, service: KindsService) -> App:
    where = "127.0.0.1:0"
    made = HTTPServer(where) if server == "http" else GRPCServer(where, engine=server)  # type: ignore[arg-type]
    return App(name="slow", services=[service], servers=[made])


def client(url: str) -> Any:
    return (HTTPClient if url.startswith("http") else GRPCClient)(url, timeout=None)


@SERVERS
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_who_blocks_is_named(told: Told, server: str, loop: str) -> None:
    """An ``async def`` that blocks is named with its line and its operation, once; the thread ends with the app."""
    service = Blocking(told)

    async def scenario() -> None:
        async with app(server, service) as served, client(served.info.endpoints[0]) as conn:
            api = KindsClient(conn)
            await api.echo(Ping())
            told.event.clear()
            async with api.watch(Ping()) as replies:
                assert [reply async for reply in replies] == [Pong()]

    run(scenario, loop_factory() if loop == "uvloop" else None)
    first, second = told.records
    assert place(Blocking.echo, 2) in first.getMessage()
    assert vars(first)["operation"] == "/fixture.kinds.v1.Kinds/Echo"
    assert place(Blocking.watch, 2) in second.getMessage()
    assert vars(second)["operation"] == "/fixture.kinds.v1.Kinds/Watch"
    assert THREAD in service.threads
    assert THREAD not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("value", [None, "production"])
def test_nothing_elsewhere(told: Told, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Outside of development there is no thread."""
    if value is None:
        monkeypatch.delenv("KRATOS_ENV")
    else:
        monkeypatch.setenv("KRATOS_ENV", value)
    service = Blocking(told)
    told.event.set()

    async def scenario() -> None:
        async with app("http", service) as served, client(served.info.endpoints[0]) as conn:
            await KindsClient(conn).echo(Ping())

    run(scenario)
    assert service.threads
    assert THREAD not in service.threads


@SERVERS
def test_a_healthy_server_is_left_alone(told: Told, server: str) -> None:
    """Methods in threads may block, and coroutines may wait, as long as they like; only the culprit is named."""

    class Healthy(KindsService):
        @blocking
        def echo(self, request: Ping, call: Call) -> Pong:
            assert told.event.wait(PATIENCE)
            return Pong()

        async def watch(self, request: Ping, call: Call) -> AsyncIterator[Pong]:
            yield Pong()
            while not told.event.is_set():
                await asyncio.sleep(0)
            yield Pong()

    async def culprit() -> None:
        told.event.wait(PATIENCE)

    async def scenario() -> None:
        async with app(server, Healthy()) as served, client(served.info.endpoints[0]) as conn:
            api = KindsClient(conn)
            waiting = asyncio.create_task(api.echo(Ping()))
            async with api.watch(Ping()) as replies:
                await anext(aiter(replies))
                await culprit()
                assert [reply async for reply in replies] == [Pong()]
            await waiting

    run(scenario)
    (record,) = told.records
    assert place(culprit, 1) in record.getMessage()
    assert "operation" not in vars(record)  # it serves no call


def test_the_thread_ends_whatever_happens(told: Told) -> None:
    """An app that fails on its way up leaves no thread, and one may be entered again."""
    taken = app("http", Blocking(told))

    async def scenario() -> None:
        told.event.set()
        for _ in range(2):
            async with taken as served, client(served.info.endpoints[0]) as conn:
                await KindsClient(conn).echo(Ping())
            assert THREAD not in [thread.name for thread in threading.enumerate()]

        class Refusing:
            async def register(self, instance: object) -> None:
                assert THREAD in [thread.name for thread in threading.enumerate()]
                raise OSError("no registry")

            async def deregister(self, instance: object) -> None: ...

        refused = App(
            name="slow",
            servers=[HTTPServer("127.0.0.1:0")],
            registrar=Refusing(),
            registration=Registration(required=True),
        )
        with pytest.raises(OSError, match="no registry"):
            await refused.__aenter__()

    run(scenario)
    assert os.environ["KRATOS_ENV"] == "development"
    assert THREAD not in [thread.name for thread in threading.enumerate()]
