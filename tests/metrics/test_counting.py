"""Exact counts over real sockets, and one series for whatever strangers ask for."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient, KindsService
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from prometheus_client.parser import text_string_to_metric_families

from kratos import App, GRPCClient, GRPCServer, HTTPClient, HTTPServer, Shutdown
from kratos.call import Call
from kratos.metrics import PrometheusMeter
from kratos.middleware import metrics

ECHO = "/fixture.kinds.v1.Kinds/Echo"
CALLS, AT_ONCE = 10_000, 100


class Echo(KindsService):
    async def echo(self, request: Ping, call: Call) -> Pong:
        return Pong(text=request.text)


def requests(meter: Any) -> dict[tuple[str, str, str, str], float]:
    """Returns how calls have ended: kind, operation, code, reason; without those that never did."""
    text = meter.render()[1].decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        (each.labels["kind"], each.labels["operation"], each.labels["code"], each.labels["reason"]): each.value
        for each in samples
        if each.name == "server_requests_code_total" and each.value
    }


@asynccontextmanager
async def serving(server: HTTPServer | GRPCServer) -> AsyncIterator[App]:
    app = App(
        name="x", services=[Echo()], servers=[server], middleware=[metrics()], shutdown=Shutdown(finish=1, drain=0)
    )
    async with app:
        yield app


@pytest.mark.parametrize("over", ["fast", "asgi", "grpcio", "native"])
async def test_ten_thousand_calls(over: Literal["fast", "asgi", "grpcio", "native"]) -> None:
    """Ten thousand calls, a hundred at a time, are ten thousand on both sides, by every engine."""
    there = PrometheusMeter()
    counting = [metrics(there)]
    if over == "fast" or over == "asgi":
        server: HTTPServer | GRPCServer = HTTPServer("127.0.0.1:0", engine=over)
        make: Any = HTTPClient
    else:
        server, make = GRPCServer("127.0.0.1:0", engine=over), GRPCClient
    async with serving(server) as app, make(server.endpoint, middleware=counting, timeout=60) as conn:
        api = KindsClient(conn)

        async def work() -> None:
            for _ in range(CALLS // AT_ONCE):
                await api.echo(Ping(text="a"))

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        kind = "http" if make is HTTPClient else "grpc"
        assert requests(app.meter) == {(kind, ECHO, "200", ""): CALLS}
    text = there.render()[1].decode()
    assert f'client_requests_code_total{{code="200",kind="{kind}",operation="{ECHO}",reason=""}} {CALLS}.0' in text
    assert f'client_requests_in_flight{{kind="{kind}",operation="{ECHO}"}} 0.0' in text


async def said(endpoint: str, *texts: str) -> bytes:
    """Sends requests over one connection and returns all that comes back until it is closed."""
    url = urlsplit(endpoint)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write("".join(texts).encode("latin-1"))
    try:
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def get(path: str, *headers: str) -> str:
    return "\r\n".join((f"GET {path} HTTP/1.1", "host: x", *headers, "", ""))


@pytest.mark.usefixtures("engine")
async def test_unknown_paths() -> None:
    """A thousand paths that nobody has are one series; the server's own pages are none."""
    rng = random.Random(7)
    paths = {"/" + quote("".join(rng.choices(string.printable, k=rng.randint(1, 30))), safe="") for _ in range(1000)}
    server = HTTPServer("127.0.0.1:0")
    async with serving(server) as app:
        answer = await said(server.endpoint, *map(get, paths), get("/healthz", "connection: close"))
        assert answer.count(b"HTTP/1.1 404 ") == len(paths)
        assert requests(app.meter) == {("http", "unknown", "404", "ROUTE_NOT_FOUND"): len(paths)}


@pytest.mark.usefixtures("engine")
async def test_what_is_no_call() -> None:
    """What is turned away before it is a call counts by its error, once; what is a call counts as that."""
    server = HTTPServer("127.0.0.1:0")
    async with serving(server) as app:
        await said(
            server.endpoint,
            get("/kinds/echo/a"),
            "DELETE /kinds/echo HTTP/1.1\r\nhost: x\r\n\r\n",
            "OPTIONS /kinds/echo HTTP/1.1\r\nhost: x\r\n\r\n",
            "POST /kinds/echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\nwrong",
            get("/kinds/echo/%FF", "connection: close"),
        )
        await said(server.endpoint, "this is no request\r\n\r\n")
        await said(server.endpoint, "POST /kinds/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n")
        key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", key)
        await said(server.endpoint, get("/nowhere", *upgrade))
        await said(server.endpoint, get("/kinds/chat", *upgrade, f"x: {'y' * 20_000}"))
        found = requests(app.meter)
    assert found.pop(("http", ECHO, "200", "")) == 1
    assert found.pop(("http", ECHO, "400", "CODEC")) == 1
    assert {key[:2] for key in found} == {("http", "unknown")}
    assert {(code, reason): count for (_, _, code, reason), count in found.items()} == {
        ("405", "METHOD_NOT_ALLOWED"): 1,
        ("400", "BAD_PATH"): 1,
        ("400", "BAD_REQUEST"): 1,
        ("413", "BODY_TOO_LARGE"): 1,
        ("404", "ROUTE_NOT_FOUND"): 1,
        ("400", "BAD_HANDSHAKE"): 1,
    }


@pytest.mark.parametrize("over", ["grpcio", "native"])
async def test_unknown_methods(over: Literal["grpcio", "native"]) -> None:
    """A hundred methods that nobody has are one series."""
    server = GRPCServer("127.0.0.1:0", engine=over)
    async with (
        serving(server) as app,
        grpc.aio.insecure_channel(server.endpoint.removeprefix("grpc://")) as channel,
    ):
        for number in range(100):
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await channel.unary_unary(f"/no.Such{number}/Method")(b"")
            assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert requests(app.meter) == {("grpc", "unknown", "501", "UNIMPLEMENTED"): 100}
