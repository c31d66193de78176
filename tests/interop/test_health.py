"""Health, between Kratos for Go and us: its clients watch every server they are connected to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import pytest

from interop.contract import Seen, Thing
from interop.peer import SECONDS, GoClient, GoServer, GoWatch, from_json
from interop.service import Interop
from kratos.app import App, Shutdown
from kratos.call import Call
from kratos.errors import NotFound
from kratos.transport.grpc import GRPCClient, GRPCServer
from kratos.transport.grpc.health import CHECK, WATCH, Health
from kratos.wire.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse

pytestmark = pytest.mark.interop

SERVICE = "interop.v1.Interop"
Status = HealthCheckResponse.ServingStatus


class Watched(Health):
    """Health that remembers who watches."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def watch(self, request: HealthCheckRequest, call: Call) -> AsyncIterator[HealthCheckResponse]:
        self.asked.append(request.service)
        async for reply in super().watch(request, call):
            yield reply


class Node:
    """A server of ours with one engine, its health, and how many calls it has answered. An async context manager."""

    def __init__(self, engine: Any) -> None:
        self.health = Watched()
        self.answered = 0
        node = self

        class Counted(Interop):
            async def get(self, request: Thing, call: Call) -> Seen:
                node.answered += 1
                return await super().get(request, call)

        self._server = GRPCServer("127.0.0.1:0", engine=engine, services=[self.health], timeout=SECONDS)
        self.app = App(name="node", services=[Counted()], servers=[self._server], shutdown=Shutdown(finish=5, drain=0))

    @property
    def address(self) -> str:
        return self._server.endpoint.partition("://")[2]

    async def __aenter__(self) -> Self:
        await self.app.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.__aexit__(None, None, None)


@pytest.fixture(params=["grpcio", "native"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


async def test_go_watches_us(program: Path, engine: str) -> None:
    """A Go client as it comes asks for the whole server's health before it calls, and calls a server that serves."""
    async with Node(engine) as node:
        outcome = await GoClient(program, "grpc", node.address).call("Get", Thing(name="a"))
        assert outcome.error is None, outcome.error
        assert (node.health.asked, node.answered) == ([""], 1)


async def test_go_does_not_call_who_does_not_serve(program: Path, engine: str) -> None:
    """A server that says so is not called: the Go client fails, and says why."""
    async with Node(engine) as node:
        node.health.set("", False)
        outcome = await GoClient(program, "grpc", node.address).call("Get", Thing(name="a"))
        assert outcome.failed()[0] == 503
        assert "NOT_SERVING" in outcome.failed()[2]
        assert node.answered == 0


async def test_go_calls_the_one_that_serves(program: Path, engine: str) -> None:
    """Of two servers the one that serves gets all calls; each is a new connection, which may try either first."""
    async with Node(engine) as serving, Node(engine) as other:
        other.health.set("", False)
        client = GoClient(program, "grpc", f"direct:///{serving.address},{other.address}")
        outcome = await client.call("Get", *[Thing(name="a")] * 20, authority="interop")
        assert outcome.error is None, outcome.error
        assert [reply.rpc for reply in from_json(Seen, outcome.replies)] == ["Get"] * 20
        assert (serving.answered, other.answered) == (20, 0)
        assert other.health.asked


async def test_go_calls_one_of_two(program: Path, engine: str, request: pytest.FixtureRequest) -> None:
    """What Go's client makes of two addresses by itself: both of them, with a comma, are the name of the host."""
    if engine == "native":
        reason = "the HTTP/2 library of the native engine resets calls whose :authority is none, such as one of a comma"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    async with Node(engine) as one, Node(engine) as other:
        client = GoClient(program, "grpc", f"direct:///{one.address},{other.address}")
        outcome = await client.call("Get", Thing(name="a"))
        assert outcome.error is None, outcome.error
        assert one.answered + other.answered == 1


async def test_go_hears_that_we_stop(program: Path, engine: str) -> None:
    """Readiness goes first when an app stops: who watches is told, and then sent away."""
    async with (
        Node(engine) as node,
        GoWatch(program, node.address) as all_,
        GoWatch(program, node.address, SERVICE) as one,
    ):
        for watch in (all_, one):
            assert await watch.said() == {"status": "SERVING"}
        await node.app.__aexit__(None, None, None)
        for watch in (all_, one):
            assert await watch.said() == {"status": "NOT_SERVING"}
            assert await watch.said() == {"code": 503, "reason": "SERVER_STOPPING"}


async def test_go_hears_of_changes(program: Path, engine: str) -> None:
    """What is said of one service counts for that one; nobody knows one that is not there."""
    async with (
        Node(engine) as node,
        GoWatch(program, node.address, SERVICE) as one,
        GoWatch(program, node.address, "no.such.Service") as none,
    ):
        assert await none.said() == {"status": "SERVICE_UNKNOWN"}
        assert await one.said() == {"status": "SERVING"}
        node.health.set(SERVICE, False)
        assert await one.said() == {"status": "NOT_SERVING"}
        node.health.set(SERVICE, True)
        assert await one.said() == {"status": "SERVING"}


async def test_we_check_go(go_server: GoServer) -> None:
    """Our client asks a Go server how it is; services of their own have no health there."""
    async with GRPCClient(go_server.grpc, timeout=SECONDS) as conn:
        reply = await conn.unary(CHECK, HealthCheckRequest(), {}, {})
        assert reply.status == Status.SERVING
        with pytest.raises(NotFound):
            await conn.unary(CHECK, HealthCheckRequest(service=SERVICE), {}, {})


async def test_we_watch_go(program: Path) -> None:
    """Our client is told when a Go server stops."""
    server = GoServer(program)
    closing: asyncio.Task[None] | None = None
    async with GRPCClient(server.grpc, timeout=SECONDS) as conn:
        try:
            async with conn.server_stream(WATCH, HealthCheckRequest(), {}, {}) as replies:
                statuses = aiter(replies)
                assert (await anext(statuses)).status == Status.SERVING
                closing = asyncio.create_task(asyncio.to_thread(server.close))
                assert (await anext(statuses)).status == Status.NOT_SERVING
        finally:
            await (closing or asyncio.to_thread(server.close))
