"""The front under other ASGI servers: stock uvicorn, and one made of lists."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from unit.transport.http_server.support import Running, Streams, events
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from kratos.call import AppInfo
from kratos.codec import DEFAULT_CODECS
from kratos.live import Live
from kratos.transport.dispatch import Dispatcher
from kratos.transport.http import HTTPServer
from kratos.transport.http.asgi import ASGIFront
from kratos.transport.http.edge import Edge
from kratos.transport.http.frames import END
from kratos.transport.http.limits import Limits


def front(service: Streams, **options: Any) -> ASGIFront:
    return ASGIFront(Edge(Dispatcher([service]), DEFAULT_CODECS, limits=Live(Limits(max_body=1000))), **options)


@pytest.fixture
async def foreign() -> AsyncIterator[Running]:
    """Stock uvicorn with the protocol that has nothing of ours."""
    service = Streams()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        front(service), http="h11", ws="websockets-sansio", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield Running(HTTPServer(), service, AppInfo(), listener.getsockname()[1])
    server.force_exit = server.should_exit = True
    await task


async def test_foreign_server(foreign: Running) -> None:
    """Every kind of call works under a foreign server."""
    assert (await foreign.ask("/echo/a")).json["text"] == "a"
    assert (await foreign.ask("/echo", "POST", b"x" * 2000, content_type="application/json")).status == 413
    assert len(events((await foreign.ask("/watch/a?count=3")).body)) == 3
    async with connect(f"{foreign.ws}/collect/blue") as peer:
        await peer.send('{"text": "a"}')
        await peer.send(END)
        assert json.loads(await peer.recv())["text"] == "a"
    with pytest.raises(InvalidStatus) as failure:
        async with connect(f"{foreign.ws}/nope"):
            pass
    assert failure.value.response.status_code == 404


async def test_disconnect_under_a_foreign_server(foreign: Running) -> None:
    """A stream is cancelled when its client leaves, silent as it may be."""
    raw = await foreign.raw()
    await raw.request("/watch/hang?count=1")
    await asyncio.wait_for(foreign.service.working.wait(), 2)
    raw.reset()
    await asyncio.wait_for(foreign.service.cancelled.wait(), 2)


class Peer:
    """An ASGI server made of lists."""

    def __init__(self, *received: dict[str, Any], fail_after: int = 1000) -> None:
        self.received = list(received)
        self.sent: list[dict[str, Any]] = []
        self.fail_after = fail_after

    async def receive(self) -> Any:
        if self.received:
            return self.received.pop(0)
        return await asyncio.Event().wait()

    async def send(self, message: Any) -> None:
        if len(self.sent) >= self.fail_after:
            raise OSError("the client has left")
        self.sent.append(message)


def scope(path: str, type_: str = "http", query: str = "", **extra: Any) -> dict[str, Any]:
    return {
        "type": type_, "method": "GET", "path": path, "query_string": query.encode(), "headers": [], "client": None,
        **extra,
    }  # fmt: skip


REQUEST = {"type": "http.request", "body": b"", "more_body": False}
CONNECT = {"type": "websocket.connect"}


@pytest.mark.parametrize("fail_after", [0, 2, 5])
async def test_writes_that_fail(fail_after: int, caplog: pytest.LogCaptureFixture) -> None:
    """A write that fails ends the stream, and is no failure of the handler."""
    service = Streams()
    peer = Peer(REQUEST, fail_after=fail_after)
    task = asyncio.create_task(front(service)(scope("/watch/a", query="count=100"), peer.receive, peer.send))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_heartbeat_that_fails() -> None:
    """The heartbeat of a silent stream finds out that the client has left."""
    service = Streams()
    peer = Peer(REQUEST, fail_after=2)
    application = front(service, heartbeat=0.05)
    task = asyncio.create_task(application(scope("/watch/hang"), peer.receive, peer.send))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)
    assert service.cancelled.is_set()


@pytest.mark.parametrize("path", ["/echo/a", "/nope", "/watch/first-late", "/watch/a"])
async def test_nobody_to_answer(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A response that nobody takes is no failure."""
    peer = Peer(REQUEST, fail_after=0)
    await front(Streams())(scope(path), peer.receive, peer.send)
    assert caplog.records == []


async def test_client_that_leaves_early() -> None:
    """A client that leaves before its request is complete gets no answer."""
    peer = Peer({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})
    await front(Streams())(scope("/echo/a"), peer.receive, peer.send)
    assert peer.sent == []


@pytest.mark.parametrize("fail_after", [0, 1, 2])
async def test_websocket_writes_that_fail(fail_after: int, caplog: pytest.LogCaptureFixture) -> None:
    """A WebSocket whose writes fail ends its call, before and after it was accepted."""
    caplog.set_level(logging.WARNING)
    frame = {"type": "websocket.receive", "text": '{"text": "a"}'}
    peer = Peer(CONNECT, frame, frame, frame, fail_after=fail_after)
    task = asyncio.create_task(front(Streams())(scope("/chat/blue", "websocket"), peer.receive, peer.send))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 2)
    assert caplog.records == []


async def test_bare_refusal() -> None:
    """A server that cannot answer a handshake with a response closes instead."""
    peer = Peer(CONNECT)
    await front(Streams())(scope("/nope", "websocket"), peer.receive, peer.send)
    assert peer.sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


async def test_servers_without_raw_paths() -> None:
    """A path that comes decoded is taken as it is."""
    peer = Peer(REQUEST)
    await front(Streams())(scope("/echo/100%"), peer.receive, peer.send)
    assert json.loads(peer.sent[1]["body"])["text"] == "100%"


async def test_other_scopes() -> None:
    """Anything but HTTP and WebSockets is not served."""
    peer = Peer()
    with pytest.raises(NotImplementedError, match="lifespan"):
        await front(Streams())(scope("/", "lifespan"), peer.receive, peer.send)
