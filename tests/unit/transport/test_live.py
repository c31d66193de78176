"""Limits of servers and clients that run, from a file: what is edited counts for the next call."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib.util
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from roundtrip.service import Kinds

from kratos.app import App
from kratos.call import AppInfo
from kratos.config import Config, File
from kratos.errors import GatewayTimeout, TooManyRequests
from kratos.handler import only
from kratos.live import Live
from kratos.middleware import timeout
from kratos.tools.cli.routetable import rows
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.grpc.options import Limits as GRPCLimits
from kratos.transport.http import HTTPClient, HTTPServer
from kratos.transport.http.limits import Limits

PREFIX = "/fixture.kinds.v1.Kinds/"
LONG = "x" * 5000

GRPCIO = "grpcio"
NATIVE = pytest.param(
    "native",
    marks=pytest.mark.skipif(not importlib.util.find_spec("pygrpc_native"), reason="needs kratos-py[native]"),
)
Native = Literal["grpcio", "native"]


@pytest.fixture(autouse=True)
def quiet_poller(monkeypatch: pytest.MonkeyPatch) -> None:
    """grpc.aio's poller complains in the log when one process uses several event loops, as tests do."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.CRITICAL)


def file(timeout: str, max_body: int, max_calls: int) -> str:
    return (
        f"http:\n  timeout: {timeout}\n  limits:\n    max_body: {max_body}\n    maxHeaders: 50\n"
        f"grpc:\n  timeout: {timeout}\n  limits:\n    max_calls: {max_calls}\n    max_message: {max_body}\n"
    )


def seconds(config: Config, key: str) -> Live[float]:
    return config.live(dt.timedelta, key).map(dt.timedelta.total_seconds)


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return failure.value.code()


@pytest.mark.parametrize(
    ("http", "engine"), [("fast", GRPCIO), pytest.param("asgi", *NATIVE.values, marks=NATIVE.marks)]
)
async def test_from_a_file(http: Any, engine: Native, tmp_path: Path) -> None:
    """The file is edited, and a running app has other limits: on HTTP, on gRPC, in its banner and its routes."""
    path = tmp_path / "config.yaml"
    path.write_text(file("30s", 10_000, 100))
    config = await Config.load(File(path, every=0.02))
    servers: Any = [
        HTTPServer(
            "127.0.0.1:0",
            timeout=seconds(config, "http.timeout"),
            limits=config.live(Limits, "http.limits"),
            engine=http,
        ),
        GRPCServer(
            "127.0.0.1:0",
            timeout=seconds(config, "grpc.timeout"),
            limits=config.live(GRPCLimits, "grpc.limits"),
            engine=engine,
        ),
    ]
    app = App(name="x", services=[Kinds()], servers=servers, hooks=[config.watching])
    changed = asyncio.Event()
    config.observe(lambda _: changed.set())
    async with (
        app,
        aiohttp.ClientSession(app.info.endpoints[0], connector=aiohttp.TCPConnector(limit=1)) as session,
        grpc.aio.insecure_channel(app.info.endpoints[1].removeprefix("grpc://")) as channel,
    ):
        echo = channel.unary_unary(PREFIX + "Echo")

        async def post(text: str) -> tuple[int, Any]:
            async with session.post("/kinds/echo", json={"text": text}) as response:
                return response.status, await response.json()

        assert (await post(LONG))[0] == 200
        assert await echo(Ping(text=LONG).to_binary(), timeout=10)
        assert "calls up to 30 s" in app._banner()
        path.write_text(file("50ms", 100, 1))
        async with asyncio.timeout(20):
            await changed.wait()
        status, said = await post("hang")
        assert (status, said["reason"], said["metadata"]) == (504, "DEADLINE_EXCEEDED", {"limit": "server"})
        assert await refused(echo(Ping(text="hang").to_binary(), timeout=10)) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await post(LONG))[0] == 413
        assert (await post("short"))[0] == 200
        code = await refused(echo(Ping(text=LONG).to_binary(), timeout=10))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "calls up to 0.05 s" in app._banner()
        said = {(row["server"], row["timeout"]): row for row in rows(app) if row["operation"] == PREFIX + "Echo"}
        assert said[app.info.endpoints[0], 0.05]["max_body"] == 100
        assert said[app.info.endpoints[1], 0.05]["max_message"] == 100


