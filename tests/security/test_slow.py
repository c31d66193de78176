"""Clients that take their time: each costs a bounded time and a bounded buffer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from unit.transport.http_server.support import Raw, Running, running, until

from kratos.transport.http.limits import Limits
from security.wire import HANDSHAKE, exchange, frame, opened

pytestmark = pytest.mark.usefixtures("engine")  # over both fronts, with the same answers

POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
ENDLESS = 10**9


@asynccontextmanager
async def dripping(raw: Raw, first: bytes, drop: bytes) -> AsyncIterator[None]:
    """Sends a little again and again, until the block is left or the connection is closed."""

    async def drip() -> None:
        with suppress(ConnectionError):
            await raw.send(first)
            while True:
                await asyncio.sleep(0.02)
                await raw.send(drop)

    task = asyncio.create_task(drip())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"GET /echo/a HTTP/1.1\r\n", b"x: y\r\n"),
        (b"GET /echo/a HTTP/1.1\r\nHost: x\r\nx: ", b"y"),
        (b"GET /echo/", b"a"),
        (b"", b"\r\n"),
        (POST + b"Content-Length: 100000\r\n\r\n", b"{"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: ", b"y"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
    ],
    ids=["headers", "header", "URL", "nothing", "body", "chunks", "extension", "trailer", "trailers"],
)
async def test_dripping_ends(first: bytes, drop: bytes) -> None:
    """Whoever sends a byte now and then runs out of time, whatever the byte is a part of."""
    limits = Limits(header_seconds=0.3, body_seconds=0.3, body_rate=10_000)
    async with running(limits=limits) as it, await it.raw() as raw, dripping(raw, first, drop):
        with suppress(ConnectionError):
            said = await asyncio.wait_for(raw.reader.read(), 15)
            assert not said or (said.startswith(b"HTTP/1.1 408 ") and said.count(b"HTTP/1.1") == 1), said
        assert it.service.seen == []


async def test_a_body_may_take_longer_than_its_pauses() -> None:
    """A body that comes at a fair pace is read to its end, however long it takes."""
    limits = Limits(body_seconds=0.5, body_rate=10.0)
    async with running(limits=limits) as it, await it.raw() as raw:
        body = b'{"text":"slow"}'
        await raw.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        for byte in body:  # takes 1.5 s and more
            await asyncio.sleep(0.1)
            await raw.send(bytes([byte]))
        assert (await raw.answer()).json["text"] == "slow"


def buffered(it: Running) -> int:
    """Returns how much waits for clients."""
    server = it.server._server
    assert server is not None
    return sum(each.transport.get_write_buffer_size() for each in server._connections())


async def gone(it: Running) -> None:
    """Waits until the server has no connection left."""
    server = it.server._server
    assert server is not None
    await until(lambda: not server.server_state.connections, 20)


LARGE = 20_000_000  # more than the system holds for a connection
ASK = b'{"text":"%s"}' % (b"x" * LARGE)


async def narrow(it: Running) -> Raw:
    """Returns a connection whose client takes little at a time."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", it.port))
    return Raw(*await asyncio.open_connection(sock=client))


async def test_a_large_reply_that_nobody_reads() -> None:
    """It is given up after a while, and its memory with it."""
    limits = Limits(send_seconds=0.5, max_body=2 * LARGE)
    async with running(limits=limits) as it, await narrow(it) as raw:
        await raw.request("/echo", "POST", ASK, content_type="application/json")
        await until(lambda: buffered(it) > 0, 20)
        await gone(it)
        assert buffered(it) == 0


async def test_a_large_reply_that_is_read_slowly() -> None:
    """Who takes something now and then is served to the end, however long it takes."""
    limits = Limits(send_seconds=2.5, max_body=2 * LARGE)
    async with running(limits=limits) as it, await narrow(it) as raw:
        await raw.request("/echo", "POST", ASK, content_type="application/json")
        left = int((await raw.head()).headers["content-length"])
        pauses = 20  # longer than the limit, all in all
        while left:
            part = await asyncio.wait_for(raw.reader.read(500_000), 20)
            assert part
            left -= len(part)
            if pauses:
                pauses -= 1
                await asyncio.sleep(0.2)


async def test_a_stream_that_nobody_reads() -> None:
    """The handler waits with a bounded buffer, and is cancelled after a while."""
    async with running(limits=Limits(send_seconds=1)) as it, await it.raw() as raw:
        await raw.request(f"/watch/blue?text=flood&count={ENDLESS}")
        await until(lambda: buffered(it) > 0, 20)
        sent = it.service.sent
        assert buffered(it) < 500_000
        await gone(it)
        assert it.service.sent < sent + 1000


async def test_a_socket_that_nobody_reads() -> None:
    """The same on WebSockets."""
    async with running(limits=Limits(send_seconds=1)) as it:
        _, writer = await opened(it.port)
        writer.write(frame(1, b'{"text":"flood","count":%d}' % ENDLESS))
        await until(lambda: buffered(it) > 0, 20)
        assert buffered(it) < 500_000
        await gone(it)
        writer.close()


async def test_pings_whose_answers_nobody_reads() -> None:
    """Who does not read the answers to its pings is not read from, and disconnected after a while."""
    async with running(limits=Limits(send_seconds=1)) as it:
        _, writer = await opened(it.port)
        server = it.server._server
        assert server is not None
        seen = [0]

        async def flood() -> None:
            with suppress(ConnectionError):
                while True:
                    writer.write(frame(9, b"x" * 125) * 100)
                    await writer.drain()

        def over() -> bool:
            seen.append(buffered(it))
            return not server.server_state.connections

        flooding = asyncio.create_task(flood())
        await until(over, 20)
        flooding.cancel()
        await asyncio.wait([flooding])
        writer.close()
        assert 0 < max(seen) < 1_500_000


async def test_a_handshake_that_is_dripping() -> None:
    """A WebSocket's handshake is a request like any other."""
    async with (
        running(limits=Limits(header_seconds=0.3)) as it,
        await it.raw() as raw,
        dripping(raw, HANDSHAKE[:-2], b"x: y\r\n"),
    ):
        assert (await raw.answer()).status == 408


async def test_many_that_say_nothing() -> None:
    """Connections that say nothing do not keep others from being served."""
    async with running() as it:
        silent = [await it.raw() for _ in range(200)]
        assert (await exchange(it.port, b"GET /echo/last HTTP/1.1\r\nHost: x\r\n\r\n")).statuses == [200]
        for raw in silent:
            raw.reset()
