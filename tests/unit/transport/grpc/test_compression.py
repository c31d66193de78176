"""Compression, judged by what is on the wire: replies for clients that accept it, requests, and neither when small."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import h2.events
import pytest
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds
from unit.transport.grpc.rig import OPENING, PREFIX, Served, frame, headers, recorded

from kratos import GRPCClient, GRPCServer
from kratos.call import AppInfo
from kratos.errors import ServiceUnavailable

SMALL, LARGE = "a" * 10, "a" * 5000


@pytest.fixture
async def compressing() -> Any:
    """A server that compresses what is larger than 100 bytes."""
    service = Kinds()
    server = GRPCServer("127.0.0.1:0", compress_over=100)
    server.mount([service], [], AppInfo(name="test"))
    await server.start()
    served = Served(server, service)
    yield served
    await served.aclose()


async def is_compressed(address: str, method: str, text: str, accept: bytes | None) -> bool:
    """Asks with a connection of its own; tells whether the messages of the reply say that they are compressed."""
    message = Ping(text=text, count=1).to_binary()
    asked = headers((PREFIX + method).encode(), *([(b"grpc-accept-encoding", accept)] if accept else []))
    body = b"\0" + len(message).to_bytes(4, "big") + message
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(OPENING + frame(1, 4, 1, asked) + frame(0, 1, 1, body))
    async with asyncio.timeout(30):
        while True:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == 0 and payload:
                break
    writer.close()
    return payload[0] == 1


@pytest.mark.parametrize("method", ["Echo", "Watch"])
async def test_only_for_those_who_accept_it(compressing: Served, method: str) -> None:
    """A reply is compressed if it is large and the client accepts that."""
    for accept, expected in ((b"gzip", True), (b"identity,deflate,gzip", True), (b"identity", False), (None, False)):
        assert await is_compressed(compressing.address, method, LARGE, accept) is expected
    assert not await is_compressed(compressing.address, method, SMALL, b"gzip")


async def test_off_by_default(serve: Any) -> None:
    """Without being told to, no engine compresses."""
    served = await serve()
    for method in ("Echo", "Watch"):
        assert not await is_compressed(served.address, method, LARGE, b"gzip")


async def test_every_kind_both_ways(compressing: Served) -> None:
    """Client and server that both compress understand each other, in every kind of call."""
    async with GRPCClient(compressing.address, compress_over=100, timeout=30) as client:
        api = KindsClient(client)
        for text in (SMALL, LARGE):
            assert (await api.echo(Ping(text=text))).text == text
            async with api.watch(Ping(text=text, count=2)) as replies:
                assert [reply.text async for reply in replies] == [text] * 2
            async with api.collect() as requests:
                await requests.send(Ping(text=text))
                assert (await requests.reply()).text == text
            async with api.chat() as stream:
                await stream.send(Ping(text=text))
                assert (await anext(aiter(stream))).text == text


async def test_compressed_requests(serve: Any) -> None:
    """Every engine reads them."""
    served = await serve()
    channel = served.plain()
    reply = await channel.unary_unary(PREFIX + "Echo")(
        Ping(text=LARGE).to_binary(), compression=grpc.Compression.Gzip, timeout=20
    )
    assert Pong.from_binary(reply).text == LARGE


async def test_what_grows_beyond_the_limit(compressing: Served) -> None:
    """A message that is small on the wire and larger than the limit is refused before it is unpacked."""
    bomb = Ping(text="a" * (64 << 20)).to_binary()
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await compressing.plain().unary_unary(PREFIX + "Echo")(bomb, compression=grpc.Compression.Gzip, timeout=20)
    assert failure.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert compressing.service.calls == []


async def test_what_our_client_compresses() -> None:
    """Large requests, and streamed ones of any size.

    Each call has a channel of its own: gRPC may send the next one by a connection just lost.
    """
    async with recorded() as (address, events):
        for text in (SMALL, LARGE):
            async with GRPCClient(address, compress_over=100, timeout=30) as client:
                with pytest.raises(ServiceUnavailable):
                    await KindsClient(client).echo(Ping(text=text))
        async with GRPCClient(address, compress_over=100, timeout=30) as client, KindsClient(client).chat() as stream:
            await stream.send(Ping(text=LARGE))
            with pytest.raises(ServiceUnavailable):
                await anext(aiter(stream))
    assert [event.data[0] for event in events if isinstance(event, h2.events.DataReceived)] == [0, 1, 1]
