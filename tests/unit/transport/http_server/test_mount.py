"""Foreign ASGI applications below a prefix, and ours below theirs."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from fixtures.gen.fixture.streams.v1.streams_kratos import StreamsClient
from fixtures.gen.fixture.streams.v1.streams_pb import Note
from unit.transport.http_server.support import Running, Streams, deny, running, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from kratos.app import App
from kratos.call import Call
from kratos.errors import Forbidden
from kratos.handler import Handler
from kratos.middleware import access_log
from kratos.tools.cli.routetable import rows
from kratos.transport.http import HTTPClient, HTTPServer, mount

Send = Callable[[Any], Awaitable[None]]


def legacy(events: list[str]) -> FastAPI:
    """An application as somebody has it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    api = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)

    @api.get("/items/{item}")
    async def items(item: str, request: Request, q: str = "") -> dict[str, str]:
        return {"item": item, "q": q, "url": str(request.url_for("items", item="z").path)}

    @api.post("/items")
    async def add(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @api.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            try:
                for number in range(1_000_000):
                    yield b"%d\n" % number
                    await asyncio.sleep(0)
            finally:
                events.append("stream closed")

        return StreamingResponse(parts())

    @api.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise ValueError("secret-db-password")

        return StreamingResponse(parts())

    api.add_api_route("/crash", crash)
    api.add_api_websocket_route("/echo", echo)
    return api


async def crash() -> None:
    raise ValueError("secret-db-password")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    text = await socket.receive_text()
    if text == "crash":
        raise ValueError("secret-db-password")
    await socket.send_text(text[::-1])
    await socket.close()


async def test_a_mounted_application() -> None:
    """Its routes, its parameters, its own 404 and its URLs work below the prefix; its lifespan is the server's."""
    events: list[str] = []
    async with running(routes=[mount("/legacy", legacy(events))]) as server:
        assert events == ["up"]
        answer = await server.ask("/legacy/items/a%20b?q=1")
        assert answer.json == {"item": "a b", "q": "1", "url": "/legacy/items/z"}
        assert (await server.ask("/legacy/items", "POST", b"x" * 70_000)).json == {"size": 70_000}
        assert (await server.ask("/legacy/nope")).json == {"detail": "Not Found"}
        assert (await server.ask("/legacy/items", "DELETE")).status == 405
        assert (await server.ask("/echo/a")).json["text"] == "a"
        assert (await server.ask("/other")).reason == "ROUTE_NOT_FOUND"
        async with connect(f"{server.ws}/legacy/echo") as peer:
            await peer.send("abc")
            assert await peer.recv() == "cba"
    assert events == ["up", "down"]


async def test_everything_else_goes_to_an_application_at_the_root() -> None:
    """Routes of the contract win; whatever they do not answer is the application's."""
    async with running(routes=[mount("/", legacy([]))]) as server:
        assert (await server.ask("/echo/a")).json["text"] == "a"
        assert (await server.ask("/items/b")).json["item"] == "b"
        assert (await server.ask("/")).json == {"detail": "Not Found"}


async def test_middleware_holds_on_applications() -> None:
    """A deny-all middleware denies plain requests and WebSockets before the application sees them."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Send) -> None:
        seen.append(scope["type"])

    async with running(deny, routes=[mount("/legacy", app)]) as server:
        assert (await server.ask("/legacy/items/a")).reason == "NO_TOKEN"
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{server.ws}/legacy/echo"):
                pass
        assert refused.value.response.status_code == 401
    assert seen == ["lifespan", "lifespan"][: len(seen)]


async def test_what_middleware_see_of_an_application() -> None:
    """The operation, the status that it answers with, and the end of a stream; they may set headers."""

    async def tag(request: Any, call: Call, next: Handler) -> Any:
        call.reply.headers.set("x-tag", "yes")
        return await next(request, call)

    stream = io.StringIO()
    log = access_log(to=stream, format="json")
    async with running(log, tag, routes=[mount("/legacy", legacy([]))]) as server:
        assert (await server.ask("/legacy/items/a")).headers["x-tag"] == "yes"
        assert (await server.ask("/legacy/nope")).headers["x-tag"] == "yes"
    await log.aclose()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["operation"], line["code"]) for line in lines] == [("HTTP * /legacy", 200), ("HTTP * /legacy", 404)]


async def test_an_application_is_cancelled_when_its_client_leaves() -> None:
    """Nothing goes on writing for nobody."""
    events: list[str] = []
    async with running(routes=[mount("/legacy", legacy(events))]) as server:
        raw = await server.raw()
        await raw.request("/legacy/stream")
        assert (await raw.head()).status == 200
        raw.reset()
        await until(lambda: "stream closed" in events)


async def test_an_application_that_goes_on_after_its_answer() -> None:
    """Later requests on the connection do not make the server forget the work: stopping waits for it."""
    go, done = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            await go.wait()
            done.set()

    async with running(routes=[mount("/jobs", app)]) as server, await server.raw() as raw:
        for target, status in (("/jobs", 204), ("/echo/a", 200)):
            await raw.request(target)
            assert (await raw.answer()).status == status
        stopping = asyncio.create_task(server.server.stop(15))
        assert await raw.ended()
        gc.collect()  # nobody else may hold the work
        await asyncio.wait({stopping}, timeout=0.3)
        assert not stopping.done()
        go.set()
        await stopping
        assert done.is_set()


async def test_failures_of_an_application(caplog: pytest.LogCaptureFixture) -> None:
    """Its text stays in the log; what has begun is cut off, so that half an answer is not taken for all of it."""
    crashing = legacy([])
    async with running(routes=[mount("/legacy", crashing)]) as server:
        answer = await server.ask("/legacy/crash")
        assert answer.status == 500
        assert b"secret" not in answer.body
        async with await server.raw() as raw:
            await raw.request("/legacy/half")
            assert (await raw.head()).status == 200
            assert await raw.chunk() == b"half"
            assert await raw.ended()
        with pytest.raises(ConnectionClosedError) as closed:
            async with connect(f"{server.ws}/legacy/echo") as peer:
                await peer.send("crash")
                await peer.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        assert (await server.ask("/echo/a")).status == 200
    assert "secret-db-password" in caplog.text
    assert "outside of any call" not in caplog.text


async def test_an_application_that_answers_nothing() -> None:
    """One that raises an error before it has answered is answered for."""

    async def app(scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        raise Forbidden("not you", reason="NOT_YOU")

    async with running(routes=[mount("/legacy", app)]) as server:
        assert (await server.ask("/legacy")).reason == "NOT_YOU"


async def test_an_application_that_does_not_start(caplog: pytest.LogCaptureFixture) -> None:
    """The server does not start either, says which one it was, and those before it are shut down."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    with pytest.raises(RuntimeError, match="the application mounted at /b did not start"):
        async with running(routes=[mount("/a", legacy(events)), mount("/b", FastAPI(lifespan=lifespan))]):
            pass
    assert events == ["up", "down"]
    assert "no database" in caplog.text


def test_prefixes() -> None:
    """A prefix is a plain path."""
    for wrong in ("/{a}", "/a/*", "/a/**", "/a:b"):
        with pytest.raises(ValueError, match="has variables or a verb"):
            mount(wrong, legacy([]))
    with pytest.raises(ValueError, match="must start with /"):
        mount("legacy", legacy([]))
    assert mount("/legacy/", legacy([])).operation.name == "HTTP * /legacy"


async def test_what_a_listing_says_of_an_application() -> None:
    """It has no limit of ours, and is called what it is."""
    app = App(name="shop", servers=[HTTPServer(routes=[mount("/legacy", legacy([]))])])
    told = rows(app)
    assert [(row["path"], row["kind"], row["max_body"]) for row in told[:2]] == [
        ("/legacy", "application", None),
        ("/legacy/**", "application", None),
    ]


@asynccontextmanager
async def inside_of_fastapi(service: Streams, *, chain: Any = None) -> AsyncIterator[int]:
    """Runs a FastAPI application that has our app below a prefix; yields the port."""
    ours = HTTPServer(None)
    app = App(name="streams", services=[service], servers=[ours], middleware=chain)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with app:
            yield

    api = FastAPI(lifespan=lifespan)

    @api.get("/theirs")
    async def theirs() -> dict[str, bool]:
        return {"ready": app.info.ready}

    api.mount("/api", ours.asgi)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, access_log=False))
    task = asyncio.create_task(server._serve([listener]))
    await until(lambda: server.started, 10)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task
    assert not app.info.ready


