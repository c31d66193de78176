"""Unary calls against a server that we did not write."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import sys
from typing import Any

import pytest
from aiohttp import web
from fixtures.gen.fixture.helloworld.v1.greeter_kratos import GREETER_SAY_HELLO, GreeterClient
from fixtures.gen.fixture.helloworld.v1.greeter_pb import HelloRequest
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope, OddCode
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KINDS_ECHO, KINDS_WATCH
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.http_client.rig import client_of, foreign, kinds

from kratos.call import Call, Reply
from kratos.codec import ProtoCodec
from kratos.errors import (
    BadRequest,
    ClientError,
    Error,
    GatewayTimeout,
    InternalServer,
    NotFound,
    ServerError,
    ServiceUnavailable,
)
from kratos.handler import Handler
from kratos.metadata import Metadata
from kratos.operation import Http, Unary
from kratos.service import unimplemented
from kratos.transport.channel import Unreached
from kratos.transport.client import Client
from kratos.transport.http.channel import HTTPChannel
from kratos.transport.resolve import Single
from kratos.wire.errors.errors_pb import Status


def json_response(body: Any, status: int = 200, content_type: str = "application/protojson") -> web.Response:
    return web.Response(body=json.dumps(body).encode(), status=status, content_type=content_type)


async def test_what_is_sent() -> None:
    """Method, path, body and headers are as Go Kratos v3 expects them: its content types exactly, and nothing else."""
    seen: list[tuple[web.Request, bytes]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append((request, await request.read()))
        return json_response({"text": "b", "count": 2})

    async with kinds(serve) as api:
        headers = {"x-md-global-tenant": "t1", "content-type": "text/nonsense", "host": "evil", "connection": "close"}
        assert await api.echo(Ping(text="a", count=1), headers=headers, timeout=1.5) == Pong(text="b", count=2)
    ((request, body),) = seen
    assert (request.method, request.raw_path) == ("POST", "/kinds/echo")
    assert json.loads(body) == {"text": "a", "count": 1}
    sent = {key.lower(): value for key, value in request.headers.items()}
    assert len(sent) == len(request.headers)
    assert re.fullmatch(r"1[0-9]{3}m", sent.pop("x-request-timeout"))
    assert sent.pop("user-agent").startswith("kratos-py/")
    assert sent.pop("host").startswith("127.0.0.1:")
    assert sent.pop("accept-encoding")
    assert int(sent.pop("content-length")) == len(body)
    assert sent == {
        "accept": "application/protojson",
        "content-type": "application/protojson",
        "x-md-global-tenant": "t1",
    }


async def test_a_request_without_body() -> None:
    """A GET has its message in path and query, and neither body nor Content-Type nor deadline if there is none."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request)
        return json_response({"message": "hi"})

    async with foreign(serve) as url, client_of(f"{url}/base/", timeout=None) as client:
        reply = await GreeterClient(client).say_hello(HelloRequest(name="a b/c?d%&e#é"))
    assert reply.message == "hi"
    assert seen[0].raw_path == "/base/helloworld/a%20b%2Fc%3Fd%25%26e%23%C3%A9"
    assert not {"Content-Type", "Content-Length", "x-request-timeout"} & set(seen[0].headers)


async def test_proto() -> None:
    """The proto codec sends and asks for binary; the reply's own Content-Type decides how it is read."""

    async def serve(request: web.Request) -> web.Response:
        assert request.headers["Content-Type"] == request.headers["Accept"] == "application/proto"
        ping = Ping.from_binary(await request.read())
        if ping.text == "json":
            return json_response({"text": "j"}, content_type="application/json")
        return web.Response(body=Pong(text=ping.text).to_binary(), content_type="application/proto")

    async with kinds(serve, codec=ProtoCodec()) as api:
        assert await api.echo(Ping(text="a")) == Pong(text="a")
        assert await api.echo(Ping(text="json")) == Pong(text="j")