@asynccontextmanager
async def http_server(limits: Live[Limits], **options: Any) -> AsyncIterator[str]:
    server = HTTPServer("127.0.0.1:0", limits=limits, **options)
    server.mount([Kinds()], [], AppInfo(name="test"))
    await server.start()
    try:
        yield server.endpoint
    finally:
        await server.stop(0.5)


@pytest.mark.parametrize("engine", ["fast", "asgi"])
async def test_an_open_connection_has_new_limits(engine: str) -> None:
    """The next request on a connection counts by what holds when it begins."""
    limits = Live(Limits())
    async with http_server(limits, engine=engine) as url:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))

        async def ask(*headers: str) -> str:
            lines = ["GET /kinds/echo/a HTTP/1.1", "host: x", *headers]
            writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
            async with asyncio.timeout(20):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length"))
                await reader.readexactly(int(length.partition(":")[2]))
            return head.split()[1]

        many = [f"x-{number}: 1" for number in range(10)]
        assert await ask(*many) == "200"
        limits.set(Limits(max_headers=5))
        assert await ask() == "200"
        limits.set(Limits(max_headers=20))
        assert await ask(*many) == "200"
        limits.set(Limits(max_header_bytes=40))
        assert await ask() == "200"
        assert await ask("x: " + "1" * 100) == "431"
        writer.close()


async def test_websockets_have_new_limits() -> None:
    """A WebSocket that opens after a change takes messages of the new size."""
    limits = Live(Limits())
    async with http_server(limits) as url, aiohttp.ClientSession(url) as session:

        async def close_code() -> int | None:
            async with session.ws_connect("/kinds/chat") as socket:
                await socket.send_str('{"text":"' + LONG + '"}')
                message = await socket.receive(timeout=20)
                await socket.close()
                return message.data if message.type is aiohttp.WSMsgType.CLOSE else None

        assert await close_code() is None
        limits.set(Limits(max_body=100))
        assert await close_code() == 1009


@pytest.mark.parametrize("engine", [GRPCIO, NATIVE])
async def test_grpc_limits(engine: Native, caplog: pytest.LogCaptureFixture) -> None:
    """The number of calls follows; what the engine was told at its start does not, and the log says so."""
    limits = Live(GRPCLimits())
    server = GRPCServer("127.0.0.1:0", limits=limits, engine=engine)
    service = Kinds()
    server.mount([service], [], AppInfo(name="test"))
    await server.start()
    await server.stop(0)
    limits.set(GRPCLimits(max_streams=5))
    assert "count" not in caplog.text, "it does not run"
    server = GRPCServer("127.0.0.1:0", limits=limits, engine=engine)
    server.mount([service], [], AppInfo(name="test"))
    await server.start()
    try:
        async with GRPCClient(server.endpoint, timeout=20.0) as conn:
            api = KindsClient(conn)
            hanging = asyncio.create_task(api.echo(Ping(text="hang")))
            await until(lambda: service.hanging)
            limits.set(GRPCLimits(max_streams=5, max_calls=1))
            with pytest.raises(TooManyRequests, match="1 calls are under way"):
                await api.echo(Ping(text="a"))
            limits.set(GRPCLimits(max_streams=5, max_calls=2))
            assert (await api.echo(Ping(text="b"))).text == "b"
            hanging.cancel()
            assert caplog.text == ""
            limits.set(GRPCLimits(max_streams=6, max_metadata=4096))
            assert "max_metadata, max_streams will count from the next start" in caplog.text
    finally:
        await server.stop(0.5)


