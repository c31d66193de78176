"""Peers that do not keep to HTTP/2: what they send costs them their call or connection, and others nothing."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from unit.transport.certificates import Certificates
from unit.transport.grpc.rig import OPENING, PREFIX, Served, answer, block, frame, headers, raw, until

from kratos import TLS

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
FLOOD = 3000
PATIENCE = 30.0
MOMENT = 0.3

ECHO, CHAT = (headers(PREFIX.encode() + name) for name in (b"Echo", b"Chat"))
MESSAGE = Ping(text="raw").to_binary()


def opened(payload: bytes = ECHO, stream: int = 1, flags: int = END_HEADERS) -> bytes:
    """Returns the frame that opens a call."""
    return frame(HEADERS, flags, stream, payload)


def message(data: bytes, claimed: int | None = None, flag: int = 0) -> bytes:
    """Returns a gRPC message, which may lie about its length."""
    return struct.pack(">BI", flag, len(data) if claimed is None else claimed) + data


def sent(data: bytes, stream: int = 1) -> bytes:
    """Returns the last DATA frame of a stream."""
    return frame(DATA, END_STREAM, stream, data)


def resets() -> bytes:
    """Returns calls that are given up as soon as they are opened."""
    pairs = (opened(stream=each) + frame(RST_STREAM, 0, each, struct.pack(">I", 8)) for each in range(1, 2 * FLOOD, 2))
    return b"".join(pairs)


# A handler never hears of these, but for what an engine lets pass.
TAKEN = {
    ("grpcio", "flag 2"), ("grpcio", "content-type of a page"),
    ("native", "preface without settings"), ("native", "content-type of a page"),
}  # fmt: skip
BROKEN = {
    "no preface": b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0),
    "half a preface": OPENING[:11],
    "preface without settings": OPENING[:24] + opened() + sent(message(MESSAGE)),
    "http/1.1": b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello",
    "frame beyond the size": OPENING + (1 << 20).to_bytes(3, "big") + bytes([DATA, 0]) + bytes(4) + bytes(1 << 20),
    "frame that is cut": OPENING + opened()[:-7],
    "ping of a wrong size": OPENING + frame(PING, 0, 0, b"abc"),
    "settings of a wrong size": OPENING + frame(SETTINGS, 0, 0, b"abc"),
    "window update of nothing": OPENING + frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    "headers on stream 0": OPENING + opened(stream=0),
    "headers on an even stream": OPENING + opened(stream=2) + sent(message(MESSAGE), 2),
    "hpack of no sense": OPENING + opened(b"\xff\xff\xff\xff\xff\xff\x0f"),
    "hpack without its end": OPENING + opened(ECHO[:-3]),
    "data without headers": OPENING + sent(message(MESSAGE)),
    "continuation without headers": OPENING + frame(CONTINUATION, END_HEADERS, 1, ECHO),
    "unknown frame": OPENING + frame(0xEE, 0xFF, 1, b"what"),
    "message shorter than it says": OPENING + opened() + sent(message(MESSAGE, claimed=4000)),
    "message larger than allowed": OPENING + opened() + sent(message(MESSAGE, claimed=0x7FFFFFFF)),
    "message longer than it says": OPENING + opened() + sent(message(MESSAGE, claimed=2) + b"\x07"),
    "flag 2": OPENING + opened() + sent(message(MESSAGE, flag=2)),
    "compressed without an encoding": OPENING + opened() + sent(message(MESSAGE, flag=1)),
    "compressed and not": OPENING
    + opened(headers(PREFIX.encode() + b"Echo", (b"grpc-encoding", b"gzip")))
    + sent(message(MESSAGE, flag=1)),
    "unknown encoding": OPENING
    + opened(headers(PREFIX.encode() + b"Echo", (b"grpc-encoding", b"rot13")))
    + sent(message(MESSAGE, flag=1)),
    "content-type of a page": OPENING
    + opened(headers(PREFIX.encode() + b"Echo", content_type=b"text/html"))
    + sent(message(MESSAGE)),
    "no path": OPENING
    + opened(block((b":method", b"POST"), (b":scheme", b"http"), (b"content-type", b"application/grpc")))
    + sent(message(MESSAGE)),
    "path that is no text": OPENING + opened(headers(PREFIX.encode() + b"\xff\xfe\x80")) + sent(message(MESSAGE)),
    "get": OPENING
    + opened(block((b":method", b"GET"), (b":scheme", b"http"), (b":path", PREFIX.encode() + b"Echo")))
    + sent(b""),
}
# What they get, from grpcio and from the native engine; ``open`` is that the server waits for more.
ANSWERS = {
    "no preface": ("closed", "closed"),
    "half a preface": ("open", "open"),
    "preface without settings": ("closed", "status 0"),
    "http/1.1": ("closed", "closed"),
    "frame beyond the size": ("closed", "goaway 6"),
    "frame that is cut": ("open", "open"),
    "ping of a wrong size": ("closed", "goaway 1"),
    "settings of a wrong size": ("closed", "goaway 1"),
    "window update of nothing": ("closed", "goaway 1"),
    "headers on stream 0": ("open", "goaway 1"),
    "headers on an even stream": ("open", "goaway 1"),
    "hpack of no sense": ("status 13", "goaway 1"),
    "hpack without its end": ("status 13", "goaway 1"),
    "data without headers": ("open", "goaway 1"),
    "continuation without headers": ("closed", "goaway 1"),
    "unknown frame": ("open", "open"),
    "message shorter than it says": ("status 12", "status 13"),
    "message larger than allowed": ("status 8", "status 13"),
    "message longer than it says": ("status 3", "status 13"),
    "flag 2": ("status 0", "status 13"),
    "compressed without an encoding": ("status 13", "status 13"),
    "compressed and not": ("status 13", "status 13"),
    "unknown encoding": ("status 13", "status 12"),
    "content-type of a page": ("status 0", "status 0"),
    "no path": ("reset 2", "status 14"),
    "path that is no text": ("status 12", "goaway 1"),
    "get": ("reset 2", "status 13"),
}
FLOODS = {
    "continuations": OPENING
    + opened(flags=0)
    + b"".join(frame(CONTINUATION, 0, 1, block((b"x-%d" % each, bytes(100)))) for each in range(FLOOD)),
    "empty continuations": OPENING + opened(flags=0) + frame(CONTINUATION, 0, 1) * FLOOD,
    "resets": OPENING + resets(),
    "settings": OPENING + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65_535)) * FLOOD,
    "pings": OPENING + frame(PING, 0, 0, bytes(8)) * FLOOD,
    "empty data": OPENING + opened(CHAT) + frame(DATA, 0, 1) * FLOOD,
    "window updates": OPENING + opened(CHAT) + frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1)) * FLOOD,
    "resets of nothing": OPENING + b"".join(frame(RST_STREAM, 0, each, bytes(4)) for each in range(1, 2 * FLOOD, 2)),
}


def files() -> int:
    """Returns how many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