async def test_reply_headers_and_status() -> None:
    """The caller sees status and headers of the reply; an earlier attempt leaves nothing in them."""

    async def serve(request: web.Request) -> web.Response:
        response = json_response({}, status=201)
        response.headers.extend([("X-Two", "a"), ("X-Two", "b"), ("X-Name", "café €")])
        return response

    reply = Reply()
    reply.headers.set("x-stale", "1")
    async with kinds(serve) as api:
        await api.echo(Ping(), reply=reply)
    assert reply.status == 201
    assert reply.headers.values("x-two") == ["a", "b"]
    assert reply.headers.get("x-name") == "café €"
    assert reply.headers.get("x-stale") is None


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_an_empty_reply(body: bytes) -> None:
    """No body is an empty message, whatever it is said to be."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=body or None, status=200 if body else 204)

    async with kinds(serve) as api:
        assert await api.echo(Ping()) == Pong()


STATUS = {"code": 404, "reason": "NOPE", "message": "not here", "metadata": {"k": "v"}}
WIRE = Status(code=404, reason="NOPE", message="not here", metadata={"k": "v"}).to_binary()


@pytest.mark.parametrize(
    ("status", "content_type", "body", "expected"),
    [
        (404, "application/protojson", json.dumps(STATUS), (Nope, 404, "NOPE", "not here", {"k": "v"})),
        (404, "application/json; charset=utf-8", json.dumps(STATUS), (Nope, 404, "NOPE", "not here", {"k": "v"})),
        (404, "application/proto", WIRE, (Nope, 404, "NOPE", "not here", {"k": "v"})),
        (404, "text/nonsense", json.dumps(STATUS), (Nope, 404, "NOPE", "not here", {"k": "v"})),
        (404, None, json.dumps(STATUS), (Nope, 404, "NOPE", "not here", {"k": "v"})),
        (503, "application/json", json.dumps(STATUS), (Nope, 503, "NOPE", "not here", {"k": "v"})),
        (422, "application/json", '{"reason":"ODD_CODE"}', (OddCode, 422, "ODD_CODE", "", {})),
        (418, "application/json", '{"code":1,"message":"tea"}', (ClientError, 418, "", "tea", {})),
        (500, "application/json", '{"code":54321,"message":"x"}', (InternalServer, 500, "", "x", {})),
        (404, "application/json", '{"detail":"nope"}', (NotFound, 404, "", "answered 404 Not Found", {})),
        (404, "application/json", '{"code":"N","message":7}', (NotFound, 404, "", "answered 404 Not Found", {})),
        (404, "application/json", "{", (NotFound, 404, "", "answered 404 Not Found", {})),
        (404, "application/json", "[" * 99_999, (NotFound, 404, "", "answered 404 Not Found", {})),
        (404, "application/proto", b"\xff\xff", (NotFound, 404, "", "answered 404 Not Found", {})),
        (502, "text/html", "<html>", (ServerError, 502, "", "answered 502 Bad Gateway", {})),
        (404, "text/plain; charset=utf-8", "404 page not found\n", (NotFound, 404, "", "404 page not found", {})),
        (400, "text/plain", "x" * 5000, (BadRequest, 400, "", "x" * 200, {})),
        (503, None, "", (ServiceUnavailable, 503, "", "answered 503 Service Unavailable", {})),
        (599, None, "", (ServerError, 599, "", "answered 599", {})),
        (404, "application/x-yaml", "a: 1", (NotFound, 404, "", "answered 404 Not Found", {})),
        (404, "application/octet-stream", b"\x00" * 3_000_000, (NotFound, 404, "", "answered 404 Not Found", {})),
    ],
)
async def test_errors(status: int, content_type: str | None, body: str | bytes, expected: tuple[Any, ...]) -> None:
    """The status line decides on the code; a body of ours gives the rest, any other does no harm."""

    async def serve(request: web.Request) -> web.Response:
        headers = {"Content-Type": content_type} if content_type else {}
        data = body.encode() if isinstance(body, str) else body
        return web.Response(status=status, body=data, headers=headers)

    reply = Reply()
    async with kinds(serve, max_message=1_000_000) as api:
        with pytest.raises(Error) as raised:
            await api.echo(Ping(), reply=reply)
    cls, code, reason, message, metadata = expected
    error = raised.value
    assert (type(error), error.code, error.reason, error.metadata) == (cls, code, reason, metadata)
    assert error.message.endswith(message)
    assert len(error.message) < 300
    assert reply.status == status


async def test_redirects_are_not_followed() -> None:
    """A redirect is an error that says what it is: another address is another server."""
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with kinds(serve) as api:
        with pytest.raises(ServerError, match="answered 307 Temporary Redirect") as raised:
            await api.echo(Ping())
    assert raised.value.code == 307
    assert seen == ["/kinds/echo"]


@pytest.mark.parametrize("coding", ["identity", "gzip", "chunked"])
async def test_large_replies(coding: str) -> None:
    """A reply may be compressed; over the limit it is refused, however it comes."""

    async def serve(request: web.Request) -> web.StreamResponse:
        count = (await request.json())["count"]
        body = json.dumps({"text": "x" * count}).encode()
        headers = {"Content-Type": "application/json"}
        if coding == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        if coding != "chunked":
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        for start in range(0, len(body), 1000):
            await response.write(body[start : start + 1000])
        return response

    async with kinds(serve, max_message=100_000) as api:
        assert len((await api.echo(Ping(count=90_000))).text) == 90_000
        with pytest.raises(InternalServer, match="a reply of more than 100000 bytes") as raised:
            await api.echo(Ping(count=50_000_000 if coding == "gzip" else 200_000))
        assert raised.value.reason == "REPLY_TOO_LARGE"
        assert (await api.echo(Ping(count=1))).text == "x"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"text": 1}'),
        ("text/html", b"<html>"),
        ("application/proto", b"\xff"),
        ("application/json", b"{"),
    ],
)
async def test_replies_that_cannot_be_read(content_type: str, body: bytes) -> None:
    """A success with a body that is no reply is the server's fault, and not a 400."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type=content_type)

    async with kinds(serve) as api:
        with pytest.raises(InternalServer, match="the reply of /fixture.kinds.v1.Kinds/Echo cannot be read") as raised:
            await api.echo(Ping())
    assert raised.value.reason == "CODEC"


