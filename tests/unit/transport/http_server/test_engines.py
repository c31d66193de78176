"""Both fronts of the server beside each other: the same bytes, in the same order, and the fast one without ASGI."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from fixtures.gen.fixture.streams.v1.streams_pb import Note
from unit.transport.http_server.support import Raw, Running, Streams, running, until

from kratos.call import AppInfo, Call
from kratos.live import Live
from kratos.testing import FakeClock
from kratos.transport.http import CORS, Format, HTTPServer, Limits, handle
from kratos.wire.google.api.httpbody_pb import HttpBody

LAST = b"GET /echo/last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HEAD = b"Host: x\r\n"


async def said(it: Running, sent: bytes) -> bytes:
    """Returns all that comes back on a connection that is closed at the end, without the date and ids of errors."""
    async with await it.raw() as raw:
        await raw.send(sent)
        got = await asyncio.wait_for(raw.reader.read(), 30)
    return re.sub(rb'(?<=date: )[^\r]+|(?<="error_id":")\w+', b"-", got)


async def both(sent: list[bytes], **options: Any) -> list[bytes]:
    """Returns what both engines say to each of these, having asserted that it is the same."""
    async with AsyncExitStack() as stack:
        fast, asgi = [await stack.enter_async_context(running(engine=engine, **options)) for engine in ("fast", "asgi")]
        answers = [(await said(fast, each), await said(asgi, each)) for each in sent]
    for each, (ours, theirs) in zip(sent, answers, strict=True):
        assert ours == theirs, each
    return [ours for ours, _ in answers]


async def bell(request: HttpBody, call: Call) -> HttpBody:
    call.reply.headers.add("x-a", "1")
    call.reply.headers.add("x-a", "2")
    return HttpBody(content_type="text/plain", data=b"0123456789")


POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REQUESTS = [
    b"GET /echo/a HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"HEAD /echo/a HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/a?count=7 HTTP/1.1\r\n" + HEAD + b"Accept: application/xml, application/proto\r\n\r\n",
    b"GET /echo/a? HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/%C3%A4%2Fb HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/%FF HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET http://other/echo/a HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/late HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/crash HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/wrong HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/headers HTTP/1.1\r\n" + HEAD + b"\r\n",
    *(b"GET /echo/status?count=%d HTTP/1.1\r\n" % status + HEAD + b"\r\n" for status in (201, 204, 205, 303, 304, 599)),
    b"GET /echo/status?count=99 HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /echo/a HTTP/1.1\r\n" + HEAD + b"X-Request-Timeout: soon\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"PUT /echo HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"OPTIONS /echo HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /healthz HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /bell HTTP/1.1\r\n" + HEAD + b"Range: bytes=2-4\r\n\r\n",
    b"GET /bell HTTP/1.1\r\n" + HEAD + b"Range: bytes=99-\r\n\r\n",
    POST + b'Content-Length: 12\r\n\r\n{"text":"a"}',
    POST + b"Content-Length: 1\r\n\r\n{",
    POST + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"tex\r\n7\r\nt":"a"}\r\n0\r\nX-T: t\r\n\r\n',
    POST + b'Expect: 100-continue\r\nContent-Length: 12\r\n\r\n{"text":"a"}',
    b"GET /echo/a HTTP/1.1\r\n" + HEAD + b"Expect: 100-continue\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/css\r\nContent-Length: 1\r\n\r\n{",
    POST + b'Content-Encoding: br\r\nContent-Length: 12\r\n\r\n{"text":"a"}',
    b"GET /echo/%s HTTP/1.1\r\n" % (b"z" * 100) + HEAD + b"Accept-Encoding: gzip\r\n\r\n",
    b"POST /chat/blue HTTP/1.1\r\n" + HEAD + b"\r\n",
    b"GET /watch/a?count=2 HTTP/1.1\r\n" + HEAD + b"\r\n",
]


async def test_same_bytes() -> None:
    """Every answer is the same to the last byte, and so is the one that follows it on the connection."""
    options: dict[str, Any] = {"routes": [handle("GET", "/bell", bell)], "format": Format(compress_over=100)}
    answers = await both([each + LAST for each in REQUESTS], **options)
    assert all(b'"text":"last"' in answer for answer in answers), answers


async def test_same_bytes_to_the_last_request() -> None:
    """The same for what ends the connection."""
    http10 = b"GET /echo/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    large = POST + b"Content-Length: 101\r\n\r\n"
    chunks = POST + b"Transfer-Encoding: chunked\r\n\r\n65\r\n" + b" " * 101 + b"\r\n"
    expects = POST + b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n"
    close = b"GET /echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = await both([http10, large, chunks, expects, close], limits=Limits(max_body=100))
    assert [answer.split()[1] for answer in answers] == [b"200", b"413", b"413", b"413", b"200"]
    assert all(answer.count(b"connection: close\r\n") == 1 for answer in answers)


@pytest.mark.parametrize("where", [b"/echo/a%cb", b"/echo/a?text=%cb", b"%cecho/a", b"/echo/a?%c"])
async def test_same_bytes_for_every_byte_of_a_target(where: bytes) -> None:
    """Whatever stands in a target, both read it alike: the fast one has no parser of URLs."""
    await both(
        [b"GET %s HTTP/1.1\r\n" % where.replace(b"%c", bytes([byte])) + HEAD + b"\r\n" + LAST for byte in range(256)]
    )


async def test_same_bytes_for_pages_of_other_sites() -> None:
    """CORS says the same: to pages that may call and to others, for replies and errors, and to questions."""
    origins = [b"Origin: https://shop.example\r\n", b"Origin: https://evil.example\r\n", b""]
    targets = [b"GET /echo/a", b"GET /echo/late", b"GET /nowhere", b"GET /allow"]
    sent = [target + b" HTTP/1.1\r\n" + HEAD + origin + b"\r\n" + LAST for target in targets for origin in origins]
    sent.append(b"OPTIONS /any HTTP/1.1\r\n" + HEAD + origins[0] + b"Access-Control-Request-Method: GET\r\n\r\n" + LAST)

    async def allow(request: HttpBody, call: Call) -> HttpBody:
        call.reply.headers.set("access-control-allow-origin", "*")
        return HttpBody(data=b"mine")

    routes = [handle("GET", "/allow", allow), handle("*", "/any", bell)]
    answers = await both(sent, cors=CORS(origins=["https://shop.example"]), routes=routes)
    assert answers[0].count(b"access-control-allow-origin: https://shop.example\r\n") == 1
    assert b"access-control-allow-methods" in answers[-1]


async def test_the_fast_one_is_fast() -> None:
    """A unary call never sees the ASGI application, behind proxies and for pages of other sites neither."""
    options: dict[str, Any] = {"cors": CORS(origins=["*"]), "proxies": ["127.0.0.1"]}
    async with running(engine="fast", **options) as fast, running(engine="asgi", **options) as asgi:
        for it, count in ((fast, 1), (asgi, 3)):
            asked: list[str] = []
            server = it.server._server
            assert server is not None
            app = server.config.loaded_app

            async def counted(scope: Any, receive: Any, send: Any, app: Any = app, asked: list[str] = asked) -> None:
                asked.append(scope["path"])
                await app(scope, receive, send)

            server.config.loaded_app = counted
            assert (await it.ask("/echo/a", x_forwarded_for="9.9.9.9")).status == 200
            assert (await it.ask("/echo", "POST", b'{"text": "b"}', content_type="application/json")).status == 200
            assert (await it.ask("/watch/a?count=1")).status == 200
            assert len(asked) == count
            assert it.service.calls[0].peer.address == "9.9.9.9"


async def test_order() -> None:
    """Requests that were sent together are answered one after the other, whichever way each of them goes."""
    targets = ["/echo/a", "/watch/b?count=2", "/echo/c", "/nowhere", "/echo/e", "/echo/f", "/healthz", "/echo/h"] * 20
    sent = b"".join(b"GET %s HTTP/1.1\r\n" % target.encode() + HEAD + b"\r\n" for target in targets) + LAST
    (answer,) = await both([sent])
    statuses = re.findall(rb"HTTP/1\.1 (\d+) ", answer)
    assert statuses == [b"404" if target == "/nowhere" else b"200" for target in targets] + [b"200"]


@pytest.mark.usefixtures("engine")
async def test_bodies_wait_their_turn() -> None:
    """Large bodies behind an answer that takes its time arrive whole, and are not read far ahead."""
    async with running() as it, await it.raw() as raw, asyncio.TaskGroup() as group:
        text = "x" * 1_000_000
        body = b'{"text":"%s"}' % text.encode()
        await raw.request("/echo/hang")
        await asyncio.wait_for(it.service.working.wait(), 15)
        requests = b"".join(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body for _ in range(8))
        group.create_task(raw.send(requests))
        await until(lambda: paused(it), 15)
        it.service.go.set()
        assert (await raw.answer()).json["text"] == "hang"
        for _ in range(8):
            assert (await raw.answer()).json["text"] == text


def paused(it: Running) -> bool:
    server = it.server._server
    assert server is not None
    (connection,) = server._connections()
    return bool(connection.flow.read_paused)  # type: ignore[union-attr]  # it is no WebSocket


WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Leaking(Streams):
    """Leaves something in the context of a call."""

    async def echo(self, request: Note, call: Call) -> Note:
        before = WHO.get()
        WHO.set(request.text)
        return Note(text=before)


@pytest.mark.usefixtures("engine")
async def test_context_is_a_request_s_own() -> None:
    """What one request leaves in a context variable is not there for the next one, also if both came at once."""
    server = HTTPServer("127.0.0.1:0")
    async with served(server, Leaking()) as it:
        sent = b"".join(b"GET /echo/%d HTTP/1.1\r\n" % number + HEAD + b"\r\n" for number in range(3)) + LAST
        assert re.findall(rb'"text":"(\w+)"', await said(it, sent)) == [b"nobody"] * 4


@asynccontextmanager
async def served(server: HTTPServer, service: Streams) -> AsyncIterator[Running]:
    info = AppInfo(name="streams", readiness=Live(value=True))
    server.mount([service], (), info)
    await server.start()
    try:
        yield Running(server, service, info, int(server.endpoint.rpartition(":")[2]))
    finally:
        await server.stop(1)


@pytest.mark.usefixtures("engine")
async def test_nothing_is_left_for_the_garbage_collector() -> None:
    """Nothing holds a call after its end: finding rings took the collector 8 % of a busy server's time."""
    async with running() as it, await it.raw() as raw:
        for text in ("a", "late", "b", "c", "d"):
            await raw.request(f"/echo/{text}")
            await raw.answer()
        await asyncio.sleep(0)  # the last task ends
        (one,) = [sys.getrefcount(each) for each in [object()]]
        assert [each for each in it.service.calls if sys.getrefcount(each) > one] == []


