"""Streamed requests over WebSockets, with a server that we did not write and that speaks as Go Kratos does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from fixtures.gen.fixture.codec.v1.everything_pb import Everything, Optionals, Scalars
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.http_client.rig import client_of, foreign, kinds

from kratos.call import Call, Reply
from kratos.codec import ProtoCodec
from kratos.errors import (
    BadRequest,
    ClientError,
    Error,
    Forbidden,
    GatewayTimeout,
    InternalServer,
    ServerError,
    ServiceUnavailable,
    Unauthorized,
)
from kratos.handler import Handler, Messages
from kratos.metadata import Metadata
from kratos.operation import Bidi, Http
from kratos.transport.channel import Unreached
from kratos.transport.client import Client
from kratos.transport.http.channel import HTTPChannel
from kratos.transport.resolve import Single

END = "\x1eend"
Talk = Callable[[web.Request, web.WebSocketResponse], Awaitable[None]]


def talking(talk: Talk) -> Any:
    """Returns a handler that opens a WebSocket and closes it with 1000 after ``talk``."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoclose=False, max_msg_size=10_000_000)
        await socket.prepare(request)
        await talk(request, socket)
        await socket.close(code=WSCloseCode.OK)
        return socket

    return serve


async def received(socket: web.WebSocketResponse) -> list[Any]:
    """Reads all messages to the end of the client's side."""
    frames = []
    while True:
        frame = await socket.receive()
        assert frame.type is WSMsgType.TEXT, frame
        if frame.data == END:
            return frames
        frames.append(json.loads(frame.data))


async def collect(request: web.Request, socket: web.WebSocketResponse) -> None:
    frames = await received(socket)
    await socket.send_str(json.dumps({"text": " ".join(frame["text"] for frame in frames), "count": len(frames)}))


async def echo(request: web.Request, socket: web.WebSocketResponse) -> None:
    while (frame := await socket.receive()).type is WSMsgType.TEXT and frame.data != END:
        await socket.send_str(frame.data)


async def sent(api: Any, *words: str, **options: Any) -> Pong:
    async with api.collect(**options) as stream:
        for word in words:
            await stream.send(Ping(text=word))
        return await stream.reply()


@pytest.mark.parametrize("codec", [None, ProtoCodec()])
async def test_client_stream(codec: Any) -> None:
    """Many requests, one reply; always as JSON in text frames."""
    async with kinds(talking(collect), codec=codec) as api:
        assert await sent(api, "a", "b", "c") == Pong(text="a b c", count=3)
        assert await sent(api) == Pong()


async def test_bidi() -> None:
    """Requests and replies in turn, until the caller is done."""
    async with kinds(talking(echo)) as api, api.chat() as stream:
        for word in ("a", "b"):
            await stream.send(Ping(text=word, count=1))
            assert await anext(aiter(stream)) == Pong(text=word, count=1)
        await stream.done()
        assert [reply async for reply in stream] == []


async def test_the_server_may_speak_first() -> None:
    """Where the path needs no message the connection is opened at once."""

    async def greet(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"text":"hello"}')
        await socket.send_bytes(b'{"text":"in binary"}')

    async with kinds(talking(greet)) as api, api.chat() as stream:
        assert [reply.text async for reply in stream] == ["hello", "in binary"]


async def test_the_handshake() -> None:
    """The handshake is a GET as a Go client's, with headers and deadline; its headers are the reply's."""
    seen: list[web.Request] = []

    async def look(request: web.Request, socket: web.WebSocketResponse) -> None:
        seen.append(request)
        await collect(request, socket)

    reply = Reply()
    async with kinds(talking(look)) as api:
        await sent(api, "a", headers={"x-md-a": "1", "upgrade": "h2c"}, timeout=5.0, reply=reply)
    (request,) = seen
    assert (request.method, request.raw_path) == ("GET", "/kinds/collect")
    headers = request.headers
    assert headers["Accept"] == headers["Content-Type"] == "application/protojson"
    assert (headers["x-md-a"], headers.getall("Upgrade")) == ("1", ["websocket"])
    assert headers["x-request-timeout"].endswith("m")
    assert headers["User-Agent"].startswith("kratos-py/")
    assert not {"Origin", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} & set(headers)
    assert reply.headers.get("upgrade") == "websocket"


