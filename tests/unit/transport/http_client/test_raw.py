"""Raw bodies (``google.api.HttpBody``) between our client and our server, and as a stranger sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from fixtures.gen.catalog.v1.book_pb import Book
from fixtures.gen.catalog.v1.catalog_pb import GetBookRequest, SetCoverRequest
from unit.transport.http_client.rig import client_of, foreign
from unit.transport.raw_service import DOWN, ECHO, GET, PART, SET, TALK, TEXT, UP, UP_ALL, Files

from kratos.call import AppInfo, Reply
from kratos.errors import Error, Forbidden, NotFound, ServiceUnavailable
from kratos.live import Live
from kratos.transport.client import Client
from kratos.transport.http import HTTPServer, Limits
from kratos.wire.google.api.httpbody_pb import HttpBody


@pytest.fixture
async def files() -> Files:
    return Files()


@pytest.fixture
async def url(files: Files) -> AsyncIterator[str]:
    server = HTTPServer("127.0.0.1:0", limits=Limits(max_upload=1_000_000))
    server.mount([files], [], AppInfo(name="files", readiness=Live(value=True)))
    await server.start()
    yield server.endpoint
    await server.stop(1)


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with client_of(url) as connected:
        yield connected


async def test_unary_bodies(client: Client) -> None:
    """Bytes go and come as they are, with their content type; the body may be all of a message or a field."""
    body = HttpBody(content_type="image/png", data=bytes(range(256)))
    assert await client.unary(ECHO, body, {}, {}) == body
    assert await client.unary(ECHO, HttpBody(), {}, {}) == HttpBody(content_type="application/octet-stream")
    request = SetCoverRequest(id="7", artist="a b", cover=body)
    assert await client.unary(SET, request, {}, {}) == Book(id="7", title="image/png 256 a b")
    part = await client.unary(PART, GetBookRequest(id="1"), {}, {})
    assert part == SetCoverRequest(cover=HttpBody(content_type="text/css", data=b"a{}"))


async def test_replies_have_names(client: Client) -> None:
    """The name of a file travels in ASCII and whole; without a content type it is bytes of any kind."""
    reply = Reply()
    found = await client.unary(GET, GetBookRequest(id="plain"), {"reply": reply}, {})
    assert found == HttpBody(content_type="application/octet-stream", data=TEXT)
    assert reply.headers.get("content-disposition") == (
        "attachment; filename=\"cover _.txt\"; filename*=UTF-8''cover%20%C3%A9.txt"
    )
    with pytest.raises(NotFound):
        await client.unary(GET, GetBookRequest(id="none"), {}, {})


async def test_downloads(client: Client) -> None:
    """Streamed bodies are one response; what fails before the first piece is an error, afterwards a broken line."""
    async with client.server_stream(DOWN, GetBookRequest(id="1"), {}, {}) as replies:
        pieces = [piece async for piece in replies]
    assert {piece.content_type for piece in pieces} == {"text/csv"}
    assert b"".join(piece.data for piece in pieces) == b"a,b\n\xff"
    async with client.server_stream(DOWN, GetBookRequest(id="empty"), {}, {}) as replies:
        assert [piece async for piece in replies] == []
    with pytest.raises(Forbidden):
        async with client.server_stream(DOWN, GetBookRequest(id="none"), {}, {}) as replies:
            assert [piece async for piece in replies] == []
    got: list[bytes] = []
    with pytest.raises(ServiceUnavailable, match="lost"):
        async with client.server_stream(DOWN, GetBookRequest(id="broken"), {}, {}) as replies:
            got += [piece.data async for piece in replies]


async def test_uploads(client: Client, files: Files) -> None:
    """A streamed request is one body; the path counts for each piece, the query for the first."""
    async with client.client_stream(UP, {}, {}) as call:
        for number in range(3):
            cover = HttpBody(content_type="text/csv", data=b"x" * 1000)
            await call.send(SetCoverRequest(id="9", artist="me" if number == 0 else "", cover=cover))
        reply = await call.reply()
    assert reply == Book(id="3000", title="text/csv")
    assert {piece[0] for piece in files.pieces} == {"9"}
    assert files.pieces[0][1] == "me"
    async with client.client_stream(UP_ALL, {}, {}) as whole:
        assert await whole.reply() == HttpBody(content_type="application/octet-stream")


async def test_uploads_that_are_refused(client: Client) -> None:
    """The server may answer before it has all; more than its limit is a 413."""
    async with client.client_stream(UP, {}, {}) as call:
        await call.send(SetCoverRequest(id="9", cover=HttpBody(data=b"stop")))
        with pytest.raises(Forbidden) as refused:
            await call.reply()
    assert refused.value.reason == "ENOUGH"
    with pytest.raises(Error) as large:
        async with client.client_stream(UP, {}, {}) as call:
            for _ in range(20):
                await call.send(SetCoverRequest(id="9", cover=HttpBody(data=b"x" * 100_000)))
            await call.reply()
    assert large.value.code in (413, 503)  # the connection ends while the client is still sending


async def test_both_ways_on_a_websocket(client: Client) -> None:
    """Where both directions stream, bytes go in binary frames."""
    async with client.bidi(TALK, {}, {}) as talk:
        await talk.send(HttpBody(data=b"\x00\xffab"))
        assert await anext(aiter(talk)) == HttpBody(content_type="", data=b"ba\xff\x00")
        await talk.done()
        assert [piece async for piece in talk] == []


async def test_strangers(url: str, files: Files) -> None:
    """Accept does not count, nor do codecs; a chunked body is read as it comes, an empty one is one empty message."""
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/echo", data=b"[", headers={"content-type": "a/b", "accept": "x/y"}) as reply:
            assert (reply.status, reply.headers["content-type"], await reply.read()) == (200, "a/b", b"[")
        async with session.get(f"{url}/books/none/part") as reply:
            assert (reply.content_type, await reply.read()) == ("application/octet-stream", b"")
        async with session.get(f"{url}/books/bad/cover") as reply:
            assert (reply.status, "x" in reply.headers) == (500, False)
        async with session.get(f"{url}/books/1/file") as reply:
            assert (reply.headers["content-type"], reply.headers.get("transfer-encoding")) == ("text/csv", "chunked")
            assert await reply.read() == b"a,b\n\xff"
        async with session.get(f"{url}/books/1/file", headers={"accept": "text/event-stream"}) as reply:
            assert reply.content_type == "text/event-stream"
            assert b"event: message\ndata: a,\n\n" in await reply.read()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 10
            await asyncio.sleep(0)
            yield b"y" * 10

        async with session.post(f"{url}/books/5/file?artist=q", data=pieces()) as reply:
            assert (await reply.json())["id"] == "20"
        assert files.pieces[0][1] == "q"
        async with session.post(f"{url}/books/5/file", headers={"content-encoding": "gzip"}, data=b"x") as reply:
            assert reply.status == 415
        async with session.get(f"{url}/all") as reply:
            assert reply.status == 426
        async with session.post(f"{url}/all", headers={"content-type": "a/b"}) as reply:
            assert (reply.content_type, await reply.read()) == ("a/b", b"")
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(f"{url}/books/broken/file") as reply:
                await reply.read()


@pytest.mark.parametrize(
    ("asked", "condition", "status", "span"),
    [
        ("bytes=0-9", None, 206, (0, 10)),
        ("bytes=2990-", None, 206, (2990, 3000)),
        ("bytes=-5", None, 206, (2995, 3000)),
        ("bytes=-99999", None, 206, (0, 3000)),
        ("bytes=2990-99999", None, 206, (2990, 3000)),
        ("bytes=0-9", '"v1"', 206, (0, 10)),
        ("bytes=0-9", "Sat, 01 Feb 2025 00:00:00 GMT", 206, (0, 10)),
        ("bytes=0-9", '"v2"', 200, (0, 3000)),
        ("bytes=0-9", 'W/"v1"', 200, (0, 3000)),
        ("bytes=0-1,5-6", None, 200, (0, 3000)),
        ("bytes=9-5", None, 200, (0, 3000)),
        ("lines=0-9", None, 200, (0, 3000)),
        ("bytes=-", None, 200, (0, 3000)),
        ("bytes=3000-", None, 416, None),
        ("bytes=-0", None, 416, None),
    ],
)
async def test_ranges(url: str, asked: str, condition: str | None, status: int, span: tuple[int, int] | None) -> None:
    """A single range of a known body is sent alone, if it is still the same body."""
    headers = {"range": asked} | ({} if condition is None else {"if-range": condition})
    async with aiohttp.ClientSession() as session, session.get(f"{url}/books/1/cover", headers=headers) as reply:
        assert reply.status == status
        if span is None:
            assert reply.headers["content-range"] == "bytes */3000"
            return
        assert await reply.read() == TEXT[slice(*span)]
        assert reply.headers["accept-ranges"] == "bytes"
        wanted = f"bytes {span[0]}-{span[1] - 1}/3000" if status == 206 else None
        assert reply.headers.get("content-range") == wanted


async def test_a_server_that_speaks_events() -> None:
    """Go Kratos sends raw streams as events; their data is the bytes."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"event: message\ndata: a\n\ndata: b\n\n", content_type="text/event-stream")

    async with (
        foreign(handler) as url,
        client_of(url) as client,
        client.server_stream(DOWN, GetBookRequest(id="1"), {}, {}) as replies,
    ):
        assert [piece.data async for piece in replies] == [b"a", b"b"]