@pytest.mark.usefixtures("engine")
async def test_body_that_is_not_over_when_the_server_stops() -> None:
    """Who is still sending when time is up is told that the server stops."""
    async with running(stop=0.2) as it:
        raw: Raw = await it.raw()
        await raw.send(POST + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n")
        assert (await raw.head()).status == 100
    async with raw:
        answer = await raw.answer()
        assert (answer.status, answer.reason) == (503, "SERVER_STOPPING")


@pytest.mark.parametrize("where", ["match", "answer"])
@pytest.mark.usefixtures("engine")
async def test_failure_of_the_front(
    where: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong outside of any call is a 500 that tells nothing, and a line in the log."""
    async with running() as it:
        assert it.server._edge is not None

        def broken(*_: Any) -> Any:
            raise RuntimeError("secret")

        monkeypatch.setattr(it.server._edge, where, broken)
        async with await it.raw() as raw:
            await raw.request("/echo/a")
            answer = await raw.answer()
            assert (answer.status, answer.reason) == (500, "UNKNOWN")
            assert b"secret" not in answer.body
            assert await raw.ended()
    assert [record.getMessage() for record in caplog.records] == ["a request failed outside of any call"]


async def test_unknown_engine() -> None:
    """An engine that there is not is an error that names those that there are."""
    with pytest.raises(ValueError, match="engine is 'turbo': it must be one of fast, asgi"):
        HTTPServer(engine="turbo")  # type: ignore[arg-type]


async def spin(condition: Callable[[], Any]) -> None:
    """Waits until something is so, while the event loop's clock stands still."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0)


@pytest.mark.parametrize("engine", ["fast", "asgi"])
@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_time_counts_from_arrival(engine: str, proxies: tuple[str, ...]) -> None:
    """A request's time runs while earlier ones are answered; one that has none left is answered without its handler."""
    wish = b"GET /echo/%s HTTP/1.1\r\nx-request-timeout: %s\r\n" + HEAD + b"\r\n"
    usual = b"GET /echo/b HTTP/1.1\r\n" + HEAD + b"\r\n"
    async with running(engine=engine, timeout=10.0, proxies=proxies) as it, await it.raw() as raw:
        with FakeClock() as clock:
            arrived = clock()
            await raw.send(wish % (b"hang", b"9S") + usual + wish % (b"c", b"1S") + wish % (b"d", b"8S"))
            await spin(it.service.working.is_set)
            await clock.advance(3.0)
            it.service.go.set()
            await spin(lambda: len(it.service.calls) == 3)
        answers = [await raw.answer() for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 504, 200]
    assert answers[2].json["metadata"] == {"limit": "client"}
    assert [call.arrived for call in it.service.calls] == [arrived] * 3
    assert [call.deadline for call in it.service.calls] == [arrived + left for left in (9.0, 10.0, 8.0)]


@pytest.mark.parametrize("engine", ["fast", "asgi"])
@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_time_counts_from_the_last_byte(engine: str, proxies: tuple[str, ...]) -> None:
    """How long a client takes to send its request is not part of its time: that has limits of its own."""
    async with running(engine=engine, timeout=10.0, proxies=proxies) as it, await it.raw() as raw:
        with FakeClock() as clock:
            await raw.send(POST + b'Content-Length: 12\r\n\r\n{"text"')
            await spin(lambda: [each._body_bytes for each in it.server._server._connections()] == [7])  # type: ignore[union-attr]
            await clock.advance(3.0)
            await raw.send(b':"a"}')
            await spin(lambda: it.service.calls)
            assert it.service.calls[0].arrived == clock()
            assert it.service.calls[0].remaining() == 10.0
        assert (await raw.answer()).status == 200
