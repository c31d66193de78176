"""Streamed replies over server-sent events, from a server that we did not write."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from fixtures.gen.fixture.kinds.v1.kinds_errors import Nope
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.http_client.rig import kinds

from kratos.call import Reply
from kratos.codec import JsonOptions, ProtoCodec
from kratos.codec.json import JsonCodec
from kratos.errors import Error, Forbidden, GatewayTimeout, InternalServer, ServerError, ServiceUnavailable

EVENTS = {"Content-Type": "text/event-stream"}


def answering(*pieces: bytes, pause: float = 0.0, status: int = 200, headers: Any = EVENTS) -> Any:
    """Returns a handler that writes these pieces."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(pause)
        return response

    return serve


async def texts(api: Any, request: Ping | None = None, **options: Any) -> list[str]:
    async with api.watch(request or Ping(), **options) as replies:
        return [reply.text async for reply in replies]


async def test_what_is_sent() -> None:
    """The request is as a Go client's: the declared verb, the message in path and query, the event stream asked for."""
    seen: list[web.Request] = []

    async def serve(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await answering(b"event: message\ndata: {}\n\n")(request)

    async with kinds(serve) as api:
        assert await texts(api, Ping(text="a b", count=2), headers={"x-md-a": "1"}) == [""]
    (request,) = seen
    assert (request.method, request.raw_path) == ("GET", "/kinds/watch?count=2&text=a%20b")
    assert request.headers["Accept"] == "text/event-stream"
    assert request.headers["x-md-a"] == "1"
    assert "Content-Type" not in request.headers
    assert "x-request-timeout" not in request.headers


@pytest.mark.parametrize("codec", [None, JsonCodec(JsonOptions(names="proto")), ProtoCodec()])
async def test_replies(codec: Any) -> None:
    """Replies come in order, however the stream is cut, with heartbeats and foreign events between; always in JSON."""
    stream = (
        b': hi\n\nevent: message\ndata: {"text":\ndata: "one"}\n\n:\n\n'
        b'data: {"text":"two"}\r\n\r\nevent: gossip\ndata: x\n\nevent: message\ndata: {"text":"three"}\n\n'
    )
    for pieces in ([stream], [stream[:30], stream[30:31], stream[31:]], [bytes([byte]) for byte in stream[:80]]):
        expected = ["one", "two", "three"] if len(pieces) < 5 else ["one"]
        async with kinds(answering(*pieces), codec=codec) as api:
            if len(pieces) > 5:
                with pytest.raises(ServiceUnavailable):
                    await texts(api)
                continue
            assert await texts(api) == expected


@pytest.mark.parametrize("headers", [EVENTS, {}])
async def test_no_replies(headers: Any) -> None:
    """A stream may be empty; Go Kratos sends no event stream then, but an empty body of no type."""
    reply = Reply()
    async with kinds(answering(headers={"x-a": "1", **headers})) as api:
        assert await texts(api, reply=reply) == []
    assert (reply.status, reply.headers.get("x-a")) == (200, "1")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b'{"code":404,"reason":"NOPE","message":"no","metadata":{"k":"v"}}',
            (Nope, 404, "NOPE", "no", {"k": "v"}),
        ),
        (b'{"code":403,"reason":"LATE"}', (Forbidden, 403, "LATE", "", {})),
        (b'{"code":7,"message":"x"}', (InternalServer, 500, "", "x", {})),
        (b"something went wrong", (InternalServer, 500, "", "something went wrong", {})),
        (
            b"error: code = 403 reason = LATE message = no metadata = map[k:v] cause = <nil>",
            (Forbidden, 403, "LATE", "no", {"k": "v"}),
        ),
        (b"", (InternalServer, 500, "", "", {})),
    ],
)
async def test_errors_within(data: bytes, expected: tuple[Any, ...]) -> None:
    """An error event ends the stream with the whole error, after the replies before it."""
    got: list[str] = []
    async with kinds(answering(b'data: {"text":"a"}\n\n', b"event: error\ndata: " + data + b"\n\n")) as api:
        with pytest.raises(Error) as raised:
            async with api.watch(Ping()) as replies:
                async for reply in replies:
                    got = [*got, reply.text]
    error = raised.value
    assert (type(error), error.code, error.reason, error.message, error.metadata) == expected
    assert got == ["a"]


