"""What the gRPC tests share: our server, plain stubs of grpc.aio, and raw HTTP/2 frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio
import h2.config
import h2.connection
import h2.events
import hpack
from roundtrip.service import Kinds

from kratos.transport.client import Client
from kratos.transport.grpc.channel import GRPCChannel
from kratos.transport.grpc.engine import GrpcioEngine
from kratos.transport.grpc.server import GRPCServer
from kratos.transport.resolve import Single

PREFIX = "/fixture.kinds.v1.Kinds/"


class Served:
    """Our server with its service, and ways to reach it."""

    def __init__(self, server: GRPCServer, service: Kinds) -> None:
        self.server = server
        self.service = service
        self.address = server.endpoint.removeprefix("grpc://")
        self._plain: list[grpc.aio.Channel] = []
        self._ours: list[Client] = []

    def plain(self, **options: int) -> Any:
        """Returns a channel of grpc.aio with nothing of ours."""
        pairs = [(key.replace("__", "."), value) for key, value in options.items()]
        channel = grpc.aio.insecure_channel(self.address, [("grpc.use_local_subchannel_pool", 1), *pairs])
        self._plain.append(channel)
        return channel

    def stub(self, method: str, **options: int) -> Any:
        """Returns a plain stub of bytes for one of the four methods."""
        channel = self.plain(**options)
        make = {"Echo": "unary_unary", "Watch": "unary_stream", "Collect": "stream_unary", "Chat": "stream_stream"}
        return getattr(channel, make[method])(PREFIX + method)

    def client(self, **options: Any) -> Client:
        """Returns a client over our channel."""
        client = Client(Single(GRPCChannel(self.address)), **options)
        self._ours.append(client)
        return client

    @property
    def busy(self) -> int:
        """How many calls are under way in the engine."""
        engine: Any = self.server._engine
        if isinstance(engine, GrpcioEngine):
            return len(engine._handlers._running)
        return len(engine._running.calls._unfinished()) + len(engine._behind._handlers._running)

    async def aclose(self) -> None:
        for client in self._ours:
            await client.aclose()
        for channel in self._plain:
            await channel.close()
        await self.server.stop(0.5)


async def until(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    """Waits until something holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Asserts that there are as many tasks as before, when grpcio's own, which end a moment later, have ended.

    (Not the same ones: its server has a task for each method that waits for the next call.)
    """
    before = len(asyncio.all_tasks())
    yield
    await until(lambda: len(asyncio.all_tasks()) <= before)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Returns an HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def block(*fields: tuple[bytes, bytes]) -> bytes:
    """Returns header fields as literals, which need no compression state."""
    return b"".join(b"\x00" + bytes([len(k)]) + k + bytes([len(v)]) + v for k, v in fields)


def headers(path: bytes, *more: tuple[bytes, bytes], content_type: bytes = b"application/grpc") -> bytes:
    """Returns the payload of a HEADERS frame that opens a call."""
    return block(
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"x"),
        (b"content-type", content_type),
        (b"te", b"trailers"),
        *more,
    )


OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)


async def raw(address: str, data: bytes, seconds: float = 0.1) -> bytes:
    """Sends bytes to a server and returns what it says within a while."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(seconds):
            while chunk := await reader.read(65536):
                received += chunk
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return received


async def answer(address: str, data: bytes, seconds: float) -> str:
    """Sends bytes to a server and returns what it makes of them.

    That is the status of a call (``status 0``), or ``reset`` or ``goaway`` with their codes, ``closed`` or, if nothing
    happens for a while, ``open``.
    """
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    try:
        async with asyncio.timeout(seconds):
            return await _ending(reader)
    except TimeoutError:
        return "open"
    except (asyncio.IncompleteReadError, ConnectionError):
        return "closed"
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _ending(reader: asyncio.StreamReader) -> str:
    decoder = hpack.Decoder()
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        match head[3]:
            case 1:
                status = dict(decoder.decode(payload)).get("grpc-status")
                if status is not None:
                    return f"status {status}"
            case 3:
                return f"reset {int.from_bytes(payload, 'big')}"
            case 7:
                return f"goaway {int.from_bytes(payload[4:8], 'big')}"


@contextlib.asynccontextmanager
async def recorded() -> AsyncIterator[tuple[str, list[h2.events.Event]]]:
    """Listens, and drops each connection with its first message; yields the address and what came in."""
    events: list[h2.events.Event] = []

    async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        while not writer.is_closing():
            writer.write(connection.data_to_send())
            chunk = await reader.read(65536)
            came = connection.receive_data(chunk) if chunk else []
            events.extend(came)
            if not chunk or any(isinstance(event, h2.events.DataReceived) for event in came):
                writer.close()

    async with await asyncio.start_server(record, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", events
