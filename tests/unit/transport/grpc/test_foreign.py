"""Servers that are none of gRPC, as our client sees them: garbage, silence, a proxy's page."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping
from unit.transport.grpc.rig import OPENING, frame, no_task_left

from kratos import GRPCClient
from kratos.errors import Error

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATIENCE = 30.0


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[KindsClient]:
    """Answers connections in its own way; yields a client of it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with no_task_left():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            async with GRPCClient(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout=None) as conn:
                yield KindsClient(conn)
        finally:
            server.close()  # and not waited for, which since Python 3.12 includes its connections
        gc.collect()  # grpcio keeps a connection, though it was closed, while there is a traceback that leads to a call


async def failures(api: KindsClient) -> list[tuple[int, int]]:
    """Returns the codes, ours and gRPC's, that a unary call and a stream fail with."""
    with pytest.raises(Error) as unary:
        await api.echo(Ping(), timeout=PATIENCE)
    with pytest.raises(Error) as stream:
        async with api.chat(timeout=PATIENCE) as chat:
            await chat.send(Ping())
            await anext(aiter(chat))
    return [(error.code, error.grpc_code) for error in (unary.value, stream.value)]


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xffwhat? " * 100)
    await reader.read(1)


async def http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await reader.read(1)


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(len(OPENING))


async def opens_and_hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(4, 0, 0))
    while b"\x00\x00\x00\x00" not in await reader.read(65536):  # whatever the client says first
        pass


async def broken_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(frame(4, 0, 0) + frame(1, 4, 1, b"\xff\xff\xff"))
    await reader.read(-1)


@pytest.mark.parametrize("answer", [garbage, http1, hangs_up, opens_and_hangs_up])
async def test_no_http2(answer: Answer) -> None:
    """Who does not speak HTTP/2, or stops to, is unavailable."""
    async with listening(answer) as api:
        assert await failures(api) == [(503, 14)] * 2


async def test_broken_frames() -> None:
    """Who answers a call with frames of no sense has failed."""
    async with listening(broken_frames) as api:
        assert await failures(api) == [(500, 13)] * 2


def page(status: int, kind: str) -> Answer:
    """Answers each request as a web server or a proxy does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        while True:
            writer.write(connection.data_to_send())
            chunk = await reader.read(65536)
            if not chunk:
                return
            for event in connection.receive_data(chunk):
                if isinstance(event, h2.events.RequestReceived):
                    head = [(":status", str(status)), ("content-type", kind)]
                    connection.send_headers(event.stream_id, head)
                    connection.send_data(event.stream_id, b"<h1>It did not work</h1>", end_stream=True)

    return answer


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (418, 2)],
)
async def test_pages(status: int, code: int) -> None:
    """A proxy's page becomes the code that gRPC has for its HTTP status."""
    async with listening(page(status, "text/html")) as api:
        assert [failed for _, failed in await failures(api)] == [code] * 2