async def test_nothing_is_sent_where_the_path_cannot_be_written() -> None:
    """A variable without a value fails here, before there is a connection."""
    async with client_of("http://127.0.0.1:1") as client:
        with pytest.raises(BadRequest, match="field name is empty") as raised:
            await GreeterClient(client).say_hello(HelloRequest())
    assert raised.value.reason == "PATH_VARIABLE"


def direct(operation: Any = KINDS_ECHO, timeout: float | None = None) -> Call:
    """Returns a call as no client has prepared it: nobody else watches its deadline."""
    call = Call(operation, kind="http", side="client", headers=Metadata())
    if timeout is not None:
        call.shorten(timeout, "client")
    return call


@pytest.mark.parametrize("phase", ["head", "body"])
async def test_deadlines(phase: str) -> None:
    """Time is up for the whole exchange, under a client and without one, and the error says whose limit it was."""
    gone = asyncio.Semaphore(0)

    async def serve(request: web.Request) -> web.StreamResponse:
        try:
            response = web.StreamResponse()
            if phase == "body":
                await response.prepare(request)
                await response.write(b"{")
            await asyncio.sleep(60)
            return response
        finally:
            gone.release()

    async with foreign(serve) as url:
        async with client_of(url, timeout=0.1) as client:
            with pytest.raises(GatewayTimeout, match="took longer than the client allows") as raised:
                await client.unary(KINDS_ECHO, Ping(), {}, {})
            assert raised.value.metadata == {"limit": "client"}
            await asyncio.wait_for(gone.acquire(), 2)
        channel = HTTPChannel(url)
        with pytest.raises(GatewayTimeout, match="took longer than the client allows"):
            await channel.unary(Ping(), direct(timeout=0.1))
        with pytest.raises(GatewayTimeout):
            await channel.unary(Ping(), direct(timeout=0))
        await asyncio.wait_for(gone.acquire(), 2)
        await channel.aclose()