WITH_PATH = Bidi("/test.v1.Things/Talk", Everything, Everything, http=(Http("PUT", "/talk/{optionals.a_string}"),))
FRAMED = Bidi("/test.v1.Things/Framed", Everything, Everything, http=(Http("POST", "/framed", "scalars"),))


async def test_path_variables_come_from_the_first_message() -> None:
    """The connection is opened by the first message, and nothing of it is in the query: servers would apply that to
    every message; a bound field with presence is in the path only."""
    seen: list[Any] = []

    async def look(request: web.Request, socket: web.WebSocketResponse) -> None:
        seen.append(request.raw_path)
        seen.extend(await received(socket))

    async with foreign(talking(look)) as url, client_of(url) as client:
        async with client.bidi(WITH_PATH, {}, {}) as stream:
            await stream.send(Everything(page_size=1, optionals=Optionals(a_string="a/b")))
            await stream.send(Everything(page_size=2))
            await stream.done()
            assert [reply async for reply in stream] == []
        assert seen[0] == "/talk/a%2Fb"
        assert [frame["pageSize"] for frame in seen[1:]] == [1, 2]
        assert "aString" not in seen[1]["optionals"]
        async with client.bidi(FRAMED, {}, {}) as stream:
            await stream.send(Everything(page_size=7, scalars=Scalars(a_bool=True)))
            await stream.done()
            assert [reply async for reply in stream] == []
        assert seen[3] == "/framed?pageSize=7"
        assert seen[4]["aBool"] is True
        async with client.bidi(FRAMED, {}, {}) as stream:
            await stream.done()
            assert [reply async for reply in stream] == []
        assert seen[5] == "/framed"


async def test_a_path_without_a_message() -> None:
    """A stream that ends without a message cannot fill the path, and is not sent."""
    async with client_of("http://127.0.0.1:1") as client:
        with pytest.raises(BadRequest, match="needs a message to fill its path from") as raised:
            async with client.bidi(WITH_PATH, {}, {}) as stream:
                await stream.done()
                await anext(aiter(stream))
        assert raised.value.reason == "PATH_VARIABLE"
        with pytest.raises(BadRequest, match="field optionals.a_string is not set"):
            async with client.bidi(WITH_PATH, {}, {}) as stream:
                await stream.send(Everything())
                await anext(aiter(stream))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            "error: code = 404 reason = NOPE message = not here metadata = map[k:v] cause = <nil>",
            (Nope, 404, "NOPE", "not here", {"k": "v"}),
        ),
        (
            "error: code = 403 reason = LATE message = no metadata = map[] cause = <nil>",
            (Forbidden, 403, "LATE", "no", {}),
        ),
        ("error: code = 7 reason = R message = m metadata = map[] cause = <nil>", (InternalServer, 500, "R", "m", {})),
        ("plain error", (InternalServer, 500, "", "plain error", {})),
    ],
)
@pytest.mark.parametrize("way", ["frame and close", "frame", "close"])
async def test_errors(told: str, expected: tuple[Any, ...], way: str) -> None:
    """The text of an error, in a frame of its own or in the close frame, becomes the error that it was."""

    async def fail(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"text":"a"}')
        if "frame" in way:
            await socket.send_str(f"\x1eerror:{told}")
        if "close" in way:
            await socket.close(code=1011, message=told.encode())

    async with kinds(talking(fail)) as api:
        with pytest.raises(Error) as raised:
            async with api.chat() as stream:
                await stream.send(Ping())
                assert (await anext(aiter(stream))).text == "a"
                await anext(aiter(stream))
    error = raised.value
    if way == "close" and expected[2] == "":
        assert (error.code, error.reason) == (500, "STREAM_CLOSED")
        assert error.message.endswith("closed the stream with code 1011: plain error")
        return
    assert (type(error), error.code, error.reason, error.message, error.metadata) == expected