@pytest.mark.parametrize("engine", [GRPCIO, NATIVE])
async def test_grpc_messages(engine: Native, caplog: pytest.LogCaptureFixture) -> None:
    """The next message counts by the new limit, of every kind of call; grpcio takes no more than at the start."""
    limits = Live(GRPCLimits(max_message=10_000))
    server = GRPCServer("127.0.0.1:0", limits=limits, engine=engine)
    server.mount([Kinds()], [], AppInfo(name="test"))
    await server.start()
    try:
        async with GRPCClient(server.endpoint, timeout=20.0) as conn:
            api = KindsClient(conn)

            async def lengths(length: int) -> list[int]:
                """Returns how long the texts are that calls of each kind bring back; the code where one fails."""
                text = "x" * length
                found: list[int] = []
                for kind in ("Echo", "Watch", "Collect", "Chat"):
                    try:
                        found.append(await length_of(api, kind, text))
                    except TooManyRequests as error:
                        found.append(error.code)
                return found

            async with api.chat() as stream:
                await stream.send(Ping(text=LONG))
                assert (await anext(aiter(stream))).text == LONG
                limits.set(GRPCLimits(max_message=1_000))
                await stream.send(Ping(text=LONG))
                with pytest.raises(TooManyRequests, match="1000 are allowed") as failure:
                    await anext(aiter(stream))
                assert failure.value.reason == "MESSAGE_TOO_LARGE"
            assert await lengths(5_000) == [429] * 4
            assert await lengths(500) == [500] * 4
            assert {route.max_message for route in server.routes if route.operation} == {1_000}
            limits.set(GRPCLimits(max_message=8_000))
            assert await lengths(5_000) == [5_000] * 4
            assert caplog.text == ""
            limits.set(GRPCLimits(max_message=20_000))
            own = engine == "native"
            assert ("max_message of streamed requests will count" if own else "max_message will count") in caplog.text
            assert await lengths(15_000) == [*[15_000 if own else 429] * 2, 429, 429]
            told = {route.operation.method: route.max_message for route in server.routes if route.operation}
            assert (told["Echo"], told["Chat"]) == (20_000 if own else 10_000, 10_000)
    finally:
        await server.stop(0.5)


async def length_of(api: KindsClient, kind: str, text: str) -> int:
    """Says a text in a call of a kind, and returns the length of the one that comes back."""
    if kind == "Echo":
        return len((await api.echo(Ping(text=text))).text)
    if kind == "Watch":
        async with api.watch(Ping(text=text, count=1)) as replies:
            return len((await anext(aiter(replies))).text)
    if kind == "Collect":
        async with api.collect() as stream:
            await stream.send(Ping(text=text))
            await stream.done()
            return len((await stream.reply()).text)
    async with api.chat() as chat:
        await chat.send(Ping(text=text))
        return len((await anext(aiter(chat))).text)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("make", [HTTPServer, GRPCServer])
async def test_clients(make: Any) -> None:
    """A client's limit follows, and so does that of a middleware; neither can become nonsense."""
    server = make("127.0.0.1:0", timeout=None)
    mine, method = Live(20.0), Live(30.0)
    server.mount([Kinds()], [only(PREFIX + "Echo", timeout(method))], AppInfo(name="test"))
    await server.start()
    connect: Any = HTTPClient if make is HTTPServer else GRPCClient
    try:
        async with connect(server.endpoint, timeout=mine) as conn:
            api = KindsClient(conn)
            for limit, name in ((mine, "client"), (method, "method")):
                limit.set(0.05)
                with pytest.raises(GatewayTimeout) as failure:
                    await api.echo(Ping(text="hang"))
                assert failure.value.metadata == {"limit": name}
                with pytest.raises(ValueError, match="more than no time"):
                    limit.set(-1.0)
                limit.set(20.0)
            assert (await api.echo(Ping(text="a"))).text == "a"
    finally:
        await server.stop(0.5)