@pytest.mark.parametrize("seconds", [0.1, 0.6])  # a timer, and a sweep
@pytest.mark.parametrize("operation", [KINDS_ECHO, KINDS_WATCH], ids=["unary", "stream"])
async def test_middleware_sees_that_time_is_up(seconds: float, operation: Any) -> None:
    """Whatever ends a call at its deadline, middleware see the error as over gRPC, and not that they were cancelled."""
    seen: list[BaseException] = []

    async def watching(request: Any, call: Call, next: Handler) -> Any:
        try:
            return await next(request, call)
        except BaseException as failure:
            seen.append(failure)
            raise

    async def serve(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with foreign(serve) as url, Client(Single(HTTPChannel(url)), middleware=[watching]) as client:
        with pytest.raises(GatewayTimeout) as raised:
            if operation is KINDS_ECHO:
                await client.unary(KINDS_ECHO, Ping(), {"timeout": seconds}, {})
            else:
                async with client.server_stream(KINDS_WATCH, Ping(), {"timeout": seconds}, {}) as replies:
                    await anext(aiter(replies))
    assert seen == [raised.value]
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("stream", [False, True])
async def test_callers_that_leave_cancel(stream: bool) -> None:
    """A caller who stops waiting sees nothing else than that, and the server learns of it."""
    entered, gone = asyncio.Event(), asyncio.Event()

    async def serve(request: web.Request) -> web.Response:
        entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    async def watch(client: Client) -> None:
        async with client.server_stream(KINDS_WATCH, Ping(), {}, {}) as replies:
            await anext(aiter(replies))

    async with foreign(serve) as url, client_of(url, timeout=30) as client:
        task = asyncio.create_task(watch(client) if stream else client.unary(KINDS_ECHO, Ping(), {}, {}))
        await asyncio.wait_for(entered.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5)


@pytest.mark.parametrize("prefix", ["", "/", "/shop", "/sh%20op/"])
@pytest.mark.parametrize(
    ("message", "target"),
    [(Ping(text="a b"), "/things/a%20b"), (Ping(text="a#?", count=1), "/things/a%23%3F?count=1")],
)
async def test_where_requests_go(prefix: str, message: Ping, target: str) -> None:
    """The path of the URL goes before every path of the contract; nothing is escaped twice."""
    things = Unary("/test.v1.Things/Get", Ping, Pong, http=(Http("GET", "/things/{text}"),))
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return json_response({})

    async with foreign(serve) as url, client_of(url + prefix) as client:
        await client.unary(things, message, {}, {})
    assert seen == [prefix.rstrip("/") + target]


async def test_callers_may_say_who_they_are() -> None:
    """A user agent of the caller's takes the place of ours, and the header stands once."""
    seen: list[list[str]] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.headers.getall("User-Agent"))
        return json_response({})

    async with kinds(serve) as api:
        await api.echo(Ping(), headers={"user-agent": "mine/1"})
        await api.echo(Ping())
    assert seen[0] == ["mine/1"]
    assert [agent.partition("/")[0] for agent in seen[1]] == ["kratos-py"]


async def test_connection_refused() -> None:
    """Nobody there is a 503 that says where and why."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(ServiceUnavailable) as raised:
            await client.unary(KINDS_ECHO, Ping(), {}, {})
    assert raised.value.reason == "CONNECTION_FAILED"
    assert raised.value.message.startswith(f"cannot connect to 127.0.0.1:{port}: ")
    assert re.search("refused|Connect call failed", raised.value.message)
    assert raised.value.__cause__ is not None


async def test_tls_that_is_none() -> None:
    """A server that does not speak TLS is told apart from one that is not there."""

    async def serve(request: web.Request) -> web.Response:
        return web.Response()

    async with foreign(serve) as url, client_of(url.replace("http:", "https:")) as client:
        with pytest.raises(ServiceUnavailable, match="cannot connect to .*: it does not speak TLS") as raised:
            await client.unary(KINDS_ECHO, Ping(), {}, {})
    assert raised.value.reason == "CONNECTION_FAILED"


@pytest.mark.skipif(sys.platform != "linux", reason="how many connections wait to be accepted is Linux's count")
async def test_no_connection_in_time() -> None:
    """A server that lets nobody in is not reached: nothing was sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
        address = full.getsockname()
        first.connect(address)  # the one that may wait
        async with client_of(f"http://127.0.0.1:{address[1]}", connect_timeout=0.2) as client:
            with pytest.raises(Unreached, match="no answer in time") as raised:
                await client.unary(KINDS_ECHO, Ping(), {}, {})
        assert raised.value.reason == "CONNECTION_FAILED"