async def test_inside_of_fastapi() -> None:
    """Our operations answer below a prefix of somebody else's application, inside our own chain."""
    service = Streams()
    async with inside_of_fastapi(service) as port:
        theirs = Running(HTTPServer(), service, None, port)  # type: ignore[arg-type]  # not asked for
        assert (await theirs.ask("/theirs")).json == {"ready": True}
        assert (await theirs.ask("/api/echo/a%2Fb")).json["text"] == "a/b"
        assert (await theirs.ask("/api/readyz")).json == {"status": "ok"}
        missing = await theirs.ask("/api/nope")
        assert (missing.status, missing.reason) == (404, "ROUTE_NOT_FOUND")
        async with connect(f"{theirs.ws}/api/chat/blue") as peer:
            await peer.send('{"text": "a"}')
            assert json.loads(await peer.recv())["text"] == "a"


async def test_inside_of_fastapi_the_law_holds(caplog: pytest.LogCaptureFixture) -> None:
    """Middleware stand in front of every call there."""
    async with inside_of_fastapi(Streams(), chain=[deny]) as port:
        theirs = Running(HTTPServer(), Streams(), None, port)  # type: ignore[arg-type]  # not asked for
        assert (await theirs.ask("/api/echo/a")).status == 401
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_an_app_that_nobody_runs_has_no_endpoint() -> None:
    """A server without an address is neither registered nor in the banner."""
    ours = HTTPServer(None, services=[Streams()])
    with pytest.raises(RuntimeError, match="the server is in no App yet"):
        _ = ours.asgi
    async with App(name="streams", servers=[ours, beside := HTTPServer("127.0.0.1:0", services=[Streams()])]) as app:
        assert app.info.endpoints == (beside.endpoint,)
        assert "docs" not in app._banner()
        async with HTTPClient(beside.endpoint) as client:
            assert (await StreamsClient(client).echo(Note(text="a"))).text == "a"