@pytest.mark.parametrize(
    ("code", "error", "reason"),
    [
        (1001, ServiceUnavailable, "STREAM_CLOSED"),
        (1002, InternalServer, "STREAM_CLOSED"),
        (1009, ClientError, "STREAM_CLOSED"),
        (1012, ServiceUnavailable, "STREAM_CLOSED"),
        (1013, ServiceUnavailable, "STREAM_CLOSED"),
        (4000, InternalServer, "STREAM_CLOSED"),
        (None, ServiceUnavailable, "CONNECTION_LOST"),
        ("cut", ServiceUnavailable, "CONNECTION_LOST"),
    ],
)
@pytest.mark.parametrize("kind", ["collect", "chat"])
async def test_other_ends(code: Any, error: type[Error], reason: str, kind: str) -> None:
    """Only code 1000 is a good end: a stream that ends otherwise has failed, whatever came before."""

    async def end(request: web.Request, socket: web.WebSocketResponse) -> None:
        assert request.transport is not None
        if code == "cut":
            request.transport.abort()
        elif code is None:
            assert socket._writer is not None
            await socket._writer.send_frame(b"", WSMsgType.CLOSE)
            await socket.receive()
        else:
            await socket.close(code=code, message=b"because")

    async with kinds(talking(end)) as api:
        with pytest.raises(error) as raised:
            async with getattr(api, kind)() as stream:
                await (stream.reply() if kind == "collect" else anext(aiter(stream)))
    assert type(raised.value) is error
    assert raised.value.reason == reason
    assert isinstance(code, str) or code is None or "because" in raised.value.message


async def test_no_reply() -> None:
    """A stream of requests that ends well without a reply has none to return."""

    async def nothing(request: web.Request, socket: web.WebSocketResponse) -> None:
        await received(socket)

    async with kinds(talking(nothing)) as api:
        with pytest.raises(ServerError, match="without a reply") as raised:
            await sent(api, "a")
    assert raised.value.reason == "NO_REPLY"