@pytest.mark.parametrize(
    ("answer", "error", "reason", "told"),
    [
        (b"", ServiceUnavailable, "CONNECTION_LOST", "the server closed it"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", ServerError, "BAD_REPLY", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", ServiceUnavailable, "CONNECTION_LOST", "was lost"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
            ServiceUnavailable,
            "CONNECTION_LOST",
            "",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", ServiceUnavailable, "", ""),
        (b"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\n{}", ServiceUnavailable, "CONNECTION_LOST", ""),
    ],
)
async def test_broken_servers(answer: bytes, error: type[Error], reason: str, told: str) -> None:
    """What is no HTTP, or ends too early, is an error in words."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client_of(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(error) as raised:
            await client.unary(KINDS_ECHO, Ping(), {}, {})
    assert type(raised.value) is error
    assert reason in raised.value.reason
    assert told in raised.value.message
    assert f"127.0.0.1:{port}" in raised.value.message


async def test_cancel_reaches_the_server() -> None:
    """Cancelling the caller closes the connection, so the server need not go on."""
    entered, gone = asyncio.Event(), asyncio.Event()

    async def serve(request: web.Request) -> web.Response:
        entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return web.Response()

    async with kinds(serve) as api:
        task = asyncio.create_task(api.echo(Ping()))
        await asyncio.wait_for(entered.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 2)


async def test_one_connection_for_calls_in_turn() -> None:
    """Connections are kept and used again, errors included; cookies are not kept."""
    ports: set[Any] = set()

    async def serve(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        assert not request.cookies
        response = json_response(STATUS, status=404) if len(ports) % 2 else json_response({})
        response.set_cookie("a", "b")
        return response

    async with kinds(serve) as api:
        for _ in range(5):
            with pytest.raises(Nope):
                await api.echo(Ping())
    assert len(ports) == 1


async def test_many_at_once() -> None:
    """Calls do not wait for each other."""
    arrived = 0
    everybody = asyncio.Event()

    async def serve(request: web.Request) -> web.Response:
        nonlocal arrived
        arrived += 1
        if arrived == 120:
            everybody.set()
        await everybody.wait()
        return json_response({"count": (await request.json())["count"]})

    async with kinds(serve) as api:
        replies = await asyncio.gather(*(api.echo(Ping(count=number)) for number in range(120)))
    assert [reply.count for reply in replies] == list(range(120))


async def test_closing() -> None:
    """Closing fails what is under way and what comes later, with one reason; an unused channel closes as well."""
    entered = asyncio.Event()

    async def serve(request: web.Request) -> web.Response:
        entered.set()
        await asyncio.sleep(60)
        return web.Response()

    async with foreign(serve) as url:
        channel = HTTPChannel(url)
        task = asyncio.create_task(channel.unary(Ping(), direct()))
        await asyncio.wait_for(entered.wait(), 2)
        await channel.aclose()
        await channel.aclose()
        for attempt in (task, channel.unary(Ping(), direct())):
            with pytest.raises(ServiceUnavailable, match="has closed its connections") as raised:
                await attempt
            assert raised.value.reason == "CONNECTION_CLOSED"
        await HTTPChannel(url).aclose()


def test_constructing_touches_nothing() -> None:
    """A channel is made without an event loop."""
    channel = HTTPChannel("https://[::1]:8443/prefix/")
    assert (channel.kind, channel.peer.address) == ("http", "[::1]:8443")
    assert HTTPChannel("https://example.com").peer.address == "example.com:443"
    assert HTTPChannel("http://example.com").peer.address == "example.com:80"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:80",
        "ftp://a:1",
        "http://",
        "http://a:x",
        "http://a:99999",
        "http://u:p@a:1",
        "http://a:1?q",
        "http://a:1#f",
    ],
)
def test_bad_urls(url: str) -> None:
    """A URL of another form is refused when the channel is made."""
    with pytest.raises(ValueError, match="is not http://host:port"):
        HTTPChannel(url)


async def test_operations_without_a_rule() -> None:
    """What the contract does not offer over HTTP fails by name, without a connection."""
    async with client_of("http://127.0.0.1:1") as client:
        with pytest.raises(ServerError, match="/p.S/M has no google.api.http rule"):
            await client.unary(Unary("/p.S/M", Ping, Pong), Ping(), {}, {})
    assert unimplemented(GREETER_SAY_HELLO).code == 501
