"""When a gRPC server closes connections: those that idle, those that ping too often, and those that are old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from chaos.test_grpc import PATIENCE, quiet_poller, served, until
from fixtures.gen.fixture.kinds.v1.kinds_kratos import KindsClient
from fixtures.gen.fixture.kinds.v1.kinds_pb import Ping, Pong
from roundtrip.service import Kinds
from unit.transport.grpc.rig import OPENING, answer, frame

from kratos import Call, GRPCClient
from kratos.errors import Error, ServiceUnavailable
from kratos.transport.grpc import KeepAlive

__all__ = ["quiet_poller"]

ACK = frame(6, 1, 0, bytes(8))


class Noting(Kinds):
    """Notes who calls."""

    def __init__(self) -> None:
        super().__init__()
        self.peers: list[str] = []

    async def echo(self, request: Ping, call: Call) -> Pong:
        self.peers.append(call.peer.address)
        return await super().echo(request, call)


@asynccontextmanager
async def connected(keepalive: KeepAlive) -> AsyncIterator[tuple[KindsClient, Noting, str]]:
    """Serves; yields a client, the service and the address."""
    service = Noting()
    async with served(service, keepalive=keepalive) as url, GRPCClient(url, timeout=None) as conn:
        yield KindsClient(conn), service, url.removeprefix("grpc://")


async def another_connection(api: KindsClient, service: Noting) -> None:
    """Calls until the server sees that a call comes by another connection than the first."""
    async with asyncio.timeout(PATIENCE):
        while len(set(service.peers)) < 2:
            await api.echo(Ping(), wait_for_ready=True)
            await asyncio.sleep(0.02)


async def test_idle_connections_are_closed() -> None:
    """A connection without calls is told to go; a call keeps its own, and the next one is answered."""
    async with connected(KeepAlive(max_idle=0.3)) as (api, _, address):
        async with api.chat() as stream:
            await stream.send(Ping(text="before"))
            assert (await anext(aiter(stream))).text == "before"
            assert (await answer(address, OPENING, PATIENCE)).startswith("goaway ")
            await stream.send(Ping(text="after"))
            assert (await anext(aiter(stream))).text == "after"
        assert (await api.echo(Ping(text="again"), wait_for_ready=True)).text == "again"


async def test_a_stream_outlives_its_connections_age() -> None:
    """Calls go by new connections, and the stream on the old one goes on until it is done."""
    async with connected(KeepAlive(max_age=0.3)) as (api, service, _):
        await api.echo(Ping())
        async with api.chat() as stream:
            await stream.send(Ping(text="before"))
            assert (await anext(aiter(stream))).text == "before"
            await another_connection(api, service)
            await stream.send(Ping(text="after"))
            assert (await anext(aiter(stream))).text == "after"
            await stream.done()
            assert [reply async for reply in stream] == []


async def test_grace_ends() -> None:
    """What is under way longer than the grace is cut off, which its client knows as a lost connection."""
    async with connected(KeepAlive(max_age=0.3, grace=0.3)) as (api, service, _):
        with pytest.raises(ServiceUnavailable) as unary:
            await api.echo(Ping(text="hang"), timeout=PATIENCE)
        with pytest.raises(ServiceUnavailable) as streamed:
            async with api.watch(Ping(text="hang", count=1), timeout=PATIENCE) as replies:
                async for _ in replies:
                    pass
        assert [failure.value.reason for failure in (unary, streamed)] == ["CONNECTION_LOST"] * 2
        await until(lambda: service.hanging == 0)
        assert (await api.echo(Ping(text="again"), wait_for_ready=True)).text == "again"


async def pinged(address: str, pings: int) -> bool:
    """Pings a server, each time after its answer and a while; tells whether it answers the last."""
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(OPENING)
    received = b""
    try:
        async with asyncio.timeout(PATIENCE):
            for number in range(pings):
                writer.write(frame(6, 0, 0, bytes(8)))
                while received.count(ACK) <= number:
                    chunk = await reader.read(65536)
                    if not chunk:
                        return False
                    received += chunk
                await asyncio.sleep(0.02)
    except ConnectionError:
        return False
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return True


@pytest.mark.parametrize(("tolerate", "answered"), [(0.001, True), (300.0, False)])
async def test_who_pings_too_often(tolerate: float, answered: bool) -> None:
    """A client that pings more often than it may loses its connection; one that may goes on."""
    async with connected(KeepAlive(tolerate=tolerate)) as (api, _, address):
        assert await pinged(address, 20) is answered
        assert (await api.echo(Ping(text="other"))).text == "other"


async def test_our_client_pings_too_often() -> None:
    """Its calls are lost with the connection, and said to be."""
    async with (
        served(Kinds(), keepalive=KeepAlive(tolerate=300)) as url,
        GRPCClient(url, timeout=None, keepalive=KeepAlive(every=0.2)) as conn,
    ):
        with pytest.raises(Error) as failure:
            await KindsClient(conn).echo(Ping(text="hang"), timeout=PATIENCE)
        assert (failure.value.grpc_code, failure.value.reason) == (14, "CONNECTION_LOST")