async def test_early_reply() -> None:
    """A server may answer before the caller is done."""

    async def hasty(request: web.Request, socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await socket.send_str('{"text":"enough"}')

    async with kinds(talking(hasty)) as api, api.collect() as stream:
        await stream.send(Ping(text="a"))
        assert (await stream.reply()).text == "enough"


async def test_refused_handshakes() -> None:
    """A handshake that is refused is the error in its body, or else that of the status."""
    status = {"code": 401, "reason": "TOKEN_EXPIRED", "message": "log in", "metadata": {"k": "v"}}

    async def refuse(request: web.Request) -> web.Response:
        if request.path.endswith("chat"):
            return web.Response(status=502, text="<html>", content_type="text/html")
        return web.json_response(status, status=401, headers={"x-a": "1"})

    reply = Reply()
    async with kinds(refuse) as api:
        with pytest.raises(Unauthorized, match="log in") as raised:
            await sent(api, "a", reply=reply)
        assert (raised.value.reason, raised.value.metadata) == ("TOKEN_EXPIRED", {"k": "v"})
        assert reply.headers.get("x-a") == "1"
        with pytest.raises(ServerError, match="answered 502 Bad Gateway"):
            async with api.chat() as stream:
                await anext(aiter(stream))


async def test_a_refusal_that_breaks() -> None:
    """Half a refusal is still one, by its status."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client_of(url) as client:
        with pytest.raises(Unauthorized, match="answered 401 Unauthorized"):
            await sent(KindsClient(client), "a")


async def test_no_websocket() -> None:
    """A server that answers as if nothing had been asked is told apart from one that refuses."""

    async def serve(request: web.Request) -> web.Response:
        return web.json_response({})

    async with kinds(serve) as api:
        with pytest.raises(ServerError, match="does not take /fixture.kinds.v1.Kinds/Collect as a WebSocket") as raised:
            await sent(api, "a")
    assert (raised.value.code, raised.value.reason) == (502, "BAD_REPLY")


async def test_nobody_there() -> None:
    """A connection that cannot be had fails as for a unary call; so does one without an answer to the handshake."""
    async with client_of("http://127.0.0.1:1") as client:
        with pytest.raises(ServiceUnavailable, match="cannot connect to 127.0.0.1:1") as raised:
            async with client.bidi(FRAMED, {}, {}) as stream:
                await stream.send(Everything())
                await anext(aiter(stream))
        assert raised.value.reason == "CONNECTION_FAILED"

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client_of(url, connect_timeout=0.1) as client:
        with pytest.raises(ServiceUnavailable, match="no answer in time") as raised:
            async with client.bidi(FRAMED, {}, {}) as stream:
                await stream.send(Everything())
                await anext(aiter(stream))
        assert raised.value.reason == "CONNECTION_FAILED"
        assert not isinstance(raised.value, Unreached)  # the server may have heard of it


async def test_broken_frames() -> None:
    """A reply that cannot be read, or is too large, is the server's fault."""

    async def talk(request: web.Request, socket: web.WebSocketResponse) -> None:
        frame = await socket.receive()
        await socket.send_str("nonsense" if json.loads(frame.data)["text"] == "a" else "x" * 2000)
        await socket.receive()

    async with kinds(talking(talk), max_message=1000) as api:
        for word, told, reason in (("a", "cannot be read", "CODEC"), ("b", "more than 1000 bytes", "REPLY_TOO_LARGE")):
            with pytest.raises(InternalServer, match=told) as raised:
                await sent(api, word)
            assert raised.value.reason == reason


async def test_frames_that_are_none() -> None:
    """A server that breaks the protocol of WebSockets loses the connection."""

    async def talk(request: web.Request, socket: web.WebSocketResponse) -> None:
        assert request.transport is not None
        request.transport.write(b"\xff\xff\xff\xff")  # type: ignore[attr-defined]  # a transport of sockets writes
        await socket.receive()

    async with kinds(talking(talk)) as api:
        with pytest.raises(ServiceUnavailable, match="was lost: ") as raised:
            await sent(api, "a")
    assert raised.value.reason == "CONNECTION_LOST"


class Watched:
    """Notes how the server's side of a stream ended."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()
        self.last: Any = None

    async def __call__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.entered.set()
        try:
            while (frame := await socket.receive()).type is WSMsgType.TEXT:
                await socket.send_str(frame.data)
            self.last = (frame.type, socket.close_code)
        finally:
            self.ended.set()


async def test_leaving_early() -> None:
    """A stream that is given up is cut: no proper close, which Go would take for the end of the requests."""
    watched = Watched()
    async with kinds(talking(watched)) as api:
        async with api.chat() as stream:
            await stream.send(Ping(text="a"))
            assert (await anext(aiter(stream))).text == "a"
        await asyncio.wait_for(watched.ended.wait(), 2)
    assert watched.last is None or watched.last[0] is not WSMsgType.CLOSE


async def test_leaving_before_anything() -> None:
    """A stream that was entered and left leaves nothing, opened or not."""
    watched = Watched()
    async with kinds(talking(watched)) as api:
        async with api.chat():
            pass
        async with api.chat():
            await asyncio.wait_for(watched.entered.wait(), 2)
        await asyncio.wait_for(watched.ended.wait(), 2)


async def test_cancelling() -> None:
    """Cancelling the caller cuts the connection."""
    watched = Watched()

    async def wait(api: Any) -> None:
        async with api.chat() as stream:
            await stream.send(Ping(text="a"))
            async for _ in stream:
                watched.entered.set()

    async with kinds(talking(watched)) as api:
        task = asyncio.create_task(wait(api))
        await asyncio.wait_for(watched.entered.wait(), 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(watched.ended.wait(), 2)


async def test_deadline() -> None:
    """The caller's limit ends the call, under a client and without one, while opening and while talking."""
    watched = Watched()
    async with foreign(talking(watched)) as url:
        async with client_of(url) as client:
            with pytest.raises(GatewayTimeout, match="took longer than the client allows"):
                async with client.bidi(FRAMED, {"timeout": 0.1}, {}) as stream:
                    await stream.send(Everything())
                    async for _ in stream:
                        pass
        channel = HTTPChannel(url)

        async def forever() -> AsyncIterator[Everything]:
            yield Everything()
            await asyncio.sleep(60)

        async def drop(_: Any) -> None:
            pass

        call = Call(FRAMED, kind="http", side="client", headers=Metadata(), sink=drop)
        call.shorten(0.1, "client")
        source = forever()
        with pytest.raises(GatewayTimeout):
            await channel.stream(Messages(source), call)
        await source.aclose()
        await channel.aclose()


async def test_requests_that_fail() -> None:
    """A middleware that refuses a message ends the call with its error, and the server sees the connection cut."""
    watched = Watched()

    async def picky(request: Any, call: Call, next: Handler) -> Any:
        def check(ping: Ping) -> Ping:
            if ping.text == "bad":
                raise BadRequest("no such word", reason="WORD")
            if ping.text == "timeout":
                raise TimeoutError("mine")
            return ping

        return await next(request.map(check), call)

    async with foreign(talking(watched)) as url, Client(Single(HTTPChannel(url)), middleware=[picky]) as client:
        api = KindsClient(client)
        for bad, error in (("bad", BadRequest), ("timeout", TimeoutError)):
            with pytest.raises(error):
                async with api.chat() as stream:
                    await stream.send(Ping(text="a"))
                    await anext(aiter(stream))
                    await stream.send(Ping(text=bad))
                    await anext(aiter(stream))
            await asyncio.wait_for(watched.ended.wait(), 2)


async def test_closing_the_channel() -> None:
    """Closing the channel ends streams with the reason."""
    watched = Watched()
    async with foreign(talking(watched)) as url:
        async with client_of(url) as client, client.bidi(FRAMED, {}, {}) as stream:
            await stream.send(Everything())
            await anext(aiter(stream))
            await client.aclose()
            with pytest.raises(ServiceUnavailable, match="has closed its connections") as raised:
                await anext(aiter(stream))
        assert raised.value.reason == "CONNECTION_CLOSED"
        await asyncio.wait_for(watched.ended.wait(), 2)


async def test_a_slow_server() -> None:
    """A server that does not read holds the caller up instead of filling memory."""
    proceed = asyncio.Event()

    async def lazy(request: web.Request, socket: web.WebSocketResponse) -> None:
        await proceed.wait()
        await collect(request, socket)

    sent = 0
    async with kinds(talking(lazy)) as api, api.collect() as stream:

        async def send() -> None:
            nonlocal sent
            for _ in range(300):
                await stream.send(Ping(text="x" * 100_000))
                sent += 1

        task = asyncio.create_task(send())
        await asyncio.sleep(0.3)
        held = sent
        proceed.set()
        await task
        assert (await stream.reply()).count == 300
        assert held < 250


async def test_many_at_once() -> None:
    """Streams share a channel and do not mix."""

    async def chat(api: Any, name: str) -> list[str]:
        async with api.chat() as stream:
            for number in range(5):
                await stream.send(Ping(text=f"{name}{number}"))
                with contextlib.suppress(StopAsyncIteration):
                    assert (await anext(aiter(stream))).text == f"{name}{number}"
            await stream.done()
            return [reply.text async for reply in stream]

    async with kinds(talking(echo)) as api:
        assert await asyncio.gather(*(chat(api, str(name)) for name in range(20))) == [[]] * 20