@asynccontextmanager
async def unharmed(served: Served) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Asserts that others are answered before and after, and that no call, task or descriptor is left."""
    other = served.stub("Echo")

    async def answered(text: str) -> None:
        reply = await other(Ping(text=text).to_binary(), timeout=PATIENCE)
        assert Pong.from_binary(reply).text == text

    await answered("before")
    tasks, descriptors = len(asyncio.all_tasks()), files()
    yield answered
    await answered("after")
    await until(lambda: not served.busy and len(asyncio.all_tasks()) <= tasks and files() <= descriptors, PATIENCE)


@pytest.mark.parametrize("name", BROKEN)
async def test_broken(serve: Any, engine: str, name: str) -> None:
    """Whatever is broken is refused before a handler hears of it, and told so; the next call is served."""
    served = await serve()
    expected = ANSWERS[name][engine == "native"]
    async with unharmed(served):
        got = await answer(served.address, BROKEN[name], MOMENT if expected == "open" else PATIENCE)
        # A server that closes with data unread may reset the connection before it has been heard.
        assert got == expected or (name, got) == ("frame beyond the size", "closed")
    assert len(served.service.calls) == 2 + ((engine, name) in TAKEN)


@pytest.mark.parametrize("method", ["Echo", "Watch"])
async def test_no_time_at_all(serve: Any, method: str) -> None:
    """A call that comes with no time left is over, and reaches no handler."""
    served = await serve()
    head = headers(f"{PREFIX}{method}".encode(), (b"grpc-timeout", b"0S"))
    async with unharmed(served):
        assert await answer(served.address, OPENING + opened(head) + sent(message(MESSAGE)), PATIENCE) == "status 4"
    assert len(served.service.calls) == 2


@pytest.mark.parametrize("name", FLOODS)
async def test_floods(serve: Any, name: str) -> None:
    """Thousands of frames that mean nothing, from three at once, while others call."""
    served = await serve()
    async with unharmed(served) as answered:
        floods = [asyncio.create_task(raw(served.address, FLOODS[name], 1.0)) for _ in range(3)]
        while not all(flood.done() for flood in floods):
            try:
                await answered("meanwhile")
            except grpc.aio.AioRpcError as refused:  # grpcio turns calls away while thousands wait to begin
                assert (name, refused.code()) == ("resets", grpc.StatusCode.CANCELLED)  # noqa: PT017 - some only
        await asyncio.gather(*floods)
    assert served.service.hanging == 0


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 500, OPENING + opened() + sent(message(MESSAGE)), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ids=["garbage", "plain text", "half a handshake"],
)
@pytest.mark.parametrize("engine", ["grpcio"])  # the other one has no TLS
async def test_tls_ports(serve: Any, tmp_path: Path, data: bytes) -> None:
    """Whoever does not speak TLS to a port with TLS gets nothing there, and holds nobody up."""
    made = Certificates(tmp_path)
    own: TLS = made.issue("server")
    served = await serve(tls=own)
    trust = grpc.ssl_channel_credentials(made.ca.read_bytes())
    address = served.server.endpoint.removeprefix("grpcs://")
    descriptors = files()
    writers = []
    for _ in range(20):
        _, writer = await asyncio.open_connection(*address.split(":"))
        writer.write(data)
        writers.append(writer)
    async with grpc.aio.secure_channel(address.replace("127.0.0.1", "localhost"), trust) as channel:
        echo = channel.unary_unary(PREFIX + "Echo")
        reply = await echo(MESSAGE, timeout=PATIENCE)
        assert Pong.from_binary(reply).text == "raw"
    for writer in writers:
        writer.close()
    await until(lambda: not served.busy and files() <= descriptors + 2, PATIENCE)