async def test_errors_before() -> None:
    """A stream that never begins is an ordinary HTTP error."""
    body = json.dumps({"code": 404, "reason": "NOPE", "message": "no"}).encode()
    for headers in ({"Content-Type": "application/json"}, EVENTS):
        async with kinds(answering(body, status=404, headers=headers)) as api:
            with pytest.raises(Nope if headers is not EVENTS else Error) as raised:
                await texts(api)
        assert raised.value.code == 404


async def test_another_content_type() -> None:
    """A body that is no event stream is not taken for an empty one."""
    async with kinds(answering(b"<html>", headers={"Content-Type": "text/html"})) as api:
        with pytest.raises(ServerError, match="answered /fixture.kinds.v1.Kinds/Watch with text/html") as raised:
            await texts(api)
    assert (raised.value.code, raised.value.reason) == (502, "BAD_REPLY")


async def test_broken_replies() -> None:
    """A reply that cannot be read, or is too large, ends the stream as the server's fault."""
    async with kinds(answering(b"data: nonsense\n\n", pause=0.01), max_message=100) as api:
        with pytest.raises(InternalServer, match="cannot be read") as raised:
            await texts(api)
        assert raised.value.reason == "CODEC"
    async with kinds(answering(b"data: " + b"x" * 200, pause=0.01), max_message=100) as api:
        with pytest.raises(InternalServer, match="an event of more than 100 bytes"):
            await texts(api)


async def test_a_stream_that_breaks() -> None:
    """A connection that is lost is not the end of the stream, nor is a body that ends within an event."""

    async def serve(request: web.Request) -> web.StreamResponse:
        response = await answering(b'data: {"text":"a"}\n\n')(request)
        assert request.transport is not None
        request.transport.abort()
        return response  # type: ignore[no-any-return]

    for handler in (serve, answering(b'data: {"text":"a"}\n\ndata: {}\n')):
        got: list[str] = []
        async with kinds(handler) as api:
            with pytest.raises(ServiceUnavailable) as raised:
                async with api.watch(Ping()) as replies:
                    async for reply in replies:
                        got = [*got, reply.text]
        assert raised.value.reason == "CONNECTION_LOST"
        assert got == ["a"]


def endless(gone: asyncio.Event) -> Any:
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=EVENTS)
        await response.prepare(request)
        try:
            for _ in range(10_000):
                await response.write(b'data: {"text":"a"}\n\n')
                await asyncio.sleep(0.01)
        finally:
            gone.set()
        return response

    return serve


async def test_leaving_early() -> None:
    """Leaving the block closes the connection, whether replies are waiting or not."""
    gone = asyncio.Event()
    async with kinds(endless(gone)) as api:
        async with api.watch(Ping()) as replies:
            async for reply in replies:
                assert reply == Pong(text="a")
                break
        await asyncio.wait_for(gone.wait(), 2)


async def test_no_limit_but_the_callers() -> None:
    """A stream outlives the client's usual limit; one that the caller gives ends it."""
    gone = asyncio.Event()
    async with kinds(endless(gone), timeout=0.05) as api:
        async with api.watch(Ping()) as replies:
            for _ in range(10):
                await anext(aiter(replies))
        with pytest.raises(GatewayTimeout, match="took longer than the client allows"):
            await texts(api, timeout=0.1)


async def test_a_slow_reader() -> None:
    """A reader that is slower than the server holds it up instead of filling memory."""
    written = 0

    async def serve(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(headers=EVENTS)
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b'data: {"text":"' + b"x" * 100_000 + b'"}\n\n')
            written += 1
        return response

    async with kinds(serve) as api, api.watch(Ping()) as replies:
        await anext(aiter(replies))
        await asyncio.sleep(0.3)
        assert written < 500
